#!/usr/bin/env python3
"""How long: max-lifetime, kill-grace, idle-timeout."""
import contextlib
import os
import re
import signal
import socket
import time

from lib import PYTHON, Case, main, proc, service, wait_for
from lib.clients import is_silent
from lib.proc import is_gone
from lib.supervisor import kill_worker

# A handler says its pid and those of its children, then the rest happens.
SAY = 'echo "$$ $pids"\n'
CHILDREN = "sleep 600 & pids=$!; sleep 600 & pids=\"$pids $!\"\n" + SAY
STUBBORN_CHILD = "(trap '' TERM; sleep 600; sleep 600) & pids=$!\n"


class Lifetime(Case):

    # what the handler does, kill-grace, the status, the least and most time that it lives
    ROWS = {
        "exec": (SAY + "exec sleep 600\n", "500ms", "signal:TERM", 0.5, 0.9),
        "sh": (SAY + "sleep 600\n", "500ms", "signal:TERM", 0.5, 0.9),
        "obeys": ("trap 'exit 3' TERM\n" + SAY + "sleep 600\n", "500ms", "exit:3", 0.5, 0.9),
        "is slow": ("trap 'sleep 0.2; exit 4' TERM\n" + SAY + "sleep 600 & wait\n", "10s",
                    "exit:4", 0.7, 1.2),
        "ignores TERM": ("trap '' TERM\n" + SAY + "while :; do sleep 600; done\n", "500ms",
                    "signal:KILL", 1.0, 1.4),
        "grace 0": ("trap 'exit 5' TERM\n" + SAY + "sleep 600\n", "0", "signal:KILL", 0.5, 0.9),
        "is stopped": (SAY + "kill -STOP $$\n", "500ms", "signal:KILL", 1.0, 1.4),
        "children": (CHILDREN + "wait\n", "500ms", "signal:TERM", 0.5, 0.9),
        "child ignores TERM": (STUBBORN_CHILD + SAY + "exec sleep 600\n", "10s", "signal:TERM", 0.5, 0.9),
        "all ignore TERM": ("trap '' TERM\n" + CHILDREN + "wait; sleep 600\n", "500ms",
                        "signal:KILL", 1.0, 1.4),
    }

    def start_rows(self):
        text = ""
        for number, (body, grace, *_) in enumerate(self.ROWS.values()):
            handler = self.script("h%d" % number, body)
            text += service("s%d" % number, socket=self.path("s%d" % number),
                            handler=[handler], max_lifetime="500ms", kill_grace=grace)
        return self.udsd(text)

    def check_row(self, sup, number, sock, pids):
        _, grace, status, least, most = list(self.ROWS.values())[number]
        event = sup.wait_event("close", service="s%d" % number)
        self.assertEqual((event["status"], event["reason"]), (status, "lifetime"))
        self.assertGreaterEqual(float(event["duration"]), least)
        self.assertLess(float(event["duration"]), most)
        self.assertEqual(event["pid"], str(pids[0]))
        wait_for(lambda: all(map(is_gone, pids)), 2, "the whole group to end: %s" % pids)
        self.assert_end(sock)

    def read_pids(self, sock):
        line = b""
        while not line.endswith(b"\n"):
            line += self.receive(sock, 1)
        return list(map(int, line.split()))

    def test_each_kind_of_handler(self):
        sup = self.start_rows()
        socks = [self.connect(self.path("s%d" % number)) for number in range(len(self.ROWS))]
        family = list(map(self.read_pids, socks))
        for number, name in enumerate(self.ROWS):
            with self.subTest(name):
                self.check_row(sup, number, socks[number], family[number])

    def test_the_same_when_the_worker_is_gone(self):
        """The supervisor ends them. But one that is stopped gets a SIGHUP from the kernel as
        soon as the worker exits: its group has become an orphaned one."""
        sup = self.start_rows()
        socks = [self.connect(self.path("s%d" % number)) for number in range(len(self.ROWS))]
        family = list(map(self.read_pids, socks))
        for number in range(len(self.ROWS)):
            os.kill(sup.worker("s%d" % number), 9)
        for number, name in enumerate(self.ROWS):
            with self.subTest(name):
                if name == "is stopped":
                    continue
                self.check_row(sup, number, socks[number], family[number])

    def test_it_does_not_touch_who_ends_in_time(self):
        sup = self.serve([self.echo()], max_lifetime="700ms")
        kept = self.hello(sup.socket)
        for number in range(5):
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
            event = sup.wait_events(number + 1, "close")[-1]
            self.assertEqual((event["status"], event.get("reason")), ("exit:0", None))
        self.round_trip(kept)
        self.assert_end(kept)
        self.assertEqual(sup.wait_event("close", conn=1)["reason"], "lifetime")

    def test_each_has_its_own_time(self):
        sup = self.serve([self.echo()], max_lifetime="600ms")
        socks = []
        for _ in range(8):
            socks.append(self.hello(sup.socket))
            time.sleep(0.1)
        for sock in socks:
            self.assert_end(sock)
        for event in sup.wait_events(8, "close", reason="lifetime"):
            self.assertGreaterEqual(float(event["duration"]), 0.6)
            self.assertLess(float(event["duration"]), 1)

    def test_many_at_once(self):
        sup = self.serve([self.echo()], max_lifetime="1s", max_connections=200)
        socks = [self.hello(sup.socket) for _ in range(100)]
        for sock in socks:
            self.assert_end(sock)
        for event in sup.wait_events(100, "close", reason="lifetime"):
            self.assertGreaterEqual(float(event["duration"]), 1)
            self.assertLess(float(event["duration"]), 1.6)

    def test_a_process_in_a_group_of_its_own_lives(self):
        """Only the handler's group is ended."""
        handler = self.script("handler", "setsid sleep 600 <&- >&- 2>&- & echo $!\nsleep 600\n")
        sup = self.serve([handler], max_lifetime="300ms")
        sock = self.connect(sup.socket)
        pid, = self.read_pids(sock)
        wait_for(lambda: proc.comm(pid) == "sleep", what="setsid to have started it")
        sup.wait_event("close", reason="lifetime")
        self.assertTrue(proc.is_alive(pid))
        os.kill(pid, 9)
        wait_for(lambda: is_gone(pid))


