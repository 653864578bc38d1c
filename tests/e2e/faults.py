#!/usr/bin/env python3
"""Lets every call of the system fail, one at a time, with each plausible error: at the start, at a
connection, at a reload, at a stop.

make faults does all of it and prints what it did; test_faults.py does a fixed part. As a program:
faults.py [WORD]... tries the cases whose names contain one of the words.

Wherever a call fails: udsd ends only before it serves, nothing hangs, no descriptor and no process
is left, and a client gets what it came for or, where the log says why, a clean end of file.
"""
import collections
import errno
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import proc
from harness import PATIENCE, UDSD, Case, complete, config, service, wait_for
from more import Faults, visit

NEXT_WORKER = 0.1               # seconds until a worker is started again
SOON = 1.0 + NEXT_WORKER        # nothing takes longer

ERRORS = {
    "accept4": "EMFILE ENFILE ENOMEM ECONNABORTED", "access": "EACCES", "bind": "EACCES ENOSPC",
    "chdir": "EACCES EIO", "chmod": "EPERM", "clone": "EAGAIN ENOMEM", "close": "EIO EINTR",
    "close_range": "ENOMEM", "connect": "EACCES EAGAIN", "dup2": "EBUSY EMFILE", "dup3": "EBUSY EMFILE",
    "epoll_create1": "EMFILE ENOMEM", "epoll_ctl": "ENOMEM ENOSPC", "epoll_wait": "EINTR",
    "execve": "ENOENT EACCES E2BIG ENOMEM EAGAIN ETXTBSY", "fchdir": "EACCES",
    "fchmod": "EPERM", "fchownat": "EPERM EROFS", "fcntl": "EMFILE EINVAL", "flock": "ENOLCK", "fork": "EAGAIN ENOMEM",
    "fstat": "EIO", "fstatat": "EIO EACCES", "ftruncate": "ENOSPC", "getcwd": "ENOENT",
    "getgroups": "EPERM", "getpgid": "ESRCH", "getresgid": "EPERM", "getresuid": "EPERM",
    "getrlimit": "EPERM", "getsockname": "ENOBUFS", "getsockopt": "ENOMEM ENOPROTOOPT",
    "inotify_add_watch": "ENOSPC ENOENT", "inotify_init1": "EMFILE", "inotify_rm_watch": "EINVAL",
    "ioctl": "ENOTTY", "kill": "EPERM", "listen": "EADDRINUSE", "lstat": "EACCES",
    "madvise": "EINVAL", "memfd_create": "EMFILE ENOMEM", "mkdir": "EACCES ENOSPC",
    "mmap": "ENOMEM", "munmap": "ENOMEM", "nice": "EPERM", "open": "EMFILE ENFILE EACCES ENOMEM",
    "openat": "EMFILE EACCES ENOMEM", "pidfd_open": "EMFILE", "pipe": "EMFILE", "pipe2": "EMFILE",
    "poll": "ENOMEM EINTR", "prctl": "EPERM EINVAL", "pread": "EIO", "read": "EIO EINTR",
    "readlink": "EACCES", "recv": "ENOMEM EINTR", "recvmmsg": "ENOMEM EINTR",
    "recvmsg": "ENOMEM EINTR", "removexattr": "EPERM", "renameat2": "EACCES",
    "send": "EAGAIN ENOBUFS EPIPE", "sendmsg": "EAGAIN ENOBUFS", "seteuid": "EAGAIN EPERM",
    "setgroups": "EPERM ENOMEM", "setpgid": "EPERM", "setresgid": "EPERM EAGAIN",
    "setresuid": "EPERM EAGAIN", "setrlimit": "EPERM", "setsid": "EPERM",
    "setsockopt": "EPERM ENOMEM", "setuid": "EPERM EAGAIN", "shutdown": "ENOTCONN",
    "signalfd": "EMFILE ENOMEM", "sigprocmask": "EINVAL", "socket": "EMFILE ENOBUFS",
    "socketpair": "EMFILE ENFILE", "stat": "EACCES", "syscall": "EPERM ENOMEM",
    "unlink": "EACCES EROFS", "unlinkat": "EACCES EROFS", "write": "EIO ENOSPC EINTR",
    "writev": "EIO EINTR",
}
PRIVILEGES = {"setgroups", "setresgid", "setresuid", "getresuid", "getresgid", "getgroups", "setsid",
              "setrlimit", "chdir", "nice", "prctl", "syscall", "setpgid"}

Trial = collections.namedtuple("Trial", "site error name")


@functools.lru_cache(None)
def place(offset):
    """Where a call returns to: function and line, if that can be told."""
    if shutil.which("addr2line") is None:
        return "%#x" % offset
    done = subprocess.run(["addr2line", "-sfie", UDSD, "%#x" % (offset - 1)], capture_output=True,
                          text=True, check=True)
    words = done.stdout.split("\n")
    pairs = list(zip(words[::2], words[1::2]))  # innermost first
    function, line = next((pair for pair in pairs if ".h:" not in pair[1]), pairs[0])
    return "%s@%s" % (function, line.split(" ")[0])


