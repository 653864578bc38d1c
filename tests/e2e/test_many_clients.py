#!/usr/bin/env python3
"""Many clients at once: all are served, and nothing is left of them."""
import os
import signal
import time

from lib import IS_ROOT, Case, crowd, main, parse_line, proc, service, wait_for


class Load(Case):
    def readable(self, sup):
        """The processes of udsd whose descriptors this user may see."""
        return [sup.pid] + ([sup.log_pid(), sup.worker("s")] if IS_ROOT else [])

    def descriptors(self, sup):
        """How many each process has, once they have come to rest."""

        def count():
            return {pid: len(proc.fds(pid)) for pid in self.readable(sup)}

        def stable():
            before = count()
            time.sleep(0.1)
            return before if before == count() else None

        return wait_for(stable)

    def zombies(self, sup):
        return [pid for pid in sup.family() if proc.state(pid) == "Z"]

    def test_a_thousand_connections_from_fifty_clients(self):
        sup = self.serve([self.light_echo()])
        self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
        sup.wait_event("close")
        wait_for(lambda: len(sup.family()) == 3)
        before, worker = self.descriptors(sup), sup.worker("s")

        def client(number):
            data = b"client %d " % number * 50
            return self.talk(sup.socket, data, timeout=60) == b"hello\r\n" + data

        results = crowd(50, 1000, client)
        self.assertEqual([result for result in results if result is not True], [])
        time.sleep(1)
        self.assertEqual(self.zombies(sup), [])
        self.assertEqual(self.descriptors(sup), before)
        self.assertEqual(sup.workers("s"), [worker])
        for verb in ("open", "close"):
            events = sup.wait_events(1001, verb)
            self.assertEqual(
                sorted(int(event["conn"]) for event in events), list(range(1, 1002))
            )
        self.assert_order(sup)
        self.assertEqual({event["status"] for event in sup.events("close")}, {"exit:0"})
        self.assertEqual(
            [verb for verb in ("drop", "fail", "busy", "worker") if sup.events(verb)], []
        )

    def assert_order(self, sup):
        """The open line of a connection stands before its close line."""
        seen = set()
        for verb, pairs in map(parse_line, sup.lines()):
            if verb == "open":
                seen.add(pairs["conn"])
            elif verb == "close":
                self.assertIn(pairs["conn"], seen)

    def test_more_at_once_than_may_be_live(self):
        sup = self.serve([self.light_echo()], max_connections=5)

        def client(number):
            with self.connect(sup.socket, timeout=60) as sock:
                self.receive(sock, 7)
                time.sleep(0.01)
                self.round_trip(sock, b"%d" % number)
            return True

        results = crowd(40, 200, client)
        self.assertEqual(
            [result for result in results if isinstance(result, Exception)], []
        )
        sup.wait_events(200, "close")
        self.assertEqual(self.most_live(sup), 5)

    def most_live(self, sup):
        """How many were live at once by the log, in whose order open follows close."""
        live = most = 0
        for line in sup.lines():
            live += line.count("open service") - line.count("close service")
            most = max(most, live)
        return most

    def test_five_hundred_held_open(self):
        sup = self.serve([self.light_echo()], max_connections=600)
        self.hello(sup.socket)
        before = self.descriptors(sup)
        socks = [self.hello(sup.socket) for _ in range(500)]
        self.assertEqual(self.descriptors(sup), before)
        for sock in socks:
            self.round_trip(sock)
        for sock in socks:
            sock.close()
        sup.wait_events(500, "close", timeout=10)
        self.assertEqual(self.zombies(sup), [])

    def test_ends_that_are_told_together_are_seen_at_once(self):
        """The kernel may make one SIGCHLD of many, which names but one of the children."""
        sup = self.serve([self.light_echo()], max_connections=200)
        for _ in range(100):
            self.hello(sup.socket)
        took = []
        for _ in range(10):
            opened, closed = len(sup.events("open")), len(sup.events("close"))
            for _ in range(16):
                self.hello(sup.socket)
            pids = [int(event["pid"]) for event in sup.wait_events(opened + 16, "open")[-16:]]
            started = time.monotonic()
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            sup.wait_events(closed + 16, "close")
            took.append(time.monotonic() - started)
        self.assertLess(min(took), 0.15)

    def test_several_services_at_once(self):
        names = ["s%d" % number for number in range(5)]
        sup = self.udsd(
            "".join(
                service(name, socket=self.path(name), handler=[self.light_echo()])
                for name in names
            )
        )

        def client(number):
            data = os.urandom(1000)
            return (
                self.talk(self.path(names[number % 5]), data, timeout=60)
                == b"hello\r\n" + data
            )

        results = crowd(20, 300, client)
        self.assertEqual([result for result in results if result is not True], [])
        for name in names:
            self.assertEqual(len(sup.wait_events(60, "close", service=name)), 60)

    def test_clients_that_come_and_go(self):
        """Some say nothing, some leave at once; nothing is left of any."""
        sup = self.serve([self.light_echo()])

        def client(number):
            with self.connect(sup.socket, timeout=60) as sock:
                if number % 3 == 1:
                    sock.sendall(b"x" * 1000)
                if number % 3 == 2:
                    self.receive(sock, 7)
            return True

        results = crowd(20, 400, client)
        self.assertEqual([result for result in results if result is not True], [])
        self.assertEqual(self.talk(sup.socket, b"last"), b"hello\r\nlast")
        wait_for(lambda: len(sup.family()) == 3, 10, "all handlers to end")
        wait_for(lambda: len(sup.events("open")) == len(sup.events("close")))


if __name__ == "__main__":
    main()
