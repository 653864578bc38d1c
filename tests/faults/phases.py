"""What udsd does while one of its calls fails: the phases of faults.py.

Wherever a call fails: udsd ends only before it serves, nothing hangs, no descriptor and no process
is left, and a client gets what it came for or, where the log says why, a clean end of file.
"""
import errno
import os
import re
import signal
import time

from lib import (PATIENCE, PYTHON, UDSD_VFORK, Case, Udsd, complete, config, proc, service,
                 wait_for)
from lib.clients import visit
from injection import Faults
from places import at, is_in

NEXT_WORKER = 0.1               # seconds until a worker is started again
SOON = 1.0 + NEXT_WORKER        # nothing takes longer
SERVED = b"hello\r\nx"
PRIVILEGES = {"chdir", "getgroups", "getresgid", "getresuid", "nice", "prctl", "setgroups",
              "setpgid", "setresgid", "setresuid", "setrlimit", "setsid", "syscall"}
# Places, by their names in src.
DROPS = at("discard")                               # what is not read resets a client
LOSES_LINES = at("output_write", "send_record")
BECOMES = at("@privilege", "@setup", "@spawn", "worker_init@worker",
             "waitmode_execute@waitmode")              # the user, and what it has
NEED_NOT = at("leave_keyring")
CHECKS = at("is_proved")
LOOKS = at("own_path", "open_path", "bind_at", "pidfile_is_at")
KEEPS = at("own_path", "remove_name", "directory_open_parent", "is_own", "open_locked", "pidfile_is_at",
           "pidfile_release")
DAEMON = at("become_daemon", "wait_for_daemon", "leave_standard", "say_ready", "serve@udsd")
AS_EVER = at("@spawn", "@waitmode", "@userlimit", "@peer", "@privilege", "@stderr", "@setup", "@connections")
UPGRADES = at("@upgrade")
# Serves one client, as a service with `wait` does.
ACCEPTS = """
import _socket
client = _socket.socket(fileno=_socket.socket(fileno=0)._accept()[0])
client.sendall(b"hello\\r\\n")
while data := client.recv(65536):
    client.sendall(data)
"""


def note_text(trial, lines):
    """Adds what udsd says of a failure to the table that $UDSD_FAULT_TEXTS names, for a person to read."""
    path = os.environ.get("UDSD_FAULT_TEXTS")
    said = [line.split(" udsd: ")[-1] for line in lines
            if re.search(r"(?:^|udsd: )(?:fail|busy|drop|path|udsd:)|error", line)]
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write("%s\t%s\n" % (trial.name, " | ".join(said)))


