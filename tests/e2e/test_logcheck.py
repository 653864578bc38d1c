#!/usr/bin/env python3
"""logcheck's rules for the package: they know what udsd writes on a quiet day, and only that."""
import os
import signal

from lib import SRC, main, needs, wait_for
from lib.control_socket import ControlCase

RULES = os.path.join(SRC, "etc", "debian", "udsd.logcheck.ignore.server")
# As a syslog daemon would write it, in the old form and in the new.
HEADS = (
    "Nov  4 01:02:03 host udsd: ",
    "2026-11-24T01:02:03.456789+01:00 a-host.example.org udsd[123]: ",
)
ACCEPT_ONE = """
import socket
listener = socket.socket(fileno=0)
listener.accept()[0].sendall(b"one")
"""


@needs("grep")
class Logcheck(ControlCase):
    def reported(self, sup):
        """The lines that logcheck would mail, without what a syslog daemon adds."""
        same_user = "they can signal each other"  # an ordinary user has no other
        lines = [line for line in sup.lines() if same_user not in line]
        left = []
        for head in HEADS:
            text = "".join(head + line + "\n" for line in lines)
            done = self.run_program(["grep", "-Evf", RULES], input=text)
            self.assertEqual(done.stderr, "")
            left.append([line[len(head):] for line in done.stdout.splitlines()])
        self.assertEqual(*left)
        return left[0]

    def test_nothing_is_reported_of_a_quiet_day(self):
        waiting = self.python("accept one", ACCEPT_ONE)
        first = self.section("a") + self.section("w", handler=[waiting], wait=True)
        sup = self.serve_controlled(first)
        self.greeted(sup.socket).close()
        held = self.greeted(sup.socket)
        self.assertEqual(self.talk(sup.sockets[1]), b"one")
        sup.wait_event("handler", status="exit:0")
        self.rewrite(self.controlled(
            first + self.section("b", allow=["any"], socket_mode="0666")))
        sup.sockets.append(self.path("b.sock"))
        self.order(sup, signal.SIGHUP, "reload", "done")
        self.greeted(self.path("b.sock")).close()
        self.order(sup, signal.SIGUSR2, "upgrade", "done")
        self.round_trip(held)
        for words in ("kill a 2", "disable b", "enable b", "reload"):
            self.ctl(*words.split())
        sup.kill(signal.SIGUSR1)
        self.assert_end(held)
        sup.wait_events(3, "close")
        sup.wait_events(3, "status")
        self.assertEqual(sup.stop(), 0)
        for verb in "start stop listen open close handler reload upgrade control status".split():
            self.assertTrue(sup.events(verb), verb)
        self.assertEqual(self.reported(sup), [])

    def test_what_an_admin_should_read_is_reported(self):
        crash = self.script("crash", "echo 'open service=s' >&2; kill -SEGV $$\n")
        sup = self.udsd(
            self.section("s", handler=[crash]) + self.section("closed", deny=["any"])
        )
        self.talk(sup.socket)
        self.assert_rejected(sup.sockets[1])
        self.rewrite("nonsense")
        self.order(sup, signal.SIGHUP, "reload", "refused")
        sup.wait_event("close")
        wait_for(lambda: len(self.reported(sup)) >= 5, what="five lines")
        verbs = sorted(line.split()[0] for line in self.reported(sup))
        self.assertEqual(verbs, ["close", "reject", "reload", "reload", "stderr"])


if __name__ == "__main__":
    main()
