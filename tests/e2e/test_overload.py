#!/usr/bin/env python3
"""Resources that are short for a while; clients that have disconnected before they are served."""
import contextlib
import errno
import os
import resource
import shutil
import socket
import time

from lib import IS_ROOT, main, read_to_end
from lib.overload import CLIENTS, WATCH, OverloadCase
from lib.proc import cpu_time
from lib.users import Who, as_user


class Limits(OverloadCase):
    """Calls that fail by themselves."""

    # a user of its own: NPROC counts all processes that a user has
    WORKER = Who(61357, 61357) if IS_ROOT else None

    @contextlib.contextmanager
    def limit(self, pid, name, value):
        """A soft limit of the worker, set by its user."""
        old = as_user(self.WORKER, resource.prlimit, pid, name)
        as_user(self.WORKER, resource.prlimit, pid, name, (value, old[1]))
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                as_user(self.WORKER, resource.prlimit, pid, name, old)

    def test_limits_of_the_worker(self):
        rows = [
            ("RLIMIT_NOFILE", 5, "accept", errno.EMFILE),
            ("RLIMIT_NPROC", 1, "spawn", errno.EAGAIN),
        ]
        for name, value, step, error in rows:
            with self.subTest(limit=name, value=value):
                sup = self.serve([self.echo()], user="61357" if IS_ROOT else None)
                self.hello(sup.socket).close()
                sup.wait_event("close")
                limit = self.limit(sup.worker("s"), getattr(resource, name), value)
                self.check_kept(sup, limit, step, error)

    def test_no_descriptor_at_all(self):
        """Then the worker cannot even poll(2). Whether it bears that or is replaced, it does
        not spin, and no connection is dropped."""
        sup = self.serve([self.echo()], user="61357" if IS_ROOT else None)
        kept = self.hello(sup.socket)
        worker = sup.worker("s")
        with self.limit(worker, resource.RLIMIT_NOFILE, 0):
            socks = [self.connect(sup.socket) for _ in range(CLIENTS)]
            started = time.monotonic()
            while time.monotonic() - started < WATCH:
                time.sleep(0.05)
                self.assertLess(cpu_time([worker]), 0.1, "it spins")
        for sock in [*socks, kept]:
            if sock is not kept:
                self.assertEqual(self.receive(sock, 7), b"hello\r\n")
            self.round_trip(sock)

    def test_a_busy_text_file(self):
        handler = self.path("handler")
        shutil.copyfile(self.echo(), handler)
        os.chmod(handler, 0o755)
        with open(handler, "r+b"):
            try:
                self.run_program([handler], timeout=5)
                self.skipTest("this kernel runs files that are open for writing")
            except OSError as error:
                self.assertEqual(error.errno, errno.ETXTBSY)
        sup = self.serve([handler])
        self.hello(sup.socket).close()
        sup.wait_event("close")
        self.check_kept(sup, open(handler, "r+b"), "spawn", errno.ETXTBSY)


class Gone(OverloadCase):

    def test_who_has_left_costs_no_process(self):
        # what ten clients do while the only place is taken, how many of them are served
        def reset(sock):
            sock.close()

        def half_close(sock):
            sock.shutdown(socket.SHUT_WR)

        def send_and_half_close(sock):
            sock.sendall(b"data")
            sock.shutdown(socket.SHUT_WR)

        def send_and_leave(sock):
            sock.sendall(b"data")
            sock.close()

        def shut_both(sock):
            sock.shutdown(socket.SHUT_RDWR)

        rows = [
            ("stream", reset, False, None),
            ("seqpacket", reset, False, None),
            ("stream", shut_both, False, None),
            ("stream", half_close, True, b"hello\r\n"),
            ("stream", send_and_half_close, True, b"hello\r\ndata"),
            ("seqpacket", send_and_half_close, True, b"hello\r\ndata"),
            ("stream", send_and_leave, True, None),
        ]
        for number, (kind_name, action, served, answer) in enumerate(rows):
            with self.subTest(kind=kind_name, action=action.__name__):
                kind = socket.SOCK_STREAM if kind_name == "stream" else socket.SOCK_SEQPACKET
                name = "s%d" % number
                sup = self.serve([self.echo()], name=name, type=kind_name, max_connections=1,
                                 log_level="debug")
                held = self.hello(sup.socket, kind)
                socks = [self.connect(sup.socket, kind) for _ in range(10)]
                for sock in socks:
                    action(sock)
                last = self.connect(sup.socket, kind)
                held.close()
                if answer:
                    for sock in socks:
                        self.assertEqual(read_to_end(sock), answer)
                self.assertEqual(self.receive(last, 7), b"hello\r\n")
                count = 10 if served else 0
                self.assertEqual(len(sup.wait_events(2 + count, "open")), 2 + count)
                if not served:
                    sup.wait_events(10, "gone")
                gone = sup.events("gone")
                self.assertEqual(len(gone), 10 - count)
                for event in gone:
                    self.assertEqual((event["service"], event["peer-uid"], event["peer-pid"]),
                                     (name, str(os.getuid()), str(os.getpid())))
                self.assertEqual(sup.events("reject") + sup.events("fail"), [])

    def test_it_is_told_at_debug_only(self):
        sup = self.serve([self.echo()], max_connections=1)
        held = self.hello(sup.socket)
        self.connect(sup.socket).close()
        last = self.connect(sup.socket)
        held.close()
        self.assertEqual(self.receive(last, 7), b"hello\r\n")
        sup.wait_events(2, "open")
        self.assertEqual(sup.events("gone"), [])


if __name__ == "__main__":
    main()
