#!/usr/bin/env python3
"""udsctl top: a live table in terminals of any size, through all that happens to udsd."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from lib import PATIENCE, UDSCTL, main, wait_for
from lib.control_socket import ControlCase

ESCAPES = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class Terminal:
    """A terminal of some size with `udsctl top` in it."""

    def __init__(self, control, rows, columns):
        wait, go = os.pipe()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.read(wait, 1)
            os.execv(UDSCTL, [UDSCTL, "-s", control, "top"])
        self.resize(rows, columns, quiet=True)
        self.before = termios.tcgetattr(self.master)[3]
        self.text = ""
        os.write(go, b"x")
        os.close(wait)
        os.close(go)

    def resize(self, rows, columns, quiet=False):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        if not quiet:
            os.kill(self.pid, signal.SIGWINCH)

    def read(self, seconds):
        """Whether something came."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            part = os.read(self.master, 65536)
        except OSError:                         # its side is closed
            return False
        self.text += part.decode()
        return bool(part)

    def frames(self):
        """The lines of each whole frame so far."""
        found = []
        for frame in self.text.split("\x1b[H")[1:]:
            if "\x1b[J" in frame:
                frame = frame[:frame.index("\x1b[J")]
                found.append(ESCAPES.sub("", frame).split("\r\n"))
        return found

    def wait(self, pattern, what=None):
        """Waits for a new frame with a text; its lines."""
        seen = len(self.frames())

        def fits():
            self.read(0.1)
            return next((frame for frame in self.frames()[seen:]
                         if re.search(pattern, "\n".join(frame))), None)

        return wait_for(fits, 15, what or "a frame like %s, the last was %s"
                        % (pattern, self.frames()[-1:]))

    def end(self, key=b"q"):
        """Its exit status."""
        os.write(self.master, key)
        while self.read(10 * PATIENCE):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Top(ControlCase):
    def terminal(self, rows=24, columns=80):
        terminal = Terminal(self.control, rows, columns)
        self.addCleanup(os.close, terminal.master)
        return terminal

    def names(self, frame):
        """The services of a frame, in order."""
        start = next(n for n, line in enumerate(frame) if line.startswith("SERVICE"))
        return [line.split()[0] for line in frame[start + 1:] if "more service" not in line]

    def serve_many(self, count):
        return self.serve_controlled("".join(self.section("s%d" % n)
                                             for n in range(10, 10 + count)))

    def test_a_live_table_until_q_or_control_c(self):
        self.serve_controlled(self.section("alpha") + self.section("beta", max_connections=2))
        self.greeted(self.path("beta.sock"))
        for key in (b"q", b"\x03", b"\x1c"):
            top = self.terminal(8, 100)
            frame = top.wait("SERVICE")
            self.assertFalse(termios.tcgetattr(top.master)[3] & termios.ICANON)
            self.assertEqual(top.end(key), 0)
            self.assertRegex(frame[3], r"^beta +enabled +0\.0 +0\.0 +1  #{10}\.{10} 1 of 2$")
            self.assertEqual(self.names(frame), ["alpha", "beta"])
            self.assertTrue(top.text.rstrip().endswith("\033[?25h\033[?1049l"))     # as it was
            self.assertEqual(termios.tcgetattr(top.master)[3], top.before)

    def test_terminals_of_all_sizes(self):
        """Nothing is wider or longer than the terminal; it says how many do not fit."""
        long_name = "a-service-with-a-name-of-forty-characters"
        self.serve_controlled("".join(self.section("s%d" % n) for n in range(10, 29))
                              + self.section(long_name, max_connections=60000))
        top = self.terminal(24, 80)
        top.wait("SERVICE")
        for rows, columns, shown, titles in (
            (24, 80, 20, "SERVICE STATE CONN/S REJECT/S TOTAL LIVE"),
            (22, 80, 20, "SERVICE STATE CONN/S REJECT/S TOTAL LIVE"),
            (21, 80, 18, "SERVICE STATE CONN/S REJECT/S TOTAL LIVE"),
            (8, 120, 5, "SERVICE STATE CONN/S REJECT/S TOTAL LIVE"),
            (8, 60, 5, "SERVICE STATE CONN/S REJECT/S LIVE"),
            (8, 40, 5, "SERVICE CONN/S REJECT/S LIVE"),
            (8, 30, 5, "SERVICE CONN/S REJECT/S"),
            (8, 20, 5, "SERVICE CONN/S"),
            (4, 80, 1, "SERVICE STATE CONN/S REJECT/S TOTAL LIVE"),
            (3, 80, 0, "SERVICE STATE CONN/S REJECT/S TOTAL LIVE"),
            (2, 80, 0, "SERVICE STATE CONN/S REJECT/S TOTAL LIVE"),
            (1, 80, 0, None),
            (1, 1, 0, None),
            (5, 3, 0, None),
            (50, 200, 20, "SERVICE STATE CONN/S REJECT/S TOTAL LIVE"),
        ):
            with self.subTest(rows=rows, columns=columns):
                top.frames()
                top.resize(rows, columns)
                top.wait("^u")          # one that may be of the old size yet
                frame = top.wait("^u")
                self.assertLessEqual(len(frame), rows)
                self.assertLessEqual(max(map(len, frame)), columns)
                if titles is None:
                    continue
                self.assertEqual(frame[1].split(), titles.split())
                if rows > 2:
                    self.assertEqual(len(self.names(frame)), shown)
                left = [line for line in frame if "more service" in line]
                more = 20 - shown if rows > 2 else 0
                self.assertEqual(left, [("%d more services do not fit" % more)[:columns - 1]]
                                 if more else [])
        self.assertEqual(top.end(), 0)

    def test_the_busiest_come_first(self):
        self.serve_many(30)
        top = self.terminal(12, 80)
        top.wait("SERVICE")

        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            for name in ("s25", "s30", "s25", "s25"):
                self.greeted(self.path(name + ".sock")).close()
        frame = top.wait(r"(?m)^s25 .*\n^s30 ")
        self.assertRegex(frame[2], r"^s25 +enabled +[1-9]\d*\.\d +0\.0 +\d+ ")
        self.assertRegex(frame[3], r"^s30 +enabled +[1-9]\d*\.\d +0\.0 +\d+ ")
        self.assertEqual(frame[-1], "21 more services do not fit")
        self.assertEqual(top.end(), 0)

    def test_rejections_are_activity(self):
        self.serve_controlled(self.section("a") + self.section("z", deny=["any"]))
        top = self.terminal()
        top.wait("SERVICE")
        for _ in range(5):
            self.assert_rejected(self.path("z.sock"))
        frame = top.wait(r"(?m)^z +enabled +0\.0 +[1-9]")
        self.assertEqual(self.names(frame), ["z", "a"])
        self.assertEqual(self.names(top.wait(r"(?m)^z +enabled +0\.0 +0\.0")), ["a", "z"])
        self.assertEqual(top.end(), 0)

    def test_it_outlives_reloads_upgrades_and_restarts(self):
        sup = self.serve_controlled(self.section("s"))
        self.greeted(sup.socket).close()
        top = self.terminal()
        top.wait(r"(?m)^s .* 1  ")
        self.reload(sup, self.controlled(self.section("s") + self.section("t")))
        sup.sockets.append(self.path("t.sock"))
        self.assertEqual(self.names(top.wait(r"(?m)^t ")), ["s", "t"])
        self.upgrade(sup)
        frame = top.wait("udsd was upgraded")
        self.assertRegex("\n".join(frame), r"(?m)^s .* 1  ")
        self.assertEqual(sup.stop(), 0)
        frame = top.wait("trying again: %s: No such file or directory" % self.control)
        self.assertEqual(self.names(frame), ["s", "t"])          # as they were
        time.sleep(1)
        self.serve_controlled(self.section("s"))
        frame = top.wait("udsd was restarted")
        self.assertRegex("\n".join(frame), r"(?m)^s +enabled +0\.0 +0\.0 +0  ")
        self.assertNotIn("trying again", "\n".join(frame))
        self.assertEqual(top.end(), 0)

    def test_a_supervisor_that_hangs_or_forbids_it(self):
        sup = self.serve_controlled(self.section("s"))
        top = self.terminal()
        top.wait("SERVICE")
        sup.kill(signal.SIGSTOP)
        top.wait("trying again: .*no answer within 2 s from udsd")
        sup.kill(signal.SIGCONT)
        frame = top.wait(r"^udsd [^\n]*\nSERVICE")               # the note has gone
        self.assertEqual(self.names(frame), ["s"])
        self.reload(sup, self.controlled(self.section("s"), control_allow=["uid:4242"]))
        top.wait("trying again: control-allow does not allow")
        self.assertEqual(top.end(), 0)

    def test_a_supervisor_that_stops(self):
        sup = self.serve_controlled(self.section("s"), stop_timeout="30s")
        held = self.greeted(sup.socket)
        top = self.terminal()
        top.wait("SERVICE")
        sup.kill(signal.SIGTERM)
        top.wait(r"udsd is stopping and waits for s \(1 connection\); handlers get SIGTERM in")
        held.close()
        top.wait("trying again")
        self.assertEqual(top.end(), 0)
        self.assertEqual(sup.wait(), 0)

    def test_no_terminal(self):
        self.serve_controlled(self.section("s"))
        self.assertEqual(self.ctl("top").split("\n")[0], self.ctl("status").split("\n")[0])

    def test_without_a_supervisor(self):
        top = self.terminal()
        while "running?" not in top.text:
            self.assertTrue(top.read(10))
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(top.pid, 0)[1]), 69)


if __name__ == "__main__":
    main()
