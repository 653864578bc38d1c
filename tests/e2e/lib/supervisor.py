"""A supervisor under test: its log, its processes, its end."""
import os
import re
import signal

from lib import proc
from lib.log_reader import HEAD, parse_line
from lib.waiting import wait_for

REFUSED = 78  # the status for a config that is not accepted


class Udsd:
    """A running supervisor. popen is what was started, or None for a daemon."""

    def __init__(self, pid, log, popen=None):
        self.pid = pid
        self.popen = popen
        self.log = log
        self.result = None
        self.sockets = []  # paths that must be gone after a clean stop
        self.socket = None  # the first of them

    def raw_lines(self):
        """What its standard error has got so far, as it is."""
        with open(self.log, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().split("\n")[:-1]

    def lines(self):
        """Its log lines so far, without what they begin with."""
        return [HEAD.sub("", line, 1) for line in self.raw_lines()]

    def events(self, verb, **match):
        """The parsed lines of a verb whose pairs have these values (_ for -)."""
        wanted = {key.replace("_", "-"): str(value) for key, value in match.items()}
        return [
            pairs
            for name, pairs in map(parse_line, (line for line in self.lines() if verb in line))
            if name == verb and wanted.items() <= pairs.items()
        ]

    def wait_events(self, count, verb, timeout=5, **match):
        """Waits until so many lines of a verb are there; returns them."""

        def enough():
            found = self.events(verb, **match)
            return found if len(found) >= count else None

        return wait_for(enough, timeout, "%d lines: %s %s" % (count, verb, match))

    def wait_event(self, verb, timeout=5, **match):
        """Waits for one line of a verb; returns its pairs."""
        return self.wait_events(1, verb, timeout, **match)[0]

    def wait_log(self, pattern, timeout=5):
        """Waits for a line that matches a regular expression; returns the match."""

        def find():
            return next(
                (m for m in map(re.compile(pattern).search, self.lines()) if m), None
            )

        return wait_for(find, timeout, "a log line like " + pattern)

    def poll(self):
        """Its exit status, None while it runs; -N if signal N ended it."""
        if self.result is None:
            if self.popen:
                self.result = self.popen.poll()
            else:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.result = (
                        os.WEXITSTATUS(status)
                        if os.WIFEXITED(status)
                        else -os.WTERMSIG(status)
                    )
        return self.result

    def wait(self, timeout=10):
        """Waits for its end; returns the exit status."""
        wait_for(lambda: self.poll() is not None, timeout, "the end of udsd")
        return self.result

    def kill(self, number):
        os.kill(self.pid, number)

    def stop(self, timeout=10):
        """Ends it with SIGTERM; returns the exit status."""
        self.kill(signal.SIGTERM)
        return self.wait(timeout)

    def named(self, title):
        return [
            pid
            for pid in proc.children(self.pid)
            if proc.title(pid) == title and proc.is_alive(pid)
        ]

    def workers(self, name):
        """The pids of a service's workers."""
        return self.named("udsd: " + name)

    def worker(self, name, timeout=5):
        """The pid of a service's only worker; waits for it."""
        return wait_for(lambda: self.workers(name), timeout, "a worker of " + name)[0]

    def log_pid(self):
        return wait_for(lambda: self.named("udsd: log"), what="the log process")[0]

    def family(self):
        """The supervisor and all below it."""
        return [self.pid] + proc.descendants(self.pid)


def most_live(sup, name="s"):
    """The largest number of connections that were live at once, by the log."""
    live = most = 0
    for line in sup.lines():
        if "service=%s " % name in line:
            live += ("open service" in line) - ("close service" in line)
        most = max(most, live)
    return most


def kill_worker(sup, name="s"):
    """Kills the worker and waits until the supervisor has its handlers; returns its pid."""
    pid = sup.worker(name)
    os.kill(pid, signal.SIGKILL)
    sup.wait_event("worker", pid=pid, status="signal:KILL")
    return pid
