#!/usr/bin/env python3
"""The command line: options, exit statuses, udsd without a config, process titles."""
import fcntl
import os
import pty
import shutil
import signal
import socket
import termios

from lib import REFUSED, USER, Case, complete, config, main, proc, service, wait_for
from lib.allowed import niceness

USAGE = 64
SERVED = 69
CAT = shutil.which("cat")
TR = shutil.which("tr")
OWN_UID = str(os.geteuid())

BAD_USAGE = [
    ["-Z"],
    ["--no-such-option"],
    ["-c"],
    ["-o", "umask=022"],
    ["-f", "-l", "loud"],
    ["@DIR@/only-a-socket"],
    ["-c", "@DIR@/x.conf", "@DIR@/sock", "/bin/cat"],
]

# Every service option with a value that must do no harm to a first client.
SERVICE_OPTIONS = [
    "enabled=true",
    "type=stream",
    "wait=false",
    "socket-mode=0600",
    "directory-mode=0700",
    "socket-owner=" + OWN_UID,
    "socket-group=%d" % os.getegid(),
    "backlog=5",
    "user=" + USER.pw_name,
    "directory=/tmp",
    "umask=077",
    "nice=1",
    "environment=A=b",
    "pass-environment=HOME",
    "no-new-privileges=false",
    "limit-nofile=100",
    "limit-nproc=1000",
    "limit-as=4G",
    "limit-cpu=60",
    "limit-core=0",
    "limit-fsize=1G",
    "stderr=null",
    "stderr=client",
    "allow=any",
    "allow=uid:" + OWN_UID,
    "deny=uid:12345",
    "max-connections=3",
    "max-connections-per-user=2",
    "rate=100/10s",
    "overflow=reject",
    "reject-message=no",
    "max-lifetime=10s",
    "kill-grace=1s",
    "idle-timeout=10s",
    "worker-idle=1s",
    "log-level=debug",
    "pass-fds=false",
]

BAD_OPTIONS = [
    "colour=red",
    "umask=999",
    "umask",
    "=1",
    "nice=many",
    "type=dgram",
    "user=no-such-user-here",
    "directory=/no/such/place",
    "wait=perhaps",
    "socket=/tmp/other",
    "handler=/bin/cat",
    "umask=022 nice=1",
]


class Echo(Case):
    def test_echo_greets_and_copies(self):
        sup = self.serve([self.echo()])
        for data in (b"world!\r\n", b"", bytes(range(256)) * 300, b"no end of line"):
            self.assertEqual(self.talk(sup.socket, data), b"hello\r\n" + data)

    def test_echo_greets_before_it_reads(self):
        sup = self.serve([self.echo()])
        sock = self.hello(sup.socket)
        for word in (b"a", b"bc", b"\0\xff\n"):
            self.round_trip(sock, word)
        sock.shutdown(socket.SHUT_WR)
        self.assert_end(sock)
        self.assertEqual(sup.wait_event("close")["status"], "exit:0")

    def test_a_client_that_disappears_is_no_error_for_echo(self):
        sup = self.serve([self.echo()])
        sock = self.hello(sup.socket)
        sock.sendall(b"x" * 100000)
        sock.close()
        self.assertEqual(sup.wait_event("close")["status"], "exit:0")

    def test_clients_that_go_at_once_are_no_error_for_echo(self):
        sup = self.serve([self.echo()])
        for _ in range(20):
            self.connect(sup.socket).close()
        self.hello(sup.socket).close()
        for event in sup.events("close"):
            self.assertEqual(event["status"], "exit:0")


