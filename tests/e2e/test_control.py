#!/usr/bin/env python3
"""The control socket: who may use it, its protocol, and that no client of it blocks the supervisor."""
import os
import signal
import stat
import time

from lib import SANITIZED, USER, clients, main, needs_root, proc, read_to_end, service, wait_for
from lib.allowed import as_many_as
from lib.control_socket import ControlCase
from lib.orders import identity
from lib.users import Who, as_user


class Access(ControlCase):
    def mode(self):
        return stat.S_IMODE(os.stat(self.control).st_mode)

    def test_only_its_owner_by_default(self):
        sup = self.serve_controlled(self.section("s"))
        self.assertEqual(self.mode(), 0o600)
        self.assertIn("status service=s state=enabled", self.ask(b"status\n"))
        self.assertEqual(sup.stop(), 0)
        self.assertFalse(os.path.lexists(self.control))

    @needs_root
    def test_the_mode_alone_admits_no_client(self):
        sup = self.serve_controlled(self.section("s"), control_mode="0666")
        self.assertEqual(self.mode(), 0o666)
        who = Who(USER.pw_uid, USER.pw_gid)
        answer = as_user(who, clients.visit, self.control, b"status\n")
        self.assertEqual(answer, b"error control-allow does not allow you this\n")
        sup.wait_event("control", status="refused", peer_uid=USER.pw_uid)

    @needs_root
    def test_a_rule_lets_others_in(self):
        self.serve_controlled(self.section("s"), control_mode="0666",
                              control_allow=["uid:%d" % USER.pw_uid])
        who = Who(USER.pw_uid, USER.pw_gid)
        answer = as_user(who, clients.visit, self.control, b"status\n")
        self.assertRegex(answer, b"^ok\n")
        self.assertRegex(self.ask(b"status\n"), "^error ")      # root was not named

    def test_no_socket_is_as_good(self):
        sup = self.udsd(self.section("s"))
        self.greeted(sup.socket)
        self.assertNotIn("control", "\n".join(sup.lines()))

    def test_without_a_config_there_is_none(self):
        sup = self.serve_bare(self.path("s.sock"), [self.echo()])
        self.assertEqual([path for path in proc.listening() if path.startswith(self.dir)],
                         [sup.socket])

    def test_one_that_another_serves_is_left_alone(self):
        self.serve_controlled(self.section("s"))
        sup = self.start(["-f", "-c", self.write("two.conf", self.controlled(
            'pid-file = ""\ndefaults { user = "%s" }\n' % USER.pw_name + self.section("t")))])
        fail = sup.wait_event("fail", service="(control)", step="control-socket")
        self.assertRegex(fail["error"], "control-socket %s: served by another" % self.control)
        self.greeted(self.path("t.sock")).close()
        self.assertEqual(sup.stop(), 0)
        self.assertIn("status service=s ", self.ask(b"status\n"))


class Protocol(ControlCase):
    def test_a_request_in_pieces_and_line_ends(self):
        self.serve_controlled(self.section("s"))
        for request in (b"status s\n", b"status s\r\n", b"  status \t s  \r\n", b"status s\nmore\n"):
            self.assertRegex(self.ask(request), "^ok\nudsd version=.*\nstatus service=s ")
        sock = self.connect(self.control)
        for byte in b"status s\n":
            sock.sendall(bytes([byte]))
        self.assertRegex(read_to_end(sock).decode(), "^ok\nudsd ")

    def test_the_client_need_not_shut_down(self):
        self.serve_controlled(self.section("s"))
        for request in (b"status\n", b"list\n", b"disable s\n", b"enable s\n", b"reload\n"):
            sock = self.connect(self.control)
            sock.sendall(request)
            self.assertRegex(read_to_end(sock), b"^ok\n")

    def test_what_cannot_be_asked(self):
        sup = self.serve_controlled(self.section("s"))
        for request, why in ((b"\n", "no such request"), (b"status s t\n", "few or too many"),
                             (b"kill s\n", "few or too many"), (b"disable\n", "few or too many"),
                             (b"kill s x\n", "a connection.s number"),
                             (b"kill s -1\n", "a connection.s number"),
                             (b"kill s 99999999999999999999999\n", "no live connection"),
                             (b"kill s 1\n", "no live connection"),
                             (b"status (control)\n", "no service"), (b"STATUS\n", "no such request"),
                             (b"status t\n", "no service"), (b"list t\n", "no service"),
                             (b"x" * 255, "too long"), (b"status " + b"s" * 500, "too long"),
                             (b"status \0s\n", "byte 0"), (os.urandom(100) + b"\n", "")):
            with self.subTest(request=request):
                self.assertRegex(self.ask(request), "^error .*%s.*\n$" % why)
        for request in (b"", b"status"):        # not ended by a line's end
            self.assertEqual(self.ask(request), "")
        self.assertEqual(self.status("s")["state"], "enabled")
        self.assertEqual(sup.events("control"), [])

    def test_what_changes_something_is_logged(self):
        sup = self.serve_controlled(self.section("s"))
        self.greeted(sup.socket)
        for request in ("disable s", "enable s", "kill s 1", "reload", "status", "list"):
            self.assertRegex(self.ask(request.encode() + b"\n"), "^ok\n")
        sup.wait_event("control", request="reload", peer_uid=os.geteuid(), peer_pid=os.getpid())
        self.assertEqual([event["request"] for event in sup.events("control")],
                         ["disable", "enable", "kill", "reload"])
        sup.wait_event("control", request="kill", service="s", conn=1)


