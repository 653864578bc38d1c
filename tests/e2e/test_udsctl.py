#!/usr/bin/env python3
"""udsctl: what it shows and does, for people and for scripts."""
import json
import os
import pwd
import re
import signal
import subprocess

from lib import SRC, UDSCTL, main, needs, needs_root, service, wait_for
from lib.control_socket import ControlCase
from lib.supervisor import kill_worker

ME = pwd.getpwuid(os.geteuid()).pw_name
STUBBORN = "trap '' TERM\necho one\ncat\n"


class Shown(ControlCase):
    def states(self):
        return {row["service"]: row["state"] for row in json.loads(
            self.ctl("--json", "status"))["services"]}

    def test_a_table_of_services(self):
        self.serve_controlled(self.section("beta", max_connections=7) + self.section("alpha"))
        self.greeted(self.path("beta.sock"))
        # The client may be answered before its connection is counted.
        lines = wait_for(lambda: [lines for lines in [self.ctl("status").splitlines()]
                                  if re.search(r" 1 +1 +- +0 ", lines[-1])], what="beta's counters")[0]
        self.assertEqual([line.split()[0] for line in lines], ["SERVICE", "alpha", "beta"])
        self.assertEqual(lines[0].split(), "SERVICE STATE LIVE LIMIT PEAK TOTAL REJECTED FAILED "
                         "WORKER UPTIME SOCKET".split())
        self.assertRegex(lines[2], r"^beta +enabled +1 +7 +1 +1 +- +0 +\d+ +\d+s +%s$"
                         % self.path("beta.sock"))
        self.assertEqual({line.index("/") for line in lines[1:]}, {lines[0].index("SOCKET")})

    def test_all_of_one(self):
        self.serve_controlled(self.section("s", deny=["uid:%d" % os.geteuid()])
                              + self.section("t"))
        self.assert_rejected(self.path("s.sock"))
        text = self.ctl("status", "s")
        for line in ("s: enabled", "  rejected-rule +1 ", "  live +0 of 64", "  total +0 "):
            self.assertRegex(text, "(?m)^" + line)
        self.assertNotIn("t: ", text)

    def test_states(self):
        missing = self.script("missing", "exit 0\n")
        sup = self.serve_controlled(
            self.section("a") + self.section("off", enabled=False) + self.section("lost")
            + service("bad", socket=self.path("bad.sock"), handler=[missing]))
        os.unlink(missing)
        self.assert_end(self.connect(self.path("bad.sock")))
        os.unlink(self.path("lost.sock"))
        os.mkdir(self.path("lost.sock"))
        self.kept.add(self.path("lost.sock"))
        wait_for(lambda: self.states()["lost"] == "displaced", what="lost")
        self.assertEqual(self.states()["a"], "enabled")
        self.assertEqual(self.states()["off"], "disabled")
        self.wait_for_back_off(lambda: self.states()["bad"] == "backing-off")
        self.wait_for_back_off(lambda: re.search("(?m)^bad +backing-off [0-9]+s ",
                                                 self.ctl("status")))
        self.assertEqual(self.status("bad")["rejected-rule"], 0)
        self.assertGreater(self.status("bad")["failures"], 0)
        os.rmdir(self.path("lost.sock"))

    def wait_for_back_off(self, is_seen):
        """It ends by itself, and begins anew with the next client."""
        wait_for(lambda: (self.talk_quietly("bad.sock"), is_seen())[1], 20, "back-off")

    def talk_quietly(self, name):
        try:
            return self.talk(self.path(name))
        except OSError:
            return None

    def test_live_connections(self):
        sup = self.serve_controlled(self.section("s", allow=["self", "any"])
                                    + self.section("other"))
        socks = [self.greeted(sup.socket) for _ in range(12)]
        self.greeted(self.path("other.sock"))
        lines = self.ctl("list").splitlines()
        self.assertEqual(lines[0].split(), "SERVICE CONN PID USER PEER-PID AGE RULE".split())
        self.assertEqual([line.split()[:2] for line in lines[1:]],
                         [["other", "1"]] + [["s", str(n)] for n in range(1, 13)])
        rows = {row["conn"]: row for row in self.listed("s")}
        for event in sup.wait_events(12, "open", service="s"):
            row = rows[int(event["conn"])]
            self.assertEqual((row["pid"], row["peer-pid"]), (int(event["pid"]), os.getpid()))
            self.assertEqual((row["peer-user"], row["rule"]), (ME, event["rule"]))
            self.assertLess(row["age"], 60)
        socks[3].close()
        wait_for(lambda: len(self.listed("s")) == 11, what="one less")
        self.assertEqual(self.ctl("list", "s").count(" %s " % ME), 11)

    def test_handlers_of_all_generations_and_of_dead_workers(self):
        sup = self.serve_controlled(self.section("s"))
        self.greeted(sup.socket)
        kill_worker(sup)
        self.greeted(sup.socket)
        self.reload(sup, self.controlled(self.section("s", "two")))
        self.greeted(sup.socket, "two")
        self.upgrade(sup)
        self.greeted(sup.socket, "two")
        self.assertEqual([row["conn"] for row in self.listed("s")], [1, 2, 3, 4])
        self.assertEqual(self.status("s")["live"], 4)

    def test_a_removed_service_that_lives_yet(self):
        sup = self.serve_controlled(self.section("s") + self.section("t"))
        held = self.greeted(self.path("t.sock"))
        self.reload(sup, self.controlled(self.section("s")))
        self.assertEqual(self.status("t")["state"], "draining")
        self.assertEqual(len(self.listed("t")), 1)
        self.assertIn("removed", self.ctl("enable", "t", status=1))
        held.close()
        wait_for(lambda: "t" not in self.states(), what="its end")
        self.ctl("status", "t", status=1)

    def test_a_service_that_accepts_itself(self):
        handler = self.script("wait", "exec sleep 30\n")
        self.serve_controlled(service("w", socket=self.path("w.sock"), handler=[handler],
                                      wait=True))
        self.connect(self.path("w.sock"))
        pid = wait_for(lambda: self.status("w")["worker"], what="its handler")
        self.assertRegex(self.ctl("status"), r"(?m)^w +enabled +- +- +- +- .* %d " % pid)
        self.assertRegex(self.ctl("status", "w"), "handler +%d" % pid)

    def test_json_is_for_every_parser(self):
        self.serve_controlled(self.section("s", allow=["any"]))
        self.greeted(self.path("s.sock"))
        wait_for(lambda: self.status("s")["peak"] == 1, what="the worker's count")
        told = json.loads(self.ctl("status", "--json"))
        self.assertEqual(set(told), {"udsd", "services"})
        self.assertEqual(told["udsd"]["services"], 1)
        row = told["services"][0]
        self.assertEqual((row["live"], row["peak"], row["limit"]), (1, 1, 64))
        self.assertEqual(row["exits"], {})
        self.assertIsInstance(row["uptime"], float)


