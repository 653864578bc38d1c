#!/usr/bin/env python3
"""Handlers that cannot be started, and resources that are short."""
import os
import resource
import shutil
import socket
import time

from lib import PATIENCE, REFUSED, Case, complete, main, needs_user, proc, service

SET_LIMIT = """
import resource, sys
pid, name, value = map(int, sys.argv[1:])
old = resource.prlimit(pid, name)
resource.prlimit(pid, name, (value, old[1]))
print(old[0])
"""
GOOD = "#!/bin/sh\necho fine\n"


class Start(Case):
    def setUp(self):
        super().setUp()
        self.handler = self.write("handler", GOOD, 0o755)
        text = service("s", socket=self.path("s"), handler=[self.handler]) + service(
            "other", socket=self.path("other"), handler=[self.echo()]
        )
        self.sup = self.udsd(text)
        self.assertEqual(self.talk(self.path("s")), b"fine\n")

    def put(self, text=GOOD, mode=0o755):
        """Replaces the handler, as an installation does."""
        self.write("new", text, mode)
        os.rename(self.path("new"), self.handler)

    def assert_client_sees_the_end(self):
        sock = self.connect(self.path("s"))
        self.offer(sock, b"some bytes of mine\n")
        self.assert_end(sock)

    def test_reasons(self):
        def remove():
            os.remove(self.handler)

        def make_directory():
            os.remove(self.handler)
            os.mkdir(self.handler)

        rows = [
            (remove, "No such file or directory"),
            (lambda: self.put(mode=0o644), "Permission denied"),
            (lambda: self.put("no program at all\n"), "Exec format error"),
            (lambda: self.put(""), "Exec format error"),
            (
                lambda: self.put("#!/no/such/interpreter\n"),
                "its interpreter does not exist",
            ),
            (make_directory, "Permission denied"),
        ]
        for count, (spoil, error) in enumerate(rows):
            with self.subTest(error=error, number=count):
                spoil()
                self.assert_client_sees_the_end()
                event = self.sup.wait_events(count + 1, "fail")[-1]
                self.assertEqual(
                    (event["service"], event["handler"], event["error"], event["retry"]),
                    ("s", self.handler, error, "0.100"),
                )
                self.assertGreater(int(event["conn"]), 1)
                if os.path.isdir(self.handler):
                    os.rmdir(self.handler)
                self.put()
                self.assertEqual(self.talk(self.path("s")), b"fine\n")
                self.sup.wait_events(count + 2, "close", status="exit:0")
        self.assertEqual(len(self.sup.events("open")), len(rows) + 1)

    def test_the_wait_doubles_until_a_start_succeeds(self):
        os.remove(self.handler)
        started = time.monotonic()
        for _ in range(5):
            self.assert_client_sees_the_end()
        took = time.monotonic() - started
        retries = [event["retry"] for event in self.sup.wait_events(5, "fail")]
        self.assertEqual(retries, ["0.100", "0.200", "0.400", "0.800", "1.600"])
        self.assertGreater(took, 1.4)
        self.assertLess(took, 3 * PATIENCE)
        self.put()
        self.assertEqual(self.talk(self.path("s")), b"fine\n")
        os.remove(self.handler)
        self.assert_client_sees_the_end()
        self.assertEqual(self.sup.wait_events(6, "fail")[-1]["retry"], "0.100")

    def test_who_waits_is_served_after_it(self):
        os.remove(self.handler)
        self.assert_client_sees_the_end()
        self.assert_client_sees_the_end()
        waiting = [self.connect(self.path("s")) for _ in range(5)]
        self.put()
        for sock in waiting:
            self.assert_end(sock, b"fine\n")

    def test_other_services_are_not_touched(self):
        os.remove(self.handler)
        for _ in range(3):
            self.assert_client_sees_the_end()
            started = time.monotonic()
            self.assertEqual(self.talk(self.path("other"), b"x"), b"hello\r\nx")
            self.assert_quick(started, 0.5)
        self.assertEqual(self.sup.events("fail", service="other"), [])

    def test_the_wait_outlives_the_worker(self):
        """Killing the worker does not shorten it; the service recovers all the same."""
        os.remove(self.handler)
        for _ in range(3):
            self.assert_client_sees_the_end()
        os.kill(self.sup.worker("s"), 9)
        self.sup.wait_event("worker")
        self.put()
        self.assertEqual(self.talk(self.path("s")), b"fine\n")

    def test_a_failing_service_takes_no_cpu(self):
        os.remove(self.handler)
        for _ in range(4):
            self.assert_client_sees_the_end()
        waiting = self.connect(self.path("s"))
        pids = [self.sup.pid, self.sup.worker("s")]
        before = sum(map(proc.cpu_seconds, pids))
        time.sleep(0.5)
        self.assertLess(sum(map(proc.cpu_seconds, pids)) - before, 0.1)
        self.assert_end(waiting)

    def test_an_error_while_it_runs_is_not_a_failed_start(self):
        self.put("#!/bin/sh\nexit 127\n")
        for _ in range(3):
            self.assertEqual(self.talk(self.path("s")), b"")
        self.sup.wait_events(3, "close", status="exit:127")
        self.assertEqual(self.sup.events("fail"), [])


