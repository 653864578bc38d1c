#!/usr/bin/env python3
"""The log: to syslog and to standard error, which never blocks udsd."""
import datetime
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time

from lib import (PATIENCE, UDSCTL, Case, complete, config, crowd, main, parse_line, private_dev,
                 proc, service, wait_for)
from lib.log_reader import HEAD, TIME

DAEMON_INFO = 3 << 3 | 6
LOCAL3_INFO = 19 << 3 | 6
RECORD = re.compile(r"<(\d+)>\w{3} [ \d]\d \d\d:\d\d:\d\d udsd(?:\[\d+\])?: (.*)$", re.S)


class Syslogd:
    """A syslog daemon on a path; it reads only when a test wants it."""

    def __init__(self, path):
        self.path = path
        self.records = []
        self.done = threading.Event()
        self.thread = None
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o666)
        self.sock.settimeout(0.05)

    def read(self):
        """Starts to read, in a thread."""
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        return self

    def _read(self):
        while not self.done.is_set():
            try:
                self.records.append(
                    self.sock.recv(65536).decode(errors="surrogateescape")
                )
            except socket.timeout:
                pass

    def close(self):
        self.done.set()
        if self.thread:
            self.thread.join()
        self.sock.close()
        if os.path.lexists(self.path):
            os.remove(self.path)

    def events(self, verb, **match):
        wanted = {key: str(value) for key, value in match.items()}
        parsed = (parse_line(RECORD.match(record)[2]) for record in list(self.records))
        return [
            pairs
            for name, pairs in parsed
            if name == verb and wanted.items() <= pairs.items()
        ]

    def wait_events(self, count, verb, timeout=10, **match):
        wait_for(
            lambda: len(self.events(verb, **match)) >= count,
            timeout,
            "%d records: %s %s" % (count, verb, match),
        )
        return self.events(verb, **match)