class Steering(ControlCase):
    def test_kill(self):
        sup = self.serve_controlled(self.section("s"))
        socks = [self.greeted(sup.socket) for _ in range(3)]
        self.ctl("kill", "s", "2")
        self.assert_end(socks[1])
        sup.wait_event("close", conn=2, status="signal:TERM")
        for sock in (socks[0], socks[2]):
            self.round_trip(sock)
        self.assertIn("no live connection", self.ctl("kill", "s", "2", status=1))

    def test_kill_ends_the_whole_group_after_the_grace(self):
        handler = self.script("stubborn", "(%s) &\n%s" % (STUBBORN, STUBBORN))
        sup = self.serve_controlled(service("s", socket=self.path("s.sock"), handler=[handler],
                                            kill_grace="100ms"))
        sock = self.connect(sup.socket)
        self.assertEqual(self.receive(sock, 8), b"one\none\n")
        self.ctl("kill", "s", "1")
        self.assert_end(sock)
        sup.wait_event("close", conn=1, status="signal:KILL")

    def test_kill_in_whichever_generation(self):
        """A worker that a reload has replaced, one from before an upgrade, and the supervisor."""
        sup = self.serve_controlled(self.section("s"))
        socks = [self.greeted(sup.socket)]
        kill_worker(sup)
        socks.append(self.greeted(sup.socket))
        self.reload(sup, self.controlled(self.section("s", "two")))
        socks.append(self.greeted(sup.socket, "two"))
        self.upgrade(sup)
        socks.append(self.greeted(sup.socket, "two"))
        for number in (4, 1, 3, 2):
            self.ctl("kill", "s", str(number))
            self.assert_end(socks[number - 1])
        sup.wait_events(4, "close", status="signal:TERM")

    def test_disable_and_enable(self):
        sup = self.serve_controlled(self.section("s") + self.section("t"))
        held = self.greeted(sup.socket)
        self.ctl("disable", "s")
        self.assert_refused(sup.socket)
        self.assertEqual(self.status("s")["state"], "draining")
        self.round_trip(held)
        self.greeted(self.path("t.sock"))
        self.ctl("disable", "s")                # is no error
        self.ctl("enable", "s")
        self.greeted(sup.socket)
        wait_for(lambda: self.status("s")["total"] == 2, what="the worker's count")
        self.assertEqual(self.status("s")["live"], 2)
        held.close()

    def test_disabled_until_a_reload(self):
        sup = self.serve_controlled(self.section("s"))
        self.greeted(sup.socket).close()
        sup.wait_event("close")
        self.ctl("disable", "s")
        wait_for(lambda: self.status("s")["state"] == "disabled", what="its end")
        self.assertFalse(os.path.lexists(sup.socket))
        self.reload(sup)
        self.greeted(sup.socket)
        wait_for(lambda: self.status("s")["total"] == 2, what="the count, which is not forgotten")

    def test_enabled_against_the_config_until_a_reload(self):
        sup = self.serve_controlled(self.section("s", enabled=False))
        self.ctl("enable", "s")
        self.greeted(self.path("s.sock"))
        self.reload(sup)
        self.assertFalse(os.path.lexists(self.path("s.sock")))

    def test_a_disabled_one_stays_so_when_its_path_is_looked_at(self):
        sup = self.serve_controlled(self.section("s") + self.section("t"))
        self.ctl("disable", "s")
        os.unlink(self.path("t.sock"))
        wait_for(lambda: os.path.exists(self.path("t.sock")), what="t's path")
        self.assertFalse(os.path.lexists(sup.socket))

    def test_enable_where_another_socket_is(self):
        sup = self.serve_controlled(self.section("s"))
        self.ctl("disable", "s")
        os.mkdir(sup.socket)
        self.assertIn("not a socket", self.ctl("enable", "s", status=1))
        os.rmdir(sup.socket)
        self.ctl("enable", "s")
        self.greeted(sup.socket)

    def test_drain_waits_for_the_last(self):
        sup = self.serve_controlled(self.section("s"))
        socks = [self.greeted(sup.socket) for _ in range(2)]
        drain = self.spawn([UDSCTL, "-s", self.control, "drain", "s"])
        wait_for(lambda: not os.path.lexists(sup.socket), what="the path to go")
        socks[0].close()
        sup.wait_event("close")
        self.assertIsNone(drain.poll())
        socks[1].close()
        self.assertEqual(drain.wait(10), 0)
        self.assertEqual(self.status("s")["state"], "disabled")

    def test_drain_ends_at_an_enable(self):
        sup = self.serve_controlled(self.section("s"))
        self.greeted(sup.socket)
        drain = self.spawn([UDSCTL, "-s", self.control, "drain", "s"], stderr=subprocess.PIPE)
        wait_for(lambda: self.status("s")["state"] == "draining", what="draining")
        self.ctl("enable", "s")
        self.assertEqual(drain.wait(10), 1)
        self.assertIn(b"enabled it again", drain.stderr.read())

    def test_reload(self):
        sup = self.serve_controlled(self.section("s"))
        self.rewrite(self.controlled(self.section("s", "two") + self.section("t")))
        sup.sockets.append(self.path("t.sock"))
        self.assertRegex(self.ctl("reload"), "(?m)^2 services: 1 added, 1 changed, 0 removed$")
        self.greeted(sup.socket, "two")         # it is in force

    def test_a_refused_reload_says_what_the_check_says(self):
        sup = self.serve_controlled(self.section("s"))
        self.rewrite(self.controlled(self.section("s", colour=1, nice=99)))
        check = self.run_udsd("-t", "-c", self.path("udsd.conf"))
        self.assertEqual(check.returncode, 78)
        self.assertRegex(check.stderr, "colour")
        told = self.ctl("reload", status=78)
        faults = check.stderr.splitlines()[:-1]     # the last line is the verdict
        self.assertEqual([line for line in told.splitlines() if line.startswith("/")], faults)
        self.greeted(sup.socket)

    def test_reloads_at_once_each_get_an_answer(self):
        self.serve_controlled(self.section("s"))
        runs = [self.spawn([UDSCTL, "-s", self.control, "reload"], stdout=subprocess.DEVNULL)
                for _ in range(6)]
        self.assertEqual([run.wait(20) for run in runs], [0] * 6)

    def test_reload_while_it_stops(self):
        sup = self.serve_controlled(self.section("s"))
        self.rewrite(self.controlled(self.section("s"), include=[self.slow_pattern()]))
        run = self.spawn([UDSCTL, "-s", self.control, "reload"], stderr=subprocess.PIPE)
        self.config_child(sup)
        sup.kill(signal.SIGTERM)
        self.assertEqual(run.wait(10), 1)       # the config is not to blame
        self.assertIn(b"reload: udsd is stopping", run.stderr.read())


