"""What the tests of overload share: clients that come while a resource is short are kept."""
import os
import time

from lib.build_tree import SANITIZED
from lib.case import Case
from lib.clients import is_silent
from lib.proc import cpu_time

SHARE = 0.02                            # of a CPU, while it lasts
WATCH = 0.6                             # seconds for which it is measured
BACK = 0.25 * (4 if SANITIZED else 1)   # seconds to normal service after it
CLIENTS = 10


class OverloadCase(Case):
    def family(self, sup):
        return [sup.pid, sup.log_pid(), *sup.workers("s")]

    def check_kept(self, sup, fault, step, error):
        """Clients come while a resource is short: a context. None is dropped, there is one line,
        and hardly any CPU is used."""
        warm = len(sup.events("open"))
        with fault:
            socks = [self.connect(sup.socket) for _ in range(CLIENTS)]
            for number, sock in enumerate(socks):
                sock.sendall(b"%d" % number)
            event = sup.wait_event("busy")
            self.assertEqual((event["service"], event["step"], event["error"]),
                             ("s", step, os.strerror(error)))
            pids = self.family(sup)
            before = cpu_time(pids)
            time.sleep(WATCH)
            self.assertLess(cpu_time(pids) - before, SHARE * WATCH)
            self.assertTrue(all(map(is_silent, socks)), "none is dropped or served")
        started = time.monotonic()
        self.assertEqual(self.receive(socks[0], 7), b"hello\r\n")
        self.assertLess(time.monotonic() - started, BACK)
        self.assertEqual(self.receive(socks[0], 1), b"0")
        for number, sock in enumerate(socks[1:], 1):
            self.assertEqual(self.receive(sock, 8), b"hello\r\n%d" % number)
        self.assertLess(time.monotonic() - started, BACK + 1)
        for sock in socks:
            self.round_trip(sock)
        sup.wait_events(CLIENTS + warm, "open")
        self.assertEqual(len(sup.events("busy")), 1, "one line for a cause")
        for verb in ("fail", "reject", "worker"):
            self.assertEqual(sup.events(verb), [])