def name_of(phase, site, error):
    return "%s: %s in %s: %s: %s" % (phase, site.role, place(site.offset), site.call,
                                     errno.errorcode[error])


class Sweep(Case):
    """One phase, in which calls may fail."""

    phase = None
    made = 0    # cases in which the call was made, and so failed

    def open(self):
        self.faults = Faults()
        self.addCleanup(self.faults.remove)
        if self.faults.why_not:
            self.skipTest(self.faults.why_not)
        self.sup = None
        folder = self.folder("d", 0o777)
        self.handler = self.script("h", "echo line >&2; printf 'hello\\r\\n'; exec cat\n")
        both = dict(handler=[self.handler], worker_idle="1ms", limit_core="0", nice=1,
                    idle_timeout="9s", allow=["gid:%d" % os.getegid(), "uid:%d" % os.geteuid()])
        self.text = config(
            service("s", socket=self.path("d1/s"), **both)
            + service("f", socket=self.path("f"), stderr=folder + "/err", pass_fds=True, **both)
            + service("r", socket=self.path("r"), handler=[self.handler], deny=["any"],
                      worker_idle="1ms", reject_message="no\n"),
            pid_file=self.path("pid"), stop_timeout="100ms")

    def begin(self):
        """A supervisor that serves."""
        if self.sup is not None and self.sup.poll() is None:
            self.assertEqual(self.sup.stop(), 0)
        self.sup = self.udsd(self.text, env=self.faults.environment())
        self.assertTrue(self.faults.loaded())
        self.rest()

    def belongings(self):
        return len(proc.fds(self.sup.pid)), len(proc.descendants(self.sup.pid))

    def rest(self):
        """Waits until there is no worker, and nothing of what was."""
        wait_for(lambda: proc.descendants(self.sup.pid) == self.sup.named("udsd: log"), SOON,
                 "all but the log process to have ended")

    def ask(self, name, wanted):
        """What a client gets is what it wanted, or the log says why not."""
        before = len(self.sup.events("fail"))
        started = time.monotonic()
        got = visit(self.path(name), b"x", timeout=5 * PATIENCE)
        took = time.monotonic() - started
        if got != wanted:
            self.assertEqual(got, b"", name)
            if name != "r":     # which only misses its message
                self.sup.wait_events(before + 1, "fail", timeout=SOON)
        self.assertLess(took, SOON * PATIENCE, name)
        return got == wanted

    def ask_all(self):
        served = [self.ask("d1/s", b"hello\r\nx"), self.ask("f", b"hello\r\nx")]
        self.ask("r", b"no\n")
        return all(served)

    def end_fault(self):
        type(self).made += self.faults.hits() > 0
        self.faults.end()

    def look(self):
        """All is as before, and serves."""
        self.end_fault()
        self.assertIsNone(self.sup.poll(), "udsd has ended")
        for sock, wanted in (("d1/s", b"hello\r\nx"), ("f", b"hello\r\nx"), ("r", b"no\n")):
            wait_for(lambda sock=sock, wanted=wanted: visit(self.path(sock), b"x") == wanted, 3,
                     sock + " to serve")
        self.rest()
        wait_for(lambda: self.belongings() == self.have, SOON,
                 "%s to be %s" % (self.belongings(), self.have))

    def sites(self):
        """Where calls are made in this phase."""
        self.begin()
        self.faults.record(True)
        self.act()
        self.faults.record(False)
        self.rest()
        self.have = self.belongings()
        return self.faults.sites()

    def run_case(self, site, error):
        if self.sup.poll() is not None or site.role == "supervisor":
            self.begin()        # for what is done only once
        self.faults.begin_at(site, error)
        lines = len(self.sup.lines())
        served = self.act()
        if self.is_privilege(site) and error == errno.EPERM and self.faults.hits():
            self.assertFalse(served, "a handler without " + site.call)
            fails = [line for line in self.sup.lines()[lines:] if line.startswith("fail ")]
            self.assertEqual(len(fails), 1, fails)
        self.look()

    def is_privilege(self, site):
        return False

    def check_paths(self, site):
        """Nothing is left but what we could not look at or remove."""
        kept = re.search("unlink|fstatat|openat|lstat", site.call) or re.search(
            "^(open_bound|own_path|open_locked|is_own|pidfile_is_at|place_open_parent)@", place(site.offset))
        for path in filter(os.path.lexists, self.sup.sockets + [self.path("pid")]):
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

    def is_privilege(self, site):
        where = place(site.offset)
        return (site.call in PRIVILEGES and site.role == "worker"
                and re.search("privilege.c|handler.c|^begin@", where)
                and not re.search("watchdog|leave_keyring", where)
                and (not where.startswith("prove") or site.call.startswith("get")))


