#!/usr/bin/env python3
"""Reloads that are refused, and reloads at bad moments: what runs stays whole."""
import fcntl
import os
import resource
import signal
import struct
import time

from lib import complete, config, main, needs_root, needs_user, proc, wait_for
from lib.orders import OrderCase, identity

HUP, TERM = signal.SIGHUP, signal.SIGTERM


class Refused(OrderCase):
    """A service that is served by the old config, whatever the new one says."""

    def setUp(self):
        super().setUp()
        self.text = self.section("s")
        self.good = self.section("s", "two", socket_mode="0666") + self.section("new")
        self.sup = self.udsd(self.text)
        self.held = self.greeted(self.sup.socket)
        self.worker = self.sup.worker("s")

    def check(self, pattern=None, text=None):
        """A reload is refused, and says why; nothing has changed, nor is anything new."""
        before = self.state(self.sup)
        mode = os.stat(self.sup.socket).st_mode
        started = time.monotonic()
        self.reload(self.sup, text, "refused")
        self.assert_quick(started, 5)
        if pattern:
            self.assert_error(self.sup, pattern)
        self.assert_state(self.sup, before)
        self.assertEqual(os.stat(self.sup.socket).st_mode, mode)
        self.assertEqual(self.sup.workers("s"), [self.worker])
        self.round_trip(self.held)
        self.greeted(self.sup.socket).close()

    def test_what_the_config_gets_wrong(self):
        for bad, what in ((self.section("s") + "nonsense = 1\n", r"udsd\.conf:5: .*nonsense"),
                          ("service s {\n", r"udsd\.conf:\d+: "),
                          (self.section("s", user="no-such-user"), r"udsd\.conf:4: .*no-such-user"),
                          (self.section("s") + self.section("s"), r"udsd\.conf:\d+: .*s\b"),
                          (self.section("s", handler=["/no/such"]), r"udsd\.conf:3: .*/no/such"),
                          (self.section("s", socket="relative"), r"udsd\.conf:2: .*relative"),
                          (self.section("s", allow=["group:no-such"]), r"udsd\.conf:4: .*no-such"),
                          ("a = 1\nb = 2\n", r"udsd\.conf:1: .*\n.*udsd\.conf:2: ")):
            with self.subTest(bad=bad):
                self.check(what, bad)

    def test_no_file_or_none_that_can_be_read(self):
        conf = self.path("udsd.conf")
        self.rewrite(self.good)
        os.rename(conf, self.path("away.conf"))
        self.check(r"udsd\.conf: .*No such file")
        os.mkfifo(conf, 0o600)
        self.check(r"udsd\.conf: .*not a regular file")
        os.unlink(conf)
        os.symlink("/dev/zero", conf)
        self.check(r"udsd\.conf: .*not a regular file")
        os.unlink(conf)
        os.mkdir(conf)
        self.check(r"udsd\.conf: ")
        os.rmdir(conf)
        self.write("udsd.conf", self.text + "#" * (1 << 20))
        self.check(r"udsd\.conf: .*larger")
        self.assertTrue(self.reload(self.sup, self.good))

    @needs_root
    def test_a_file_that_others_may_write(self):
        os.chmod(self.path("udsd.conf"), 0o666)
        self.check(r"udsd\.conf: .*writable")

    @needs_user
    def test_a_file_that_is_not_ours_to_read(self):
        os.chmod(self.path("udsd.conf"), 0)
        self.check(r"udsd\.conf: .*denied")

    def test_a_socket_that_another_serves_or_a_file_in_the_way(self):
        """After changes that were good, which must not be applied either."""
        other = self.client()
        other.bind(self.path("taken"))
        other.listen()
        self.write("file", "mine")
        for name in ("taken", "file"):
            bad = self.section("t", socket=self.path(name))
            for text in (self.good + bad, bad + self.good, self.section("s", type="seqpacket") + bad):
                with self.subTest(name=name, text=text):
                    self.check(r"udsd\.conf:\d+: error: service t: .*" + self.path(name), text)
        self.assertEqual(len(self.sup.events("listen")), 1)
        os.unlink(self.path("file"))
        self.assertEqual(self.reload(self.sup, self.good + bad)["added"], "2")
        self.greeted(self.path("file"))

    def test_a_directory_that_cannot_be(self):
        self.write("file", "")
        self.check("file/t", self.good + self.section("t", socket=self.path("file/t")))

    @needs_user
    def test_a_directory_that_is_not_ours(self):
        os.chmod(self.folder("closed"), 0o500)
        self.check("closed/t", self.good + self.section("t", socket=self.path("closed/t")))

    def test_an_abstract_name_that_another_has(self):
        name = "@udsd-e2e-taken-%d" % os.getpid()
        self.client().bind("\0" + name[1:])
        self.check(name, self.good + self.section("t", socket=name, allow=["any"]))

    def test_no_descriptor_left(self):
        """Whatever the step at which they run out."""
        most = max(proc.fds(self.sup.pid)) + 1
        hard = resource.prlimit(self.sup.pid, resource.RLIMIT_NOFILE)
        self.rewrite(self.good + self.section("t"))
        for more_fds in range(0, 40):
            if more_fds and self.results(self.sup, "reload")[-1]["status"] == "done":
                break
            resource.prlimit(self.sup.pid, resource.RLIMIT_NOFILE, (most + more_fds, hard[1]))
            before = self.state(self.sup)
            count = len(self.results(self.sup, "reload"))
            self.sup.kill(HUP)
            wait_for(lambda: len(self.results(self.sup, "reload")) > count, what="its end")
            if self.results(self.sup, "reload")[-1]["status"] == "refused":
                self.assert_state(self.sup, before)
                self.greeted(self.sup.socket).close()
        resource.prlimit(self.sup.pid, resource.RLIMIT_NOFILE, hard)
        self.assertGreater(len(self.sup.events("reload", status="refused")), 2)
        self.sup.sockets += [self.path("new.sock"), self.path("t.sock")]
        self.greeted(self.path("t.sock"))
        self.greeted(self.sup.socket, "two")
        self.round_trip(self.held)

    def test_a_refused_one_does_not_count_as_the_last(self):
        self.check("nonsense", self.good + "nonsense = 1\n")
        result = self.reload(self.sup, self.good)
        self.assertEqual((result["added"], result["changed"]), ("1", "1"))
        self.greeted(self.sup.socket, "two")
        self.round_trip(self.held)