class Bare(Case):
    """udsd SOCKET HANDLER."""

    def test_serves_without_a_config(self):
        sup = self.serve_bare(self.path("e.sock"), [TR, "a-z", "A-Z"])
        self.assertEqual(self.talk(sup.socket, b"hello 1\n"), b"HELLO 1\n")
        self.assertEqual(self.talk(sup.socket, b"again"), b"AGAIN")
        self.assertEqual(sup.stop(), 0)
        self.assertFalse(os.path.lexists(sup.socket))

    def test_handler_options_are_the_handlers_own(self):
        sup = self.serve_bare(self.path("e.sock"), [TR, "-d", "l"])
        self.assertEqual(self.talk(sup.socket, b"hello"), b"heo")

    def test_runs_as_the_user_who_started_it(self):
        sup = self.serve_bare(self.path("e.sock"), [shutil.which("id"), "-u"])
        self.assertEqual(self.talk(sup.socket), OWN_UID.encode() + b"\n")

    def test_options_have_their_effect(self):
        script = self.script("show", 'umask; pwd; echo "$A"; nice; echo err >&2')
        sup = self.serve_bare(
            self.path("e.sock"),
            [script],
            "umask=027",
            "directory=/tmp",
            "environment=A=b c",
            "nice=3",
            "socket-mode=0640",
            "stderr=client",
        )
        self.assertEqual(
            self.talk(sup.socket).decode().split("\n"),
            ["0027", "/tmp", "b c", niceness(3), "err", ""],
        )
        self.assertEqual(os.stat(sup.socket).st_mode & 0o7777, 0o640)

    def test_the_long_form_of_an_option(self):
        sup = self.start(
            ["--option=umask=077", self.path("e.sock"), "/bin/sh", "-c", "umask"]
        )
        sup.sockets = [self.path("e.sock")]
        self.wait_ready(sup)
        self.assertEqual(self.talk(sup.socket), b"0077\n")

    def test_takes_every_service_option(self):
        for number, option in enumerate(SERVICE_OPTIONS):
            with self.subTest(option=option):
                path = self.path("%d.sock" % number)
                sup = self.serve_bare(path, [CAT], option)
                self.assertEqual(self.talk(path, b"x"), b"x")
                self.assertEqual(sup.stop(), 0)

    def test_refuses_a_bad_option_with_its_name(self):
        for option in BAD_OPTIONS:
            with self.subTest(option=option):
                done = self.run_udsd("-o", option, self.path("e.sock"), CAT)
                self.assertIn(done.returncode, (USAGE, REFUSED))
                self.assertIn(option.split("=")[0], done.stderr)
                self.assertFalse(os.path.lexists(self.path("e.sock")))

    def test_relative_paths_are_those_of_its_start(self):
        self.echo()
        sup = self.start(["./s.sock", "./echo"], cwd=self.dir)
        sup.sockets.append(self.path("s.sock"))
        sup.wait_event("listen", socket=self.dir + "/./s.sock")
        for number, event in ((signal.SIGHUP, "reload"), (signal.SIGUSR2, "upgrade")):
            sup.kill(number)
            sup.wait_event(event, status="done")
            self.assertEqual(self.talk(self.path("s.sock"), b"x"), b"hello\r\nx")

    def test_refuses_a_bad_socket_or_handler(self):
        for words in (
            [self.path("e.sock"), "/no/such/handler"],
            [self.path("e.sock"), "relative"],
            ["@abstract-%d" % os.getpid(), CAT],
            [self.path("x" * 108), CAT],
        ):
            with self.subTest(words=words):
                done = self.run_udsd(*words)
                self.assertIn(done.returncode, (USAGE, REFUSED))
                self.assertNotEqual(done.stderr, "")

    def test_refuses_a_socket_that_is_served(self):
        sup = self.serve_bare(self.path("e.sock"), [CAT])
        done = self.run_udsd(sup.socket, CAT)
        self.assertEqual(done.returncode, SERVED)
        self.assertIn(sup.socket, done.stderr)
        self.assertEqual(self.talk(sup.socket, b"still"), b"still")