class Bounds(ControlCase):
    """The supervisor waits for no client of its control socket."""

    def test_those_who_say_nothing_are_given_up(self):
        sup = self.serve_controlled(self.section("s"))
        started = time.monotonic()
        silent = [self.connect(self.control, timeout=30) for _ in range(40)]
        silent[0].sendall(b"stat")
        self.greeted(sup.socket)                # no other client is blocked
        sup.kill(signal.SIGHUP)
        sup.wait_event("reload", status="done")
        self.assert_quick(started, 2)
        for sock in silent:
            self.assert_end(sock)
        self.assertRegex(self.ask(b"status\n"), "^ok\n")

    def test_a_flood_and_clients_that_go(self):
        sup = self.serve_controlled(self.section("s"))
        before = len(proc.fds(sup.pid))
        for number in range(200):
            sock = self.connect(self.control)
            self.offer(sock, (b"status\n", b"list\n", b"reload\n", b"st")[number % 4])
            sock.close()
        self.greeted(sup.socket).close()
        wait_for(lambda: self.ask(b"status\n").startswith("ok\n"), 20, "an answer")
        wait_for(lambda: not sup.named("udsd: control"), 20, "writers to end")
        wait_for(lambda: len(proc.fds(sup.pid)) <= before + 10, 20, "descriptors to be closed")

    def test_who_does_not_read_gets_no_more_time(self):
        count = 100 if SANITIZED else as_many_as(1500)   # an answer that no socket takes at once
        sup = self.serve_controlled("".join(service(
            "s%d" % n, socket=self.path("s%d" % n), handler=[self.tag(), "one"])
            for n in range(count)))
        lazy = [self.connect(self.control, timeout=30) for _ in range(3)]
        for sock in lazy:
            sock.sendall(b"status\n")
        if not SANITIZED:
            wait_for(lambda: len(sup.named("udsd: control")) == 3, what="writers")
        self.greeted(self.path("s7"))
        self.assertEqual(len(self.records(b"list\n")), 1)
        wait_for(lambda: not sup.named("udsd: control"), 20, "writers to be given up")
        self.assertEqual(len(read_to_end(lazy[0]).splitlines()) < count, not SANITIZED)

    def test_its_end_does_not_wait(self):
        sup = self.serve_controlled(self.section("s"))
        for request in (b"", b"stat", b"status\n"):
            self.connect(self.control).sendall(request)
        started = time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assert_quick(started, 1)


class Kept(ControlCase):
    """It is kept as all sockets are."""

    def test_it_moves_with_a_reload(self):
        sup = self.serve_controlled(self.section("s"))
        there = self.path("there.sock")
        self.reload(sup, self.controlled(self.section("s"), control_socket=there))
        self.assertFalse(os.path.lexists(self.control))
        self.assertRegex(self.ask(b"status\n", there), "^ok\n")
        self.reload(sup, self.controlled(self.section("s"), control_socket=""))
        self.assertFalse(os.path.lexists(there))
        self.reload(sup, self.controlled(self.section("s")))
        self.assertEqual(self.status("s")["state"], "enabled")

    def test_one_that_cannot_be_made_refuses_the_reload(self):
        sup = self.serve_controlled(self.section("s"))
        os.mkdir(self.path("dir"))
        before = self.state(sup)
        self.reload(sup, self.controlled(self.section("s"), control_socket=self.path("dir")),
                    status="refused")
        self.assert_error(sup, "not a socket")
        self.assert_state(sup, before)
        self.assertRegex(self.ask(b"status\n"), "^ok\n")

    def test_mode_and_rules_change_in_place(self):
        sup = self.serve_controlled(self.section("s"))
        before = identity(self.control)
        self.reload(sup, self.controlled(self.section("s"), control_mode="0660",
                                         control_allow=["uid:54321"]))
        self.assertEqual(identity(self.control), before)
        self.assertEqual(stat.S_IMODE(os.stat(self.control).st_mode), 0o660)
        self.assertRegex(self.ask(b"status\n"), "^error ")

    def test_it_does_not_count_as_a_service(self):
        sup = self.serve_controlled(self.section("s"))
        done = self.reload(sup, self.controlled(self.section("s"), control_mode="0660"))
        self.assertEqual([done[key] for key in ("services", "added", "changed", "removed")],
                         ["1", "0", "0", "0"])

    def test_one_that_is_deleted_is_made_again(self):
        self.serve_controlled(self.section("s"))
        os.unlink(self.control)
        wait_for(lambda: os.path.exists(self.control), what="the control socket")
        self.assertEqual(self.status("s")["state"], "enabled")

    def test_it_lives_through_an_upgrade(self):
        sup = self.serve_controlled(self.section("s"))
        before = identity(self.control)
        uptime = self.status("s")["uptime"]
        self.upgrade(sup)
        self.assertEqual(identity(self.control), before)
        self.assertGreater(self.status("s")["uptime"], uptime)


if __name__ == "__main__":
    main()