class Stopping(ControlCase):
    """A supervisor that is stopping answers to its end: that it is, for whom it waits, for how long."""

    WAIT = r"udsd is stopping and waits for s \(2 connections\), t \(1 connection\)"

    def stopping(self, **values):
        sup = self.serve_controlled(self.section("idle") + self.section("s") + self.section("t"),
                                    **{"stop_timeout": "40s", **values})
        self.held = [self.greeted(self.path(name + ".sock")) for name in ("s", "s", "t")]
        wait_for(lambda: len(self.listed()) == 3, what="connections")
        sup.kill(signal.SIGTERM)
        sup.wait_event("stop")
        return sup

    def run_ctl(self, *words):
        return self.run_program([UDSCTL, "-s", self.control, *words])

    def test_what_would_change_something_is_refused(self):
        self.stopping()
        for words in (["reload"], ["disable", "s"], ["enable", "idle"], ["drain", "t"]):
            with self.subTest(words=words):
                said = self.ctl(*words, status=1)
                self.assertRegex(said, "^udsctl: %s: %s; handlers get SIGTERM in (40|3[0-9]) s\n$"
                                 % (" ".join(words), self.WAIT))

    def test_what_shows_something_goes_on(self):
        self.stopping()
        for words in (["status"], ["status", "s"], ["list"], ["list", "s"], ["metrics"]):
            with self.subTest(words=words):
                done = self.run_ctl(*words)
                self.assertEqual(done.returncode, 0)
                self.assertRegex(done.stderr, "^udsctl: %s; handlers get SIGTERM in" % self.WAIT)
        self.assertRegex(self.ctl("status"), r"(?m)^idle +stopping +0 .*\n^s +stopping +2 ")
        told = json.loads(self.run_ctl("--json", "status").stdout)
        self.assertRegex(told["udsd"]["stopping"], self.WAIT)
        self.assertEqual({row["state"] for row in told["services"]}, {"stopping"})
        rows = json.loads(self.run_ctl("--json", "list").stdout)
        self.assertEqual([row["service"] for row in rows], ["s", "s", "t"])
        self.assertIn('udsd_service_enabled{service="s"} 0', self.ctl("metrics"))

    def test_a_connection_that_holds_it_up_can_be_ended(self):
        sup = self.stopping()
        self.ctl("kill", "s", "1")
        self.assert_end(self.held[0])
        wait_for(lambda: re.search(r"waits for s \(1 connection\), t \(1 conn",
                                   self.run_ctl("status").stderr), what="one less")
        for sock in self.held[1:]:
            sock.close()
        self.assertEqual(sup.wait(), 0)
        self.assertFalse(os.path.lexists(self.control))
        self.assertIn("is udsd running?", self.ctl("status", status=69))

    def test_signals_that_handlers_have_got(self):
        sup = self.serve_controlled(service(
            "s", socket=self.path("s.sock"), handler=[self.script("stubborn", STUBBORN + STUBBORN)],
            kill_grace="8s"), stop_timeout="100ms")
        sock = self.connect(sup.socket)
        self.assertEqual(self.receive(sock, 4), b"one\n")
        sup.kill(signal.SIGTERM)
        wait_for(lambda: re.search(r"waits for s \(1 connection\); handlers have got SIGTERM, and get "
                                   r"SIGKILL in [78] s", self.run_ctl("status").stderr), what="SIGTERM")
        sup.kill(signal.SIGTERM)
        self.assertEqual(sup.wait(), 0)

    def test_many_services_and_those_that_accept_themselves(self):
        handler = self.script("wait", "trap '' TERM; sleep 5\n")
        sup = self.serve_controlled("".join(self.section("s%02d" % n) for n in range(12)) + service(
            "w", socket=self.path("w.sock"), handler=[handler], wait=True, kill_grace="20s"))
        held = [self.greeted(self.path("s%02d.sock" % n)) for n in range(12)]
        self.connect(self.path("w.sock"))
        wait_for(lambda: self.status("w")["worker"], what="its handler")
        sup.kill(signal.SIGTERM)
        sup.wait_event("stop")
        self.assertRegex(self.run_ctl("status").stderr,
                         r"waits for s00 \(1 connection\), .*, s07 \(1 connection\), and 5 more services;")
        for sock in held:
            sock.close()
        wait_for(lambda: re.search(r"waits for w \(its handler\)", self.run_ctl("status").stderr),
                 what="the one that accepts itself")
        sup.kill(signal.SIGTERM)
        self.assertEqual(sup.wait(), 0)

    def test_a_drain_that_a_stop_overtakes(self):
        sup = self.serve_controlled(self.section("s"), stop_timeout="40s")
        sock = self.greeted(sup.socket)
        drain = self.spawn([UDSCTL, "-s", self.control, "drain", "s"], stderr=subprocess.PIPE)
        wait_for(lambda: self.status("s")["state"] == "draining", what="draining")
        sup.kill(signal.SIGTERM)
        sup.wait_event("stop")
        self.assertIsNone(drain.poll())
        sock.close()
        self.assertEqual(sup.wait(), 0)
        self.assertIn(drain.wait(10), (0, 1, 69))       # as much as it saw of the end
        self.assertNotIn(b"enabled", drain.stderr.read())