class Reload(Sweep):
    """One service is changed, one is new, one has gone; and back."""

    phase = "reload"

    def begin(self):
        super().begin()
        self.other = (self.text.replace("nice = 1", "nice = 2").replace("service r", "service n")
                      .replace('limit-core = "0"', 'socket-mode = "0660"'))
        self.now = self.text

    def act(self):
        target = self.other if self.now is self.text else self.text
        os.replace(self.write("new.conf", complete(target)), self.path("udsd.conf"))
        count = len(self.verdicts())
        started = time.monotonic()
        self.sup.kill(signal.SIGHUP)
        wait_for(lambda: len(self.verdicts()) > count, 4, "a verdict")
        self.assertLess(time.monotonic() - started, (SOON + 1) * PATIENCE)
        if self.verdicts()[-1]["status"] == "done":
            self.now = target
        return self.ask_all()

    def verdicts(self):
        return [event for event in self.sup.events("reload")
                if event.get("status") in ("done", "refused")]


class Start(Sweep):
    phase = "start"

    def sites(self):
        environment = self.faults.environment()
        self.faults.record(True)
        self.sup = self.udsd(self.text, env=environment)
        sites = self.faults.sites()
        self.faults.record(False)
        self.assertEqual(self.sup.stop(), 0)
        return sites

    def run_case(self, site, error):
        environment = self.faults.environment()
        self.faults.begin_at(site, error)
        started = time.monotonic()
        self.sup = sup = self.udsd(self.text, env=environment, ready=None)
        wait_for(lambda: sup.poll() is not None or self.answers(), 4, "a service or an end")
        self.assertLess(time.monotonic() - started, 2 * SOON * PATIENCE)
        self.end_fault()
        if sup.poll() is None:
            wait_for(lambda: visit(self.path("r"), b"x") == b"no\n", 3)
            self.assertEqual(sup.stop(), 0)
        else:
            self.assertIn(sup.result, (69, 71, 78))
            self.assertNotEqual(sup.lines(), [], "ended without a word")
        self.check_paths(site)

    def answers(self):
        return visit(self.path("d1/s"), b"x") == b"hello\r\nx"


class Stop(Sweep):
    """With a client that is served and one that a full service keeps waiting."""

    phase = "stop"

    def open(self):
        super().open()
        self.text = self.text.replace('limit-core = "0"', "max-connections = 1")

    def connect_both(self):
        self.sup = self.udsd(self.text, env=self.faults.environment())
        self.live, self.queued = self.hello(self.path("d1/s")), self.connect(self.path("d1/s"))

    def act(self):
        started = time.monotonic()
        self.assertEqual(self.sup.stop(), 0)
        self.assertLess(time.monotonic() - started, (SOON + 1) * PATIENCE)
        for sock in (self.live, self.queued):
            self.assert_end(sock)
            sock.close()

    def sites(self):
        self.connect_both()
        self.faults.record(True)
        self.act()
        return self.faults.sites()

    def run_case(self, site, error):
        self.connect_both()
        self.faults.begin_at(site, error)
        self.act()
        self.end_fault()
        self.check_paths(site)


PHASES = (Start, Connection, Reload, Stop)


def trials(phase, sites):
    for site in sites:
        if re.match("discard@|write_all@", place(site.offset)):
            continue    # what is not read resets a client; what is not written we do not see
        for word in ERRORS[site.call].split():
            error = getattr(errno, word)
            yield Trial(site, error, name_of(phase.phase, site, error))


def sweep(phase, say, is_chosen):
    """Tries the cases of a phase for which is_chosen(number, runner, trial) holds; returns how
    many, and what failed."""
    failed = []
    runner = prepared(phase)
    chosen = [trial for number, trial in enumerate(trials(phase, runner.sites()))
              if is_chosen(number, runner, trial)]
    for trial in chosen:
        try:
            signal.alarm(int(30 * PATIENCE))
            runner.run_case(trial.site, trial.error)
        except (AssertionError, OSError, TimeoutError) as error:
            failed.append(trial.name)
            say("FAIL %s: %s" % (trial.name, str(error).strip().split("\n")[0]))
            finish(runner)
            runner = prepared(phase)
            runner.sites()
    finish(runner)
    return len(chosen), failed


def prepared(phase):
    runner = phase()
    runner.setUpClass()
    runner.setUp()
    runner.open()
    return runner


def finish(runner):
    if runner.sup is not None:
        runner.sup.sockets = []
    try:
        runner.doCleanups()
    except AssertionError:
        pass


def main():
    words = sys.argv[1:]
    total, wrong = 0, []
    for phase in PHASES:
        started = time.monotonic()
        count, failed = sweep(
            phase, lambda text: print(text, flush=True),
            lambda _number, _runner, trial: not words or any(word in trial.name for word in words))
        print("%s: %d cases, the call was made in %d of them; %d failed; %.0f s" % (
            phase.phase, count, phase.made, len(failed), time.monotonic() - started), flush=True)
        total += count
        wrong += failed
    print("%d cases, %d failed" % (total, len(wrong)))
    sys.exit(len(wrong) > 0)


if __name__ == "__main__":
    main()
