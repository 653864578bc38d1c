#!/usr/bin/env python3
"""How many: clean rejection, max-connections, per-user limits, rate."""
import collections
import os
import resource
import socket
import threading
import time

from lib import Case, config, crowd, main, needs_root, proc, read_to_end, service, wait_for
from lib.clients import fill, is_silent, name_of, pour, visit
from lib.proc import cpu_time
from lib.supervisor import kill_worker, most_live
from lib.users import Child, Who, as_user

MIB = 1 << 20
STREAM, PACKETS = socket.SOCK_STREAM, socket.SOCK_SEQPACKET
A, B = Who(40001, 40001), Who(40002, 40002)
WAKES = 0.02                            # of a CPU: what a process that only waits may use


class Rejection(Case):

    # the reason, the options, whether a client that holds a connection comes first
    REASONS = [
        ("rule", dict(deny=["any"]), False),
        ("limit", dict(max_connections=1, overflow="reject"), True),
        ("user-limit", dict(max_connections_per_user=1), True),
        ("rate", dict(rate="1/1h"), True),
    ]
    # the message, the kind of socket, what the client sends
    CLIENTS = [
        (None, STREAM, 0),
        ("try again later\r\n", STREAM, 0),
        ("try again later\r\n", STREAM, 1000),
        ("try again later\r\n", STREAM, MIB),
        (None, STREAM, MIB),
        ("m" * 4000, STREAM, MIB),
        ("try again later\r\n", PACKETS, 0),
        ("try again later\r\n", PACKETS, MIB),
        (None, PACKETS, MIB),
    ]

    def test_each_reason_and_client(self):
        rows = [(*reason, *client) for reason in self.REASONS for client in self.CLIENTS]
        text = "".join(service("s%d" % number, socket=self.path("s%d" % number),
                               handler=[self.echo()], reject_message=message,
                               type="stream" if kind == STREAM else "seqpacket", **options)
                       for number, (_, options, _, message, kind, _) in enumerate(rows))
        sup = self.udsd(text)
        for number, (reason, _, held, message, kind, amount) in enumerate(rows):
            with self.subTest(reason=reason, message=message, kind=kind, amount=amount):
                name = "s%d" % number
                first = self.hello(self.path(name), kind) if held else None
                socks = [self.connect(self.path(name), kind) for _ in range(5)]
                self.assertEqual(pour(socks, amount), [(message or "").encode()] * 5)
                for line in sup.wait_events(5, "reject", service=name):
                    self.assertEqual((line["reason"], line["peer-uid"], line["peer-gid"],
                                      line["peer-pid"]),
                                     (reason, str(os.getuid()), str(os.getgid()),
                                      str(os.getpid())))
                self.assertEqual(len(sup.events("open", service=name)), 1 if held else 0)
                self.assertEqual(len(proc.children(sup.worker(name))), 1 if held else 0)
                if held:
                    self.round_trip(first)
                    first.close()

    def serve_one_an_hour(self, name="s", kind="stream"):
        """A service and the client that has its only place and token: who queues behind it is
        rejected when it disconnects."""
        sup = self.serve([self.echo()], name=name, type=kind, rate="1/1h", max_connections=1,
                         reject_message="come back in an hour\n")
        return sup, self.hello(sup.socket, PACKETS if kind == "seqpacket" else STREAM)

    def test_four_hundred_who_are_sending(self):
        """All have filled their socket before they are accepted, and wait in write(2) to send
        more."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 2000), hard), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        sup, held = self.serve_one_an_hour()
        socks = [self.connect(sup.socket, timeout=30) for _ in range(400)]
        for sock in socks:
            self.assertGreater(fill(sock, MIB), 0)
            sock.setblocking(True)

        def send_on(number):
            try:
                socks[number].sendall(bytes(MIB))
            except BrokenPipeError:
                pass
            try:
                return read_to_end(socks[number])
            except OSError as error:
                return name_of(error)

        leave = threading.Timer(0.5, held.close)    # when all wait
        leave.start()
        answers = crowd(400, 400, send_on)
        leave.join()
        self.assertEqual(collections.Counter(answers), {b"come back in an hour\n": 400})
        sup.wait_event("close")
        self.assertEqual(len(sup.events("open")), 1)
        self.assertEqual(proc.children(sup.worker("s")), [])

    def test_packets_that_are_empty(self):
        """An empty packet reads like the end, and is not."""
        rows = [[b""], [b"", b"data"], [b"data", b"", b"data"], [b"", b"", b"data"]]
        for number, packets in enumerate(rows):
            with self.subTest(packets=packets):
                sup, held = self.serve_one_an_hour("p%d" % number, "seqpacket")
                sock = self.connect(sup.socket, PACKETS)
                for packet in packets:
                    sock.send(packet)
                held.close()
                sup.wait_event("reject", reason="rate")
                self.assert_end(sock, b"come back in an hour\n")

    def test_who_stays_and_sends_on_holds_nothing_up(self):
        """Rejected clients that never read, never close, and try to send forever."""
        sup = self.serve([self.echo()], max_connections=1, overflow="reject",
                         reject_message="full\n")
        held = self.hello(sup.socket)
        stubborn = [self.connect(sup.socket) for _ in range(50)]
        stop = threading.Event()

        def send_on():
            while not stop.wait(0.001):
                for sock in stubborn:
                    fill(sock, 65536)

        thread = threading.Thread(target=send_on, daemon=True)
        thread.start()
        try:
            sup.wait_events(50, "reject", reason="limit")
            for _ in range(20):
                started = time.monotonic()
                self.assertEqual(visit(sup.socket), b"full\n")
                self.assertLess(time.monotonic() - started, 1)
            self.round_trip(held)
            before = cpu_time([sup.worker("s")])
            time.sleep(0.5)
            self.assertLess(cpu_time([sup.worker("s")]) - before, 0.5 * WAKES)
            held.close()
            sup.wait_event("close")
            for _ in range(10):
                count = len(sup.events("close"))
                self.assertEqual(visit(sup.socket, b"x"), b"hello\r\nx")
                sup.wait_events(count + 1, "close")
        finally:
            stop.set()
            thread.join()
        self.assertEqual(len(sup.events("open")), 11)
        for sock in stubborn:
            sock.setblocking(True)
            self.assert_end(sock, b"full\n")


class MaxConnections(Case):

    def test_a_queue_is_first_come_first_served(self):
        for limit in (1, 2, 3, 4):
            with self.subTest(limit=limit):
                name = "q%d" % limit
                sup = self.serve([self.echo()], name=name, max_connections=limit)
                socks = [self.connect(sup.socket) for _ in range(20)]
                for number, sock in enumerate(socks):
                    if number >= limit:
                        self.assertTrue(is_silent(sock), "%d came too early" % number)
                        socks[number - limit].close()
                    self.assertEqual(self.receive(sock, 7), b"hello\r\n")
                    self.round_trip(sock)
                for sock in socks:
                    sock.close()
                sup.wait_events(20, "close")
                self.assertEqual(most_live(sup, name), limit)
                self.assertEqual(sup.events("reject"), [])

    def test_waiting_takes_no_cpu(self):
        for limit in (1, 4):
            with self.subTest(limit=limit):
                name = "w%d" % limit
                sup = self.serve([self.echo()], name=name, max_connections=limit)
                held = [self.hello(sup.socket) for _ in range(limit)]
                waiting = [self.connect(sup.socket) for _ in range(20)]
                pids = [sup.pid, sup.worker(name)]
                before = cpu_time(pids)
                time.sleep(0.5)
                self.assertLess(cpu_time(pids) - before, 0.5 * WAKES)
                self.assertTrue(all(map(is_silent, waiting)))
                for sock in held:
                    sock.close()
                for sock in waiting:
                    self.assertEqual(self.receive(sock, 7), b"hello\r\n")
                    sock.close()

    def test_a_crowd_is_served_to_the_last(self):
        handler = self.script("slow", "sleep 0.02\ncat\n")
        for limit in (1, 4):
            with self.subTest(limit=limit):
                name = "c%d" % limit
                sup = self.serve([handler], name=name, max_connections=limit)
                answers = crowd(20, 60, lambda number: visit(sup.socket, b"%d" % number))
                self.assertEqual(answers, [b"%d" % number for number in range(60)])
                sup.wait_events(60, "close")
                self.assertLessEqual(most_live(sup, name), limit)
                self.assertGreaterEqual(most_live(sup, name), min(limit, 2))

    def test_overflow_reject_tells_at_once(self):
        for limit in (1, 3):
            with self.subTest(limit=limit):
                name = "r%d" % limit
                sup = self.serve([self.echo()], name=name, max_connections=limit,
                                 overflow="reject", reject_message="full\r\n")
                held = [self.hello(sup.socket) for _ in range(limit)]
                started = time.monotonic()
                for _ in range(10):
                    self.assertEqual(visit(sup.socket), b"full\r\n")
                self.assertLess(time.monotonic() - started, 2)
                sup.wait_events(10, "reject", reason="limit")
                held.pop().close()
                sup.wait_event("close")
                self.hello(sup.socket)
                self.assertEqual(visit(sup.socket), b"full\r\n")
                for sock in held:
                    self.round_trip(sock)

    def test_a_client_that_waits_for_a_slot_of_the_supervisors_is_served(self):
        """The worker has exited, so the next one is not notified when its handler ends."""
        # options, how the place becomes free
        rows = [
            (dict(max_connections=1), "leaves"),
            (dict(max_connections=1), "is killed"),
            (dict(max_connections=1, worker_idle="1ms"), "leaves"),
            (dict(max_connections=1, max_lifetime="1s"), "expires"),
            (dict(max_connections=3), "leaves"),
        ]
        for number, (options, how) in enumerate(rows):
            with self.subTest(options=options, how=how):
                name = "o%d" % number
                text = service(name, socket=self.path(name), handler=[self.echo()], **options)
                sup = self.udsd(config(text, log_level="debug"))
                held = [self.hello(sup.socket) for _ in range(options["max_connections"])]
                sup.wait_events(len(held), "open")
                old = kill_worker(sup, name)
                waiting = self.connect(sup.socket)
                wait_for(lambda: sup.events("worker", status="started")[1:],
                         what="a new worker")
                pids = [sup.pid, *sup.workers(name)]
                before = cpu_time(pids)
                started = time.monotonic()
                while time.monotonic() - started < 0.4:
                    self.assertTrue(is_silent(waiting), "it is over the limit")
                    time.sleep(0.02)
                self.assertLess(cpu_time(pids) - before, 0.4 * WAKES)
                self.assertLess(len(sup.events("worker", status="started")), 5,
                                "workers come and go")
                if how == "leaves":
                    held[0].close()
                elif how == "is killed":
                    os.kill(int(sup.events("open")[0]["pid"]), 9)
                else:
                    self.assert_end(held[0])
                sup.wait_event("close", conn=1)
                freed = time.monotonic()
                self.assertEqual(self.receive(waiting, 7), b"hello\r\n")
                self.assertLess(time.monotonic() - freed, 0.5)
                self.assertNotIn(old, sup.workers(name))
                self.assertLessEqual(most_live(sup, name), options["max_connections"])


def is_pid(answer):
    return isinstance(answer, bytes) and answer.strip().isdigit()


def hammer(path, stop, held):
    """One user who holds so many connections and tries 8 at a time to have more, until a file
    is there: the set of all its answers."""
    socks = [socket.socket(socket.AF_UNIX) for _ in range(held)]
    for sock in socks:
        sock.connect(path)
        sock.recv(1)
    told = set()

    def run():
        while not os.path.exists(stop):
            answer = visit(path)
            told.add("served" if is_pid(answer) else answer)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def visit_in_turn(path, count):
    """So many visits to a handler that says its pid, each when the one before has been waited
    for: what was said instead."""
    wrong = []
    for _ in range(count):
        answer = visit(path)
        if not is_pid(answer):
            wrong.append(answer)
            continue
        pid = int(answer)
        wait_for(lambda pid=pid: proc.state(pid) is None)
    return wrong


class PerUser(Case):

    def test_a_limit_for_one_user(self):
        sup = self.serve([self.echo()], max_connections_per_user=2, reject_message="enough")
        held = [self.hello(sup.socket) for _ in range(2)]
        for number in range(5):
            self.assertEqual(visit(sup.socket), b"enough")
            held.pop(0).close()
            sup.wait_events(number + 1, "close")
            held.append(self.hello(sup.socket))
        sup.wait_events(5, "reject", reason="user-limit")

    @needs_root
    def test_each_user_has_its_own(self):
        sup = self.serve([self.echo()], socket_mode="0666", max_connections_per_user=1)
        self.hello(sup.socket)
        self.assertEqual(visit(sup.socket), b"")
        for who in (A, B):
            self.assertEqual(as_user(who, visit, sup.socket), b"hello\r\n")
        sup.wait_event("reject", reason="user-limit", peer_uid=0)
        self.assertEqual(len(sup.events("reject")), 1)

    @needs_root
    def test_a_user_who_floods_keeps_no_other_out(self):
        handler = self.script("handler", "echo $$\ncat\n")
        for held in (0, 2):
            with self.subTest(held=held):
                name = "f%d" % held
                stop = self.path("stop%d" % held)
                sup = self.serve([handler], name=name, socket_mode="0666", max_connections=6,
                                 max_connections_per_user=2, reject_message="enough")
                flood = Child(A, hammer, sup.socket, stop, held)
                try:
                    sup.wait_events(20, "reject", reason="user-limit", peer_uid=A.uid)
                    wrong = as_user(B, visit_in_turn, sup.socket, 60)
                finally:
                    os.mkdir(stop)
                    told = flood.result()
                self.assertEqual(wrong, [])
                self.assertLessEqual(told, {"served", b"enough"})
                self.assertIn(b"enough", told)
                self.assertEqual(sup.events("reject", peer_uid=B.uid), [])

    def test_handlers_of_the_supervisor_count(self):
        sup = self.serve([self.echo()], max_connections_per_user=2, reject_message="enough")
        held = [self.hello(sup.socket) for _ in range(2)]
        kill_worker(sup)
        for _ in range(3):
            self.assertEqual(visit(sup.socket), b"enough")
        held[0].close()
        sup.wait_event("close")
        wait_for(lambda: visit(sup.socket) == b"hello\r\n", 1)
        self.round_trip(held[1])


class Rate(Case):

    def visits(self, sup, count):
        return [visit(sup.socket) for _ in range(count)]

    def test_burst_and_refill(self):
        """3/6s: three at once, then one every two seconds."""
        sup = self.serve([self.light_echo()], rate="3/6s", reject_message="slowly")
        started = time.monotonic()
        self.assertEqual(self.visits(sup, 6), [b"hello\r\n"] * 3 + [b"slowly"] * 3)
        self.assertLess(time.monotonic() - started, 1.9, "too slow a machine to tell")
        for number in (1, 2):
            wait_for(lambda: visit(sup.socket) == b"hello\r\n", 4)
            took = time.monotonic() - started
            self.assertGreater(took, number * 2 - 0.05)
            self.assertLess(took, number * 2 + 1)
            self.assertEqual(visit(sup.socket), b"slowly")
        full = started + (3 + 2) * 2 + 0.1
        time.sleep(max(0, full - time.monotonic()))
        self.assertEqual(self.visits(sup, 5), [b"hello\r\n"] * 3 + [b"slowly"] * 2)
        self.assertEqual({line["reason"] for line in sup.events("reject")}, {"rate"})

    def test_who_is_turned_away_takes_no_token(self):
        sup = self.serve([self.echo()], rate="1/500ms", reject_message="slowly")
        started = time.monotonic()
        self.assertEqual(visit(sup.socket), b"hello\r\n")
        wait_for(lambda: visit(sup.socket) != b"slowly", 2)
        self.assertGreater(time.monotonic() - started, 0.4)
        self.assertLess(time.monotonic() - started, 1)

    @needs_root
    def test_each_user_has_its_own(self):
        sup = self.serve([self.echo()], rate="2/1h", socket_mode="0666", reject_message="no")
        for who in (None, A, B):
            with self.subTest(who=who):
                answers = as_user(who, self.visits, sup, 3)
                self.assertEqual(answers, [b"hello\r\n", b"hello\r\n", b"no"])
        self.assertEqual(visit(sup.socket), b"no")
        self.assertEqual(as_user(Who(40003, 40003), visit, sup.socket), b"hello\r\n")

    @needs_root
    def test_a_thousand_users(self):
        """More than are remembered at once are served; the ones seen last are remembered."""
        sup = self.serve(["/bin/sh", "-c", "printf 'hello\\r\\n'; exec cat"], rate="1/1h",
                         socket_mode="0666", reject_message="no", max_connections=4)

        def all_of_them():
            told = []
            for uid in range(100000, 101060):
                os.seteuid(uid)
                told.append(visit(sup.socket))
                os.seteuid(0)
            for uid in range(101040, 101060):
                os.seteuid(uid)
                told.append(visit(sup.socket))
                os.seteuid(0)
            return told
        told = as_user(Who(0, 0), all_of_them)
        self.assertEqual(told[:1060], [b"hello\r\n"] * 1060)
        self.assertEqual(told[1060:], [b"no"] * 20)

    def test_a_worker_that_remembers_a_user_is_not_idle(self):
        sup = self.serve([self.echo()], rate="1/2s", worker_idle="100ms", reject_message="no")
        started = time.monotonic()
        self.assertEqual(visit(sup.socket), b"hello\r\n")
        worker = sup.worker("s")
        while time.monotonic() - started < 1.7:
            self.assertEqual(sup.workers("s"), [worker])
            time.sleep(0.05)
        self.assertEqual(visit(sup.socket), b"no")
        wait_for(lambda: not sup.workers("s"), 3, "the worker to be idle")
        self.assertGreater(time.monotonic() - started, 1.9)
        self.assertEqual(visit(sup.socket), b"hello\r\n")


if __name__ == "__main__":
    main()
