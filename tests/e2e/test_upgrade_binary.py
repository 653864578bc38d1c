#!/usr/bin/env python3
"""Upgrade (USR2): which binary, however udsd was started, refusals, and bad moments."""
import fcntl
import os
import shutil
import signal
import struct
import time

from lib import UDSD, complete, config, main, proc, wait_for
from lib.orders import OrderCase, identity, sockets_of

HUP, TERM, USR2 = signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2


class Upgrade(OrderCase):
    def setUp(self):
        super().setUp()
        self.binary = self.path("udsd-copy")
        shutil.copyfile(UDSD, self.binary)
        os.chmod(self.binary, 0o755)

    def serve_copy(self, text, **kw):
        """A supervisor whose binary a test may replace."""
        return self.udsd(text, executable=self.binary, **kw)

    def replace(self, text, mode=0o755):
        """Another program in the place of the binary."""
        os.replace(self.write("new", text, mode), self.binary)

    def replace_by_script(self, text):
        """One that in the end becomes udsd."""
        self.replace('#!/bin/sh\n%s\nexec %s "$@"\n' % (text, UDSD))

    def runs(self):
        with open(self.path("runs"), encoding="utf-8") as file:
            return file.read().splitlines()


class Binary(Upgrade):
    def test_the_installed_one_is_executed(self):
        sup = self.serve_copy(self.section("s"))
        held = self.greeted(sup.socket)
        self.replace_by_script('echo "$$ $1" >>%s' % self.path("runs"))
        self.upgrade(sup)
        self.assertEqual(sup.wait_event("upgrade", status="started")["binary"], self.binary)
        checks = [run.split() for run in self.runs()]
        self.assertEqual([(pid == str(sup.pid), word) for pid, word in checks],
                         [(False, "-t"), (True, "-f")])
        self.assertEqual(os.readlink("/proc/%d/exe" % sup.pid), os.path.realpath(UDSD))
        self.round_trip(held)
        self.greeted(sup.socket)

    def test_another_build_in_its_place(self):
        sup = self.serve_copy(self.section("s"))
        held = self.greeted(sup.socket)
        for _ in range(3):
            shutil.copyfile(UDSD, self.path("new"))
            os.chmod(self.path("new"), 0o755)
            os.replace(self.path("new"), self.binary)
            self.upgrade(sup)
            self.assertEqual(os.readlink("/proc/%d/exe" % sup.pid), self.binary)
            self.assertEqual(os.stat("/proc/%d/exe" % sup.pid).st_ino, identity(self.binary)[1])
            self.round_trip(held)
            self.greeted(sup.socket)

    def check_refused(self, sup, held, pattern):
        """It is refused, says why, and leaves nothing."""
        before = self.state(sup)
        self.upgrade(sup, "refused")
        self.assert_error(sup, pattern, "upgrade")
        self.assert_state(sup, before)
        self.round_trip(held)
        self.greeted(sup.socket).close()

    def test_one_that_does_not_work_is_refused(self):
        sup = self.serve_copy(self.section("s"))
        held = self.greeted(sup.socket)
        os.rename(self.binary, self.path("away"))
        self.check_refused(sup, held, "No such file")
        for text, mode, what in (("#!/bin/sh\nexit 0\n", 0o644, "denied"),
                                 ("", 0o755, "."),
                                 ("rubbish", 0o755, "Exec format"),
                                 ("#!/no/such\n", 0o755, "No such file"),
                                 ("#!/bin/sh\necho out; echo err >&2; printf '\\377\\033'; exit 1\n",
                                  0o755, "out\nerr\n"),
                                 ("#!/bin/sh\nkill -SEGV $$\n", 0o755, "."),
                                 ("#!/bin/sh\nyes | head -c 300000; exit 3\n", 0o755, "y\ny\n")):
            with self.subTest(text=text):
                self.replace(text, mode)
                self.check_refused(sup, held, what)
        os.rename(self.path("away"), self.binary)
        self.upgrade(sup)
        self.round_trip(held)

    def test_one_that_checks_well_and_cannot_be_executed_then(self):
        """Up to the exec nothing is lost."""
        sup = self.serve_copy(config(self.section("s"), pid_file=self.path("pid")))
        held = self.greeted(sup.socket)
        os.rename(self.binary, self.path("away"))
        self.replace("#!/bin/sh\nrm %s\n" % self.binary)
        self.upgrade(sup, "refused")
        self.round_trip(held)
        self.replace("#!/bin/sh\nchmod 644 %s\n" % self.binary)
        self.check_refused(sup, held, "denied")
        handler = self.script("fds", "ls -m /proc/self/fd; env")
        self.reload(sup, config(self.section("s", handler=[handler]), pid_file=self.path("pid")))
        answer = self.talk(sup.socket)
        self.assertTrue(answer.startswith(b"0, 1, 2, 3\n"), answer)
        self.assertNotIn(b"LISTEN_", answer)
        os.rename(self.path("away"), self.binary)
        self.upgrade(sup)
        self.round_trip(held)

    def test_a_bad_config_is_refused(self):
        sup = self.serve_copy(self.section("s"))
        held = self.greeted(sup.socket)
        self.rewrite(self.section("s") + "nonsense = 1\n")
        self.check_refused(sup, held, r"udsd\.conf:5: .*nonsense")
        os.unlink(self.path("udsd.conf"))
        self.check_refused(sup, held, r"udsd\.conf: .*No such file")
        self.rewrite(self.section("s", "two"))
        self.upgrade(sup)
        self.greeted(sup.socket, "two")

    def test_a_check_that_does_not_end_is_given_up(self):
        sup = self.serve_copy(self.section("s"))
        held = self.greeted(sup.socket)
        self.replace("#!/bin/sh\necho here; exec sleep 100\n")
        before, started = self.state(sup), time.monotonic()
        sup.kill(USR2)
        sup.kill(HUP)
        sup.wait_event("upgrade", status="refused", timeout=12)
        self.assertGreater(time.monotonic() - started, 8)
        self.assert_error(sup, "10 s", "upgrade")
        sup.wait_event("reload", status="done")
        self.assert_state(sup, before)
        self.round_trip(held)


