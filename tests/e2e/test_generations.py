#!/usr/bin/env python3
"""Generations of a service: renamed, disabled, reloaded and upgraded at once, and what each holds."""
import os
import signal

from lib import SANITIZED, main, service, wait_for
from lib.allowed import as_many_as
from lib.control_socket import ControlCase

# Accepts, greets with its pid, and ignores SIGTERM.
STUBBORN = """
import os, signal, socket
signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.socket(fileno=3)
while True:
    sock, _ = listener.accept()
    sock.sendall(b"%d\\n" % os.getpid())
    sock.close()
"""


class Renamed(ControlCase):
    def renamed(self, **values):
        """A supervisor whose service "a" is "b" now, with a connection from before."""
        sup = self.serve_controlled(self.section("a"))
        held = self.greeted(sup.socket)
        self.reload(sup, self.controlled(self.section("b", socket=sup.socket, **values)))
        return sup, held

    def test_it_has_the_connections_of_the_old_name(self):
        sup, held = self.renamed()
        self.assertEqual([(row["service"], row["conn"]) for row in self.listed()], [("b", 1)])
        self.ctl("kill", "a", "1", status=1)
        self.ctl("kill", "b", "1")
        self.assert_end(held)
        sup.wait_event("close", conn=1, status="signal:TERM")

    def test_who_has_the_old_name_next_does_not_have_them(self):
        sup, held = self.renamed()
        other = self.path("other.sock")
        self.reload(sup, self.controlled(self.section("b", socket=sup.socket)
                                         + self.section("a", socket=other)))
        sup.sockets.append(other)
        self.greeted(other)
        self.assertEqual([(row["service"], row["conn"]) for row in self.listed()],
                         [("a", 1), ("b", 1)])
        self.assertEqual((self.status("a")["live"], self.status("b")["live"]), (1, 1))
        self.ctl("kill", "a", "1")
        self.round_trip(held)

    def test_no_place_is_lost_by_an_upgrade_and_the_death_of_its_worker(self):
        sup, held = self.renamed(max_connections=1)
        worker = sup.worker("a")
        self.upgrade(sup)
        self.kill_worker(sup, "a", worker)
        self.assertEqual(self.status("b")["live"], 1)
        held.close()
        wait_for(lambda: self.status("b")["live"] == 0, what="the place to be free")
        self.greeted(sup.socket)

    def test_nor_when_the_name_changes_with_the_upgrade(self):
        sup = self.serve_controlled(self.section("a"))
        held = self.greeted(sup.socket)
        worker = sup.worker("a")
        self.rewrite(self.controlled(self.section("b", socket=sup.socket)))
        self.upgrade(sup)
        self.assertEqual(self.status("a")["live"], 1)       # of a service that is no more
        self.kill_worker(sup, "a", worker)
        self.ctl("kill", "a", "1")
        self.assert_end(held)
        sup.wait_event("close", service="a", conn=1, status="signal:TERM")


class AtOnce(ControlCase):
    def test_orders_while_the_last_worker_drains(self):
        """Each is the successor of another when it is replaced, and its path was deleted too."""
        sup = self.serve_controlled(self.section("s") + self.section("t"))
        for turn in range(40):
            self.greeted(sup.socket, timeout=20).close()
            self.rewrite(self.controlled(self.section("s", umask="02%d" % (turn % 8))
                                         + self.section("t")))
            sup.kill(signal.SIGHUP)
            self.ctl("disable", "s")
            self.ctl("enable", "s")
            if turn % 3 == 0:
                os.unlink(sup.socket)
            if turn % 10 == 9:
                sup.kill(signal.SIGUSR2)
            wait_for(lambda: self.is_served(sup.socket), what="a served socket")
        wait_for(lambda: not sup.workers("s")[1:], what="old workers to end")

    def is_served(self, path):
        """A path that is there may not be listened at yet."""
        try:
            self.connect(path).close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def test_a_former_handler_that_accepts_is_not_taken_for_the_next_one(self):
        handler = self.python("stubborn", STUBBORN)
        sup = self.serve_controlled(service("w", socket=self.path("w"), handler=[handler],
                                            wait=True, kill_grace="1s"))
        old = int(self.talk(sup.socket))
        self.ctl("disable", "w")
        self.ctl("enable", "w")
        self.upgrade(sup)
        new = int(self.talk(sup.socket))
        self.assertNotEqual(old, new)
        sup.wait_event("handler", pid=old, status="signal:KILL")
        self.assertEqual(int(self.talk(sup.socket)), new)
        self.assertEqual(self.status("w")["worker"], new)

    def test_an_upgrade_of_nothing(self):
        sup = self.udsd("", ready=None)
        sup.wait_event("start")
        self.upgrade(sup)

    def test_an_upgrade_of_thousands(self):
        """More names than fit into a word of the environment, where the limit of descriptors
        lets there be so many."""
        count = 100 if SANITIZED else as_many_as(3200)
        sup = self.udsd(self.controlled("".join(
            service("s%d" % n, socket=self.path("s%d" % n), handler=[self.tag(), "one"])
            for n in range(count))), ready=None)
        self.wait_ready(sup, "path")
        held = self.greeted(self.path("s7"))
        self.upgrade(sup, timeout=30)
        self.round_trip(held)
        self.greeted(self.path("s%d" % (count - 1)))
        self.assertEqual(sup.stop(20), 0)


if __name__ == "__main__":
    main()