class Sweep(Case):
    """One phase, in which calls may fail."""

    PROGRAM = UDSD_VFORK # its children make their calls by libc
    phase = None
    made = 0        # cases in which the call was made, and so failed
    trial = None    # the one at hand

    def open(self):
        self.faults = Faults()
        self.addCleanup(self.faults.remove)
        if self.faults.why_not:
            self.skipTest(self.faults.why_not)
        self.sup = None
        self.control = self.path("control")
        folder = self.folder("d", 0o777)
        handler = self.script("h", "echo line >&2; printf 'hello\\r\\n'; exec cat\n")
        accepts = self.write("accepts", "#!%s -IS\n%s" % (PYTHON, ACCEPTS), 0o755)
        every = {"limit_core": "0", "nice": 1, "kill_grace": "200ms"}
        both = dict(handler=[handler], worker_idle="1ms", idle_timeout="9s", **every,
                    allow=["gid:%d" % os.getegid(), "uid:%d" % os.geteuid()])
        self.text = config(
            service("s", socket=self.path("d1/s"), **both)
            + service("f", socket=self.path("f"), stderr=folder + "/err", pass_fds=True, **both)
            + service("r", socket=self.path("r"), handler=[handler], deny=["any"],
                      worker_idle="1ms", reject_message="no\n")
            + service("w", socket=self.path("w"), handler=[accepts], wait=True, **every),
            pid_file=self.path("pid"), control_socket=self.control, stop_timeout="100ms")

    def begin(self):
        """A supervisor that serves."""
        if self.sup is not None and self.sup.poll() is None:
            self.assertEqual(self.sup.stop(), 0)
        self.sup = self.udsd(self.text, env=self.faults.environment())
        self.assertTrue(self.faults.loaded())
        self.rest()

    def belongings(self):
        return len(proc.fds(self.sup.pid)), len(proc.descendants(self.sup.pid))

    def is_as_before(self):
        """No more descriptors: what could not be opened at an upgrade may be done without."""
        fds, processes = self.belongings()
        return fds <= self.have[0] and processes == self.have[1]

    def live(self):
        """How many connections count as live, of each service."""
        return set(re.findall(rb" live=(\d+)", visit(self.control, b"status\n")))

    def rest(self):
        """Waits until there is no worker, and nothing of what was."""
        wait_for(lambda: proc.descendants(self.sup.pid) == self.sup.named("udsd: log")[:1], SOON,
                 "all but the log process to have ended")

    def is_at(self, pattern):
        """Whether the call that fails is in such a function."""
        return self.trial is not None and is_in(self.trial.site, pattern)

    def ask(self, name, wanted):
        """What a client gets is what it wanted, or the log says why not."""
        before = len(self.sup.events("fail"))
        started = time.monotonic()
        got = visit(self.path(name), b"x", timeout=5 * PATIENCE)
        took = time.monotonic() - started
        if got == "ECONNRESET" and self.is_at(DROPS):
            got = b""
        if got != wanted:
            self.assertEqual(got, b"", name)
            if name != "r":     # which only misses its message
                self.sup.wait_events(before + 1, "fail", timeout=SOON)
        self.assertLess(took, SOON * PATIENCE, name)
        return got == wanted

    def cannot_run(self):
        """Services that were said to have failed."""
        return [event for event in self.sup.events("fail")
                if set(event) == {"service", "step", "error", "retry"}]

    def heal(self):
        """What failed is tried again at a reload."""
        def is_well():
            status = visit(self.control, b"status\n")
            known = isinstance(status, bytes)
            if known and not re.search(rb"state=(failed|displaced)", status):
                return True
            if not known and not self.cannot_run():
                return True
            self.sup.kill(signal.SIGHUP)
            time.sleep(0.2)
            return False

        wait_for(is_well, 4, "all to run again")

    def ask_all(self):
        served = [self.ask(name, SERVED) for name in ("d1/s", "f", "w")]
        self.ask("r", b"no\n")
        return all(served)

    def failed(self):
        """How often the call of the trial has failed."""
        return max(min(self.faults.hits(), self.trial.last) - self.trial.first + 1, 0)

    def end_fault(self):
        type(self).made += self.failed() > 0
        self.faults.end()
        self.trial = None

    def look(self):
        """All is as before, and serves."""
        self.end_fault()
        self.assertIsNone(self.sup.poll(), "udsd has ended")
        for name, wanted in (("d1/s", SERVED), ("f", SERVED), ("w", SERVED), ("r", b"no\n")):
            wait_for(lambda name=name, wanted=wanted: visit(self.path(name), b"x") == wanted, 3,
                     name + " to serve")
        self.rest()
        wait_for(lambda: self.live() == {b"0"}, SOON, "no connection to count as live")
        wait_for(self.is_as_before, SOON, "%s to be %s" % (self.belongings(), self.have))

    def sites(self):
        """Where calls are made in this phase."""
        self.begin()
        self.faults.record(True)
        self.act()
        self.faults.record(False)
        self.ask_all()
        self.rest()
        self.have = self.belongings()
        return self.faults.sites()

    def fails(self, since):
        return [line for line in self.sup.lines()[since:] if line.startswith("fail ")]

    def begin_trial(self, trial):
        self.trial = trial
        self.faults.begin_at(trial.site, trial.error, trial.first, trial.last)

    def run_case(self, trial):
        if self.sup.poll() is not None or trial.site.role == "supervisor":
            self.begin()        # for what is done only once
        self.begin_trial(trial)
        lines = len(self.sup.lines())
        served = self.act()
        if self.is_privilege(trial.site) and trial.error == errno.EPERM and self.failed():
            self.assertFalse(served, "a handler without " + trial.site.call)
            wait_for(lambda: len(self.fails(lines)) >= self.failed(), SOON, "a line for each")
            self.assertEqual(len(self.fails(lines)), self.failed(), self.fails(lines))
        self.look()

    def is_privilege(self, site):
        """Whether no handler may be executed without the call."""
        return (site.call in PRIVILEGES and site.role == "worker"
                and is_in(site, BECOMES)
                and not is_in(site, NEED_NOT)
                and (not is_in(site, CHECKS) or site.call.startswith("get")))

    def check_status(self, site, status):
        """What is wrong where the config is read is the config's fault, or the system's; what
        stands at a path may be another process's."""
        allowed = {71}
        if site.role in ("config", "child"):
            allowed.add(78)
        if is_in(site, LOOKS):
            allowed.add(69)
        self.assertIn(status, allowed)

    def check_paths(self, site):
        """No path is left but where it could not be looked at, when it may be another process's, or
        not be removed. The next start takes it over."""
        kept = is_in(site, KEEPS)
        for path in filter(os.path.lexists, self.sup.sockets + [self.control, self.path("pid")]):
            os.unlink(path)
            self.assertTrue(kept, path)