class Worker(Case):
    """What a service needs before it can start any handler."""

    def test_a_working_directory_that_has_gone(self):
        """Each client sees the end of file, with a line that says why, until it is back."""
        folder = self.folder("work")
        sup = self.serve([self.echo()], directory=folder)
        os.rmdir(folder)
        for number in range(3):
            sock = self.connect(sup.socket, timeout=3)
            self.offer(sock, b"some bytes of mine")
            self.assert_end(sock)
            events = sup.wait_events(number + 1, "fail", step="directory")
            self.assertEqual(len(events), number + 1)
        retries = [event["retry"] for event in sup.wait_events(3, "worker", status="exit:1")]
        self.assertEqual(retries, ["0.100", "0.200", "0.400"])
        self.assertEqual(sup.events("open"), [])
        os.mkdir(folder)
        self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")


class Other(Case):
    def test_packets_of_who_is_turned_away(self):
        """Empty packets too; the worker goes on at once."""
        handler = self.write("handler", GOOD, 0o755)
        sup = self.serve([handler], type="seqpacket")
        os.remove(handler)
        for packets in ([], [b"x"], [b""], [b"", b"", b"x", b""], [b"x" * 10000] * 5):
            with self.subTest(packets=len(packets)):
                sock = self.connect(sup.socket, socket.SOCK_SEQPACKET)
                try:
                    for packet in packets:
                        sock.send(packet)
                except BrokenPipeError:  # rejected meanwhile
                    pass
                self.assert_end(sock)
        self.put_back(handler)
        sock = self.connect(sup.socket, socket.SOCK_SEQPACKET)
        self.assertEqual(sock.recv(100), b"fine\n")

    def put_back(self, handler):
        self.write("new", GOOD, 0o755)
        os.rename(self.path("new"), handler)

    def test_arguments_that_are_too_long(self):
        text = service("s", socket=self.path("s"), handler=[self.echo(), "x" * 200000])
        done = self.run_udsd("-f", "-c", self.write("long.conf", complete(text)))
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn("handler: text 2 of the list has 200000 bytes", done.stderr)

    def test_stop_while_clients_wait(self):
        handler = self.write("handler", GOOD, 0o755)
        sup = self.serve([handler])
        os.remove(handler)
        for _ in range(4):
            self.assertEqual(self.talk(sup.socket), b"")
        socks = [self.connect(sup.socket) for _ in range(5)]
        for sock in socks[:3]:
            self.offer(sock, b"data")
        started = time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assert_quick(started, 2)
        for sock in socks:
            self.assert_end(sock)


