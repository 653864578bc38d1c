#!/usr/bin/env python3
"""A handler's standard error: syslog, null, client or a file."""
import os
import re
import socket
import stat
import time

from lib import (PATIENCE, SANITIZED, USER, Case, crowd, main, needs, needs_root, parse_line,
                 proc, wait_for)

LINE_MAX = 960
SAY = 'eval "$(cat)"'  # does what the client says


class Talker(Case):
    """A handler that runs what the client sends."""

    def serve_talker(self, **values):
        return self.serve([self.script("talker", SAY)], **values)

    def say(self, sup, command):
        return self.talk(sup.socket, command.encode())

    def texts(self, sup, **match):
        return [event["text"] for event in sup.events("stderr", **match)]


class Values(Talker):
    def test_syslog_is_the_default(self):
        for value in (None, "syslog"):
            with self.subTest(value=value):
                sup = self.serve_talker(stderr=value)
                self.assertEqual(
                    self.say(sup, "echo one >&2; echo two >&2; echo out"), b"out\n"
                )
                events = sup.wait_events(2, "stderr")
                opened = sup.wait_event("open")
                self.assertEqual([event["text"] for event in events], ["one", "two"])
                for event in events:
                    self.assertEqual(
                        event, dict(event, service="s", conn="1", pid=opened["pid"])
                    )
                    self.assertEqual(set(event), {"service", "conn", "pid", "text"})

    def test_whose_it_is_is_known_when_many_end_at_once(self):
        """And a line comes after that of the connection's start."""
        sup = self.serve([self.script("brief", "echo brief >&2\n")], max_connections=100)
        crowd(16, 400, lambda _: self.talk(sup.socket))
        sup.wait_events(400, "close")
        events = sup.wait_events(400, "stderr")
        self.assertEqual([event for event in events if "conn" not in event], [])
        verbs = {}
        for verb, pairs in map(parse_line, sup.lines()):
            verbs.setdefault(pairs.get("conn"), []).append(verb)
        del verbs[None]
        self.assertEqual({tuple(order) for order in verbs.values()},
                         {("open", "stderr", "close")})

    def test_null(self):
        sup = self.serve_talker(stderr="null")
        self.assertEqual(
            self.say(sup, "echo lost >&2; readlink /proc/$$/fd/2"), b"/dev/null\n"
        )
        sup.wait_event("close")
        sup.stop()
        self.assertEqual(sup.events("stderr"), [])

    def test_client(self):
        sup = self.serve_talker(stderr="client")
        self.assertEqual(
            self.say(sup, "echo out; echo err >&2; echo out"), b"out\nerr\nout\n"
        )
        sup.wait_event("close")
        sup.stop()
        self.assertEqual(sup.events("stderr"), [])

    def test_a_file(self):
        path = self.folder("d", 0o777) + "/err.log"
        sup = self.serve_talker(stderr=path, umask="027")
        for word in ("one", "two"):
            self.say(sup, "echo %s >&2" % word)
        sup.wait_events(2, "close")
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "one\ntwo\n")
        info = os.stat(path)
        self.assertEqual(info.st_uid, USER.pw_uid)
        self.assertEqual(stat.S_IMODE(info.st_mode) & 0o027, 0)
        self.assertEqual(sup.events("stderr"), [])

    def test_a_file_is_opened_for_each_connection(self):
        path = self.folder("d", 0o777) + "/err.log"
        sup = self.serve_talker(stderr=path)
        self.say(sup, "echo one >&2")
        os.rename(path, path + ".old")
        self.say(sup, "echo two >&2")
        sup.wait_events(2, "close")
        for name, text in ((path + ".old", "one\n"), (path, "two\n")):
            with open(name, encoding="ascii") as file:
                self.assertEqual(file.read(), text)

    def test_a_file_that_is_there_is_appended_to(self):
        path = self.write("err.log", "before\n", 0o666)
        sup = self.serve_talker(stderr=path)
        self.say(sup, "echo after >&2")
        sup.wait_event("close")
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), "before\nafter\n")

    @needs_root
    def test_a_file_that_the_user_may_not_write_is_not_written(self):
        directory = self.path("logs")
        os.mkdir(directory)
        os.chmod(directory, 0o777)
        path = os.path.join(directory, "err.log")
        sup = self.serve_talker(stderr=path)
        os.chmod(directory, 0o755)
        self.assertEqual(self.say(sup, "echo bad >&2; echo out"), b"")
        self.assertEqual(sup.wait_event("fail")["error"], "Permission denied")
        self.assertFalse(os.path.exists(path))