class Connection(Sweep):
    """The first client of a service: its worker starts, the handler comes and goes, the worker
    ends."""

    phase = "connection"

    def act(self):
        served = self.ask_all()
        self.rest()
        return served


class Wait(Sweep):
    """A handler that accepts itself."""

    phase = "wait"

    def act(self):
        served = [self.ask("w", SERVED) for _ in range(2)]
        self.rest()
        return all(served)


class Death(Sweep):
    """A worker is killed while a client is served."""

    phase = "death"

    def act(self):
        served = [self.ask("d1/s", SERVED)]
        sock = self.connect(self.path("d1/s"))
        sock.sendall(b"x")
        served.append(self.receive(sock, len(SERVED)) == SERVED)
        for pid in self.sup.workers("s"):
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda pid=pid: not proc.is_alive(pid), SOON)
        served.append(self.ask("d1/s", SERVED))
        if served[1]:
            self.round_trip(sock)
        sock.close()
        self.rest()
        return all(served)


class Reload(Sweep):
    """One service is changed, one is new, one is removed; and back."""

    phase = "reload"

    def begin(self):
        super().begin()
        self.other = (self.text.replace("nice = 1", "nice = 2").replace("service r", "service n")
                      .replace('limit-core = "0"', 'socket-mode = "0660"'))
        self.now = self.text

    def act(self):
        target = self.other if self.now is self.text else self.text
        os.replace(self.write("new.conf", complete(target)), self.path("udsd.conf"))
        started = time.monotonic()
        if self.reload():
            self.now = target
        self.assertLess(time.monotonic() - started, (SOON + 1) * PATIENCE)
        return self.ask_all()

    def reload(self):
        """Whether it was done."""
        if self.is_at(LOSES_LINES):
            return visit(self.control, b"reload\n").startswith(b"ok")
        count = len(self.verdicts())
        self.sup.kill(signal.SIGHUP)
        wait_for(lambda: len(self.verdicts()) > count, 4, "a verdict")
        return self.verdicts()[-1]["status"] == "done"

    def verdicts(self):
        return [event for event in self.sup.events("reload")
                if event.get("status") in ("done", "refused")]


class Control(Sweep):
    """Requests, each answered or ended soon."""

    phase = "control"

    def act(self):
        for request in ("status", "list s", "kill s 0", "disable f", "enable f", "reload"):
            started = time.monotonic()
            answer = visit(self.control, request.encode() + b"\n")
            if not (answer == "ECONNRESET" and self.is_at(DROPS)):
                self.assertIsInstance(answer, bytes, request)
            self.assertLess(time.monotonic() - started, (SOON + 1) * PATIENCE, request)

    def look(self):
        self.end_fault()
        wait_for(lambda: visit(self.control, b"enable f\n") == b"ok\n", 3, "an answer")
        self.trial = self.last
        super().look()

    def run_case(self, trial):
        self.last = trial
        super().run_case(trial)


class Start(Sweep):
    phase = "start"

    def environment(self):
        """What is left in memory where it ends before it serves does not matter."""
        environment = self.faults.environment()
        environment["ASAN_OPTIONS"] += ":detect_leaks=0"
        return environment

    def sites(self):
        environment = self.environment()
        self.faults.record(True)
        self.sup = self.udsd(self.text, env=environment)
        sites = self.faults.sites()
        self.faults.record(False)
        self.assertEqual(self.sup.stop(), 0)
        return sites

    def run_case(self, trial):
        environment = self.environment()
        self.begin_trial(trial)
        started = time.monotonic()
        self.sup = sup = self.udsd(self.text, env=environment, ready=None)
        wait_for(lambda: sup.poll() is not None or self.cannot_run() or self.answers(), 4,
                 "a service or an end")
        self.assertLess(time.monotonic() - started, 2 * SOON * PATIENCE)
        said = sup.raw_lines() if hasattr(sup, "raw_lines") else sup.lines()
        note_text(trial, [line for line in said if " started" not in line])
        self.end_fault()
        if sup.poll() is None:
            self.heal()
            wait_for(self.answers, 3)
            wait_for(lambda: visit(self.path("r"), b"x") == b"no\n", 3)
            self.assertEqual(sup.stop(), 0)
        else:
            self.check_status(trial.site, sup.result)
            self.assertNotEqual(sup.lines(), [], "ended without a word")
        self.check_paths(trial.site)

    def answers(self):
        return visit(self.path("d1/s"), b"x") == SERVED