class WithoutWorker(Case):
    """The worker is killed: its handlers are the supervisor's."""

    def test_their_close_lines(self):
        # what the client makes the handler do, the status, whether it has used the CPU
        rows = [
            ("exit 0\n", "exit:0", False),
            ("exit 7\n", "exit:7", False),
            ("kill -9 $$\n", "signal:KILL", False),
            ("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 1\n", "exit:1", True),
        ]
        handler = self.script("handler", 'echo ready; read line; eval "$line"\n')
        sup = self.serve([handler])
        socks = [self.connect(sup.socket) for _ in rows]
        for sock in socks:
            self.assertEqual(self.receive(sock, 6), b"ready\n")
        opened = sorted(sup.wait_events(len(rows), "open"), key=lambda event: int(event["conn"]))
        kill_worker(sup)
        for number, (command, status, busy) in enumerate(rows):
            with self.subTest(command=command):
                socks[number].sendall(command.encode())
                self.assert_end(socks[number])
                event = sup.wait_event("close", conn=number + 1)
                self.assertEqual((event["service"], event["pid"], event["status"]),
                                 ("s", opened[number]["pid"], status))
                self.assertNotIn("reason", event)
                for key in ("duration", "user", "system"):
                    self.assertRegex(event[key], r"^\d+\.\d{3}$")
                self.assertGreater(int(event["maxrss-kib"]), 100)
                self.assertGreater(float(event["duration"]), 0)
                if busy:
                    self.assertGreater(float(event["user"]) + float(event["system"]), 0.02)
        self.assertEqual(len(sup.events("close")), len(rows))

    def test_both_end_at_once(self):
        """Handlers that ended while their worker could not notice."""
        sup = self.serve([self.echo()])
        socks = [self.hello(sup.socket) for _ in range(20)]
        pids = {event["pid"] for event in sup.wait_events(20, "open")}
        worker = sup.worker("s")
        os.kill(worker, signal.SIGSTOP)
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):   # a stopped one is replaced
            os.kill(worker, signal.SIGKILL)
        events = sup.wait_events(20, "close", status="signal:KILL")
        self.assertEqual({event["pid"] for event in events}, pids)
        self.assertEqual({event["conn"] for event in events}, set(map(str, range(1, 21))))
        for sock in socks:
            self.assert_end(sock)
        self.hello(sup.socket)
        self.assertEqual(len(sup.events("close")), 20)

    def test_they_end_with_a_stop(self):
        rows = [
            ("echo ready; exec sleep 600\n", "signal:TERM", "5s"),
            ("trap '' TERM; echo ready; while :; do sleep 600; done\n", "signal:KILL", "300ms"),
            ("trap 'exit 3' TERM; echo ready; sleep 600\n", "signal:KILL", "0"),
        ]
        text = "".join(
            service("s%d" % number, socket=self.path("s%d" % number), kill_grace=grace,
                    handler=[self.script("h%d" % number, body)])
            for number, (body, _, grace) in enumerate(rows))
        sup = self.udsd("stop-timeout = 300ms\n" + text)
        socks = [self.connect(self.path("s%d" % number)) for number in range(len(rows))]
        for number, sock in enumerate(socks):
            self.assertEqual(self.receive(sock, 6), b"ready\n")
            kill_worker(sup, "s%d" % number)
        started = time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assertGreater(time.monotonic() - started, 0.3)
        self.assertLess(time.monotonic() - started, 2)
        for number, (_, status, _) in enumerate(rows):
            event = sup.wait_event("close", service="s%d" % number)
            self.assertEqual(event["status"], status)
            self.assert_end(socks[number])

    def test_who_is_quiet_may_finish(self):
        sup = self.serve([self.echo()])
        sock = self.hello(sup.socket)
        kill_worker(sup)
        self.round_trip(sock)
        sock.shutdown(socket.SHUT_WR)
        self.assert_end(sock)
        self.assertEqual(sup.wait_event("close", conn=1)["status"], "exit:0")
        self.assertEqual(int(sup.wait_event("close")["conn"]), 1)
        self.hello(sup.socket)
        self.assertEqual(sup.wait_event("open", conn=2)["conn"], "2")

    def test_all_due_at_once(self):
        """The supervisor is late, and finds them all at the same time."""
        for grace in ("0", "5s"):
            with self.subTest(grace=grace):
                sup = self.serve([self.echo()], max_lifetime="1s", kill_grace=grace)
                socks = [self.hello(sup.socket) for _ in range(10)]
                kill_worker(sup)
                sup.kill(signal.SIGSTOP)
                try:
                    time.sleep(1.2)
                finally:
                    sup.kill(signal.SIGCONT)
                for sock in socks:
                    self.assert_end(sock)
                for event in sup.wait_events(10, "close"):
                    self.assertEqual(event.get("reason"), "lifetime")

    def test_killed_again_and_again(self):
        """Handlers of many generations, each with its own time."""
        sup = self.serve([self.echo()], max_lifetime="2s")
        socks = []
        for _ in range(5):
            socks += [self.hello(sup.socket) for _ in range(3)]
            kill_worker(sup)
        for sock in socks:
            self.round_trip(sock)
        for sock in socks:
            self.assert_end(sock)
        events = sup.wait_events(15, "close", reason="lifetime")
        self.assertEqual({event["conn"] for event in events}, set(map(str, range(1, 16))))
        for event in events:
            self.assertGreaterEqual(float(event["duration"]), 2)
            self.assertLess(float(event["duration"]), 3)