class Lines(Talker):
    def setUp(self):
        super().setUp()
        self.sup = self.serve_talker()

    def test_a_long_line_is_cut_with_a_mark(self):
        for size, cut in (
            (900, False),
            (LINE_MAX, False),
            (LINE_MAX + 1, True),
            (5000, True),
            (300000, True),
        ):
            with self.subTest(size=size):
                count = len(self.sup.events("stderr"))
                self.say(
                    self.sup,
                    "x=$(head -c %d /dev/zero | tr '\\0' x); "
                    "printf '%%s\\n' \"$x\" next >&2" % size,
                )
                first, second = self.texts_after(count, 2)
                self.assertEqual(first, "x" * LINE_MAX + "..." if cut else "x" * size)
                self.assertEqual(second, "next")

    def texts_after(self, count, more):
        events = self.sup.wait_events(count + more, "stderr")[count:]
        self.assertEqual(len(events), more)
        return [event["text"] for event in events]

    def test_a_last_line_without_an_end(self):
        self.say(self.sup, "printf 'whole\\npart' >&2")
        self.assertEqual(self.texts_after(0, 2), ["whole", "part"])
        self.sup.wait_event("stderr", text="part", conn="1")

    def test_a_line_in_pieces(self):
        self.say(self.sup, "for i in a b c; do printf $i >&2; sleep 0.05; done; echo >&2")
        self.assertEqual(self.texts_after(0, 1), ["abc"])

    def test_lines_of_two_handlers_are_not_mixed(self):
        first, second = self.connect(self.sup.socket), self.connect(self.sup.socket)
        first.sendall(b"printf a1 >&2; echo; sleep 0.6; echo a2 >&2")
        first.shutdown(socket.SHUT_WR)
        self.assertEqual(first.recv(1), b"\n")
        second.sendall(b"echo b1 >&2")
        second.shutdown(socket.SHUT_WR)
        self.assert_end(second)
        self.assert_end(first)
        self.sup.wait_events(2, "close")
        self.assertEqual("".join(self.texts(self.sup, conn=1)), "a1a2")
        self.assertEqual(self.texts(self.sup, conn=2), ["b1"])

    def test_control_bytes_are_escaped(self):
        self.say(
            self.sup, r"printf 'a\033[31m\001\007b\302\205c\377d\000e\t\303\274\n' >&2"
        )
        event = self.sup.wait_event("stderr")
        line = next(line for line in self.sup.lines() if "stderr" in line)
        self.assertNotRegex(line, r"[\x00-\x1f\x7f-\x9f\udc00-\udfff]")
        for mark in (r"\x1b[31m\x01\x07b", r"c\xff", r"d\x00e", "ü"):
            self.assertIn(mark, line)
        self.assertIn("d\0e", event["text"])

    def test_no_handler_can_forge_a_pair_or_a_line(self):
        text = 'x" conn=99 service=other \\" \\x0a'
        self.say(self.sup, "read -r x <<'E'\n%s\nE\nprintf '%%s\\n' \"$x\" >&2" % text)
        event = self.sup.wait_event("stderr")
        self.assertEqual(event["text"], text)
        self.assertEqual((event["conn"], event["service"]), ("1", "s"))

    def test_a_child_of_the_handler_is_known_by_its_group(self):
        self.say(self.sup, "sh -c 'echo child >&2; sleep 0.3'; (echo sub >&2; sleep 0.3)")
        pid = self.sup.wait_event("open")["pid"]
        for text in ("child", "sub"):
            event = self.sup.wait_event("stderr", text=text)
            self.assertEqual((event["conn"], event["pid"]), ("1", pid))

    @needs("setsid")
    def test_who_has_left_the_group_is_known_by_the_service_only(self):
        self.say(self.sup, "setsid sh -c 'sleep 0.3; echo away >&2' >&- <&- & exit 0")
        event = self.sup.wait_event("stderr", text="away")
        self.assertEqual(event, {"service": "s", "text": "away"})

    @needs("setsid")
    def test_a_part_of_a_line_from_who_has_gone_is_not_held_back(self):
        self.say(self.sup, "setsid sh -c 'printf part >&2' >&- <&- & exit 0")
        self.sup.wait_event("stderr", text="part")

    def test_it_is_a_socket_and_writable(self):
        self.assertRegex(self.say(self.sup, "readlink /proc/$$/fd/2"), rb"^socket:")

    def test_the_log_level_of_a_service_silences_it(self):
        sup = self.serve(
            [self.script("quiet", "echo err >&2; echo out")],
            name="quiet",
            log_level="error",
        )
        self.assertEqual(self.talk(sup.socket), b"out\n")
        self.assertEqual(sup.stop(), 0)
        self.assertEqual([event for event in sup.events("open")], [])