class Status(ControlCase):
    """Exit statuses and complaints."""

    def test_without_a_supervisor(self):
        self.assertIn("is udsd running?", self.ctl("status", status=69))
        self.serve_controlled(self.section("s")).kill(signal.SIGKILL)
        wait_for(lambda: "is udsd running?" in self.run_program(
            [UDSCTL, "-s", self.control, "status"]).stderr, what="its end")
        os.unlink(self.control)
        self.kept.add(self.path("s.sock"))

    def test_no_such_service(self):
        self.serve_controlled(self.section("s"))
        for words in (["status", "x"], ["list", "x"], ["kill", "x", "1"], ["disable", "x"],
                      ["enable", "x"], ["drain", "x"]):
            self.assertIn("udsctl: %s: no service has this name"
                          % " ".join(words).replace("drain", "disable"),
                          self.ctl(*words, status=1).replace("drain", "disable"))

    @needs_root
    def test_not_allowed(self):
        self.serve_controlled(self.section("s"), control_mode="0666")
        done = self.run_as_user("import subprocess, sys; sys.exit(subprocess.run("
                                "sys.argv[1:]).returncode)", UDSCTL, "-s", self.control, "status")
        self.assertEqual(done.returncode, 1)
        self.assertIn("control-allow does not allow you this", done.stderr)

    def test_usage(self):
        for words in ([], ["nonsense"], ["status", "a", "b"], ["kill", "s"], ["reload", "s"],
                      ["--json", "metrics"], ["disable"], ["status", "a b"], ["status", ""],
                      ["-x"], ["-s"]):
            with self.subTest(words=words):
                done = self.run_program([UDSCTL, *words])
                self.assertEqual(done.returncode, 64)
                self.assertIn("usage: udsctl", done.stderr + done.stdout)
        for words, text in ((["-h"], "drain SERVICE"), (["--help"], "Exit status"),
                            (["-V"], "udsctl "), (["--version"], "udsctl ")):
            done = self.run_program([UDSCTL, *words])
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(text, done.stdout)

    def test_an_answer_that_does_not_come(self):
        with self.client() as server:
            server.bind(self.control)
            server.listen()
            run = self.spawn([UDSCTL, "-s", self.control, "status"], stderr=subprocess.PIPE)
            server.accept()[0].close()
            self.assertEqual(run.wait(10), 1)
            self.assertRegex(run.stderr.read(), b"ended before it had answered|reset")


class Completion(ControlCase):
    def complete(self, *words):
        """What bash would offer for the last word."""
        script = ('source "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _udsctl; printf "%s\\n" "${COMPREPLY[@]}"')
        done = self.run_program(["bash", "-c", script, "bash",
                                 os.path.join(SRC, "etc", "udsctl.bash"), UDSCTL, *words])
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    @needs("bash", "awk")
    def test_commands_services_and_connections(self):
        sup = self.serve_controlled(self.section("alpha") + self.section("beta"))
        self.greeted(sup.socket)
        self.greeted(sup.socket)
        self.assertEqual(self.complete("d"), ["disable", "drain"])
        self.assertEqual(self.complete("--j"), ["--json"])
        self.assertEqual(self.complete("help", "d"), ["disable", "drain"])
        named = ["-s", self.control]
        self.assertEqual(self.complete(*named, "disable", ""), ["alpha", "beta"])
        self.assertEqual(self.complete(*named, "status", "b"), ["beta"])
        self.assertEqual(self.complete(*named, "kill", "alpha", ""), ["1", "2"])
        self.assertEqual(self.complete("-s", self.path("none"), "status", ""), [])
        self.assertEqual(self.complete("-s", self.path("control")), [self.control])


if __name__ == "__main__":
    main()
