#!/usr/bin/env python3
"""udsctl and a server that is malicious, broken or slow."""
import os
import pty
import signal
import socket
import subprocess
import threading

from lib import SANITIZED, UDSCTL, main, wait_for
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