class Flood(Talker):
    COUNT = 100000

    def counted(self, sup):
        """Lines that were logged, and those that were counted as dropped."""
        drops = sup.events("drop")
        return len(sup.events("stderr")), sum(
            int(drop.get("stderr-lines", 0)) + int(drop.get("lines", 0)) for drop in drops
        )

    def test_a_flood_is_dropped_and_counted(self):
        sup = self.serve_talker()
        started = time.monotonic()
        self.assertEqual(self.say(sup, "seq %d >&2; echo done" % self.COUNT), b"done\n")
        took = time.monotonic() - started
        self.assertLess(took, 5 * PATIENCE, "the handler was held up")
        wait_for(
            lambda: sum(self.counted(sup)) >= self.COUNT, 15, "all lines to be counted"
        )
        logged, dropped = self.counted(sup)
        self.assertEqual(logged + dropped, self.COUNT)
        self.assertGreaterEqual(logged, 200)
        self.assertLessEqual(logged, 1000 * (took + 2))
        self.assertTrue(any("stderr-lines" in drop for drop in sup.events("drop")))

    def test_less_than_the_limit_is_whole(self):
        sup = self.serve_talker()
        self.say(
            sup, "i=0; while [ $i -lt 8 ]; do seq 100 >&2; sleep 0.05; i=$((i+1)); done"
        )
        events = sup.wait_events(800, "stderr", timeout=10)
        self.assertEqual(
            [event["text"] for event in events],
            [str(number + 1) for number in range(100)] * 8,
        )
        self.assertEqual(sup.events("drop"), [])

    def test_a_flood_of_one_service_leaves_others_alone(self):
        sup = self.serve_talker()
        quiet = self.serve([self.script("q", SAY)], name="quiet")
        noisy = self.connect(sup.socket)
        noisy.sendall(b"while :; do seq 1000 >&2; done")
        noisy.shutdown(socket.SHUT_WR)
        sup.wait_event("stderr")
        for number in range(5):
            started = time.monotonic()
            self.say(quiet, "echo %d >&2" % number)
            quiet.wait_event("stderr", text=number)
            self.assert_quick(started, 2)
        os.kill(int(sup.wait_event("open")["pid"]), 9)
        sup.wait_event("close", status="signal:KILL")

    def test_a_flood_without_an_end_of_line(self):
        """Neither memory nor log grow with it."""
        sup = self.serve_talker()
        self.assertEqual(
            self.say(sup, "head -c 50000000 /dev/zero >&2; echo done"), b"done\n"
        )
        sup.wait_event("close")
        memory = re.match(r"\d+", proc.status(sup.worker("s"))["VmRSS"])[0]
        self.assertLess(int(memory), 200000 if SANITIZED else 20000)
        self.assertLess(os.path.getsize(sup.log), 200000)


if __name__ == "__main__":
    main()
