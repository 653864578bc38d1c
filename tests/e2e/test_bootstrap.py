#!/usr/bin/env python3
"""bootstrap, with commands of the test's own in place of apt-get, sudo and all that it looks for."""
import contextlib
import os
import shutil
import signal
import subprocess

from lib import SRC, Case, main, wait_for

TOOLS = ("sh env sed find mktemp mkfifo rm cat sleep dirname getconf touch chmod true").split()
USAGE = 64

# Notes how it is called and whether the policy is there; with `hang` it goes on for a while.
APT_GET = """
echo "$@" >>{dir}/calls
[ ! -e {policy} ] || echo "$@" >>{dir}/calls-under-policy
[ ! -e {dir}/hang ] || {{ echo $$ >{dir}/apt-pid.new; mv {dir}/apt-pid.new {dir}/apt-pid; sleep 60 & wait; }}
[ ! -e {dir}/fail ]
"""


class Bootstrap(Case):
    def setUp(self):
        super().setUp()
        self.bin = self.folder("bin")
        for name in (*TOOLS, "mv"):
            os.symlink(shutil.which(name), os.path.join(self.bin, name))
        self.policy = self.path("policy-rc.d")
        self.tool("apt-get", APT_GET.format(dir=self.dir, policy=self.policy))
        self.tool("systemctl", "exit 0")
        self.be(0)
        shutil.copyfile(os.path.join(SRC, "bootstrap"), self.path("bootstrap"))
        os.chmod(self.path("bootstrap"), 0o755)
        self.write("configure.ac", "")
        self.write("Makefile.am", "")
        self.folder("tmp")
        self.env = {"PATH": self.bin, "TMPDIR": self.path("tmp"), "CC": "no-compiler",
                    "UDSD_BOOTSTRAP_POLICY": self.policy}

    def tool(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n" + text + "\n")
        os.chmod(path, 0o755)

    def be(self, uid):
        self.tool("id", "echo %d" % uid)

    def noted(self, name):
        try:
            with open(self.path(name), encoding="ascii") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def bootstrap(self, *words):
        return self.run_program([self.path("bootstrap"), *words], env=self.env)

    def assert_nothing_left(self):
        self.assertFalse(os.path.exists(self.policy))
        self.assertEqual(os.listdir(self.path("tmp")), [])


class Policy(Bootstrap):
    """No server that only tests need is started; and what sees to it does not stay."""

    def test_for_the_tests_only(self):
        for words, is_needed in (((), False), (("--deps",), False), (("--deps", "deb"), False),
                                 (("--prefix=/x",), False), (("--deps", "ci"), True)):
            with self.subTest(words):
                for name in ("calls", "calls-under-policy"):
                    self.write(name, "")
                self.bootstrap(*words)
                self.assertIn("install", self.noted("calls"))
                self.assertEqual("install" in self.noted("calls-under-policy"), is_needed)
                self.assertFalse(os.path.exists(self.policy))

    def test_a_failed_installation(self):
        self.write("fail", "")
        done = self.bootstrap("--deps", "ci")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED", done.stderr)
        self.assertIn("update", self.noted("calls-under-policy"))
        self.assert_nothing_left()

    def test_one_that_is_there(self):
        self.write("policy-rc.d", "somebody's own")
        self.assertEqual(self.bootstrap("--deps", "ci").returncode, 0)
        self.assertEqual(self.noted("policy-rc.d"), "somebody's own")

    def hang(self):
        """A bootstrap that is just installing, in a session of its own."""
        self.write("hang", "")
        process = self.spawn([self.path("bootstrap"), "--deps", "ci"], env=self.env,
                             start_new_session=True, stdout=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.path("apt-pid")), what="apt-get")
        self.assertTrue(os.access(self.policy, os.X_OK))
        return process

    def test_ended_with_its_terminal(self):
        for number, status in ((signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143),
                               (signal.SIGQUIT, 131)):
            with self.subTest(number):
                process = self.hang()
                os.killpg(process.pid, number)
                self.assertEqual(process.wait(10), status)
                self.assert_nothing_left()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                os.unlink(self.path("apt-pid"))

    def test_killed(self):
        process = self.hang()
        process.kill()
        wait_for(lambda: not os.path.exists(self.policy), what="the policy to go")
        os.killpg(process.pid, signal.SIGKILL)


class Words(Bootstrap):
    def test_refused(self):
        for words in (["foo"], ["--deps", "foo"], ["--deps", "ci", "foo"], ["--deps", "deb", "ci"],
                      ["--deps=ci"], ["deps"], ["--prefix=/x", "foo"],
                      ["--prefix=/x", "--deps"], ["-h", "foo"], ["--help", "foo"], [""]):
            with self.subTest(words=words):
                done = self.bootstrap(*words)
                self.assertEqual(done.returncode, USAGE)
                self.assertIn(words[-1], done.stderr)
                self.assertEqual(self.noted("calls"), "")
        self.assert_nothing_left()

    def test_help(self):
        done = self.bootstrap("-h")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("./bootstrap --deps [deb|ci]", done.stdout)


class Administrator(Bootstrap):
    """What one who may not install says to one who may."""

    def check_line(self, done):
        self.assertEqual(done.returncode, 1)
        lines = [line for line in done.stderr.split("\n") if line.startswith("    ")]
        self.assertEqual(len(lines), 1)
        self.assertRegex(lines[0], r"^    apt-get update && apt-get install .* autoconf automake .*"
                                   r"libconfuse-dev libcmocka-dev$")
        self.assertEqual(self.noted("calls"), "")

    def test_without_sudo(self):
        self.be(1000)
        self.check_line(self.bootstrap())

    def test_one_who_may_not_use_it(self):
        self.be(1000)
        self.tool("sudo", "echo 'you are not in the sudoers file' >&2; exit 1")
        done = self.bootstrap()
        self.assertIn("not in the sudoers file", done.stderr)
        self.check_line(done)

    def test_with_sudo(self):
        self.be(1000)
        self.tool("sudo", 'echo "$1" >>%s\nexec "$@"' % self.path("sudone"))
        self.bootstrap("--deps", "ci")
        self.assertEqual(set(self.noted("sudone").split()), {"true", "env", "sh"})
        self.assertIn("install", self.noted("calls"))
        self.assert_nothing_left()

    def test_of_another_family(self):
        os.unlink(os.path.join(self.bin, "apt-get"))
        self.tool("dnf", "exit 1")
        done = self.bootstrap("--deps", "ci")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\n    dnf install autoconf .*libcmocka-devel\n")


if __name__ == "__main__":
    main()
