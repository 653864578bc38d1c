#!/usr/bin/env python3
"""Supervisor, worker and log process: their beginnings and ends, and what they leave."""
import os
import signal
import threading
import time

from lib import (IS_ROOT, Case, config, crowd, main, proc, read_to_end, service, wait_for)
from lib.allowed import as_many_as

# Answers each line on standard output, and reports it on standard error.
LINES = 'while read line; do echo "err $line" >&2; echo "out $line"; done\n'


class Worker(Case):
    def test_comes_with_the_first_client(self):
        sup = self.serve([self.echo()])
        self.assertEqual(sup.workers("s"), [])
        self.assertEqual(proc.children(sup.pid), [sup.log_pid()])
        sock = self.hello(sup.socket)
        self.assertEqual(proc.children(sup.pid), sorted([sup.log_pid(), sup.worker("s")]))
        handler = int(sup.wait_event("open")["pid"])
        self.assertEqual(int(proc.stat(handler)[4]), sup.worker("s"))
        sock.close()

    def test_serves_many_clients(self):
        sup = self.serve([self.echo()])
        self.hello(sup.socket)
        worker = sup.worker("s")
        for _ in range(20):
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
        self.assertEqual(sup.workers("s"), [worker])

    def test_each_service_has_its_own(self):
        text = "".join(
            service(name, socket=self.path(name), handler=[self.echo()])
            for name in ("one", "two")
        )
        sup = self.udsd(text)
        self.hello(self.path("one"))
        self.assertEqual(len(sup.workers("one")), 1)
        self.assertEqual(sup.workers("two"), [])
        self.hello(self.path("two"))
        self.assertNotEqual(sup.worker("one"), sup.worker("two"))

    def test_goes_when_it_is_idle(self):
        sup = self.serve([self.echo()], worker_idle="300ms")
        sock = self.hello(sup.socket)
        first = sup.worker("s")
        time.sleep(1)
        self.assertEqual(sup.workers("s"), [first], "it has a connection")
        self.round_trip(sock)
        sock.close()
        started = time.monotonic()
        wait_for(lambda: not sup.workers("s"))
        self.assertGreater(time.monotonic() - started, 0.2)
        self.assertEqual(sup.events("worker"), [])
        self.hello(sup.socket)
        self.assertNotEqual(sup.worker("s"), first)
        self.assertEqual(int(sup.wait_events(2, "open")[1]["conn"]), 2)

    def test_no_connection_is_dropped_when_it_exits(self):
        sup = self.serve([self.echo()], worker_idle="1ms")
        for number in range(100):
            time.sleep(number % 10 * 0.0005)
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")

    def test_holds_few_descriptors(self):
        text = "".join(
            service(name, socket=self.path(name), handler=[self.echo()])
            for name in ("one", "two", "three")
        )
        sup = self.udsd(text)
        socks = [self.hello(self.path("one")) for _ in range(10)]
        self.hello(self.path("two"))
        self.assertLess(len(proc.fds(sup.pid)), 40)
        if IS_ROOT:
            worker = sup.worker("one")
            wait_for(lambda: len(proc.fds(worker)) <= 12, what="few descriptors")
            names = proc.unix_sockets()
            paths = {
                names.get(what[len("socket:[") : -1])
                for what in proc.fds(worker).values()
            }
            self.assertIn(self.path("one"), paths)
            self.assertFalse(paths & {self.path("two"), self.path("three")})
        del socks

    def test_sits_still_while_nothing_happens(self):
        sup = self.serve([self.echo()])
        socks = [self.hello(sup.socket) for _ in range(5)]
        family = [sup.pid, sup.log_pid(), sup.worker("s")]
        time.sleep(0.3)
        before = [proc.cpu_seconds(pid) for pid in family]
        time.sleep(1)
        self.assertEqual([proc.cpu_seconds(pid) for pid in family], before)
        del socks

    def test_wakes_up_no_more_when_all_have_ended(self):
        sup = self.serve([self.echo()], worker_idle="1h")
        self.talk(sup.socket)
        sup.wait_event("close")
        worker = sup.worker("s")
        wait_for(lambda: proc.state(worker) == "S")
        before = proc.status(worker)["voluntary_ctxt_switches"]
        time.sleep(1)
        self.assertEqual(proc.status(worker)["voluntary_ctxt_switches"], before)