READ = "import os, sys\n"
PYTHON_READS = READ + """
try:
    os.read(0, 1)
except BlockingIOError:
    sys.exit(9)
"""
PYTHON_BUFFERED = READ + "sys.stdin.buffer.readline()\nsys.exit(8)\n"


class Idle(Case):

    IDLE = 0.4

    def test_readers(self):
        """All end by themselves after the time; echo quietly."""
        rows = {
            "echo": ([self.echo()], r"exit:0$", True),
            "cat": (["/bin/cat"], r"exit:1$", False),
            "sh": (["/bin/sh", "-c", "read line; exit 6"], r"exit:6$", None),
            "read": ([PYTHON, "-c", PYTHON_READS], r"exit:9$", True),
            "buffered": ([PYTHON, "-c", PYTHON_BUFFERED], r"exit:\d+$", None),
        }
        text = "".join(service("s%d" % number, socket=self.path("s%d" % number),
                               handler=handler, idle_timeout="400ms")
                       for number, (handler, _, _) in enumerate(rows.values()))
        sup = self.udsd(text)
        socks = [self.connect(self.path("s%d" % number)) for number in range(len(rows))]
        for number, (name, (_, status, quiet)) in enumerate(rows.items()):
            with self.subTest(name):
                event = sup.wait_event("close", service="s%d" % number)
                self.assertRegex(event["status"], status)
                self.assertNotIn("reason", event)
                self.assertGreaterEqual(float(event["duration"]), self.IDLE)
                self.assertLess(float(event["duration"]), self.IDLE + 2)
                self.assert_end(socks[number], b"hello\r\n" if name == "echo" else b"")
                lines = sup.events("stderr", service="s%d" % number)
                if quiet is not None:
                    self.assertEqual(lines == [], quiet, lines)
        self.assertEqual([line for line in sup.lines() if re.match("(fail|busy)", line)], [])

    def test_writers(self):
        """A client that does not read blocks nothing forever."""
        rows = {
            "cat": (["/bin/cat", "/dev/zero"], "exit:1", b""),
            "echo": ([self.echo()], "exit:0", b"x" * (4 << 20)),
        }
        for name, (handler, status, data) in rows.items():
            with self.subTest(name):
                sup = self.serve(handler, name=name, idle_timeout="400ms")
                sock = self.connect(sup.socket)
                sock.settimeout(0.1)
                try:
                    sock.sendall(data)
                except TimeoutError:
                    pass
                event = sup.wait_event("close")
                self.assertEqual(event["status"], status)
                self.assertGreaterEqual(float(event["duration"]), self.IDLE)
                self.assertLess(float(event["duration"]), self.IDLE + 2)

    def test_who_is_active_stays(self):
        sup = self.serve([self.echo()], idle_timeout="400ms")
        sock = self.hello(sup.socket)
        started = time.monotonic()
        while time.monotonic() - started < 1.5:
            self.round_trip(sock)
            time.sleep(0.1)
        self.assertEqual(sup.events("close"), [])
        self.assert_end(sock)
        self.assertGreaterEqual(float(sup.wait_event("close")["duration"]), 1.8)

    def test_without_it_no_handler_is_ended(self):
        sup = self.serve([self.echo()])
        sock = self.hello(sup.socket)
        started = time.monotonic()
        while time.monotonic() - started < 1:
            self.assertTrue(is_silent(sock))
            time.sleep(0.05)
        self.round_trip(sock)

    def test_times_of_all_sizes(self):
        """What the handler finds set on its connection."""
        code = "import socket, struct\n" \
            "s = socket.socket(fileno=0)\n" \
            "for name in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):\n" \
            "    print(*struct.unpack('ll', s.getsockopt(socket.SOL_SOCKET, name, 16)))\n"
        rows = [(None, "0 0"), ("0", "0 0"), ("250ms", "0 250000"), ("1", "1 0"),
                ("1500ms", "1 500000"), ("2h", "7200 0")]
        text = "".join(service("s%d" % number, socket=self.path("s%d" % number),
                               handler=[PYTHON, "-c", code], idle_timeout=value)
                       for number, (value, _) in enumerate(rows))
        self.udsd(text)
        for number, (value, seconds) in enumerate(rows):
            with self.subTest(value=value):
                lines = self.talk(self.path("s%d" % number)).decode().splitlines()
                for line in lines:
                    got, wanted = [int(a) + int(b) / 1e6 for a, b in
                                   (line.split(), seconds.split())]
                    self.assertAlmostEqual(got, wanted, delta=0.01)
                self.assertEqual(len(lines), 2)


if __name__ == "__main__":
    main()
