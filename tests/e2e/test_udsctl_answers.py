#!/usr/bin/env python3
"""udsctl and a server that is malicious, broken or slow."""
import contextlib
import os
import pty
import signal
import socket
import subprocess
import threading
import time

from lib import SANITIZED, UDSCTL, USER, main, needs_root, wait_for
from lib.control_socket import ControlCase

RECORD = "status service=%s state=enabled live=%s limit=64 total=1\n"


class Answers(ControlCase):
    def answer(self, text):
        """Listens at the control socket, and answers everybody so."""
        server = self.client(timeout=None)
        server.bind(self.control)
        server.listen()

        def run():
            while True:
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                with sock:
                    sock.recv(4096)
                    try:
                        sock.sendall(text if isinstance(text, bytes) else text.encode())
                    except OSError:     # it does not want more
                        pass

        def end():
            """Before its descriptor is closed, which may be another server's then."""
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            os.unlink(self.control)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(end)

    def test_nothing_is_printed_that_a_terminal_obeys(self):
        evil = b"\x1b]0;x\x07\x9b2J\r\x7f"
        self.answer(b"ok\nstatus service=a" + evil + b" state=\"" + evil + b"\" socket=/\nexits "
                    b"service=a status=" + evil + b" count=1\nend\n")
        for words in (["status"], ["status", "a"], ["list"], ["--json", "status"],
                      ["--json", "list"], ["metrics"], ["reload"]):
            with self.subTest(words=words):
                done = self.run_program([UDSCTL, "-s", self.control, *words], text=False)
                self.assertEqual(done.returncode, 0)
                self.assertIn(rb"\x1b", done.stdout)
                self.assertEqual(sorted(set(done.stdout) & {0x1b, 0x7, 0x9b, 0xd, 0x7f}), [])

    def test_nor_by_an_error(self):
        self.answer(b"error \x1b[2J\n")
        self.assertIn(r"\x1b[2J", self.ctl("status", status=1))

    def test_what_was_cut_off_is_no_answer(self):
        self.answer("ok\n" + RECORD % ("a", 1))
        for words in (["status"], ["--json", "list"], ["metrics"], ["status", "a"]):
            self.assertIn("cut off", self.ctl(*words, status=1))

    def test_nor_is_one_without_an_end(self):
        self.answer(b"ok\n" + b"x" * (80 << 20))
        self.assertIn("Message too long", self.ctl("status", status=1, timeout=60))

    def test_numbers_that_cannot_be_do_not_harm_the_live_table(self):
        self.answer("ok\nudsd version=1\n" + RECORD % ("a", "-1e9") + RECORD % ("b", "nan")
                    + RECORD % ("c", "1e300") + "end\n")
        pid, master = pty.fork()
        if pid == 0:
            os.execv(UDSCTL, [UDSCTL, "-s", self.control, "top"])
        text = b""
        while not text.endswith(b"\033[J"):
            text += os.read(master, 65536)
        os.write(master, b"q")
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        os.close(master)
        self.assertEqual(text.count(b"enabled"), 3)

