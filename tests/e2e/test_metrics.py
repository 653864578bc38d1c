#!/usr/bin/env python3
"""Counters: they agree with the log, whatever happens, and programs can read them."""
import collections
import os
import re
import signal


from lib import IS_ROOT, SRC, UDSCTL, USER, main, needs, service, wait_for
from lib.control_socket import ControlCase
from lib.supervisor import kill_worker

# Ends as its input says, at once or when there is no more input.
ENDS = 'read how; case $how in kill) kill -9 $$;; term) kill $$;; *) exit "${how:-0}";; esac\n'


class Counters(ControlCase):
    def end(self, path, word):
        """A connection whose handler ends so."""
        sock = self.connect(path)
        sock.sendall(word.encode() + b"\n")
        self.assert_end(sock)

    def add_up(self, sup):
        """What the lines of the log come to, in the words of a status record."""
        sums = collections.defaultdict(collections.Counter)
        for service_name in ("s", "t"):
            sum_ = sums[service_name]
            sum_["total"] = len(sup.events("open", service=service_name))
            for event in sup.events("close", service=service_name):
                sum_["exits", event["status"]] += 1
                sum_["seconds"] += float(event["duration"])
            for event in sup.events("reject", service=service_name):
                sum_["rejected-" + event["reason"]] += 1
            sum_["failures"] = len(sup.events("fail", service=service_name))
            sum_["live"] = sum_["total"] - sum(n for key, n in sum_.items() if key[0] == "exits")
        return sums

    def differences(self, sup):
        """Where counters are not what the log comes to: it may lag behind."""
        wrong = {}
        for name, sums in self.add_up(sup).items():
            row = self.status(name)
            exits = {key[1]: n for key, n in sums.items() if key[0] == "exits"}
            for key in ("total", "live", "failures", "rejected-rule", "rejected-limit",
                        "rejected-user-limit", "rejected-rate"):
                if row[key] != sums[key]:
                    wrong[name, key] = row[key], sums[key]
            if row["exits"] != exits:
                wrong[name, "exits"] = row["exits"], exits
            if abs(row["seconds"] - sums["seconds"]) > 0.001 * (sums["total"] + 1):
                wrong[name, "seconds"] = row["seconds"], sums["seconds"]
        return wrong

    def assert_agree(self, sup):
        try:
            wait_for(lambda: not self.differences(sup), 2)
        except AssertionError:
            self.assertEqual(self.differences(sup), {})

    def test_they_agree_with_the_log(self):
        handler = self.script("ends", ENDS)
        missing = self.script("missing", "exit 0\n")
        me = os.geteuid()
        text = self.controlled(
            service("s", socket=self.path("s.sock"), handler=[handler], max_connections=3,
                    overflow="reject", rate="40/1h")
            + service("t", socket=self.path("t.sock"), handler=[missing], deny=["uid:%d" % me]))
        sup = self.udsd(text, ready="path")
        sup.sockets.append(self.control)
        for word in ("0", "0", "7", "kill", "term", "255"):
            self.end(sup.socket, word)
        sup.wait_events(6, "close")
        held = [self.connect(sup.socket) for _ in range(3)]
        sup.wait_events(9, "open")
        self.assert_end(self.connect(sup.socket))               # the limit
        self.assert_end(self.connect(self.path("t.sock")))      # the rule
        sup.wait_events(2, "reject")
        self.assert_agree(sup)
        self.assertEqual(self.status("s")["peak"], 3)
        kill_worker(sup)
        held.pop().close()
        sup.wait_events(7, "close")
        self.assert_agree(sup)
        self.reload(sup, text.replace("rate = ", "nice = 1\nrate = "))
        self.end(sup.socket, "0")
        sup.wait_events(8, "close")
        self.assert_agree(sup)
        self.upgrade(sup)
        self.end(sup.socket, "kill")
        held.pop().close()
        sup.wait_events(10, "close")
        self.assert_agree(sup)
        wait_for(lambda: (self.talk(sup.socket), self.status("s")["rejected-rate"])[1] > 0, 20,
                 "a rejection by rate")
        self.assert_agree(sup)

    def test_failures_are_counted(self):
        missing = self.script("missing", "exit 0\n")
        sup = self.serve_controlled(service("s", socket=self.path("s.sock"), handler=[missing]))
        os.unlink(missing)
        self.assert_end(self.connect(sup.socket))
        sup.wait_event("fail")
        self.assertEqual([self.status("s")[key] for key in ("failures", "total")], [1, 0])

    def test_a_signal_logs_them(self):
        sup = self.serve_controlled(self.section("s") + self.section("t"))
        self.greeted(sup.socket)
        sup.wait_event("open")                  # it is counted, then
        sup.kill(signal.SIGUSR1)
        event = sup.wait_event("status", service="s")
        self.assertEqual([event[key] for key in ("state", "live", "peak", "total", "limit")],
                         ["enabled", "1", "1", "1", "64"])
        self.assertEqual(len(sup.wait_events(2, "status")), 2)

    def test_lines_that_the_log_does_not_take_are_counted(self):
        handler = self.script("loud", "i=0; while [ $i -lt 3000 ]; do echo $i >&2; i=$((i+1)); done\n")
        self.serve_controlled(service("s", socket=self.path("s.sock"), handler=[handler]))
        self.assertEqual(self.talk(self.path("s.sock")), b"")
        wait_for(lambda: self.status("s")["stderr-dropped"] > 0, 20, "dropped lines")