class ToSyslog(Case):
    def setUp(self):
        super().setUp()
        self.dev = self.folder("dev")
        reason = private_dev.why_not(self.dev)
        if reason:
            self.skipTest(reason)
        self.log = self.path("syslog")
        self.daemons = []

    def syslogd(self):
        daemon = Syslogd(self.log)
        self.addCleanup(daemon.close)
        return daemon

    def serve_logged(self, handler=None, args=("-s",), **values):
        """A service that logs to our syslogd, whether there is one or not."""
        text = config(
            service("s", socket=self.path("s"), handler=handler or [self.light_echo()]),
            **values,
        )
        sup = self.udsd(text, args, ready="path", preexec_fn=self.enter)
        wait_for(self.is_served, what="service")  # by one connection
        return sup

    def enter(self):
        private_dev.enter(self.dev, self.log)

    def is_served(self):
        try:
            return self.visit_one(0)
        except ConnectionRefusedError:
            return False

    def visit(self, count, workers=4):
        """So many connections; returns the seconds they took."""
        started = time.monotonic()
        results = crowd(workers, count, self.visit_one)
        self.assertEqual([result for result in results if result is not True], [])
        return time.monotonic() - started

    def visit_one(self, number):
        data = b"%d" % number
        return self.talk(self.path("s"), data) == b"hello\r\n" + data

    def test_records(self):
        for values, priority in (
            ({}, DAEMON_INFO),
            ({"syslog_facility": "local3"}, LOCAL3_INFO),
        ):
            with self.subTest(values=values):
                daemon = self.syslogd().read()
                sup = self.serve_logged(**values)
                self.visit(3)
                for verb in ("open", "close"):
                    daemon.wait_events(3, verb, service="s")
                self.assertEqual(daemon.events("listen")[0]["socket"], sup.socket)
                for record in daemon.records:
                    match = RECORD.match(record)
                    self.assertTrue(match, record)
                    if parse_line(match[2])[0] in ("open", "close", "listen"):
                        self.assertEqual(int(match[1]), priority)
                self.assertEqual(sup.stop(), 0)
                self.assertEqual(len(daemon.wait_events(1, "stop")), 1)
                self.assertEqual(sup.lines(), [], "stderr is for those without -s")
                daemon.close()

    def test_as_a_daemon(self):
        daemon = self.syslogd().read()
        sup = self.daemon(
            service(
                "s", socket=self.path("s"), handler=[self.script("h", "echo err >&2")]
            ),
            preexec_fn=self.enter,
        )
        self.assertEqual(self.talk(sup.socket), b"")
        self.assertEqual(daemon.wait_events(1, "stderr")[0]["text"], "err")
        daemon.wait_events(1, "close")
        self.assertEqual(sup.stop(), 0)
        daemon.wait_events(1, "stop")

    def test_control_bytes_do_not_reach_it(self):
        daemon = self.syslogd().read()
        self.serve_logged(
            [
                self.script(
                    "h", r"printf 'a\033[1mb\001\n' >&2; printf 'hello\r\n'; exec cat"
                )
            ]
        )
        daemon.wait_events(1, "stderr")
        for record in daemon.records:
            self.assertNotRegex(record.rstrip("\0\n"), r"[\x00-\x1f\x7f]")

    def assert_all_counted(self, daemon, count):
        """All open and close lines of so many connections are there or counted."""

        def accounted():
            return (
                len(daemon.events("open"))
                + len(daemon.events("close"))
                + sum(int(event.get("lines", 0)) for event in daemon.events("drop"))
            )

        wait_for(lambda: accounted() >= 2 * count, 10, "all lines to be accounted for")
        time.sleep(0.3)
        self.assertEqual(accounted(), 2 * count)

    def test_no_reader(self):
        """Service goes on at full speed; what was dropped is counted and reported."""
        daemon = self.syslogd().read()
        sup = self.serve_logged()
        self.visit(50)
        reading = self.visit(400)
        daemon.wait_events(451, "close", timeout=20)
        self.assertEqual(daemon.events("drop"), [])
        self.assertEqual(sup.stop(), 0)
        daemon.close()
        daemon = self.syslogd()
        self.serve_logged()
        self.visit(50)
        blocked = self.visit(400)
        self.assertLess(blocked, (reading + 0.5) * PATIENCE)
        more = 4000  # more lines than a log channel holds
        self.visit(more)
        daemon.read()
        daemon.wait_events(1, "drop")
        self.assert_all_counted(daemon, 451 + more)

    def test_no_syslog_socket(self):
        sup = self.serve_logged()
        took = self.visit(300)
        self.assertLess(took, 5 * PATIENCE)
        daemon = self.syslogd().read()
        for _ in range(10):
            self.visit(1)
            time.sleep(0.1)
        self.assert_all_counted(daemon, 311)
        self.assertEqual(sup.stop(), 0)

    def test_syslogd_restarted(self):
        daemon = self.syslogd().read()
        sup = self.serve_logged()
        self.visit(5)
        daemon.wait_events(5, "close")
        for _ in range(3):
            daemon.close()
            self.visit(5)
            daemon = self.syslogd().read()
            wait_for(
                lambda log=daemon: self.visit(1) and log.events("close"),
                10,
                "records after the restart",
            )
        self.assertEqual(sup.stop(), 0)

    def test_stop_without_a_reader(self):
        self.syslogd()
        sup = self.serve_logged()
        self.visit(100)
        started = time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assert_quick(started, 5)


class Heads(Case):
    """What lines begin with on standard error: the time, or for the journal their priority."""

    def lines_with(self, stream):
        """The lines of a short life with $JOURNAL_STREAM, which may name DEVICE and INODE."""
        log = self.path("log.%d" % len(self.supervisors))
        open(log, "wb").close()
        status = os.stat(log)
        words = {"DEVICE": status.st_dev, "INODE": status.st_ino}
        environment = {name: value for name, value in os.environ.items()
                       if name != "JOURNAL_STREAM"}
        if stream is not None:
            for word, value in words.items():
                stream = stream.replace(word, str(value))
            environment["JOURNAL_STREAM"] = stream
        sup = self.serve_with(environment)
        self.talk(self.path("s"), b"x")
        sup.wait_event("close")
        self.assertEqual(sup.stop(), 0)
        return sup.raw_lines()

    def serve_with(self, environment):
        text = config(service("s", socket=self.path("s"),
                              handler=[self.script("h", "echo oops >&2; cat\n")]))
        return self.udsd(text, env=environment, ready="path")

    def test_what_lines_begin_with(self):
        time_stamp = re.compile(TIME + r" udsd: (start|listen|open|stderr|close|stop) ")
        priority = re.compile(r"(<5>(start|stop)|<6>(listen|open|close|stderr)) ")
        for stream, expected in (
            (None, time_stamp),
            ("", time_stamp),
            ("DEVICE:INODE", priority),
            ("DEVICE:1", time_stamp),
            ("1:INODE", time_stamp),
            ("DEVICE:INODE0", time_stamp),
            ("DEVICE", time_stamp),
            ("DEVICE:INODE:1", time_stamp),
            ("nonsense", time_stamp),
        ):
            with self.subTest(stream=stream):
                lines = self.lines_with(stream)
                self.assertEqual(len(lines), 6, lines)
                for line in lines:
                    self.assertRegex(line, expected)

    def test_the_time_is_local_and_does_not_go_back(self):
        for zone, offset in (("UTC", "+00:00"), ("XYZ-05:30", "+05:30"), ("XYZ3", "-03:00")):
            with self.subTest(zone=zone):
                before = datetime.datetime.now(datetime.timezone.utc)
                sup = self.serve_with({**os.environ, "TZ": zone})
                self.talk(self.path("s"), b"x")
                sup.wait_event("close")
                self.assertEqual(sup.stop(), 0)
                stamps = [line.split(" ")[0] for line in sup.raw_lines()]
                self.assertEqual({stamp[-6:] for stamp in stamps}, {offset})
                times = [datetime.datetime.fromisoformat(stamp) for stamp in stamps]
                self.assertEqual(times, sorted(times))
                slack = datetime.timedelta(milliseconds=1)
                self.assertLess(before - slack, times[0])
                self.assertLess(times[-1], datetime.datetime.now(datetime.timezone.utc))


