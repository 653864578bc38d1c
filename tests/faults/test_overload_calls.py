#!/usr/bin/env python3
"""Calls that fail for a while: udsd waits, keeps its clients, and serves soon after."""
import contextlib
import errno
import os
import sys
import time

sys.path.insert(1, os.path.join(sys.path[0], "..", "e2e")) # for lib
from lib import UDSD, UDSD_VFORK, config, main, needs_root, service, wait_for
from lib.clients import is_silent, visit
from lib.overload import BACK, CLIENTS, SHARE, WATCH, OverloadCase
from lib.proc import cpu_time, is_gone
from lib.supervisor import kill_worker
from injection import Faults


class FailingCalls(OverloadCase):
    """Calls that fail while a test wants it, by a preloaded library."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.faults = Faults()
        cls.addClassCleanup(cls.faults.remove)

    def serve_with_faults(self, call=None, **values):
        """Its children's calls can be made to fail only where libc makes them."""
        self.PROGRAM = UDSD_VFORK if call == "syscall" else UDSD
        if self.faults.why_not:
            self.skipTest(self.faults.why_not)
        text = service("s", socket=self.path("s.sock"), handler=[self.echo()], **values)
        sup = self.udsd(config(text, log_level="debug") if values.get("log_level") else text,
                        env=self.faults.environment())
        if not self.faults.loaded():
            self.skipTest("udsd is linked statically")
        return sup

    @contextlib.contextmanager
    def fault(self, call, error):
        self.faults.begin(call, error)
        try:
            yield
            self.assertGreaterEqual(self.faults.hits(), 4, "it is tried every 100 ms")
            self.assertLess(self.faults.hits(), 20, "it spins")
        finally:
            self.faults.end()

    # the call, its errors, the step that is logged, whether a worker runs already
    ROWS = [
        ("accept4", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS], "accept", True),
        ("clone", [errno.EAGAIN, errno.ENOMEM], "spawn", True),
        ("syscall", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ETXTBSY],
         "spawn", True),
        ("fork", [errno.EAGAIN, errno.ENOMEM], "worker", False),
        ("socketpair", [errno.EMFILE, errno.ENFILE, errno.ENOMEM], "worker", False),
        ("memfd_create", [errno.EMFILE, errno.ENOMEM], "worker", False),
    ]

    def check_call(self, name):
        for call, errors, step, warm in self.ROWS:
            for error in errors if call == name else []:
                with self.subTest(call=call, error=errno.errorcode[error]):
                    sup = self.serve_with_faults(call)
                    if warm:
                        self.hello(sup.socket).close()
                        sup.wait_event("close")
                    self.check_kept(sup, self.fault(call, error), step, error)

    def test_accept(self):
        self.check_call("accept4")

    def test_clone(self):
        self.check_call("clone")

    def test_the_child(self):
        self.check_call("syscall")

    def test_the_worker_cannot_be_forked(self):
        self.check_call("fork")

    def test_the_worker_cannot_have_a_channel(self):
        self.check_call("socketpair")

    def test_there_can_be_no_scoreboard(self):
        self.check_call("memfd_create")

    def test_the_worker_cannot_begin(self):
        """A worker that ends at its beginning because a resource is short: the clients wait, and are
        served soon after."""
        for error in (errno.EMFILE, errno.ENOMEM):
            with self.subTest(error=errno.errorcode[error]):
                sup = self.serve_with_faults()
                self.faults.begin("signalfd", error)
                socks = [self.connect(sup.socket) for _ in range(CLIENTS)]
                wait_for(lambda: self.faults.hits() > 0)
                time.sleep(1)
                self.faults.end()
                started = time.monotonic()
                self.assertEqual(self.receive(socks[0], 7), b"hello\r\n")
                self.assertLess(time.monotonic() - started, BACK)
                for sock in socks[1:]:
                    self.assertEqual(self.receive(sock, 7), b"hello\r\n")

    def test_the_listener_cannot_be_watched(self):
        """After its worker was idle: clients wait, and the supervisor does not spin."""
        for error in (errno.ENOMEM, errno.ENOSPC):
            with self.subTest(error=errno.errorcode[error]):
                sup = self.serve_with_faults(worker_idle="1ms")
                sock = self.hello(sup.socket)
                worker = sup.worker("s")
                self.faults.begin("epoll_ctl", error)
                sock.close()
                wait_for(lambda worker=worker: is_gone(worker) and self.faults.hits() > 0)
                waiting = self.connect(sup.socket)
                before = cpu_time([sup.pid])
                time.sleep(WATCH)
                self.assertLess(cpu_time([sup.pid]) - before, SHARE * WATCH)
                self.faults.end()
                started = time.monotonic()
                self.assertEqual(self.receive(waiting, 7), b"hello\r\n")
                self.assertLess(time.monotonic() - started, BACK)

    def test_the_peer_cannot_be_read(self):
        """Out of memory for its groups; it could be asked again."""
        sup = self.serve_with_faults(allow=["gid:%d" % os.getgid()])
        other = self.hello(sup.socket)
        self.faults.begin("getsockopt", errno.ENOMEM)
        sock = self.connect(sup.socket)
        sup.wait_event("busy", step="peer", error=os.strerror(errno.ENOMEM))
        self.faults.end()
        self.assertEqual(self.receive(sock, 7), b"hello\r\n")
        self.assertEqual([event["conn"] for event in sup.wait_events(2, "open")], ["1", "2"])
        self.round_trip(other)

    def test_live_connections_go_on(self):
        for call, error in (("accept4", errno.EMFILE), ("clone", errno.EAGAIN)):
            with self.subTest(call=call):
                sup = self.serve_with_faults(max_lifetime="1s")
                kept = self.hello(sup.socket)
                self.faults.begin(call, error)
                waiting = self.connect(sup.socket)
                sup.wait_event("busy")
                self.round_trip(kept)
                self.assert_end(kept)           # by its time
                sup.wait_event("close", conn=1, reason="lifetime")
                self.assertTrue(is_silent(waiting))
                self.faults.end()
                self.assertEqual(self.receive(waiting, 7), b"hello\r\n")

    def test_one_line_in_ten_seconds(self):
        sup = self.serve_with_faults()
        self.hello(sup.socket).close()
        self.faults.begin("accept4", errno.EMFILE)
        waiting = self.connect(sup.socket)
        started = time.monotonic()
        accept = dict(step="accept", error=os.strerror(errno.EMFILE))
        sup.wait_event("busy", **accept)
        # other causes have lines of their own, and this one is not forgotten over them
        for call, error, step in (("accept4", errno.ENOMEM, "accept"),
                                  ("accept4", errno.ENFILE, "accept"),
                                  ("accept4", errno.ENOBUFS, "accept")):
            self.faults.begin(call, error)
            sup.wait_event("busy", step=step, error=os.strerror(error))
        self.faults.begin("accept4", errno.EMFILE)
        sup.wait_events(2, "busy", 13, **accept)
        took = time.monotonic() - started
        self.assertGreater(took, 9.8)
        self.assertLess(took, 11)
        self.assertEqual(len(sup.events("busy")), 5)
        self.faults.end()
        self.assertEqual(self.receive(waiting, 7), b"hello\r\n")

    def test_a_client_that_is_kept_and_leaves(self):
        """Costs no process."""
        for call, error in (("clone", errno.EAGAIN), ("syscall", errno.ETXTBSY)):
            with self.subTest(call=call):
                sup = self.serve_with_faults(call, log_level="debug")
                self.hello(sup.socket).close()
                self.faults.begin(call, error)
                leaver = self.connect(sup.socket)
                sup.wait_event("busy")
                leaver.close()
                sup.wait_event("gone", peer_pid=os.getpid())
                self.faults.end()
                self.hello(sup.socket)
                self.assertEqual(len(sup.wait_events(2, "open")), 2)

    def test_a_client_that_is_kept_when_udsd_stops(self):
        sup = self.serve_with_faults(log_level="debug")
        self.hello(sup.socket).close()
        self.faults.begin("clone", errno.EAGAIN)
        kept, pending = self.connect(sup.socket), self.connect(sup.socket)
        for sock in (kept, pending):
            sock.sendall(b"unread")
        sup.wait_event("busy")
        started = time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assertLess(time.monotonic() - started, 1.5)
        for sock in (kept, pending):
            self.assert_end(sock)
        self.assertEqual(len(sup.events("open")), 1)

    def test_a_kept_client_counts_once(self):
        """The limits are as they were after it has been kept, served, and closed."""
        rows = [dict(max_connections=1), dict(max_connections_per_user=1),
                dict(max_connections=1, overflow="reject")]
        for options in rows:
            with self.subTest(**options):
                sup = self.serve_with_faults(**options)
                self.hello(sup.socket).close()
                sup.wait_event("close")
                self.faults.begin("clone", errno.EAGAIN)
                kept = self.connect(sup.socket)
                sup.wait_event("busy")
                self.faults.end()
                self.assertEqual(self.receive(kept, 7), b"hello\r\n")
                kept.close()
                sup.wait_events(2, "close")
                for number in range(3):
                    self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
                    sup.wait_events(3 + number, "close")
                self.faults.begin("clone", errno.EAGAIN)
                leaver = self.connect(sup.socket)
                wait_for(lambda: self.faults.hits() > 0)
                leaver.close()
                self.faults.end()
                wait_for(lambda sup=sup: visit(sup.socket) == b"hello\r\n", 3)

    @needs_root  # the handler's user itself needs no process to send its signal
    def test_a_time_that_is_up_while_nothing_can_be_forked(self):
        """A handler that outlived its worker is ended as soon as that is possible."""
        for grace in ("300ms", "0", "10s"):
            with self.subTest(grace=grace):
                sup = self.serve_with_faults(max_lifetime="700ms", kill_grace=grace)
                sock = self.hello(sup.socket)
                pid = int(sup.wait_event("open")["pid"])
                kill_worker(sup)
                self.faults.begin("fork", errno.EAGAIN)
                started = time.monotonic()
                while time.monotonic() - started < 1.5:
                    self.round_trip(sock)
                    time.sleep(0.05)
                self.faults.end()
                wait_for(lambda pid=pid: is_gone(pid), 1, "the handler to be ended")
                self.assertEqual(sup.wait_event("close", conn=1)["reason"], "lifetime")


if __name__ == "__main__":
    main()
