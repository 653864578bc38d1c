#!/usr/bin/env python3
"""Reload (HUP): it is done in whole or refused, and no connection is dropped."""
import os
import signal
import socket
import time

from lib import USER, clients, config, main, needs_root, proc, wait_for
from lib.orders import OrderCase, identity
from lib.users import Child, Who

SELF = "uid:%d" % os.geteuid()
SEQPACKET = socket.SOCK_SEQPACKET


class Change(OrderCase):
    def test_an_unchanged_service_is_not_touched(self):
        sup = self.udsd(self.section("a") + self.section("b"))
        sock, path = self.greeted(self.path("a.sock")), self.path("a.sock")
        before = identity(path), sup.worker("a")
        result = self.reload(sup, self.section("a") + self.section("b", "two"))
        self.assertEqual([result[key] for key in ("services", "added", "changed", "removed")],
                         ["2", "0", "1", "0"])
        self.assertEqual((identity(path), sup.worker("a")), before)
        self.round_trip(sock)
        self.greeted(path)
        self.assertEqual(sup.workers("a"), [before[1]])
        self.greeted(self.path("b.sock"), "two")

    def test_the_same_config_changes_nothing(self):
        sup = self.udsd(self.section("a") + self.section("b"))
        for path in sup.sockets:
            self.greeted(path)
        before = self.state(sup)
        for _ in range(3):
            result = self.reload(sup)
            self.assertEqual([result[key] for key in ("added", "changed", "removed")], ["0"] * 3)
        self.assert_state(sup, before)

    def test_a_path_that_is_written_otherwise_is_the_same(self):
        os.symlink(self.dir, self.path("link"))
        sup = self.udsd(self.section("a"))
        path = self.path("a.sock")
        sock, before = self.greeted(path), (identity(path), sup.worker("a"))
        for spelled in ("/./a.sock", "//a.sock", "/link/a.sock", "/link/./a.sock"):
            with self.subTest(spelled=spelled):
                text = self.section("a").replace("/a.sock", spelled)
                self.assertIn(spelled, text)
                result = self.reload(sup, text)
                self.assertEqual([result[key] for key in ("added", "changed", "removed")],
                                 ["0"] * 3)
                self.assertEqual((identity(path), sup.worker("a")), before)
                self.round_trip(sock)

    def test_a_changed_service_keeps_its_socket_and_its_handlers(self):
        handler = self.script("h", 'echo "$1 $(umask) $X"; exec cat\n')
        for change, word in (({"handler": [handler, "two"]}, "two 0022 "),
                             ({"umask": "077"}, "one 0077 "),
                             ({"environment": ["X=y"]}, "one 0022 y"),
                             ({"max_connections": 7}, "one 0022 ")):
            with self.subTest(change=change):
                sup = self.udsd(self.section("s", handler=[handler, "one"]))
                old, worker = self.greeted(sup.socket, "one 0022 "), sup.worker("s")
                before = identity(sup.socket)
                result = self.reload(
                    sup, self.section("s", **{"handler": [handler, "one"], **change}))
                self.assertEqual(result["changed"], "1")
                self.greeted(sup.socket, word)
                self.assertEqual(identity(sup.socket), before)
                self.round_trip(old)
                self.assertNotEqual(sup.workers("s"), [worker])
                old.close()
                wait_for(lambda: worker not in sup.workers("s"), what="the old worker to end")
                sup.wait_event("close", conn=1, status="exit:0")
                self.assertEqual(sup.wait_events(2, "open")[1]["conn"], "2")

    @needs_root
    def test_another_user(self):
        handler = self.script("h", "id -u; exec cat\n")
        sup = self.udsd(self.section("s", handler=[handler]))
        old = self.greeted(sup.socket, str(USER.pw_uid))
        self.reload(sup, self.section("s", handler=[handler], user="games"))
        self.greeted(sup.socket, "5")
        self.round_trip(old)

    def test_a_new_rule_is_in_force_when_it_says_that_it_is_done(self):
        """The service manager hears it before the log does."""
        manager = self.client(socket.SOCK_DGRAM)
        manager.bind(self.path("notify"))
        sup = self.udsd(self.section("s"), env=dict(os.environ, NOTIFY_SOCKET=self.path("notify")))
        self.greeted(sup.socket).close()
        for number in range(20):
            values = {"deny": [SELF]} if number % 2 == 0 else {"allow": [SELF]}
            self.rewrite(self.section("s", **values))
            while b"READY=1" not in manager.recv(4096):
                pass
            sup.kill(signal.SIGHUP)
            while b"READY=1" not in manager.recv(4096):
                pass
            if number % 2 == 0:
                self.assert_rejected(sup.socket)
            else:
                self.greeted(sup.socket).close()
            self.order(sup, signal.SIGHUP, "reload", "done")

    def test_pending_connections_get_the_new_settings(self):
        sup = self.udsd(self.section("s", max_connections=1))
        held = self.greeted(sup.socket)
        pending = [self.connect(sup.socket) for _ in range(5)]
        self.reload(sup, self.section("s", "two", max_connections=20))
        for sock in pending:
            self.assertEqual(self.receive(sock, 4), b"two\n")
        self.round_trip(held)

    def test_the_log_level(self):
        sup = self.udsd(config(self.section("s"), log_level="info"))
        self.greeted(sup.socket).close()
        sup.wait_event("close")
        self.reload(sup, config(self.section("s"), log_level="notice"))
        self.greeted(sup.socket).close()
        self.reload(sup, config(self.section("s"), log_level="debug"))
        self.greeted(sup.socket).close()
        sup.wait_event("worker", status="started")
        sup.wait_event("close", conn=3)
        self.assertEqual([event["conn"] for event in sup.events("open")], ["1", "3"])

    def test_included_files(self):
        self.folder("d")
        text = config(include=[self.path("d/*.conf")])
        self.write("d/a.conf", self.section("a"))
        sup = self.udsd(text)
        sup.wait_event("listen", service="a")
        self.greeted(self.path("a.sock"))
        self.write("d/a.conf", self.section("a", "two"))
        self.write("d/b.conf", self.section("b"))
        self.assertEqual(self.reload(sup)["added"], "1")
        self.greeted(self.path("a.sock"), "two")
        self.greeted(self.path("b.sock"))
        self.write("d/b.conf", "service b {\n  nonsense = 1\n}\n")
        self.reload(sup, status="refused")
        self.assert_error(sup, r"d/b\.conf:2: .*nonsense")
        self.greeted(self.path("b.sock"))
        os.unlink(self.path("d/b.conf"))
        self.assertEqual(self.reload(sup)["removed"], "1")
        self.assert_refused(self.path("b.sock"))
        self.greeted(self.path("a.sock"), "two")

    def test_the_back_off_of_a_failing_handler_ends(self):
        missing = self.script("missing", "echo here\n")
        handler = self.write("h", "#!%s\n" % missing, 0o755)
        sup = self.udsd(self.section("s", handler=[handler]))
        os.remove(missing)

        def delay():
            self.client().connect_ex(sup.socket)
            return next((e for e in sup.events("fail") if float(e["retry"]) > 3), None)

        retry = float(wait_for(delay, 20, "a long back-off")["retry"])
        started = time.monotonic()
        self.script("missing", "echo here\n")
        os.replace(self.script("new", "echo here\n"), self.path("h"))
        sock = self.client()
        sock.connect(sup.socket)
        self.reload(sup)
        self.assertEqual(self.talk(sup.socket), b"here\n")
        self.assertLess(time.monotonic() - started, retry * 0.8)