class Want(Case):
    """Without enough resources the connection is kept and tried again."""

    def test_a_busy_text_file(self):
        handler = self.path("cat")
        shutil.copyfile(shutil.which("cat"), handler)
        os.chmod(handler, 0o755)
        sup = self.serve([handler])
        self.assertEqual(self.talk(sup.socket, b"x"), b"x")
        sup.wait_event("close")
        with open(handler, "r+b"):
            if not self.is_busy(handler):
                self.skipTest("this kernel runs files that are open for writing")
            sock = self.connect(sup.socket, timeout=0.6)
            sock.sendall(b"kept")
            with self.assertRaises(OSError):
                sock.recv(1)
            event = sup.wait_event("busy")
            self.assertEqual(
                (event["service"], event["step"], event["error"]),
                ("s", "spawn", "Text file busy"),
            )
        sock.settimeout(5)
        self.assertEqual(self.receive(sock, 4), b"kept")
        self.assertEqual(len(sup.events("busy")), 1, "one line for a cause")
        self.assertEqual(sup.events("fail"), [])

    def is_busy(self, program):
        try:
            self.run_program([program])
        except OSError:
            return True
        return False

    def limit_worker(self, sup, name, value):
        """Sets a soft limit of the worker, as its user may; returns what it was."""
        done = self.run_as_user(SET_LIMIT, sup.worker("s"), name, value)
        self.assertEqual(done.stderr, "")
        return int(done.stdout)

    def check_kept(self, sup, step, error, lack, relieve):
        """While the worker lacks something a client waits; then it is served."""
        self.hello(sup.socket).close()
        waiting = lack()
        event = sup.wait_event("busy")
        self.assertEqual(
            (event["service"], event["step"], event["error"]), ("s", step, error)
        )
        before = proc.cpu_seconds(sup.worker("s"))
        time.sleep(0.5)
        self.assertLess(proc.cpu_seconds(sup.worker("s")) - before, 0.1, "it spins")
        relieve()
        waiting.settimeout(5)
        self.assertEqual(self.receive(waiting, 7), b"hello\r\n")
        self.round_trip(waiting)
        self.assertEqual(len(sup.events("busy")), 1, "one line for a cause")
        self.assertEqual(sup.events("fail"), [])

    def is_kept_waiting(self, sock, seconds):
        sock.settimeout(seconds)
        try:
            self.assertEqual(sock.recv(7), b"hello\r\n")
        except socket.timeout:
            return True
        return False

    def use_up_descriptors(self, sup):
        """Lowers the worker's limit until a client is kept waiting; returns that one."""
        for limit in range(24, 4, -1):
            self.limit_worker(sup, resource.RLIMIT_NOFILE, limit)
            sock = self.connect(sup.socket)
            if self.is_kept_waiting(sock, 0.3):
                return sock
            sock.close()
        self.fail("the worker needs no descriptor")

    def test_no_descriptors(self):
        sup = self.serve([self.echo()])
        self.check_kept(
            sup,
            "accept",
            "Too many open files",
            lambda: self.use_up_descriptors(sup),
            lambda: self.limit_worker(sup, resource.RLIMIT_NOFILE, 100),
        )

    @needs_user
    def test_no_processes(self):
        sup = self.serve([self.echo()])

        def forbid():
            self.limit_worker(sup, resource.RLIMIT_NPROC, 1)
            sock = self.connect(sup.socket)
            self.assertTrue(self.is_kept_waiting(sock, 0.5))
            return sock

        self.check_kept(
            sup,
            "spawn",
            "Resource temporarily unavailable",
            forbid,
            lambda: self.limit_worker(sup, resource.RLIMIT_NPROC, 10000),
        )

    def test_who_waits_meanwhile_is_served_too(self):
        sup = self.serve([self.echo()])
        self.hello(sup.socket).close()
        self.use_up_descriptors(sup)
        socks = [self.connect(sup.socket) for _ in range(10)]
        sup.wait_event("busy")
        self.limit_worker(sup, resource.RLIMIT_NOFILE, 100)
        for sock in socks:
            self.assertEqual(self.receive(sock, 7), b"hello\r\n")


if __name__ == "__main__":
    main()
