#!/usr/bin/env python3
"""Handlers on their way: starts that take long, several at once, and what goes on meanwhile."""
import fcntl
import os
import signal
import time

from harness import Case, main, wait_for
from more import is_silent

AT_ONCE = 8     # starts on their way
TIMEOUT = 10    # seconds for one
CONCURRENT = os.uname().machine in ("x86_64", "aarch64")    # as in raw.h


class Slow(Case):
    """The handler's file gets a lease: the kernel lets nobody open it before its holder has given it
    back, which may take 45 seconds."""

    def setUp(self):
        super().setUp()
        if not CONCURRENT:
            self.skipTest("one start at a time on this machine")
        signal.signal(signal.SIGIO, signal.SIG_IGN)     # tells the holder that somebody waits
        self.handler = self.script("handler", "exec %s\n" % self.echo())

    def take_lease(self):
        """Waits until nobody has the file open any more."""
        def take():
            try:
                fcntl.fcntl(self.file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            except BlockingIOError:
                return False
            return True

        self.file = os.open(self.handler, os.O_RDONLY)
        self.addCleanup(os.close, self.file)
        wait_for(take, what="the handler's file to be closed")

    def give_lease(self):
        fcntl.fcntl(self.file, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def serve_slow(self, **values):
        """One connection lives; the next starts hang."""
        sup = self.serve([self.handler], **values)
        first = self.hello(sup.socket)
        self.take_lease()
        return sup, first

    def test_time_passes_for_those_who_live(self):
        sup, first = self.serve_slow(max_lifetime="700ms", kill_grace=0)
        for _ in range(2 * AT_ONCE):
            self.connect(sup.socket)
        self.round_trip(first)
        self.assertEqual(sup.wait_event("close")["reason"], "lifetime")
        self.assert_end(first)
        self.give_lease()

    def test_all_are_served_when_they_can_be(self):
        sup, first = self.serve_slow()
        slow = [self.connect(sup.socket) for _ in range(2 * AT_ONCE)]
        first.close()
        sup.wait_event("close")
        self.assertEqual(len(sup.events("open")), 1)
        self.assertTrue(all(map(is_silent, slow)))
        self.give_lease()
        for number, sock in enumerate(slow):
            self.assertEqual(self.receive(sock, 7), b"hello\r\n")
            self.round_trip(sock, b"%d" % number)
        opened = sup.wait_events(1 + len(slow), "open")
        self.assertEqual(len(opened), len({event["pid"] for event in opened}))

    def test_a_stop_ends_those_on_their_way(self):
        sup, _first = self.serve_slow()
        slow = [self.connect(sup.socket) for _ in range(2)]
        wait_for(lambda: len(sup.family()) == 6, what="two on their way")
        started = time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assert_quick(started, 3)
        for sock in slow:
            self.assert_end(sock)

    def test_one_that_takes_too_long_is_given_up(self):
        sup, first = self.serve_slow()
        slow = [self.connect(sup.socket) for _ in range(2)]
        failed = sup.wait_events(2, "fail", TIMEOUT + 5)
        for sock in slow:
            self.assert_end(sock)
        self.assertEqual({(event["step"], event["error"]) for event in failed},
                         {("execute", os.strerror(62))})
        self.assertEqual(len(sup.family()), 4, "udsd, log, worker, and the first")
        self.round_trip(first)
        self.give_lease()
        self.hello(sup.socket)


if __name__ == "__main__":
    main()
