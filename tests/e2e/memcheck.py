#!/usr/bin/env python3
"""Runs the unit tests, and udsd for a few connections, a reload and a stop, under valgrind's memcheck.

memcheck.py UNIT-TEST...: each must end well, read and write only what it may, and leave no
descriptor open. Lost memory is the address sanitizer's affair. Left out are
test_handler, since valgrind gives a child of vfork() a memory of its own, and test_loader, whose
processes run out of time.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from harness import Case, complete, config, service, wait_for
from more import visit

VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--track-fds=yes"]
SECONDS = 300
OPEN = re.compile(r"Open (?:file descriptor|AF_\w+ socket) .*\n==\d+==    (?!<inherited)")


def faults_of(text, pid):
    """What is wrong in what valgrind said of one process."""
    mine = "".join(line for line in text.splitlines(True) if line.startswith("==%d==" % pid))
    return OPEN.findall(mine)


def run_unit(program):
    """Whether a unit test is clean."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(VALGRIND + [program], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output)
        process.wait(SECONDS)
        output.seek(0)
        said = output.read()
    bad = process.returncode != 0 or faults_of(said, process.pid) != []
    print("%s %s" % ("FAIL" if bad else "ok  ", os.path.basename(program)), flush=True)
    if bad:
        print(said)
    return not bad


class Supervisor(Case):
    """Not a test of make check: udsd as a whole, slow as it is."""

    def run_all(self):
        text = "".join(
            service(name, socket=self.path(name), handler=[self.echo()], worker_idle="100ms",
                    **values)
            for name, values in (("a", {}), ("b", {"allow": ["self"], "rate": "100/1s"}),
                                 ("c", {"deny": ["any"], "reject_message": "no"})))
        conf = self.write("udsd.conf", complete(config(text, pid_file=self.path("pid"))))
        sup = self.start(["-f", "-c", conf],
                         VALGRIND + ["--log-file=" + self.folder("said", 0o777) + "/%p"])
        sup.wait_events(3, "listen", 30)
        for _ in range(3):
            for name, wanted in (("a", b"hello\r\nx"), ("b", b"hello\r\nx"), ("c", b"no")):
                self.assertEqual(visit(self.path(name), b"x", timeout=60), wanted)
        os.replace(self.write("new.conf", complete(text.replace("service a", "service d"))), conf)
        sup.kill(signal.SIGHUP)
        # whatever comes of it: the check of the config may well run out of time here
        wait_for(lambda: [event for event in sup.events("reload") if "status" in event], 30)
        self.assertEqual(visit(self.path("a"), b"x", timeout=60), b"hello\r\nx")
        wait_for(lambda: len(sup.events("close")) == 7, 30)
        self.assertEqual(sup.stop(60), 0)
        return self.look(sup.pid)

    def look(self, pid):
        """What is wrong in what was said of any process."""
        wrong, names = [], os.listdir(self.path("said"))
        for name in names:
            with open(self.path("said/" + name), encoding="utf-8", errors="replace") as file:
                text = file.read()
            if name == str(pid):
                wrong += faults_of(text, pid)
            wrong += re.findall(r".*(?:Invalid|uninitialised|Syscall param|Mismatched).*", text)
        print("%s udsd, %d processes" % ("FAIL" if wrong else "ok  ", len(names)), flush=True)
        return wrong


def run_supervisor():
    case = Supervisor()
    case.setUpClass()
    case.setUp()
    signal.alarm(300)
    try:
        wrong = case.run_all()
    finally:
        case.doCleanups()
    if wrong:
        print("\n".join(wrong))
    return not wrong


def main():
    if shutil.which("valgrind") is None:
        sys.exit("not installed: valgrind")
    results = [run_unit(program) for program in sys.argv[1:]
               if os.path.basename(program) not in ("test_handler", "test_loader")]
    results.append(run_supervisor())
    print("%d of %d clean" % (sum(results), len(results)))
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