class InPlace(OrderCase):
    def change(self, sup, **values):
        """Reloads with another socket; it must stay the same socket and worker."""
        before = identity(sup.socket), sup.workers("s")
        self.reload(sup, self.section("s", max_connections=1, **values))
        self.assertEqual((identity(sup.socket), sup.workers("s")), before)
        return os.stat(sup.socket)

    def test_the_mode(self):
        sup = self.udsd(self.section("s", max_connections=1))
        held = self.greeted(sup.socket)
        for mode in ("0666", "0600", "0060", "0646"):
            self.assertEqual(self.change(sup, socket_mode=mode).st_mode & 0o7777, int(mode, 8))
        self.round_trip(held)

    @needs_root
    def test_the_owner_and_the_group(self):
        sup = self.udsd(self.section("s", max_connections=1))
        self.greeted(sup.socket)
        info = self.change(sup, socket_owner="games", socket_group="daemon", socket_mode="660")
        self.assertEqual((info.st_uid, info.st_gid, info.st_mode & 0o777), (5, 1, 0o660))
        info = self.change(sup)
        self.assertEqual((info.st_uid, info.st_gid, info.st_mode & 0o777), (0, 0, 0o600))

    def room(self, path):
        """How many clients may wait."""
        socks = []
        while True:
            socks.append(self.client())
            socks[-1].setblocking(False)
            try:
                socks[-1].connect(path)
            except BlockingIOError:
                break
        for sock in socks:
            sock.close()
        return len(socks) - 1

    def test_the_backlog(self):
        for backlog in (3, 40, 0):
            with self.subTest(backlog=backlog):
                sup = self.udsd(self.section("s", max_connections=1, backlog=10))
                held = self.greeted(sup.socket)
                self.change(sup, backlog=backlog)
                self.assertEqual(self.room(sup.socket), backlog + 1)
                self.round_trip(held)

    @needs_root
    def test_a_user_whom_both_modes_exclude_never_gets_in(self):
        """A member of the first group, for whom a wrong order would open the socket: the first
        mode keeps only this group out, the second lets only another in."""
        values = ({"socket_group": "daemon", "socket_mode": "0606"},
                  {"socket_group": "root", "socket_mode": "0660"})
        sup = self.udsd(self.section("s", **values[0]))
        over = self.path("over")
        spies = [Child(Who(2, 1), self.knock, sup.socket, over)]
        try:
            for number in range(60):
                self.reload(sup, self.section("s", **values[(number + 1) % 2]))
        finally:
            self.write("over", "")
            tries = [spy.result() for spy in spies]
        self.assertEqual(sup.events("open"), [], "of so many tries: %s" % tries)

    @staticmethod
    def knock(path, over):
        tries = 0
        while tries % 100 or not os.path.exists(over):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect_ex(path)
            tries += 1
        return tries


