#!/usr/bin/env python3
"""systemd's store of descriptors: the supervisor may crash, and no client is refused."""
import os
import signal
import socket

from lib import main, service, wait_for
from lib.clients import visit
from lib.fake_systemd import SEQPACKET, SystemdCase
from lib.orders import identity

HELLO = b"hello\r\n"


class Store(SystemdCase):
    def crash(self, sup):
        """Kills a supervisor; its workers serve the pending connections and exit."""
        sup.kill(signal.SIGKILL)
        sup.wait()

    def restart(self, text):
        """What systemd does after a crash: another udsd, with all that is in the store."""
        given = [(socket.socket(fileno=os.dup(fd)), name)
                 for name, fd in self.manager.store.items()]
        return self.pass_on(text, given)

    def test_it_holds_what_accepts_and_nothing_else(self):
        abstract = "@udsd-e2e-store-%d" % os.getpid()
        text = (self.text("a") + self.text("packet", type="seqpacket")
                + self.text("abstract", socket=abstract, allow=["any"]) + self.text("off", enabled=False))
        sup = self.managed(text)
        self.manager.wait_stored(self.path("a"), self.path("packet"), abstract)
        self.reload(sup, self.text("a", "b", umask="027"))
        self.manager.wait_stored(self.path("a"), self.path("b"))
        os.unlink(self.path("b"))
        wait_for(lambda: os.path.exists(self.path("b")), what="the path to be made again")
        self.manager.wait_stored(self.path("a"), self.path("b"))
        wait_for(lambda: visit(self.path("b")) == HELLO, what="it to listen")
        self.assertEqual(sup.stop(), 0)
        self.manager.wait_stored()

    def test_pending_connections_at_a_crash_are_served(self):
        text = self.text("s") + self.text("packet", type="seqpacket")
        sup = self.managed(text)
        held = self.hello(sup.socket)
        self.manager.wait_stored(self.path("s"), self.path("packet"))
        before = self.files()
        worker = sup.worker("s")
        self.crash(sup)
        wait_for(lambda: self.is_draining(worker), what="the worker to have left the socket")
        pending = [self.connect(sup.socket) for _ in range(5)]
        packet = self.connect(self.path("packet"), SEQPACKET)
        again = self.restart(text)
        for sock in pending + [packet]:
            self.assertEqual(self.receive(sock, 7), HELLO)
        self.assertEqual(self.files(), before)      # the paths are the same ones
        self.round_trip(held)                       # the connected client still is
        self.assertEqual(again.stop(), 0)
        self.manager.wait_stored()
        held.close()

    @staticmethod
    def is_draining(worker):
        """Whether it accepts no more: its descriptor 3 was the listener."""
        return not os.path.lexists("/proc/%d/fd/3" % worker)

    def test_no_connection_is_dropped_in_ten_crashes(self):
        text = self.text("s")
        sup = self.managed(text)
        self.manager.wait_stored(self.path("s"))
        end = self.clients([sup.socket], (HELLO + b"x",))
        for _ in range(10):
            self.crash(sup)
            sup = self.restart(text)
        served, wrong = end()
        self.assertEqual(wrong, [])
        self.assertGreater(served, 10)

    def test_a_config_that_has_changed_meanwhile(self):
        sup = self.managed(self.text("a", "b"))
        self.manager.wait_stored(self.path("a"), self.path("b"))
        before = identity(self.path("a"))
        self.crash(sup)
        sup = self.restart(service("renamed", socket=self.path("a"), handler=[self.echo()],
                                   socket_mode="0640"))
        self.hello(self.path("a"))
        self.assertEqual(identity(self.path("a")), before)
        self.assertEqual(os.stat(self.path("a")).st_mode & 0o777, 0o640)
        self.assertFalse(os.path.lexists(self.path("b")))
        self.manager.wait_stored(self.path("a"))
        sup.sockets.append(self.path("b"))

    def test_a_path_that_was_replaced_meanwhile_is_left_alone(self):
        sup = self.managed(self.text("s"))
        self.manager.wait_stored(self.path("s"))
        self.crash(sup)
        os.unlink(self.path("s"))
        os.mkdir(self.path("s"))
        sup = self.restart(self.text("s"))
        sup.wait_event("path", service="s")
        self.assertEqual(sup.stop(), 0)
        self.assertTrue(os.path.isdir(self.path("s")))
        self.kept.add(self.path("s"))

    def test_the_control_socket_is_in_it_too(self):
        control = self.path("control")
        text = 'control-socket = "%s"\n' % control + self.text("s")
        sup = self.managed(text)
        self.manager.wait_stored(self.path("s"), control)
        before = identity(control)
        self.crash(sup)
        self.restart(text)
        self.assertEqual(identity(control), before)
        self.assertRegex(visit(control, b"status\n"), b"^ok\n")


if __name__ == "__main__":
    main()