class Foreign(ControlCase):
    """What is not udsd's control socket is named, and soon."""

    def listen(self, kind=socket.SOCK_STREAM, backlog=5):
        server = self.client(kind, timeout=None)
        server.bind(self.control)
        if kind != socket.SOCK_DGRAM:
            server.listen(backlog)
        return server

    def serve_by(self, act):
        """A server that does this with each connection."""
        server = self.listen()
        ended = threading.Event()

        def run():
            while True:
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                with sock, contextlib.suppress(OSError):
                    act(sock, ended)

        def end():
            if ended.is_set():
                return
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(end)
        return end

    @staticmethod
    def endless(data):
        def act(sock, _):
            while True:
                sock.sendall(data)
        return act

    @staticmethod
    def trickle(sock, ended):
        sock.sendall(b"ok\n")
        while not ended.wait(0.2):
            sock.sendall(b"x")

    def check(self, words, patterns, seconds, status=1):
        started = time.monotonic()
        done = self.run_program([UDSCTL, "-s", self.control, *words], timeout=60)
        self.assert_quick(started, seconds)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        for line in done.stderr.splitlines():
            self.assertRegex(line, "^udsctl: ")
        for pattern in patterns:
            self.assertRegex(done.stderr, pattern)

    def test_servers(self):
        me = r"python\S* \(process %d of \S+\)" % os.getpid()
        doubt = me + ": is this udsd's control-socket\\?\n"
        for name, act, patterns, seconds in (
            ("silent", lambda sock, ended: ended.wait(60),
             ["no answer yet from " + me, "no answer within 5 s from " + doubt], 6),
            ("trickle", self.trickle, ["no answer yet from " + me, "within 5 s from " + doubt], 6),
            ("closes", lambda sock, _: sock.recv(100), ["ended before it had answered, " + doubt], 1),
            ("resets", lambda sock, _: None, ["ended before it had answered, |reset", doubt], 1),
            ("part", lambda sock, _: (sock.recv(100), sock.sendall(b"o")),
             ["ended before it had answered, " + doubt], 1),
            ("http", lambda sock, _: sock.sendall(b"HTTP/1.1 400 Bad Request\r\nx: y\r\n\r\n"),
             [me + ' does not answer as udsd does, but with "HTTP/1.1 400 Bad Request": is this'], 1),
            ("controls", lambda sock, _: sock.sendall(b"\x1b[2J\xff"), [r"with \"\\x1b\[2J\\xff\""], 1),
            ("cat", lambda sock, _: sock.sendall(sock.recv(100)), ['but with "status"'], 1),
            ("yes", self.endless(b"y\n" * 9999), ['but with "y"'], 1),
            ("zeros", self.endless(b"\0" * 9999), [r'but with "(\\x00){60}"'], 1),
            ("endless", self.endless(b"ok\n" * 9999), ["Message too long, from " + me], 5),
        ):
            with self.subTest(name=name):
                end = self.serve_by(act)
                try:
                    self.check(["status"], patterns, seconds)
                finally:
                    end()
                    os.unlink(self.control)

    def test_every_command_says_so(self):
        self.serve_by(lambda sock, _: sock.sendall(b"hello\r\n"))
        self.addCleanup(os.unlink, self.control)
        for words in (["status"], ["status", "s"], ["list"], ["--json", "list"], ["kill", "s", "1"],
                      ["disable", "s"], ["enable", "s"], ["drain", "s"], ["reload"], ["metrics"],
                      ["top"]):
            with self.subTest(words=words):
                self.check(words, ['with "hello"'], 1)

    def test_what_is_no_server(self):
        nobody = "is udsd running.*-s names its control-socket"
        for name, make, pattern, status in (
            ("full", lambda: (self.listen(backlog=0), self.connect(self.control)),
             "no process accepts there", 1),
            ("dgram", lambda: self.listen(socket.SOCK_DGRAM), "it is a datagram socket", 1),
            ("seqpacket", lambda: self.listen(socket.SOCK_SEQPACKET), "it is a seqpacket socket", 1),
            ("stale", lambda: self.listen().close(), "no process listens there\n.*" + nobody, 69),
            ("file", lambda: self.write("control.sock", ""), "it is a file, not a socket\n.*" + nobody, 69),
            ("directory", lambda: os.mkdir(self.control), "it is a directory, not", 69),
            ("fifo", lambda: os.mkfifo(self.control), "it is a device or a pipe, not", 69),
            ("dangling", lambda: os.symlink("nowhere", self.control),
             "No such file or directory\n.*" + nobody, 69),
            ("missing", lambda: None, "No such file or directory\n.*" + nobody, 69),
        ):
            with self.subTest(name=name):
                make()
                self.check(["status"], [pattern], 4, status)
                if os.path.isdir(self.control):
                    os.rmdir(self.control)
                elif os.path.lexists(self.control):
                    os.unlink(self.control)

    def test_a_service_of_udsd_itself(self):
        sup = self.serve_controlled(self.section("s", handler=["/bin/cat"]))
        done = self.run_program([UDSCTL, "-s", sup.socket, "status"])
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"udsd \(process %d of \S+\) does not answer" % sup.pid)

    @needs_root
    def test_permission_denied_says_what_would_allow_it(self):
        folder = self.folder("closed", 0o700)
        self.serve_controlled(self.section("s"))
        os.symlink(self.control, os.path.join(folder, "link"))
        code = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
        for path, words in (
            (self.control, ("Permission denied: it is root's with mode 0600", "sudo",
                            "control-mode", "control-allow", "udsd.conf(5)")),
            (os.path.join(folder, "link"), ("Permission denied: a directory above it is closed to "
                                            + USER.pw_name, "sudo", "control-socket")),
        ):
            with self.subTest(path=path):
                done = self.run_as_user(code, UDSCTL, "-s", path, "status")
                self.assertEqual(done.returncode, 1)
                for word in words:
                    self.assertIn(word, done.stderr)
        os.chmod(self.control, 0o666)
        done = self.run_as_user(code, UDSCTL, "-s", self.control, "reload")
        self.assertEqual(done.returncode, 1)
        self.assertIn("udsctl: reload: control-allow does not allow you this\nudsctl: sudo, or a "
                      'rule such as "uid:%d" in control-allow would do' % USER.pw_uid, done.stderr)


class Stopped(ControlCase):
    def test_one_that_was_stopped_goes_on(self):
        sup = self.serve_controlled(self.section("s"))
        self.rewrite(self.controlled(self.section("s"), include=[self.slow_pattern(50 if SANITIZED else 120)]))
        run = self.spawn([UDSCTL, "-s", self.control, "reload"], stdout=subprocess.PIPE)
        self.config_child(sup)
        run.send_signal(signal.SIGSTOP)
        wait_for(lambda: b"T" == open("/proc/%d/stat" % run.pid, "rb").read().split()[2],
                 what="a stopped process")
        run.send_signal(signal.SIGCONT)
        self.assertEqual(run.wait(20), 0)
        self.assertIn(b"1 services", run.stdout.read())


if __name__ == "__main__":
    main()