class CommandLine(Case):
    def setUp(self):
        super().setUp()
        self.socket = self.path("s.sock")
        self.conf = self.write(
            "udsd.conf", complete(service("s", socket=self.socket, handler=[CAT]))
        )

    def test_help_names_every_option(self):
        for option in ("-h", "--help"):
            done = self.run_udsd(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for short, name in zip(
                "cfstpoVlh",
                (
                    "config",
                    "foreground",
                    "syslog",
                    "test",
                    "pid-file",
                    "option",
                    "version",
                    "log-level",
                    "help",
                ),
            ):
                self.assertRegex(done.stdout, r"(?m)-%s\b.*--%s\b" % (short, name))

    def test_version(self):
        for option in ("-V", "--version"):
            done = self.run_udsd(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"^udsd \d+\.\d+")

    def test_bad_usage_is_64(self):
        for words in BAD_USAGE:
            with self.subTest(words=words):
                done = self.run_udsd(*[word.replace("@DIR@", self.dir) for word in words])
                self.assertEqual(done.returncode, USAGE)
                self.assertNotEqual(done.stderr, "")

    def test_a_config_that_is_refused_is_78(self):
        bad = self.write("bad.conf", "nonsense = 1\n")
        for words in (
            ["-f", "-c", bad],
            ["-c", bad],
            ["-t", "-c", bad],
            ["-f", "-c", self.path("missing")],
            ["-t", "-c", self.path("missing")],
        ):
            with self.subTest(words=words):
                done = self.run_udsd(*words)
                self.assertEqual(done.returncode, REFUSED)
                self.assertIn(words[-1], done.stderr)

    def test_checks_a_config(self):
        text = "".join(
            service(name, socket=self.path(name), handler=[CAT])
            for name in ("first", "second")
        )
        conf = self.write("two.conf", complete(text))
        for words in (["-t", "-c", conf], ["--test", "--config=" + conf], ["-tc" + conf]):
            with self.subTest(words=words):
                done = self.run_udsd(*words)
                self.assertEqual(done.returncode, 0, done.stderr)
                lines = done.stdout.splitlines()
                self.assertEqual(len(lines), 2)
                for line, name in zip(lines, ("first", "second")):
                    self.assertIn(name, line)
                    self.assertIn(self.path(name), line)
        self.assertFalse(os.path.lexists(self.path("first")))

    def test_long_options_serve(self):
        sup = self.start(
            [
                "--foreground",
                "--config=" + self.conf,
                "--log-level=debug",
                "--pid-file=" + self.path("pid"),
            ]
        )
        sup.sockets = [self.socket]
        self.wait_ready(sup)
        with open(self.path("pid"), encoding="ascii") as file:
            self.assertEqual(file.read(), "%d\n" % sup.pid)
        self.assertEqual(sup.stop(), 0)
        self.assertFalse(os.path.exists(self.path("pid")))

    def test_log_level_overrides_the_config(self):
        sup = self.udsd(
            config(service("s", socket=self.socket, handler=[CAT]), log_level="info"),
            ["-l", "error"],
            ready="path",
        )
        self.assertEqual(self.talk(sup.socket, b"x"), b"x")
        sup.stop()
        self.assertEqual(sup.lines(), [])

    def test_a_path_served_by_another_is_69(self):
        self.udsd(service("s", socket=self.socket, handler=[CAT]))
        done = self.run_udsd(self.socket, CAT)
        self.assertEqual(done.returncode, SERVED)
        self.assertIn(self.socket, done.stderr)
        self.assertEqual(self.talk(self.socket, b"x"), b"x")

    def test_a_relative_config_path(self):
        done = self.run_udsd("-t", "-c", "udsd.conf", cwd=self.dir)
        self.assertEqual((done.returncode, done.stderr), (0, "udsd: config ok, 1 service\n"))

    def test_serves_with_standard_descriptors_closed(self):
        for closed in ((0,), (0, 1), (1,)):
            with self.subTest(closed=closed):
                sup = self.udsd(
                    service("s", socket=self.socket, handler=[CAT]),
                    preexec_fn=lambda fds=closed: [os.close(fd) for fd in fds],
                )
                sock = self.connect(self.socket)
                sock.sendall(b"x")
                self.assertEqual(sock.recv(10), b"x")
                pid = int(sup.wait_event("open")["pid"])
                self.assertEqual(sorted(proc.fds(pid)), [0, 1, 2])
                sock.close()
                self.assertEqual(sup.stop(), 0)


class Titles(Case):
    def test_processes_bear_their_names(self):
        long_name = "a-service-with-a-name-of-forty-characters"
        text = "".join(
            service(name, socket=self.path(name), handler=[CAT])
            for name in ("echo", long_name)
        )
        sup = self.udsd(text)
        self.assertEqual(os.path.basename(proc.cmdline(sup.pid)[0]), "udsd")
        self.assertEqual(proc.comm(sup.pid), "udsd")
        self.assertEqual(proc.comm(sup.log_pid()), "udsd: log")
        for name in ("echo", long_name):
            self.connect(self.path(name))
            pid = sup.worker(name)
            self.assertEqual(proc.comm(pid), ("udsd: " + name)[:15])

    def test_a_handler_bears_its_own(self):
        sup = self.serve([CAT, "-u", "-"])
        self.connect(sup.socket)
        pid = int(sup.wait_event("open")["pid"])
        self.assertEqual(proc.cmdline(pid), [CAT, "-u", "-"])
        self.assertEqual(proc.comm(pid), "cat")


class Terminal(Case):
    """udsd in the foreground of a terminal."""

    def setUp(self):
        super().setUp()
        self.master, self.slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.addCleanup(os.close, self.slave)
        self.sup = self.udsd(
            service("s", socket=self.path("s.sock"), handler=[self.echo()]),
            stdin=self.slave,
            start_new_session=True,
            preexec_fn=self.take_terminal,
        )

    def take_terminal(self):
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def test_control_c_ends_it_cleanly(self):
        os.write(self.master, b"\x03")
        self.assertEqual(self.sup.wait(), 0)
        self.assertFalse(os.path.lexists(self.sup.socket))

    def test_handlers_and_workers_survive_a_control_c(self):
        sock = self.hello(self.sup.socket)
        worker, log = self.sup.worker("s"), self.sup.log_pid()
        os.write(self.master, b"\x03")
        wait_for(lambda: not os.path.lexists(self.sup.socket))
        self.round_trip(sock)
        self.assertTrue(proc.is_alive(worker) and proc.is_alive(log))
        sock.close()
        self.assertEqual(self.sup.wait(), 0)
        self.assertEqual(self.sup.events("close")[0]["status"], "exit:0")

    def test_a_handler_has_no_terminal(self):
        self.hello(self.sup.socket)
        fields = proc.stat(self.sup.wait_event("open")["pid"])
        self.assertEqual(fields[7], "0")
        self.assertNotEqual(int(fields[6]), self.sup.pid)

    def test_sigint_alone_ends_it(self):
        self.sup.kill(signal.SIGINT)
        self.assertEqual(self.sup.wait(), 0)
        self.assertFalse(os.path.lexists(self.sup.socket))


if __name__ == "__main__":
    main()