class Daemon(Start):
    """What only a daemon does at its start."""

    phase = "daemon"

    def daemonize(self, environment):
        with open(self.path("words"), "wb") as words:
            done = self.run_program([self.PROGRAM, "-c", self.write("udsd.conf", complete(self.text))],
                                    env=environment, stderr=words)
        if done.returncode == 0:
            with open(self.path("pid"), encoding="ascii") as file:
                self.sup = Udsd(int(file.read()), os.devnull)
            self.supervisors.append(self.sup)
        return done

    def sites(self):
        environment = self.environment()
        self.faults.record(True)
        self.daemonize(environment)
        self.faults.record(False)
        self.assertEqual(self.sup.stop(), 0)
        return [site for site in self.faults.sites()
                if is_in(site, DAEMON)]

    def run_case(self, trial):
        environment = self.environment()
        self.begin_trial(trial)
        done = self.daemonize(environment)
        self.end_fault()
        if done.returncode == 0:
            self.assertEqual(visit(self.path("r"), b"x"), b"no\n")
            self.assertEqual(self.sup.stop(), 0)
        else:
            self.assertEqual(done.returncode, 71)
            self.assertGreater(os.path.getsize(self.path("words")), 0, "ended without a word")
            wait_for(lambda: not proc.descendants(os.getpid()) or self._reap(), SOON, "its end")
        self.check_paths(trial.site)


class Stop(Sweep):
    """With a client that is served, one that a full service keeps waiting, and one whose handler
    accepts itself."""

    phase = "stop"

    def open(self):
        super().open()
        self.text = self.text.replace('limit-core = "0"', "max-connections = 1", 2)

    def connect_all(self):
        self.sup = self.udsd(self.text, env=self.faults.environment())
        self.socks = [self.hello(self.path("d1/s")), self.connect(self.path("d1/s")),
                      self.hello(self.path("w"))]

    def act(self):
        started = time.monotonic()
        self.assertEqual(self.sup.stop(), 0)
        self.assertLess(time.monotonic() - started, (SOON + 1) * PATIENCE)
        for sock in self.socks:
            if not self.is_at(DROPS):
                self.assert_end(sock)
            sock.close()

    def sites(self):
        self.connect_all()
        self.faults.record(True)
        self.act()
        return self.faults.sites()

    def run_case(self, trial):
        self.connect_all()
        self.begin_trial(trial)
        self.act()
        self.end_fault()
        self.check_paths(trial.site)


class Upgrade(Sweep):
    """Another binary takes over, with a client that is served. Once it has been executed it may end
    as at any start: then its handlers and its clients live on."""

    phase = "upgrade"

    def act(self):
        sock = self.connect(self.path("d1/s"))
        greeted = self.receive(sock, 7) == b"hello\r\n"
        started = time.monotonic()
        count, logger = len(self.verdicts()), self.sup.log_pid()
        self.sup.kill(signal.SIGUSR2)
        wait_for(lambda: self.sup.poll() is not None or len(self.verdicts()) > count
                 or (self.is_at(LOSES_LINES) and self.sup.named("udsd: log") not in ([], [logger])),
                 4, "a verdict")
        self.assertLess(time.monotonic() - started, (SOON + 1) * PATIENCE)
        if self.sup.poll() is None:
            self.heal()
            self.ask_all()
        if greeted:
            self.round_trip(sock)
        else:
            self.assert_end(sock)
        sock.close()

    def sites(self):
        """Without those of a worker's and a handler's beginning, which is as at a connection."""
        return [site for site in super().sites()
                if site.role != "worker" or not is_in(site, AS_EVER)]

    def verdicts(self):
        return [event for event in self.sup.events("upgrade")
                if event.get("status") in ("done", "refused")]

    def run_case(self, trial):
        self.begin()
        self.begin_trial(trial)
        self.act()
        if self.sup.poll() is None:
            self.look()
            return
        self.end_fault()
        self.assertFalse(is_in(trial.site, UPGRADES), "udsd has ended")
        self.check_status(trial.site, self.sup.result)
        self._end_leftovers()
        for path in filter(os.path.lexists, self.sup.sockets + [self.control, self.path("pid")]):
            os.unlink(path)


PHASES = (Upgrade, Reload, Connection, Start, Control, Death, Wait, Stop, Daemon)