class Death(Case):
    def queue_behind_a_stopped_worker(self, sup, count):
        """So many clients that the worker, stopped, cannot have accepted."""
        worker = sup.worker("s")
        os.kill(worker, signal.SIGSTOP)
        wait_for(lambda: proc.state(worker) in ("T", None, "Z"))
        socks = [self.connect(sup.socket) for _ in range(count)]
        for number, sock in enumerate(socks):
            sock.sendall(b"%d" % number)
        return worker, socks

    def assert_all_served(self, socks):
        for number, sock in enumerate(socks):
            self.assertEqual(self.receive(sock, 7), b"hello\r\n")
            self.assertEqual(self.receive(sock, len(b"%d" % number)), b"%d" % number)
            self.round_trip(sock)

    def test_the_next_worker_serves_all_who_are_queued(self):
        sup = self.serve([self.echo()])
        self.hello(sup.socket).close()
        worker, socks = self.queue_behind_a_stopped_worker(sup, 30)
        try:
            os.kill(worker, signal.SIGKILL)
        except ProcessLookupError:  # the supervisor has been faster
            pass
        self.assert_all_served(socks)
        self.assertNotEqual(sup.worker("s"), worker)
        self.assertEqual(sup.wait_event("worker")["pid"], str(worker))
        self.assertEqual(sup.events("worker")[0]["status"], "signal:KILL")

    def test_a_stopped_worker_is_replaced(self):
        sup = self.serve([self.echo()])
        held = self.hello(sup.socket)
        worker, socks = self.queue_behind_a_stopped_worker(sup, 10)
        self.assert_all_served(socks)
        self.assertFalse(proc.is_alive(worker))
        self.round_trip(held)

    def test_each_kill_costs_one_client_at_most(self):
        sup = self.serve([self.echo()])
        self.hello(sup.socket).close()
        over = threading.Event()
        done = []

        def client(number):
            wrong = []
            while not over.is_set():
                try:
                    answer = self.talk(sup.socket, b"%d" % number)
                except OSError as error:
                    answer = error
                done.append(number)
                if answer != b"hello\r\n%d" % number:
                    wrong.append(answer)
            return wrong

        def killer():
            kills = 0
            try:
                while kills < 10:
                    served = len(done) + 20
                    for pid in sup.workers("s"):
                        os.kill(pid, signal.SIGKILL)
                        kills += 1
                    wait_for(lambda: len(done) >= served, 20)
            finally:
                over.set()
            return kills

        results = crowd(21, 21, lambda number: client(number) if number else killer())
        kills = results.pop(0)
        wrong = [answer for answers in results for answer in answers]
        self.assertGreaterEqual(kills, 10)
        self.assertLessEqual(len(wrong), kills, wrong)

    def test_handlers_go_on(self):
        sup = self.serve([self.script("lines", LINES)])
        held = [self.connect(sup.socket) for _ in range(3)]

        def exchange(word):
            for number, sock in enumerate(held, 1):
                text = b"%s %d\n" % (word, number)
                sock.sendall(text)
                self.assertEqual(self.receive(sock, len(text) + 4), b"out " + text)

        exchange(b"before")
        sup.wait_events(3, "open")
        worker = sup.worker("s")
        os.kill(worker, signal.SIGKILL)
        sup.wait_event("worker")
        exchange(b"after")
        for number in (1, 2, 3):
            sup.wait_event("stderr", text="err after %d" % number)
        for sock in held:
            sock.close()
        closed = sup.wait_events(3, "close")
        self.assertEqual({event["conn"] for event in closed}, {"1", "2", "3"})
        self.assertEqual(
            {event["pid"] for event in closed},
            {event["pid"] for event in sup.events("open")},
        )
        self.assertEqual({event["status"] for event in closed}, {"exit:0"})

    def test_handlers_that_flood_stderr_do_not_die_with_the_worker(self):
        sup = self.serve(
            [
                self.script(
                    "flood", "for i in 1 2 3 4 5 6 7 8; do seq 20000 >&2; echo $i; done"
                )
            ]
        )
        sock = self.connect(sup.socket)
        self.assertEqual(self.receive(sock, 2), b"1\n")
        os.kill(sup.worker("s"), signal.SIGKILL)
        self.assertEqual(read_to_end(sock), b"2\n3\n4\n5\n6\n7\n8\n")
        self.assertEqual(sup.wait_event("close")["status"], "exit:0")

    def test_conn_numbers_go_on_after_a_death(self):
        sup = self.serve([self.echo()])
        for number in range(1, 4):
            self.hello(sup.socket)
            self.assertEqual(sup.wait_events(number, "open")[-1]["conn"], str(number))
            os.kill(sup.worker("s"), signal.SIGKILL)
            sup.wait_events(number, "worker")

    def test_live_handlers_of_a_dead_worker_still_count(self):
        sup = self.serve([self.echo()], max_connections=2)
        held = [self.hello(sup.socket) for _ in range(2)]
        os.kill(sup.worker("s"), signal.SIGKILL)
        sup.wait_event("worker")
        third = self.connect(sup.socket, timeout=0.6)
        with self.assertRaises(OSError):
            third.recv(7)
        held[0].close()
        third.settimeout(5)
        self.assertEqual(self.receive(third, 7), b"hello\r\n")

    def test_the_log_process_comes_again(self):
        sup = self.serve([self.echo()])
        first = sup.log_pid()
        for sign in (signal.SIGKILL, signal.SIGSTOP):
            self.hello(sup.socket).close()
            os.kill(first, sign)
            second = wait_for(
                lambda old=first: [pid for pid in sup.named("udsd: log") if pid != old],
                what="a new log process",
            )[0]
            count = len(sup.events("close"))
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
            sup.wait_events(count + 1, "close")
            first = second

    def test_the_next_log_process_has_all_channels_at_once(self):
        names = ["s%d" % number for number in range(as_many_as(200, 8))]
        sup = self.udsd(config("".join(
            service(name, socket=self.path(name), handler=[self.echo()]) for name in names)))
        for name in names:
            self.assertEqual(self.talk(self.path(name)), b"hello\r\n")
        sup.wait_events(len(names), "close")
        first = sup.log_pid()
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: sup.named("udsd: log") not in ([], [first]), what="a new log process")
        started = time.monotonic()
        self.assertEqual(self.talk(self.path(names[-1])), b"hello\r\n")
        sup.wait_events(len(names) + 1, "close")
        self.assert_quick(started, 1)

    def test_when_the_supervisor_dies_handlers_finish(self):
        sup = self.serve([self.script("lines", LINES)])
        self.kept.add(sup.socket)
        sock = self.connect(sup.socket)
        sock.sendall(b"a\n")
        self.assertEqual(self.receive(sock, 6), b"out a\n")
        family = sup.family()
        self.assertEqual(len(family), 4)
        sup.kill(signal.SIGKILL)
        sup.wait()
        wait_for(lambda: self.is_refused(sup.socket), what="the end of listening")
        for _ in range(3):
            sock.sendall(b"b\n")
            self.assertEqual(self.receive(sock, 6), b"out b\n")
            time.sleep(0.1)
        sock.close()
        wait_for(lambda: not any(map(proc.is_alive, family)), what="all to end")
        self.assertGreaterEqual(len(sup.events("close", status="exit:0")), 1)

    def is_refused(self, path):
        try:
            self.connect(path)
        except ConnectionRefusedError:
            return True
        return False

    def test_when_the_supervisor_dies_all_idle_processes_go(self):
        text = "".join(
            service(name, socket=self.path(name), handler=[self.echo()])
            for name in ("one", "two")
        )
        sup = self.udsd(text)
        self.kept.update(sup.sockets)
        for path in sup.sockets:
            self.talk(path, b"x")
        family = sup.family()
        sup.kill(signal.SIGKILL)
        sup.wait()
        wait_for(lambda: not any(map(proc.is_alive, family)), what="all to end")


