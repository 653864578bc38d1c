#!/usr/bin/env python3
"""An ordinary user: without a config by PATH, and with a config of his own below XDG's directories."""
import os
import pwd
import re
import signal

from lib import IS_ROOT, REFUSED, SRC, UDSC, UDSCTL, UDSD, USER, Case, main, service, wait_for

CAT = "/bin/cat"
USAGE = 64


# Not nobody, whose number stands for all that a user namespace does not know: no rule matches it.
ORDINARY = pwd.getpwnam("games") if IS_ROOT else USER


def become_ordinary():
    if IS_ROOT:
        os.setgroups([])
        os.setgid(ORDINARY.pw_gid)
        os.setuid(ORDINARY.pw_uid)


class Ordinary(Case):
    def setUp(self):
        super().setUp()
        self.home = self.folder("home", 0o700, ORDINARY)
        self.runtime = self.folder("runtime", 0o700, ORDINARY)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": self.home, "XDG_RUNTIME_DIR": self.runtime}

    def own(self, name, text, mode=0o644):
        """A file in the user's home."""
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def as_ordinary(self, *args, **env):
        env = {name: value for name, value in {**self.env, **env}.items() if value is not None}
        return self.run_program(args, env=env, cwd="/", preexec_fn=become_ordinary)

    def start_ordinary(self, *args, cwd="/", **env):
        return self.start(args, cwd=cwd, env={**self.env, **env}, preexec_fn=become_ordinary)

    def config(self, **values):
        self.socket = os.path.join(self.runtime, "udsd", "c.sock")
        return service("c", socket=self.socket, handler=[CAT], **values)


class ByPath(Ordinary):
    def serve_upper(self, **env):
        sup = self.start_ordinary("./x.sock", "tr", "a-z", "A-Z", cwd=self.home, **env)
        sup.sockets.append(os.path.join(self.home, "x.sock"))
        self.wait_ready(sup)
        self.check_upper(sup)
        return sup

    def check_upper(self, sup):
        done = self.as_ordinary(UDSC, sup.socket, "hello")
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "HELLO"))

    def test_is_found_as_env_finds_it(self):
        sup = self.serve_upper()
        sup.wait_event("listen", service="tr")
        for number, event in ((signal.SIGHUP, "reload"), (signal.SIGUSR2, "upgrade")):
            sup.kill(number)
            sup.wait_event(event, status="done")
            self.check_upper(sup)

    def test_the_first_that_may_be_executed(self):
        first = self.own("a/tr", "#!/bin/sh\nexit 1\n", 0o644)
        self.own("b/tr", "#!/bin/sh\nexec /usr/bin/tr \"$@\"\n", 0o755)
        path = ":".join(os.path.join(self.home, name) for name in ("none", "a", "b"))
        self.serve_upper(PATH=path).stop()
        done = self.as_ordinary(UDSD, "-t", os.path.join(self.home, "x.sock"), "tr",
                                PATH=os.path.dirname(first))
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn("handler tr: Permission denied", done.stderr)

    def test_not_found(self):
        for name in ("no-such-program", "cat\u00e9"):
            done = self.as_ordinary(UDSD, os.path.join(self.home, "x.sock"), name)
            self.assertEqual((done.returncode, done.stderr),
                             (REFUSED, "udsd: handler %s: not found in PATH\n" % name))

    def test_not_in_the_current_directory(self):
        """As with execvp(3): that is for ./NAME."""
        self.own("tool", "#!/bin/sh\nexit 1\n", 0o755)
        done = self.run_program([UDSD, "./x.sock", "tool"], env=self.env, cwd=self.home,
                                preexec_fn=become_ordinary)
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn("not found in PATH", done.stderr)


class WithConfig(Ordinary):
    def serve_own(self, name=".config/udsd.conf", **env):
        self.own(name, self.config())
        sup = self.start_ordinary("-f", **env)
        sup.sockets.append(self.socket)
        self.wait_ready(sup)
        return sup

    def check_served(self, sup):
        """By the socket, and by udsctl without -s."""
        self.assertEqual(self.talk(self.socket, b"hello"), b"hello")
        directory = os.path.join(self.runtime, "udsd")
        with open(os.path.join(directory, "udsd.pid"), encoding="ascii") as file:
            self.assertEqual(int(file.read()), sup.pid)
        done = self.as_ordinary(UDSCTL, "status", "c")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(self.socket, done.stdout)
        done = self.as_ordinary(UDSCTL, "reload")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_config_pid_file_and_control_socket(self):
        self.check_served(self.serve_own())

    def test_the_example_of_the_manual(self):
        with open(os.path.join(SRC, "man", "udsd.conf.5"), encoding="utf-8") as file:
            text = re.search(r"An ordinary user's.*?\.Bd[^\n]*\n(.*?)^\.Ed", file.read(),
                             re.M | re.S)[1]
        self.assertIn("/run/user/1000/", text)
        self.own(".config/udsd.conf", text.replace("/run/user/1000", self.runtime))
        sup = self.start_ordinary("-f")
        sup.sockets.append(os.path.join(self.runtime, "udsd", "upper.sock"))
        self.wait_ready(sup)
        self.assertEqual([line for line in sup.lines() if "warning" in line], [])
        done = self.as_ordinary(UDSC, sup.socket, "hello")
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "HELLO"))

    def test_xdg_config_home(self):
        config_home = os.path.join(self.home, "other")
        sup = self.serve_own("other/udsd.conf", XDG_CONFIG_HOME=config_home)
        self.check_served(sup)

    def test_a_daemon(self):
        self.own(".config/udsd.conf", self.config())
        done = self.as_ordinary(UDSD)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        pid_file = os.path.join(self.runtime, "udsd", "udsd.pid")
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        self.assertEqual(self.talk(self.socket, b"hello"), b"hello")
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not os.path.exists(pid_file), what="the end of the daemon")

    def test_help_and_version_say_where(self):
        for option in ("-h", "-V"):
            done = self.as_ordinary(UDSD, option)
            self.assertIn(self.home + "/.config/udsd.conf", done.stdout)
        self.assertIn(self.runtime + "/udsd", done.stdout)
        done = self.as_ordinary(UDSCTL, "-h")
        self.assertIn("/udsd/control.sock)", done.stdout)

    def test_without_a_runtime_directory(self):
        """A warning says what to do; nothing is made."""
        self.own(".config/udsd.conf", self.config())
        done = self.as_ordinary(UDSD, "-t", XDG_RUNTIME_DIR=None)
        self.assertEqual(done.returncode, 0)
        for name in ("pid-file", "control-socket"):
            self.assertRegex(done.stderr, name + ": none, because XDG_RUNTIME_DIR is not set")
        self.own(".config/udsd.conf", self.config() + 'pid-file = ""\ncontrol-socket = ""\n')
        done = self.as_ordinary(UDSD, "-t", XDG_RUNTIME_DIR=None)
        self.assertEqual((done.returncode, done.stderr), (0, "udsd: config ok, 1 service\n"))

    def test_without_a_home(self):
        done = self.as_ordinary(UDSD, "-t", HOME=None)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("no config: -c names it, or HOME is to be set", done.stderr)
        done = self.as_ordinary(UDSD, "-t", os.path.join(self.home, "x.sock"), "cat", HOME=None)
        self.assertEqual((done.returncode, done.stderr), (0, "udsd: config ok, 1 service\n"))

    def test_no_config(self):
        done = self.as_ordinary(UDSD, "-t")
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn(self.home + "/.config/udsd.conf", done.stderr)


if __name__ == "__main__":
    main()
