#!/usr/bin/env python3
"""Starts of handlers: slow ones, several at once, and what goes on meanwhile."""
import fcntl
import os
import select
import signal
import socket
import struct
import time

from lib import Case, main, proc, wait_for
from lib.clients import is_silent
from lib.proc import is_gone
from lib.supervisor import kill_worker

AT_ONCE = 8     # starts on their way
TIMEOUT = 10    # seconds for one
CONCURRENT = os.uname().machine in ("x86_64", "aarch64")    # as in raw.h


class Slow(Case):
    """The handler's file gets a lease: the kernel lets no process open it before its holder has given it
    back, which may take 45 seconds."""

    def setUp(self):
        super().setUp()
        if not CONCURRENT:
            self.skipTest("one start at a time on this machine")
        signal.signal(signal.SIGIO, signal.SIG_IGN)     # signals the holder that a process waits
        self.handler = self.script("handler", "exec %s\n" % self.echo())

    def take_lease(self, flags=os.O_RDONLY):
        """Waits until no process has the file open any more."""
        def take():
            try:
                fcntl.fcntl(self.file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            except BlockingIOError:
                return False
            return True

        self.file = os.open(self.handler, flags)
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

    def on_their_way(self, sup, count):
        """The processes of so many starts, once they hang."""
        def find():
            found = set(sup.family()) - before
            return len(found) == count and all(proc.state(pid) == "S" for pid in found) and found

        before = {sup.pid, sup.log_pid(), sup.worker("s")} | {
            int(event["pid"]) for event in sup.wait_events(1, "open")}
        return wait_for(find, what="starts that hang")

    def stop_process(self, pid):
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: proc.state(pid) == "T", what="it to be stopped")

    def test_time_passes_for_those_who_live(self):
        sup, first = self.serve_slow(max_lifetime="700ms", kill_grace=0)
        for _ in range(2 * AT_ONCE):
            self.connect(sup.socket)
        self.round_trip(first)
        self.assertEqual(sup.wait_event("close")["reason"], "lifetime")
        self.assert_end(first)
        self.give_lease()

    def test_all_are_served_when_they_can_be(self):
        self.check_all_are_served(*self.serve_slow())

    def test_all_are_served_where_they_may_send_descriptors(self):
        self.check_all_are_served(*self.serve_slow(pass_fds=True))

    def check_all_are_served(self, sup, first):
        slow = [self.connect(sup.socket) for _ in range(2 * AT_ONCE)]
        self.on_their_way(sup, AT_ONCE)
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

    def test_one_at_a_time_after_a_failure(self):
        """Clients of a service that may fail again wait for the one that tries."""
        sup, _first = self.serve_slow()
        away = self.path("away")
        os.rename(self.handler, away)
        self.assert_end(self.connect(sup.socket))
        sup.wait_event("fail")
        os.rename(away, self.handler)
        slow = [self.connect(sup.socket) for _ in range(AT_ONCE)]
        before = self.on_their_way(sup, 1)
        time.sleep(0.2)
        self.assertEqual(self.on_their_way(sup, 1), before)
        self.give_lease()
        for sock in slow:
            self.assertEqual(self.receive(sock, 7), b"hello\r\n")

    def test_a_stop_ends_those_on_their_way(self):
        sup, _first = self.serve_slow()
        slow = [self.connect(sup.socket) for _ in range(2)]
        wait_for(lambda: len(sup.family()) == 6, what="two on their way")
        started = time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assert_quick(started, 3)
        for sock in slow:
            self.assert_end(sock)

    def test_a_stop_ends_those_that_fail_meanwhile(self):
        """They would be tried again, but now no client waits for that."""
        sup = self.serve([self.handler])
        self.hello(sup.socket).close()
        sup.wait_event("close")
        self.take_lease(os.O_RDWR)
        slow = [self.connect(sup.socket) for _ in range(AT_ONCE)]
        self.on_their_way(sup, AT_ONCE)
        queued = self.connect(sup.socket)
        started = time.monotonic()
        sup.kill(signal.SIGTERM)
        self.assert_end(queued)
        self.give_lease()       # its file is open for writing: ETXTBSY
        for sock in slow:
            self.assert_end(sock)
        self.assertEqual(sup.wait(), 0)
        self.assert_quick(started, 1.5)
        self.assertEqual(len(sup.events("open")), 1)

    def test_one_that_is_stopped_keeps_no_end_from_others(self):
        """Between clone and exec a child has what its worker has."""
        sup, _first = self.serve_slow()
        socks = [self.connect(sup.socket) for _ in range(2)]
        stopped = max(self.on_their_way(sup, 2))
        self.stop_process(stopped)
        self.give_lease()
        ready, _, _ = select.select(socks, [], [], 5)
        self.assertEqual(len(ready), 1)
        self.assertEqual(self.receive(ready[0], 7), b"hello\r\n")
        started = time.monotonic()
        ready[0].shutdown(socket.SHUT_WR)
        self.assert_end(ready[0])
        self.assert_quick(started, 3)
        os.kill(stopped, signal.SIGCONT)
        for sock in set(socks) - set(ready):
            self.assertEqual(self.receive(sock, 7), b"hello\r\n")

    def test_one_that_is_stopped_does_not_outlive_its_worker(self):
        sup, first = self.serve_slow()
        self.connect(sup.socket)
        child, = self.on_their_way(sup, 1)
        kill_worker(sup)
        self.stop_process(child)    # not before: the kernel would wake it as its worker ends
        self.give_lease()
        wait_for(lambda: is_gone(child), TIMEOUT + 5, "it to be killed")
        self.round_trip(first)
        self.hello(sup.socket)

    def test_descriptors_that_a_client_sends_block_no_other(self):
        """Its worker is the last that has the client's socket, and what is in it lingers."""
        sup = self.serve([self.handler], pass_fds=True, max_lifetime="400ms", kill_grace=0)
        self.hello(sup.socket).close()
        sup.wait_event("close")
        self.take_lease()
        client = self.connect(sup.socket)
        child, = self.on_their_way(sup, 1)
        lingering, peer = self.lingering()
        with peer:
            with lingering:
                socket.send_fds(client, [b"x"], [lingering.fileno()])
                client.close()
            wait_for(lambda: not proc.is_alive(child), what="max-lifetime")
            self.give_lease()
            started = time.monotonic()
            self.hello(sup.socket)
            self.assert_quick(started, 3)

    def lingering(self):
        """A socket whose last close takes ten minutes, and a client that does not read from it."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            sock = socket.create_connection(server.getsockname())
            peer, _ = server.accept()
        sock.setblocking(False)
        try:
            while True:
                sock.send(b"x" * 65536)
        except BlockingIOError:
            pass
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
        return sock, peer

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