class Leaks(Case):
    """What comes and goes leaves nothing in the processes that stay."""

    def descriptors(self, sup):
        pids = [sup.pid] + ([sup.log_pid()] if IS_ROOT else [])
        return [len(proc.fds(pid)) for pid in pids]

    def check(self, sup, end_worker):
        """Counts are the same after one worker and after many."""
        self.hello(sup.socket).close()
        end_worker()
        wait_for(lambda: not sup.workers("s"))
        time.sleep(0.1)
        before = self.descriptors(sup)
        for _ in range(20):
            self.hello(sup.socket).close()
            end_worker()
            wait_for(lambda: not sup.workers("s"))
        wait_for(lambda: self.descriptors(sup) == before, what="the same descriptors")

    def test_workers_that_idle_leave_no_descriptors(self):
        sup = self.serve([self.echo()], worker_idle="20ms")
        self.check(sup, lambda: None)

    def test_workers_that_die_leave_no_descriptors(self):
        sup = self.serve([self.echo()])
        self.check(sup, lambda: self.kill_worker(sup))

    def kill_worker(self, sup):
        sup.wait_events(len(sup.events("open")), "close")
        for pid in sup.workers("s"):
            os.kill(pid, signal.SIGKILL)

    def test_lines_of_a_worker_that_dies_are_not_lost(self):
        sup = self.serve([self.echo()])
        socks = [self.hello(sup.socket) for _ in range(61)]    # the last one's may not be written yet
        os.kill(sup.worker("s"), signal.SIGKILL)
        for sock in socks:
            sock.close()
        for verb, count in (("open", 60), ("close", 61)):
            numbers = sorted(int(event["conn"]) for event in sup.wait_events(count, verb))
            self.assertEqual(numbers[:count], list(range(1, count + 1)))


class Reaping(Case):
    def zombies(self, sup):
        return [pid for pid in sup.family() if proc.state(pid) == "Z"]

    def test_no_zombies_after_a_burst(self):
        sup = self.serve(["/bin/true"], max_connections=200)
        crowd(20, 200, lambda _: self.talk(sup.socket))
        sup.wait_events(200, "close", timeout=10)
        wait_for(lambda: not self.zombies(sup), 1, "zombies to go")

    def test_what_handlers_leave_behind_is_reaped_quietly(self):
        sup = self.serve([self.script("h", "sleep 0.2 & exit 0")])
        for _ in range(5):
            self.talk(sup.socket)
        sup.wait_events(5, "close", status="exit:0")
        wait_for(lambda: len(sup.family()) == 3, 3, "orphans to be reaped")
        self.assertEqual(sup.events("worker"), [])

    def test_zombies_of_a_dead_worker_are_reaped(self):
        sup = self.serve([self.echo()])
        held = [self.hello(sup.socket) for _ in range(5)]
        sup.wait_events(5, "open")
        os.kill(sup.worker("s"), signal.SIGKILL)
        for sock in held:
            sock.close()
        sup.wait_events(5, "close")
        wait_for(lambda: not self.zombies(sup), 1, "zombies to go")


if __name__ == "__main__":
    main()