class Set(OrderCase):
    """Services come, go, and change places."""

    def test_an_added_one(self):
        sup = self.udsd(self.section("a"))
        self.assertEqual(self.reload(sup, self.section("b") + self.section("a"))["added"], "1")
        sup.wait_event("listen", service="b", socket=self.path("b.sock"))
        self.greeted(self.path("b.sock"))
        self.greeted(self.path("a.sock"))

    def test_a_removed_one(self):
        sup = self.udsd(self.section("a") + self.section("b"))
        held, worker = self.greeted(self.path("b.sock")), sup.worker("b")
        fds = len(proc.fds(sup.pid))
        self.assertEqual(self.reload(sup, self.section("a"))["removed"], "1")
        self.assertFalse(os.path.lexists(self.path("b.sock")))
        self.assert_refused(self.path("b.sock"))
        self.round_trip(held)
        held.close()
        sup.wait_event("close", service="b", status="exit:0")
        wait_for(lambda: not proc.is_alive(worker), what="its worker to end")
        wait_for(lambda: len(proc.fds(sup.pid)) < fds, what="its descriptors to go")
        self.greeted(self.path("a.sock"))

    def test_all_of_them(self):
        sup = self.udsd(self.section("a"))
        held = self.greeted(sup.socket)
        self.assertEqual(self.reload(sup, "")["services"], "0")
        self.assert_refused(sup.socket)
        self.round_trip(held)
        self.reload(sup, self.section("a"))
        self.greeted(sup.socket)

    def test_pending_connections_at_its_removal_are_served(self):
        handler = self.script("h", "read line; echo got $line\n")
        for values in (None, {"enabled": False}, {"socket": self.path("elsewhere")}):
            with self.subTest(values=values):
                text = self.section("s", handler=[handler], max_connections=1)
                sup = self.udsd(text)
                socks = [self.connect(sup.socket) for _ in range(5)]
                for number, sock in enumerate(socks[1:], 1):
                    sock.sendall(b"%d\n" % number)
                sup.wait_event("open")
                self.rewrite("" if values is None else self.section(
                    "s", **{"handler": [handler], "max_connections": 1, **values}))
                sup.kill(signal.SIGHUP)
                wait_for(lambda: not os.path.lexists(sup.socket), what="the path to go")
                socks[0].sendall(b"0\n")
                for number, sock in enumerate(socks):
                    self.assert_end(sock, b"got %d\n" % number)
                sup.wait_event("reload", status="done")
                sup.sockets.append(self.path("elsewhere"))

    def test_who_cannot_be_served_any_more_gets_a_clean_end(self):
        sup = self.udsd(self.section("a") + self.section("b", max_connections=1))
        held = self.greeted(self.path("b.sock"))
        pending = [self.connect(self.path("b.sock")) for _ in range(5)]
        pending[0].sendall(b"x" * 1000)
        started = time.monotonic()
        self.reload(sup, self.section("a"))
        self.assert_quick(started, 3)
        for sock in pending:
            self.assert_end(sock)
        self.round_trip(held)

    def test_a_disabled_and_an_enabled_one(self):
        sup = self.udsd(self.section("s", max_connections=1))
        held = self.greeted(sup.socket)
        self.reload(sup, self.section("s", max_connections=1, enabled=False))
        self.assertFalse(os.path.lexists(sup.socket))
        self.round_trip(held)
        self.reload(sup, self.section("s", max_connections=1))
        pending = self.connect(sup.socket)
        self.round_trip(held)
        self.assertTrue(clients.is_silent(pending), "the old handler counts")
        held.close()
        self.assertEqual(self.receive(pending, 4), b"one\n")
        self.assertEqual(sup.wait_events(2, "open")[1]["conn"], "2")

    def test_a_renamed_one(self):
        path = self.path("s.sock")
        sup = self.udsd(self.section("old", socket=path, max_connections=2))
        held = [self.greeted(path) for _ in range(2)]
        pending, before = self.connect(path), identity(path)
        self.reload(sup, self.section("new", socket=path, max_connections=2))
        self.assertEqual(identity(path), before)
        self.round_trip(held[0])
        self.assertTrue(clients.is_silent(pending), "the old handlers count")
        held.pop().close()
        self.assertEqual(self.receive(pending, 4), b"one\n")
        self.round_trip(held[0])
        self.assertEqual(sup.wait_event("open", service="new")["conn"], "3")

    def test_two_that_swap_their_sockets(self):
        paths = [self.path("1"), self.path("2")]
        sup = self.udsd(self.section("a", "a", socket=paths[0])
                        + self.section("b", "b", socket=paths[1]))
        socks = [self.greeted(paths[0], "a"), self.greeted(paths[1], "b")]
        before = list(map(identity, paths))
        for turn in range(3):
            self.reload(sup, self.section("a", "a", socket=paths[(turn + 1) % 2])
                        + self.section("b", "b", socket=paths[turn % 2]))
            self.assertEqual(list(map(identity, paths)), before)
            socks += [self.greeted(paths[(turn + 1) % 2], "a"), self.greeted(paths[turn % 2], "b")]
        for sock in socks:
            self.round_trip(sock)
        self.assertEqual(sup.wait_events(4, "open", service="a")[-1]["conn"], "4")

    def test_another_path(self):
        sup = self.udsd(self.section("s"))
        held = self.greeted(sup.socket)
        self.reload(sup, self.section("s", socket=self.path("deep/in/t.sock")))
        self.assertFalse(os.path.lexists(sup.socket))
        self.greeted(self.path("deep/in/t.sock"))
        self.round_trip(held)
        self.assertEqual(sup.wait_events(2, "open")[1]["conn"], "2")

    def test_another_type(self):
        sup = self.udsd(self.section("s"))
        held = self.greeted(sup.socket)
        self.reload(sup, self.section("s", type="seqpacket"))
        packets = self.greeted(sup.socket, kind=SEQPACKET)
        self.reload(sup, self.section("s"))
        self.greeted(sup.socket)
        for sock in (held, packets):
            self.round_trip(sock)
        self.assertEqual(set(self.files()), {sup.socket, self.path("tag")})

    def test_an_abstract_one(self):
        name = "@udsd-e2e-reload-%d" % os.getpid()
        sup = self.udsd(self.section("s", socket=name, allow=["any"]))
        held = self.greeted(name)
        self.reload(sup, self.section("s", "two", socket=name, allow=["any"]))
        self.greeted(name, "two")
        self.round_trip(held)
        self.reload(sup, "")
        self.assert_refused(name)


if __name__ == "__main__":
    main()