class Started(Upgrade):
    """However udsd was started."""

    def test_as_a_daemon(self):
        sup = self.daemon(self.section("s"), executable=self.binary)
        held, before = self.greeted(sup.socket), self.files()
        self.replace_by_script('echo "$$ $*" >>%s' % self.path("runs"))
        for word in ("two", "three"):
            self.rewrite(config(self.section("s", word), pid_file=self.path("udsd.pid")))
            sup.kill(USR2)
            wait_for(lambda: self.visit(sup.socket) == word.encode() + b"\nx", what="an upgrade")
            self.round_trip(held)
        self.assertIn("%d -fs -c %s" % (sup.pid, self.path("udsd.conf")), self.runs())
        self.assertEqual(before[self.path("udsd.pid")], identity(self.path("udsd.pid")))
        with open(self.path("udsd.pid"), "rb+") as file:
            asked = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind = struct.unpack("hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0]
        self.assertNotEqual(kind, fcntl.F_UNLCK)
        self.assertEqual([proc.fds(sup.pid)[fd] for fd in (0, 1, 2)], ["/dev/null"] * 3)
        self.assertEqual(sup.stop(), 0)
        self.assert_end(held)
        self.assertFalse(os.path.lexists(self.path("udsd.pid")))

    def test_with_a_relative_config_and_options(self):
        self.write("udsd.conf", complete(config(self.section("s"), log_level="error")))
        sup = self.start(["-f", "-c", "udsd.conf", "-p", self.path("pid"), "-l", "info"],
                         cwd=self.dir)
        sup.sockets = [self.path("s.sock")]
        self.wait_ready(sup)
        before = self.files()
        for _ in range(2):
            self.greeted(sup.socket).close()
            self.upgrade(sup)
            self.assertEqual(self.files(), {**before, self.path("tag"): identity(self.tag())})
        self.greeted(sup.socket)

    def test_without_a_config(self):
        sup = self.serve_bare(self.path("s"), [self.tag(), "one"], "environment=A=b c",
                              "max-connections=3")
        held, before = [self.greeted(sup.socket)], identity(sup.socket)
        for _ in range(2):
            self.upgrade(sup)
            held.append(self.greeted(sup.socket))
            self.assertEqual(identity(sup.socket), before)
        for sock in held:
            self.round_trip(sock)
        self.assertEqual(sup.wait_events(3, "open")[2]["conn"], "3")

    def test_without_a_config_by_relative_paths(self):
        self.tag()
        sup = self.start(["./s", "./tag", "one"], cwd=self.dir)
        sup.sockets = [self.path("s")]
        self.wait_ready(sup)
        held, before = self.greeted(self.path("s")), identity(self.path("s"))
        self.upgrade(sup)
        self.assertEqual(identity(self.path("s")), before)
        self.greeted(self.path("s"))
        self.round_trip(held)

    def test_before_the_first_connection(self):
        sup = self.udsd(self.section("s"))
        before = identity(sup.socket)
        for _ in range(2):
            self.upgrade(sup)
        self.assertEqual(identity(sup.socket), before)
        self.greeted(sup.socket)


class Moments(Upgrade):
    def test_hup_and_usr2_at_once(self):
        sup = self.udsd(self.section("s"))
        held = self.greeted(sup.socket)
        text = self.section("s", "two") + self.section("t")
        self.rewrite(text)
        sup.sockets += sockets_of(text)
        os.kill(sup.pid, signal.SIGSTOP)
        for number in (USR2, HUP):
            sup.kill(number)
        os.kill(sup.pid, signal.SIGCONT)
        sup.wait_event("reload", status="done", changed=1, added=1)
        sup.wait_event("upgrade", status="done")
        self.greeted(sup.socket, "two")
        self.round_trip(held)

    def test_hup_while_the_new_binary_checks(self):
        sup = self.serve_copy(self.section("s"))
        held = self.greeted(sup.socket)
        self.replace_by_script('[ "$1" != -t ] || [ -e %s ] || { touch %s; read line <%s; }'
                               % (self.path("here"), self.path("here"), self.path("fifo")))
        os.mkfifo(self.path("fifo"), 0o644)
        sup.kill(USR2)
        wait_for(lambda: os.path.exists(self.path("here")), what="the check")
        sup.kill(HUP)
        sup.kill(USR2)
        self.greeted(sup.socket).close()
        self.assertEqual(self.results(sup, "reload"), [])
        self.write("fifo", "go\n")
        sup.wait_event("upgrade", status="done")
        self.round_trip(held)
        wait_for(lambda: self.results(sup, "reload"), what="the reload to be done or refused")
        self.greeted(sup.socket)

    def test_usr2_while_it_stops(self):
        sup = self.udsd(config(self.section("s"), stop_timeout="20s"))
        held = self.greeted(sup.socket)
        sup.kill(TERM)
        wait_for(lambda: not os.path.lexists(sup.socket), what="the path to go")
        sup.kill(USR2)
        self.assertIn("stopping", sup.wait_event("upgrade", status="refused")["error"])
        self.round_trip(held)
        held.close()
        self.assertEqual(sup.wait(), 0)

    def test_term_while_the_new_binary_checks(self):
        sup = self.serve_copy(config(self.section("s"), stop_timeout="0"))
        held = self.greeted(sup.socket)
        self.replace("#!/bin/sh\ntouch %s; exec sleep 100\n" % self.path("here"))
        sup.kill(USR2)
        wait_for(lambda: os.path.exists(self.path("here")), what="the check")
        family, started = sup.family(), time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assert_quick(started, 1.5)
        self.assert_end(held)
        sup.wait_event("upgrade", status="refused")
        wait_for(lambda: not any(map(proc.is_alive, family)), 1, "all to end")

    def test_term_right_after_usr2(self):
        """At any moment of an upgrade: a clean end, and nothing is left."""
        for number in range(20):
            with self.subTest(number=number):
                sup = self.udsd(config(self.section("s"), pid_file=self.path("pid"),
                                       stop_timeout="0"))
                held = self.greeted(sup.socket)
                sup.kill(USR2)
                time.sleep(number * 0.003)
                self.assertEqual(sup.stop(), 0)
                self.assert_end(held)
                self.assertEqual(len(sup.events("close")), 1)
                self.assertFalse(os.path.lexists(self.path("pid")))

    def test_upgrades_in_a_burst(self):
        sup = self.udsd(self.section("s"))
        held = self.greeted(sup.socket)
        for _ in range(30):
            sup.kill(USR2)
            self.assertEqual(self.visit(sup.socket), b"one\nx")
        wait_for(lambda: len(sup.events("upgrade", status="started"))
                 == len(sup.events("upgrade", status="done")) > 0, what="the last upgrade")
        self.upgrade(sup)
        self.round_trip(held)
        wait_for(lambda: len(sup.family()) <= 6, what="old workers to end")

    def test_while_a_removed_service_retires(self):
        """Its last clients are served first."""
        handler = self.script("h", "read line; echo got $line\n")
        sup = self.udsd(self.section("s", handler=[handler], max_connections=1)
                        + self.section("t"))
        socks = [self.connect(sup.socket) for _ in range(3)]
        for number, sock in enumerate(socks[1:], 1):
            sock.sendall(b"%d\n" % number)
        sup.wait_event("open")
        self.rewrite(self.section("t"))
        sup.kill(HUP)
        wait_for(lambda: not os.path.lexists(sup.socket), what="the path to go")
        sup.kill(USR2)
        socks[0].sendall(b"0\n")
        for number, sock in enumerate(socks):
            self.assert_end(sock, b"got %d\n" % number)
        sup.wait_event("upgrade", status="done")


if __name__ == "__main__":
    main()