class ToStderr(Case):
    def serve_to(self, stderr, **values):
        """Serves echo with this stderr; the log is not ours to read."""
        text = complete(
            config(
                service("s", socket=self.path("s"), handler=[self.light_echo()], **values)
            )
        )
        sup = self.start(["-f", "-c", self.write("udsd.conf", text)], stderr=stderr)
        sup.sockets = [self.path("s")]
        self.wait_ready(sup, "path")
        return sup

    def test_a_reader_that_does_not_read(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        sup = self.serve_to(writer)
        os.close(writer)
        slowest = 0
        for _ in range(800):
            started = time.monotonic()
            self.assertEqual(self.talk(self.path("s"), b"x"), b"hello\r\nx")
            slowest = max(slowest, time.monotonic() - started)
        self.assertLess(slowest, PATIENCE)
        self.assertEqual(sup.stop(), 0)

    def test_a_reader_that_has_gone(self):
        reader, writer = os.pipe()
        sup = self.serve_to(writer)
        os.close(writer)
        self.talk(self.path("s"), b"x")
        os.close(reader)
        for _ in range(100):
            self.assertEqual(self.talk(self.path("s"), b"x"), b"hello\r\nx")
        self.assertTrue(proc.is_alive(sup.pid))
        self.assertEqual(sup.stop(), 0)

    def test_a_full_device(self):
        """What could not be written is counted: start, 2 listen, and 2 for each connection."""
        control = self.path("control.sock")
        text = config(service("s", socket=self.path("s"), handler=[self.light_echo()]),
                      control_socket=control)
        with open("/dev/full", "wb") as full:
            sup = self.start(["-f", "-c", self.write("udsd.conf", complete(text))], stderr=full)
        sup.sockets = [self.path("s"), control]
        self.wait_ready(sup, "path")

        def dropped():
            done = self.run_program([UDSCTL, "-s", control, "--json", "status"])
            if done.returncode != 0:        # in the moment of an upgrade
                return [0, 0]
            told = json.loads(done.stdout)
            return [told["udsd"]["log-dropped"], told["services"][0]["log-dropped"]]

        for connections, lines in ((20, 40), (5, 50)):
            for _ in range(connections):
                self.assertEqual(self.talk(self.path("s"), b"x"), b"hello\r\nx")
            wait_for(lambda n=lines: dropped() == [3, n], what="%d lines" % lines)
        sup.kill(signal.SIGUSR2)
        wait_for(lambda: dropped()[0] >= 1 and dropped()[1] == 50, what="an upgrade")
        self.assertEqual(sup.stop(), 0)

    def test_a_device_that_has_room_again(self):
        """The first line says how many are missing; none is glued to one that was cut."""
        size = 6000
        log = self.path("small")
        text = config(service("s", socket=self.path("s"), handler=[self.light_echo()]))
        file = open(log, "ab")
        self.addCleanup(file.close)
        sup = self.start(["-f", "-c", self.write("udsd.conf", complete(text))], stderr=file)
        sup.sockets = [self.path("s")]
        self.wait_ready(sup, "path")
        resource.prlimit(sup.log_pid(), resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        for _ in range(40):
            self.assertEqual(self.talk(self.path("s"), b"x"), b"hello\r\nx")
        wait_for(lambda: os.path.getsize(log) == size, what="a full file")
        time.sleep(0.3)
        resource.prlimit(sup.log_pid(), resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.assertEqual(self.talk(self.path("s"), b"x"), b"hello\r\nx")
        self.assertEqual(sup.stop(), 0)
        with open(log, encoding="ascii") as file:
            before, after = file.read(size), file.read()
        whole, _, cut = before.rpartition("\n")
        if cut: # it has ended before the next line begins
            self.assertEqual(after[0], "\n")
        lines = [HEAD.sub("", line) for line in (whole + "\n" + after).splitlines() if line]
        verbs = [parse_line(line)[0] for line in lines]
        self.assertNotIn(None, verbs)
        missing = parse_line(lines[verbs.index("drop")])[1]
        self.assertEqual(missing["error"], "File too large")
        self.assertEqual(verbs.count("open") + verbs.count("close") + int(missing["lines"]), 2 * 41)

    def test_lines_are_not_lost_nor_out_of_order(self):
        sup = self.serve([self.light_echo()])
        for number in range(200):
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
        self.assertEqual(sup.stop(), 0)
        numbers = {
            verb: [int(event["conn"]) for event in sup.events(verb)]
            for verb in ("open", "close")
        }
        self.assertEqual(numbers["open"], list(range(1, 201)))
        self.assertEqual(sorted(numbers["close"]), numbers["open"])

    def test_every_line_is_well_formed(self):
        sup = self.serve(
            [self.script("h", 'echo "it\'s" \'a "line"\' >&2; exit 1')], log_level="debug"
        )
        self.talk(sup.socket)
        sup.wait_event("stderr", text='it\'s a "line"')
        self.assertEqual(sup.stop(), 0)
        for line in sup.lines():
            self.assertIsNotNone(parse_line(line)[0], line)

    def test_levels(self):
        for level, verbs in (
            ("error", set()),
            ("warning", set()),
            ("info", {"listen", "open", "close"}),
            ("debug", {"listen", "open", "close"}),
        ):
            with self.subTest(level=level):
                sup = self.udsd(
                    config(
                        service("s", socket=self.path("s"), handler=[self.light_echo()]),
                        log_level=level,
                    ),
                    ready="path",
                )
                wait_for(lambda: self.is_served(), what="service")
                self.assertEqual(sup.stop(), 0)
                shown = {parse_line(line)[0] for line in sup.lines()}
                self.assertEqual(shown & {"listen", "open", "close"}, verbs)

    def is_served(self):
        try:
            return self.talk(self.path("s"), b"x") == b"hello\r\nx"
        except ConnectionRefusedError:
            return False

    def test_the_level_of_a_service(self):
        text = service(
            "loud", socket=self.path("loud"), handler=[self.light_echo()]
        ) + service(
            "quiet",
            socket=self.path("quiet"),
            handler=[self.light_echo()],
            log_level="error",
        )
        sup = self.udsd(config(text), ready="path")
        sup.wait_event("listen", service="loud")
        for name in ("quiet", "loud", "quiet", "loud"):
            self.assertEqual(self.talk(self.path(name), b"x"), b"hello\r\nx")
        self.assertEqual(sup.stop(), 0)
        self.assertEqual({event["service"] for event in sup.events("open")}, {"loud"})

    def test_bad_names_do_not_break_a_line(self):
        """A client cannot write the log: where it is bound is not in a line as it is."""
        sup = self.serve([self.light_echo()], log_level="debug")
        sock = self.client()
        sock.bind(self.path("x\nopen service=forged"))
        sock.connect(sup.socket)
        self.assertEqual(self.receive(sock, 7), b"hello\r\n")
        sock.close()
        sup.wait_event("close")
        self.assertEqual(sup.events("open", service="forged"), [])

    def test_a_program_in_the_pipe_of_the_log(self):
        """udsd -f 2>&1 | cat: the end of udsd is the end of the pipe."""
        cat = self.spawn(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        sup = self.serve_to(cat.stdin)
        cat.stdin.close()
        self.talk(self.path("s"), b"x")
        sup.kill(signal.SIGTERM)
        self.assertIn(b"close service=s", cat.stdout.read())
        self.assertEqual(sup.wait(), 0)


if __name__ == "__main__":
    main()
