#!/usr/bin/env python3
"""Runs the unit tests, and udsd for a few connections, a reload and a stop, under valgrind's memcheck.

memcheck.py UNIT-TEST...: each must end well, no process of theirs may read or write what it may
not, and no descriptor may be left open. Lost memory is the address sanitizer's affair: to look for
it here, each child that checks a config would read all 256 MiB of its arena at its end, and the
time for a reload would be over.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(1, os.path.join(sys.path[0], "..", "e2e")) # for lib
from lib import UDSD_VFORK, Case, complete, config, service, wait_for
from lib.clients import visit

os.environ["UDSD_MEMCHECK"] = "1" # for what cannot be done under it
VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--track-fds=yes", "--leak-check=no"]
SECONDS = 300
# What is open when a process ends, and rightly so: by the functions that opened it. Workers, the
# log process and children that are asked one thing leave theirs to the kernel.
HELD = re.compile(r"<inherited from parent>"
                  r"|   at .*\n   by \w+: (?:setup_descriptors|loader_run|run_logger|account_ask) ")
KNOWN = "Warning: noted but unhandled ioctl 0x89e0 "    # SIOCUNIXFILE, which takes no argument


def reports(text):
    """What valgrind said of a process, one item for each thing."""
    text = re.sub(r"(?m)^==\d+== ?(?:FILE DESCRIPTORS: .*\n==\d+== ?)?", "", text)
    parts = [part.strip() for part in text.split("\n\n")]
    return [part for part in parts if part and not part.startswith(KNOWN)]


def faults_of(folder, judged):
    """What is wrong in what was said of processes, a file each; descriptors count in those whose
    pid is judged()."""
    wrong = []
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            wrong += ["process %s: %s" % (name, part) for part in reports(file.read())
                      if not part.startswith("Open ")
                      or (judged(int(name)) and not HELD.search(part))]
    return wrong


def tell(name, wrong):
    """Says how it went; whether it went well."""
    print("%s %s" % ("FAIL" if wrong else "ok  ", name), flush=True)
    print("".join(part + "\n" for part in wrong), end="")
    return not wrong


def run_unit(program):
    """Whether a unit test is clean. Its own children need not close what they have from it."""
    with tempfile.TemporaryDirectory() as said, tempfile.TemporaryFile("w+") as output:
        os.chmod(said, 0o777)
        process = subprocess.Popen([*VALGRIND, "--log-file=" + said + "/%p", program],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        process.wait(SECONDS)
        output.seek(0)
        wrong = [output.read()] if process.returncode != 0 else []
        wrong += faults_of(said, lambda pid: pid == process.pid)
    return tell(os.path.basename(program), wrong)


class Supervisor(Case):
    """Not a test of make check: udsd as a whole, slow as it is. valgrind cannot follow a child that
    shares memory beside its parent."""

    PROGRAM = UDSD_VFORK

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
        sup.wait_events(1, "reload", status="done", changed=1, timeout=60)
        self.assertEqual(visit(self.path("a"), b"x", timeout=60), b"hello\r\nx")
        wait_for(lambda: len(sup.events("close")) == 7, 30)
        self.assertEqual(sup.stop(60), 0)
        return faults_of(self.path("said"), lambda pid: True)


def run_supervisor():
    case = Supervisor()
    case.setUpClass()
    case.setUp()
    signal.alarm(SECONDS)
    try:
        return tell("udsd", case.run_all())
    finally:
        case.doCleanups()


def main():
    if shutil.which("valgrind") is None:
        sys.exit("not installed: valgrind")
    results = [run_unit(program) for program in sys.argv[1:]] + [run_supervisor()]
    print("%d of %d clean" % (sum(results), len(results)))
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
