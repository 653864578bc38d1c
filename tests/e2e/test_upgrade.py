#!/usr/bin/env python3
"""Upgrade (USR2): another binary in the same process, and no connection is dropped."""
import fcntl
import os
import resource
import signal
import socket
import struct

from lib import clients, config, main, proc, wait_for
from lib.orders import OrderCase, identity, sockets_of

SEQPACKET = socket.SOCK_SEQPACKET
# Answers each line on standard output, and reports it on standard error.
LINES = 'while read line; do echo "err $line" >&2; echo "out $line"; done\n'


class Upgrade(OrderCase):
    def is_locked(self, path):
        with open(path, "rb+") as file:
            asked = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind = struct.unpack("hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0]
        return kind != fcntl.F_UNLCK

    def exchange(self, sock, word):
        """A line to such a handler as LINES, and its answer."""
        sock.sendall(b"%s\n" % word)
        self.assertEqual(self.receive(sock, len(word) + 5), b"out %s\n" % word)


class Kept(Upgrade):
    def test_process_sockets_and_pid_file(self):
        sup = self.udsd(config(self.section("a") + self.section("b"), pid_file=self.path("pid")))
        held = self.greeted(sup.socket)
        worker, files = sup.worker("a"), self.files()
        for _ in range(2):
            self.assertEqual(self.upgrade(sup)["services"], "2")
            self.assertEqual(self.files(), files)
            self.assertTrue(self.is_locked(self.path("pid")))
            with open(self.path("pid"), encoding="ascii") as file:
                self.assertEqual(file.read(), "%d\n" % sup.pid)
            self.round_trip(held)
            for path in sup.sockets:
                self.greeted(path)
        self.assertNotIn(worker, sup.workers("a")[1:])
        self.assertEqual(proc.comm(sup.pid), "udsd")
        self.assertEqual(proc.title(sup.pid), "udsd")
        self.assertEqual(sup.stop(), 0)
        self.assertFalse(os.path.lexists(self.path("pid")))

    def test_live_handlers_and_their_close_lines(self):
        sup = self.udsd(self.section("s"))
        held = [self.greeted(sup.socket) for _ in range(3)]
        worker = sup.worker("s")
        for _ in range(2):
            self.upgrade(sup)
            held.append(self.greeted(sup.socket))
        for sock in held:
            self.round_trip(sock)
            sock.close()
        for number in range(1, 6):
            sup.wait_event("close", conn=number, status="exit:0")
        wait_for(lambda: not proc.is_alive(worker), what="the old worker to end")
        self.assertEqual(len(sup.events("close")), 5)

    def test_a_later_stop_ends_them(self):
        for timeout, status in (("300ms", "signal:TERM"), ("20s", "exit:0")):
            with self.subTest(timeout=timeout):
                sup = self.udsd(config(self.section("s"), stop_timeout=timeout))
                held = [self.greeted(sup.socket)]
                self.upgrade(sup)
                held.append(self.greeted(sup.socket))
                sup.kill(signal.SIGTERM)
                wait_for(lambda: not os.path.lexists(sup.socket), what="the path to go")
                for sock in held:
                    self.round_trip(sock)
                    if timeout == "20s":
                        sock.close()
                self.assertEqual(sup.wait(), 0)
                self.assertEqual(len(sup.events("close", status=status)), 2)

    def test_limits_and_pending_connections(self):
        sup = self.udsd(self.section("s", max_connections=2))
        held = [self.greeted(sup.socket) for _ in range(2)]
        pending = [self.connect(sup.socket) for _ in range(5)]
        for _ in range(2):
            self.upgrade(sup)
            for sock in held:
                self.round_trip(sock)
            self.assertTrue(all(map(clients.is_silent, pending)))
        for sock in pending:
            held.pop(0).close()
            self.assertEqual(self.receive(sock, 4), b"one\n")
            held.append(sock)
        self.assertEqual([event["conn"] for event in sup.wait_events(7, "open")],
                         [str(number) for number in range(1, 8)])

    def test_the_limit_for_a_user(self):
        sup = self.udsd(self.section("s", max_connections_per_user=2))
        held = [self.greeted(sup.socket) for _ in range(2)]
        self.upgrade(sup)
        self.assert_rejected(sup.socket)
        sup.wait_event("reject", reason="user-limit")
        held.pop().close()
        wait_for(lambda: self.visit(sup.socket) == b"one\nx", what="a place")

    def test_standard_error_of_old_handlers(self):
        sup = self.udsd(self.section("s", handler=[self.script("lines", LINES)]))
        held = [self.connect(sup.socket) for _ in range(2)]
        for number in range(3):
            for sock, name in zip(held, (b"a", b"b")):
                self.exchange(sock, b"%s%d" % (name, number))
                line = sup.wait_event("stderr", text="err %s%d" % (name.decode(), number))
                self.assertEqual(line["conn"], sup.wait_event("open", pid=line["pid"])["conn"])
            self.upgrade(sup)

    def test_abstract_and_seqpacket_sockets(self):
        name = "@udsd-e2e-upgrade-%d" % os.getpid()
        sup = self.udsd(self.section("a", socket=name, allow=["any"])
                        + self.section("b", type="seqpacket")
                        + self.section("c", socket=name + "p", allow=["any"], type="seqpacket"))
        places = ((name, socket.SOCK_STREAM), (self.path("b.sock"), SEQPACKET),
                  (name + "p", SEQPACKET))
        held = []
        for _ in range(3):
            held += [self.greeted(path, kind=kind) for path, kind in places]
            self.upgrade(sup)
            for sock in held:
                self.round_trip(sock)
        self.assertEqual(len(proc.listening() & {name, name + "p", self.path("b.sock")}), 3)

    def test_disabled_services_stay_so(self):
        sup = self.udsd(self.section("s") + self.section("t", enabled=False))
        self.upgrade(sup)
        self.assertFalse(os.path.lexists(self.path("t.sock")))
        self.reload(sup, self.section("s") + self.section("t"))
        self.greeted(self.path("t.sock"))
        self.reload(sup, self.section("s") + self.section("t", enabled=False))
        self.upgrade(sup)
        self.assertFalse(os.path.lexists(self.path("t.sock")))
        self.greeted(sup.socket)

    def test_what_handlers_get(self):
        """The limit that udsd was started with, no more descriptors, and no more variables."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        handler = self.script("h", "ulimit -n; ulimit -Hn; ls -m /proc/self/fd; env -u _ | cut -d= "
                              "-f1 | grep -v ^UDSD_CONN | sort")
        sup = self.udsd(
            self.section("s", handler=[handler]),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard)))
        before = self.talk(sup.socket)
        self.assertIn(b"200\n%d\n0, 1, 2, 3\n" % hard, before)
        for _ in range(2):
            self.upgrade(sup)
            self.assertEqual(self.talk(sup.socket), before)
        self.assertNotIn(b"LISTEN_", before)

    def test_more_descriptors_than_the_limit_that_it_was_started_with(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        sup = self.udsd(
            "".join(self.section("s%d" % number) for number in range(60)),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard)))
        held = self.greeted(sup.socket)
        for _ in range(2):
            self.upgrade(sup)
            self.greeted(sup.sockets[-1])
            self.round_trip(held)

    def test_nothing_grows(self):
        sup = self.udsd(self.section("s") + self.section("t"))
        held, counts = self.greeted(sup.socket), []
        for number in range(20):
            self.upgrade(sup)
            self.assertEqual(self.visit(sup.socket), b"one\nx")
            sup.wait_events(number + 1, "close")
            wait_for(lambda: len(sup.family()) <= 6, what="old workers and loggers to end")
            counts.append(len(proc.fds(sup.pid)))
            self.round_trip(held)
        wait_for(lambda: len(proc.fds(sup.pid)) <= counts[0], what="%s descriptors" % counts)
        held.close()
        sup.wait_event("close", conn=1, status="exit:0")

    def test_clients_all_the_time(self):
        sup = self.udsd(self.section("a") + self.section("b"))
        end = self.clients(sup.sockets, (b"one\nx",), 2)
        for _ in range(15):
            self.upgrade(sup)
        served, wrong = end()
        self.assertEqual(wrong, [])
        self.assertGreater(served, 50)


class Orphans(Upgrade):
    """Workers that exited before or after it: their handlers are the supervisor's."""

    TEXT = dict(max_connections=1, kill_grace="10s")

    def start_one(self, **values):
        self.sup = self.udsd(config(self.section("s", **{**self.TEXT, **values}),
                                    stop_timeout="300ms"))
        return self.greeted(self.sup.socket)

    def assert_counted(self, held):
        """It counts against the limit, and when it ends that is logged."""
        pending = self.connect(self.sup.socket)
        self.round_trip(held)
        self.assertTrue(clients.is_silent(pending))
        held.close()
        self.sup.wait_event("close", conn=1, status="exit:0")
        self.assertEqual(self.receive(pending, 4), b"one\n")

    def assert_ended(self, held):
        self.assertEqual(self.sup.stop(), 0)
        self.assert_end(held)
        self.sup.wait_event("close", conn=1, status="signal:TERM")

    def test_of_a_worker_that_exited_before(self):
        for check in (self.assert_counted, self.assert_ended):
            with self.subTest(check=check.__name__):
                held = self.start_one()
                self.kill_worker(self.sup, "s")
                for _ in range(2):
                    self.upgrade(self.sup)
                check(held)

    def test_of_a_worker_that_exited_after(self):
        for check in (self.assert_counted, self.assert_ended):
            with self.subTest(check=check.__name__):
                held = self.start_one()
                worker = self.sup.worker("s")
                for _ in range(2):
                    self.upgrade(self.sup)
                self.kill_worker(self.sup, "s", worker)
                check(held)

    def test_of_a_removed_service(self):
        """Its worker may exit before the upgrade, after it, or not at all."""
        for when in ("before", "after", "never"):
            for ended in (False, True):
                with self.subTest(when=when, ended=ended):
                    held = self.start_one()
                    worker = self.sup.worker("s")
                    self.reload(self.sup, config(self.section("t"), stop_timeout="300ms"))
                    if when == "before":
                        self.kill_worker(self.sup, "s", worker)
                    self.upgrade(self.sup)
                    if when == "after":
                        self.kill_worker(self.sup, "s", worker)
                    self.round_trip(held)
                    if ended:
                        self.assert_ended(held)
                    else:
                        held.close()
                        self.sup.wait_event("close", service="s", conn=1, status="exit:0")

    def test_standard_error_of_several_dead_generations(self):
        handler = self.script("lines", LINES)
        sup = self.udsd(self.section("s", handler=[handler]))
        held = []
        for number in range(3):
            self.reload(sup, self.section("s", handler=[handler, str(number)]))
            held.append(self.connect(sup.socket))
            self.exchange(held[-1], b"first")
            self.kill_worker(sup, "s", sup.workers("s")[-1])
        self.upgrade(sup)
        for number, sock in enumerate(held):
            self.exchange(sock, b"after %d" % number)
            sup.wait_event("stderr", text="err after %d" % number)


class Generations(Upgrade):
    """What reloads have made of the services."""

    def test_a_renamed_service(self):
        """Its limit and its numbers go on, also where a handler of the old name lives."""
        values = {"socket": self.path("x"), "max_connections": 2, "overflow": "reject"}
        sup = self.udsd(self.section("a", **values))
        held = [self.greeted(sup.socket)]
        self.reload(sup, self.section("b", **values))
        held.append(self.greeted(sup.socket))
        self.upgrade(sup)
        self.assert_rejected(sup.socket)
        held.pop().close()
        wait_for(lambda: self.visit(sup.socket) == b"one\nx", what="a place")
        self.assertEqual([event["conn"] for event in sup.wait_events(3, "open")], ["1", "2", "3"])
        self.round_trip(held[0])

    def test_a_service_that_went_and_came_again(self):
        """The numbers and the limit of the second one go on."""
        values = {"max_connections": 2, "overflow": "reject"}
        sup = self.udsd(self.section("s", **values))
        first = [self.greeted(sup.socket) for _ in range(2)]
        self.reload(sup, "")
        self.reload(sup, self.section("s", **values))
        second = [self.greeted(sup.socket)]
        self.assertEqual(sup.wait_events(3, "open")[2]["conn"], "1")
        self.upgrade(sup)
        second.append(self.greeted(sup.socket))
        self.assertEqual(sup.wait_events(4, "open")[3]["conn"], "2")
        self.assert_rejected(sup.socket)
        for sock in first + second:
            self.round_trip(sock)
            sock.close()
        sup.wait_events(4, "close", status="exit:0")

    def test_a_config_that_has_changed(self):
        """What a reload would do with it."""
        paths = [self.path(name + ".sock") for name in "abcd"]
        sup = self.udsd("".join(map(self.section, "abc")))
        held = [self.greeted(path) for path in paths[:3]]
        before = identity(paths[0]), identity(paths[1])
        text = (self.section("a", "two", socket_mode="0606") + self.section("b2", socket=paths[1])
                + self.section("d"))
        self.rewrite(text)
        sup.sockets += sockets_of(text)
        self.upgrade(sup)
        self.greeted(paths[0], "two")
        self.greeted(paths[1])
        self.assertEqual((identity(paths[0]), identity(paths[1])), before)
        self.assertEqual(os.stat(paths[0]).st_mode & 0o777, 0o606)
        self.assert_refused(paths[2])
        self.greeted(paths[3])
        for sock in held:
            self.round_trip(sock)
        self.assertFalse(os.path.lexists(paths[2]), "the path of a removed service")

    def test_a_new_type_of_the_same_path(self):
        sup = self.udsd(self.section("s"))
        held = self.greeted(sup.socket)
        self.rewrite(self.section("s", type="seqpacket"))
        self.upgrade(sup)
        self.greeted(sup.socket, kind=SEQPACKET)
        self.round_trip(held)

    def test_pending_connections_of_a_removed_service(self):
        sup = self.udsd(self.section("a") + self.section("b", max_connections=1))
        held = self.greeted(self.path("b.sock"))
        pending = [self.connect(self.path("b.sock")) for _ in range(3)]
        pending[0].sendall(b"x")
        self.rewrite(self.section("a"))
        self.upgrade(sup)
        self.round_trip(held)
        for sock in pending:
            self.assert_end(sock)

    def test_another_pid_file(self):
        sup = self.udsd(config(self.section("s"), pid_file=self.path("one")))
        self.rewrite(config(self.section("s"), pid_file=self.path("two")))
        self.upgrade(sup)
        self.assertTrue(self.is_locked(self.path("two")))
        self.assertFalse(os.path.lexists(self.path("one")))


if __name__ == "__main__":
    main()