class Metrics(ControlCase):
    def values(self, text):
        """Metrics by name and labels; each family must be declared first."""
        values, family = {}, None
        for line in text.splitlines():
            head = re.match(r"# (HELP|TYPE) (\S+) ", line)
            if head:
                family = head[2]
                continue
            name, value = line.rsplit(" ", 1)
            self.assertEqual(name.split("{")[0], family)
            values[name] = float(value)
        return values

    def serve_some(self):
        self.serve_controlled(self.section("s", deny=["uid:54321"]) + self.section("off",
                                                                                    enabled=False))
        self.greeted(self.path("s.sock"))
        self.talk(self.path("s.sock"))

    def test_names_and_values(self):
        self.serve_some()
        wait_for(lambda: self.status("s")["exits"], what="an end")
        values = self.values(self.ctl("metrics"))
        for name, value in (('udsd_connections_total{service="s"}', 2),
                            ('udsd_connections_live{service="s"}', 1),
                            ('udsd_connections_limit{service="s"}', 64),
                            ('udsd_rejected_total{service="s",reason="rule"}', 0),
                            ('udsd_handler_exits_total{service="s",status="exit:0"}', 1),
                            ('udsd_service_enabled{service="s"}', 1),
                            ('udsd_service_enabled{service="off"}', 0),
                            ("udsd_log_dropped_total", 0)):
            self.assertEqual(values[name], value, name)
        version = self.run_program([UDSCTL, "-V"]).stdout.split()[1]
        self.assertEqual(values['udsd_build_info{version="%s"}' % version], 1)
        self.assertGreater(values['udsd_connection_seconds_total{service="s"}'], 0)

    @needs("promtool")
    def test_promtool_finds_nothing_wrong(self):
        self.serve_some()
        done = self.run_program(["promtool", "check", "metrics"], input=self.ctl("metrics"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    @needs("curl")
    def test_scraped_through_udsd_itself(self):
        values = {"environment": ["UDSCTL=" + self.copy(UDSCTL)],
                  "handler": [self.copy(os.path.join(SRC, "handlers", "metrics")), "-s",
                              self.control]}
        sup = self.serve_controlled(
            service("metrics", socket=self.path("metrics.sock"), **values),
            control_mode="0666" if IS_ROOT else "0600",
            control_allow=["self", "uid:%d" % USER.pw_uid])
        url = ["curl", "-sS", "--unix-socket", sup.socket, "-D", "-", "http://udsd/metrics"]
        done = self.run_program(url)
        self.assertRegex(done.stdout, r"^HTTP/1\.[01] 200 OK\r\n(.*\r\n)*"
                         r"Content-Type: text/plain; version=0\.0\.4\r\n")
        body = done.stdout.split("\r\n\r\n", 1)[1]
        self.assertEqual(self.values(body)['udsd_connections_live{service="metrics"}'], 1)
        self.reload(sup, self.controlled(
            service("metrics", socket=sup.socket, **values), control_allow=["uid:54321"]))
        self.assertRegex(self.run_program(url).stdout, r"^HTTP/1\.[01] 503 ")

    def copy(self, path):
        """A program of the build tree that the services' user can execute."""
        with open(path, "rb") as file:
            return self.write(os.path.basename(path) + ".copy", file.read(), 0o755)


if __name__ == "__main__":
    main()