class PidFile(OrderCase):
    def pid_in(self, name):
        with open(self.path(name), encoding="ascii") as file:
            return int(file.read())

    def is_locked(self, name):
        """Whether a process has a lock of the kind that udsd takes."""
        with open(self.path(name), "rb+") as file:
            asked = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            return struct.unpack("hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK

    def test_it_moves(self):
        sup = self.udsd(config(self.section("s"), pid_file=self.path("one.pid")))
        for old, new in (("one.pid", "two.pid"), ("two.pid", "d/three.pid")):
            self.reload(sup, config(self.section("s"), pid_file=self.path(new)))
            self.assertFalse(os.path.lexists(self.path(old)))
            self.assertEqual(self.pid_in(new), sup.pid)
            self.assertTrue(self.is_locked(new))
        self.reload(sup, config(self.section("s"), pid_file=""))
        self.assertFalse(os.path.lexists(self.path("d/three.pid")))
        self.reload(sup, config(self.section("s"), pid_file=self.path("one.pid")))
        self.assertTrue(self.is_locked("one.pid"))
        self.assertEqual(sup.stop(), 0)
        self.assertFalse(os.path.lexists(self.path("one.pid")))

    def test_another_name_of_the_same_one(self):
        self.folder("run")
        os.symlink("run", self.path("var-run"))
        sup = self.udsd(config(self.section("s"), pid_file=self.path("var-run/pid")))
        self.reload(sup, config(self.section("s"), pid_file=self.path("run/pid")))
        self.assertEqual(self.pid_in("run/pid"), sup.pid)
        self.assertTrue(self.is_locked("run/pid"))
        self.assertEqual(sup.stop(), 0)
        self.assertFalse(os.path.lexists(self.path("run/pid")))

    def test_it_stays_locked_when_all_else_changes(self):
        text = config(pid_file=self.path("pid"))
        sup = self.udsd(text + self.section("s"))
        before = identity(self.path("pid"))
        for word in ("two", "three"):
            self.reload(sup, text + self.section("s", word))
            self.assertEqual(identity(self.path("pid")), before)
            self.assertTrue(self.is_locked("pid"))
        self.reload(sup, text + "nonsense = 1\n", "refused")
        self.assertTrue(self.is_locked("pid"))

    def test_one_that_is_held_is_refused(self):
        other = self.udsd(config(self.section("o"), pid_file=self.path("held")), name="other.conf")
        sup = self.udsd(config(self.section("s"), pid_file=self.path("pid")))
        self.reload(sup, config(self.section("s", "two", socket_mode="666") + self.section("t"),
                                pid_file=self.path("held")), "refused")
        self.assert_error(sup, self.path("held"))
        self.assertEqual((self.pid_in("held"), self.pid_in("pid")), (other.pid, sup.pid))
        self.assertTrue(self.is_locked("held") and self.is_locked("pid"))
        self.assertFalse(os.path.lexists(self.path("t.sock")))
        self.assertEqual(os.stat(sup.socket).st_mode & 0o777, 0o600)
        self.greeted(sup.socket)

    def test_options_override_it_still(self):
        text = config(self.section("s"), pid_file=self.path("config.pid"), log_level="debug")
        sup = self.udsd(text, args=["-p", self.path("option.pid"), "-l", "notice"],
                        ready="path")
        self.reload(sup, text + self.section("t"))
        self.greeted(self.path("t.sock")).close()
        self.assertEqual(self.pid_in("option.pid"), sup.pid)
        self.assertFalse(os.path.lexists(self.path("config.pid")))
        self.assertEqual(self.reload(sup)["changed"], "0")
        self.assertEqual(sup.events("open") + sup.events("worker"), [])


class Started(OrderCase):
    """However udsd was started."""

    def test_with_a_relative_config(self):
        self.write("udsd.conf", complete(self.section("s")))
        sup = self.start(["-f", "-c", "udsd.conf"], cwd=self.dir)
        sup.sockets = [self.path("s.sock")]
        self.wait_ready(sup)
        self.reload(sup, self.section("s", "two"))
        self.greeted(sup.socket, "two")

    def test_without_a_config(self):
        sup = self.serve_bare(self.path("s"), [self.tag(), "one"])
        held = self.greeted(sup.socket)
        before = self.state(sup)
        for _ in range(3):
            result = self.reload(sup)
            self.assertEqual([result[key] for key in ("added", "changed", "removed")], ["0"] * 3)
        self.assert_state(sup, before)
        self.round_trip(held)
        self.greeted(sup.socket)

    def test_without_a_config_by_relative_paths(self):
        self.tag()
        sup = self.start(["./s", "./tag", "one"], cwd=self.dir)
        sup.sockets = [self.path("s")]
        self.wait_ready(sup)
        held, before = self.greeted(self.path("s")), identity(self.path("s"))
        self.reload(sup)
        self.assertEqual(identity(self.path("s")), before)
        self.greeted(self.path("s"))
        self.round_trip(held)


class Moments(OrderCase):
    def test_a_burst_ends_in_what_was_written_last(self):
        sup = self.udsd(self.section("s", "0"))
        for number in range(50):
            self.rewrite(self.section("s", str(number)))
            sup.kill(HUP)
        self.rewrite(self.section("s", "last"))
        sup.kill(HUP)
        wait_for(lambda: self.visit(sup.socket) == b"last\nx", what="the last config")
        wait_for(lambda: not sup.named("udsd: config"), what="the last reload")
        self.greeted(sup.socket, "last")
        self.assertEqual(sup.events("reload", status="refused"), [])
        wait_for(lambda: len(sup.workers("s")) == 1, what="old workers to end")

    def test_hup_while_it_stops(self):
        sup = self.udsd(config(self.section("s"), stop_timeout="20s"))
        held = self.greeted(sup.socket)
        sup.kill(TERM)
        wait_for(lambda: not os.path.lexists(sup.socket), what="the path to go")
        sup.kill(HUP)
        self.assertIn("stopping", sup.wait_event("reload", status="refused")["error"])
        self.round_trip(held)
        self.assert_refused(sup.socket)
        held.close()
        self.assertEqual(sup.wait(), 0)

    def test_term_while_it_reads_the_config(self):
        for held in (False, True):
            with self.subTest(held=held):
                sup = self.udsd(config(self.section("s"), stop_timeout="0"))
                sock = self.greeted(sup.socket) if held else None
                if not os.path.exists(self.path("slow")):
                    self.pattern = self.slow_pattern()
                self.rewrite(config(self.section("s", "two"), include=[self.pattern]))
                sup.kill(HUP)
                child = self.config_child(sup)
                started = time.monotonic()
                self.assertEqual(sup.stop(), 0)
                self.assert_quick(started, 1.5)
                self.assertFalse(proc.is_alive(child))
                self.assertEqual(len(sup.events("reload", status="refused")), 1)
                if sock:
                    self.assert_end(sock)

    def test_clients_are_served_while_it_reads_the_config(self):
        sup = self.udsd(self.section("s"))
        self.rewrite(config(self.section("s", "two"), include=[self.slow_pattern()]))
        sup.kill(HUP)
        child = self.config_child(sup)
        for _ in range(5):
            self.greeted(sup.socket).close()
        self.assertEqual(sup.named("udsd: config"), [child])
        sup.kill(HUP)
        os.kill(child, signal.SIGKILL)
        sup.wait_event("reload", status="refused")
        self.assert_error(sup, "signal KILL")
        self.rewrite(self.section("s", "three"))
        os.kill(self.config_child(sup), signal.SIGKILL)
        sup.wait_events(2, "reload", status="refused")
        self.greeted(sup.socket)

    def test_a_check_that_does_not_end_is_given_up(self):
        sup = self.udsd(self.section("s"))
        self.rewrite(config(self.section("s", "two"), include=[self.slow_pattern(1200)]))
        before, started = self.state(sup), time.monotonic()
        sup.kill(HUP)
        sup.wait_event("reload", status="refused", timeout=12)
        self.assertGreater(time.monotonic() - started, 9)
        self.assert_error(sup, "10 s")
        self.assert_state(sup, before)
        self.greeted(sup.socket)
        self.reload(sup, self.section("s", "two"))
        self.greeted(sup.socket, "two")

    def test_a_check_that_is_stopped_is_given_up(self):
        sup = self.udsd(self.section("s"))
        self.rewrite(config(self.section("s", "two"), include=[self.slow_pattern()]))
        sup.kill(HUP)
        os.kill(self.config_child(sup), signal.SIGSTOP)
        sup.wait_event("reload", status="refused", timeout=12)
        self.greeted(sup.socket)

    def test_a_stopped_worker_does_not_hold_it_up(self):
        sup = self.udsd(self.section("s"))
        held, worker = self.greeted(sup.socket), sup.worker("s")
        self.rewrite(self.section("s", "two"))
        os.kill(worker, signal.SIGSTOP)
        started = time.monotonic()
        self.order(sup, HUP, "reload", "done")
        self.assert_quick(started, 2)
        self.greeted(sup.socket, "two")
        self.round_trip(held)
        held.close()
        sup.wait_event("close", conn=1, status="exit:0")


class Generations(OrderCase):
    """Handlers of workers that a reload has replaced are handlers of their service."""

    def test_they_count_against_max_connections(self):
        values = {"max_connections": 2, "overflow": "reject"}
        sup = self.udsd(self.section("s", **values))
        held = [self.greeted(sup.socket)]
        self.reload(sup, self.section("s", "two", **values))
        held.append(self.greeted(sup.socket, "two"))
        self.reload(sup, self.section("s", "three", **values))
        self.assert_rejected(sup.socket)
        sup.wait_event("reject", reason="limit")
        held.pop(0).close()
        sup.wait_event("close", conn=1)
        wait_for(lambda: self.visit(sup.socket) == b"three\nx", what="a place")
        sup.wait_events(2, "close")     # its end was seen before its place was free again
        self.assert_rejected_again(sup, values, held)

    def assert_rejected_again(self, sup, values, held):
        """Also when their worker has exited."""
        held.append(self.greeted(sup.socket, "three"))
        sup.wait_events(3, "open")
        for worker in sup.workers("s"):
            self.kill_worker(sup, "s", worker)
        self.reload(sup, self.section("s", "four", **values))
        self.assert_rejected(sup.socket)
        for sock in held:
            self.round_trip(sock)

    def test_they_count_against_their_user(self):
        values = {"max_connections_per_user": 2, "max_connections": 10}
        sup = self.udsd(self.section("s", **values))
        held = [self.greeted(sup.socket)]
        self.reload(sup, self.section("s", "two", **values))
        held.append(self.greeted(sup.socket, "two"))
        self.reload(sup, self.section("s", "three", **values))
        self.assert_rejected(sup.socket)
        sup.wait_event("reject", reason="user-limit")
        held.pop().close()
        wait_for(lambda: self.visit(sup.socket) == b"three\nx", what="a place")

    def test_a_stop_ends_them(self):
        sup = self.udsd(config(self.section("s"), stop_timeout="200ms"))
        socks = [self.greeted(sup.socket)]
        for word in ("two", "three"):
            self.reload(sup, config(self.section("s", word), stop_timeout="200ms"))
            socks.append(self.greeted(sup.socket, word))
        self.assertEqual(sup.stop(), 0)
        for sock in socks:
            self.assert_end(sock)
        self.assertEqual(len(sup.events("close", status="signal:TERM")), 3)

    def test_nothing_is_left_of_them(self):
        sup = self.udsd(self.section("s") + self.section("t"))
        for path in sup.sockets:
            self.greeted(path).close()
        counts = []
        for number in range(21):
            self.reload(sup, self.section("s", str(number)) + self.section("t")
                        + (self.section("u") if number % 2 else ""))
            self.greeted(self.path("s.sock"), str(number)).close()
            sup.wait_events(number + 3, "close")
            wait_for(lambda: len(sup.family()) == 4, what="old workers to end")
            counts.append(len(proc.fds(sup.pid)))
        wait_for(lambda: len(proc.fds(sup.pid)) <= counts[0], what="%s descriptors" % counts)

    def test_clients_all_the_time(self):
        """Two services; one is changed again and again, the other is not."""
        texts = [self.section("a", word, umask="02%d" % number)
                 + self.section("b") + self.section("c%d" % number)
                 for number, word in enumerate(("one", "two"))]
        sup = self.udsd(texts[0])
        end = self.clients([self.path("a.sock"), self.path("b.sock")], (b"one\nx", b"two\nx"), 2)
        for number in range(50):
            self.reload(sup, texts[(number + 1) % 2])
        served, wrong = end()
        self.assertEqual(wrong, [])
        self.assertGreater(served, 50)


if __name__ == "__main__":
    main()
