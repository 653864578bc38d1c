"""Shared by the end-to-end tests: a supervisor under test, clients, a strict clean-up.

Every test has a directory of its own. At its end all that it started must end in good
order: a supervisor that must be killed, a socket path or a process left behind fails it.
UDSD_BUILD and UDSD_SRC name the build and the source tree.
"""
import contextlib
import ctypes
import errno
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import proc
import tap
from tap import IS_ROOT, diagnose, needs, needs_root, needs_user

__all__ = [
    "Case",
    "ECHO",
    "IS_ROOT",
    "PATIENCE",
    "PYTHON",
    "REFUSED",
    "SANITIZED",
    "UDSC",
    "UDSCTL",
    "UDSD",
    "UDSD_VFORK",
    "USER",
    "Udsd",
    "WHOAMI",
    "complete",
    "config",
    "crowd",
    "main",
    "needs",
    "needs_root",
    "needs_user",
    "parse_line",
    "read_to_end",
    "service",
    "wait_for",
]

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("UDSD_BUILD") or TOP
SRC = os.environ.get("UDSD_SRC") or TOP
UDSD = os.path.join(BUILD, "src", "udsd")
UDSD_VFORK = os.path.join(BUILD, "tests", "e2e", "udsd_vfork") # see src/raw.h
UDSC = os.path.join(BUILD, "src", "udsc")
UDSCTL = os.path.join(BUILD, "src", "udsctl")
ECHO = os.path.join(BUILD, "handlers", "echo")
WHOAMI = os.path.join(SRC, "handlers", "whoami")

PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
USER = pwd.getpwnam("nobody") if IS_ROOT else pwd.getpwuid(os.geteuid())
PR_SET_CHILD_SUBREAPER = 36
REFUSED = 78  # the status for a config that is not accepted
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: \w+Sanitizer")


def wait_for(condition, timeout=5, what=None):
    """Polls until condition() is true and returns its value; fails after timeout seconds,
    or longer on a busy machine."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %g s for %s" % (timeout, what or "a condition"))
        time.sleep(0.01)


def is_sanitized(program):
    """Whether it was built with the address sanitizer."""
    try:
        with open(program, "rb") as file:
            return b"__asan_init" in file.read()
    except FileNotFoundError:
        return False


SANITIZED = is_sanitized(UDSD)
# What may take longer on a busy machine: upper bounds are multiplied by this.
PATIENCE = float(os.environ.get("UDSD_E2E_PATIENCE", 4 if SANITIZED else 2))
TEST_SECONDS = 60 * PATIENCE


def main():
    """Runs the tests of the file that was started."""
    for program in (UDSD, UDSC, UDSCTL, ECHO):
        if not os.access(program, os.X_OK):
            print("Bail out! Not built:", program)
            sys.exit(1)
    tap.main()


# The log -----------------------------------------------------------------------------

NAME = r"[a-z][a-z0-9-]*"
VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^\s"]*)'
PAIR = re.compile("(%s)=(%s)" % (NAME, VALUE))
LINE = re.compile("([a-z]+)((?: %s=%s)*)$" % (NAME, VALUE))
PREFIX = re.compile(r"^(?:<\w+>)?\s*(?:[^\"]*?\budsd\S*: )?")


def unescape(text):
    """The value that a logged word stands for; bytes that are not UTF-8 as surrogates."""
    if text.startswith('"'):
        text = text[1:-1]
    data = text.encode(errors="surrogateescape")
    data = re.sub(
        rb"\\(?:x([0-9a-fA-F]{2})|(.))",
        lambda m: bytes([int(m[1], 16)]) if m[1] else m[2],
        data,
    )
    return data.decode(errors="surrogateescape")


def parse_line(line):
    """A log line as (verb, dict), or (None, {}) if it is something else."""
    for text in (line, PREFIX.sub("", line, 1)):
        match = LINE.match(text)
        if match:
            return match[1], {
                key: unescape(value) for key, value in PAIR.findall(match[2])
            }
    return None, {}


# Configs -----------------------------------------------------------------------------


def quote(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{ %s }" % ", ".join(quote(item) for item in value)
    return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')


def options(values):
    return [
        "%s = %s" % (name.replace("_", "-"), quote(value))
        for name, value in values.items()
        if value is not None
    ]


def service(name, **values):
    """A service section; option names with _ for -, None leaves an option out."""
    return "service %s {\n    %s\n}\n" % (name, "\n    ".join(options(values)))


def config(text="", **values):
    """Global options, then text."""
    return "\n".join(options(values)) + "\n" + text


def has_option(text, name):
    return re.search(r"^\s*%s\s*[={]" % name, text, re.M)


def complete(text):
    """Adds what keeps a test off the system's own files, after the text: lines keep their
    numbers."""
    extra = [
        line
        for name, line in (
            ("pid-file", 'pid-file = ""'),
            ("control-socket", 'control-socket = ""'),
            ("stop-timeout", "stop-timeout = 2s"),
        )
        if not has_option(text, name)
    ]
    if IS_ROOT and not re.search(r"^\s*defaults\b", text, re.M):
        extra.append('defaults { user = "nobody" }')
    return "\n".join([text] + extra) + "\n"


# Clients -----------------------------------------------------------------------------


def address(path):
    return "\0" + path[1:] if path.startswith("@") else path


def read_to_end(sock):
    """All bytes until the end of file."""
    parts = []
    while True:
        part = sock.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def crowd(workers, jobs, function):
    """Calls function(i) for i in range(jobs), from so many threads; returns the results,
    an exception in the place of the call that raised it."""
    results = [None] * jobs
    numbers = iter(range(jobs))
    lock = threading.Lock()

    def run():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results[number] = function(number)
            except Exception as error:  # told to the caller as a result
                results[number] = error

    threads = [threading.Thread(target=run, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# The supervisor ----------------------------------------------------------------------


class Udsd:
    """A running supervisor. popen is what was started, or None for a daemon."""

    def __init__(self, pid, log, popen=None):
        self.pid = pid
        self.popen = popen
        self.log = log
        self.result = None
        self.sockets = []  # paths that must be gone after a clean stop
        self.socket = None  # the first of them

    def lines(self):
        """Its log lines so far."""
        with open(self.log, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().split("\n")[:-1]

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


class Case(unittest.TestCase):
    """A test with a directory, supervisors, clients and other processes of its own."""

    maxDiff = 2000
    PROGRAM = UDSD

    @classmethod
    def setUpClass(cls):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="udsd-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.supervisors = []
        self.processes = []
        self.sockets = []
        self.kept = set()  # socket paths that a test leaves on purpose
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.addCleanup(self._clean_up)
        signal.signal(signal.SIGALRM, self._expired)
        signal.alarm(int(TEST_SECONDS))

    @staticmethod
    def _expired(_number, _frame):
        raise TimeoutError("the test took longer than %d s" % TEST_SECONDS)

    # Files

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def script(self, name, text):
        """An executable sh script."""
        return self.write(name, "#!/bin/sh\n" + text, 0o755)

    def python(self, name, text):
        """An executable Python script."""
        return self.write(name, "#!%s\n%s" % (PYTHON, text), 0o755)

    def echo(self):
        """A copy of echo, which udsd may trust whoever owns the build tree."""
        path = self.path("echo")
        if not os.path.exists(path):
            shutil.copyfile(ECHO, path)
            os.chmod(path, 0o755)
        return path

    def light_echo(self):
        """Echo for hundreds at once; with sanitizers each process of echo is heavy."""
        if not SANITIZED:
            return self.echo()
        return self.script("light-echo", "printf 'hello\\r\\n'; exec cat\n")

    def folder(self, name, mode=0o755, owner=None):
        path = self.path(name)
        os.mkdir(path)
        os.chmod(path, mode)
        if owner and IS_ROOT:
            os.chown(path, owner.pw_uid, owner.pw_gid)
        return path

    # Supervisors

    def _log(self):
        return self.path("log.%d" % len(self.supervisors))

    def start(self, args, wrapper=(), **popen):
        """Starts udsd, by way of a program that execs it; its stderr is the log."""
        log = self._log()
        with open(log, "wb") as stderr:
            popen.setdefault("stderr", stderr)
            popen.setdefault("stdout", subprocess.DEVNULL)
            popen.setdefault("stdin", subprocess.DEVNULL)
            process = subprocess.Popen([*wrapper, self.PROGRAM, *args], **popen)
        sup = Udsd(process.pid, log, process)
        self.supervisors.append(sup)
        return sup

    def udsd(self, text, args=(), ready="log", name="udsd.conf", **popen):
        """Serves a config in the foreground and waits until all sockets accept. ready says
        how to know: "log" by the listen lines, "path" by the paths, None: does not wait.
        """
        text = complete(text)
        sup = self.start(["-f", "-c", self.write(name, text), *args], **popen)
        sections = re.findall(r"^service[^\n]*\{\n(.*?)^\}", text, re.M | re.S)
        for section in sections:
            path = re.search(r'^\s*socket\s*=\s*"([^"]*)"', section, re.M)
            if path and not re.search(r"^\s*enabled\s*=\s*false", section, re.M):
                sup.sockets.append(path[1])
        self.wait_ready(sup, ready)
        return sup

    def serve(self, handler, name="s", socket=None, args=(), **values):
        """Serves one service, "s", on DIR/s.sock."""
        socket = socket or self.path(name + ".sock")
        text = service(name, socket=socket, handler=handler, **values)
        return self.udsd(text, args)

    def serve_bare(self, socket, handler, *options, **popen):
        """udsd without a config; options as NAME=VALUE."""
        args = [word for option in options for word in ("-o", option)]
        sup = self.start([*args, socket, *handler], **popen)
        sup.sockets.append(socket)
        self.wait_ready(sup, "log")
        return sup

    def wait_ready(self, sup, ready="log"):
        sup.socket = sup.sockets[0] if sup.sockets else None

        def is_ready():
            if sup.poll() is not None:
                raise AssertionError("udsd ended with %s at its start" % sup.result)
            if ready == "log":
                return len(sup.events("listen")) >= len(sup.sockets)
            return proc.listening() >= set(sup.sockets)

        if ready:
            wait_for(is_ready, 10, "udsd to be ready")

    def daemon(self, text, **popen):
        """Serves a config as a daemon, with a pid file."""
        pid_file = self.path("udsd.pid")
        text = complete(config(text, pid_file=pid_file))
        done = self.run_program([UDSD, "-c", self.write("udsd.conf", text)], **popen)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(pid_file, encoding="ascii") as file:
            sup = Udsd(int(file.read()), os.devnull)
        self.supervisors.append(sup)
        sup.sockets = re.findall(r'^\s*socket\s*=\s*"([^"]*)"', text, re.M)
        sup.socket = sup.sockets[0]
        return sup

    def run_program(self, args, timeout=10, text=True, **kw):
        """Runs a program to its end; input and output as str, unchanged, or as bytes."""
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        if "input" not in kw:
            kw.setdefault("stdin", subprocess.DEVNULL)
        elif text:
            kw["input"] = kw["input"].encode()
        done = subprocess.run(args, timeout=timeout, check=False, **kw)
        if text:
            done.stdout, done.stderr = (
                data and data.decode(errors="surrogateescape") or ""
                for data in (done.stdout, done.stderr)
            )
        return done

    def run_udsd(self, *args, **kw):
        return self.run_program([UDSD, *args], **kw)

    def run_udsc(self, *args, **kw):
        return self.run_program([UDSC, *args], **kw)

    def run_as_user(self, code, *args):
        """Runs Python code as the services' user, with arguments, in /."""

        def drop():
            if IS_ROOT:
                os.setgroups([])
                os.setgid(USER.pw_gid)
                os.setuid(USER.pw_uid)

        args = [PYTHON, "-c", code, *map(str, args)]
        return self.run_program(args, preexec_fn=drop, cwd="/")

    def spawn(self, args, **popen):
        """Starts a helper process, ended with the test."""
        process = subprocess.Popen(args, **popen)
        self.processes.append(process)
        return process

    # Clients

    def adopt(self, sock):
        self.sockets.append(sock)
        return sock

    def client(self, kind=socket.SOCK_STREAM, timeout=10):
        """An unconnected socket, closed with the test."""
        sock = self.adopt(socket.socket(socket.AF_UNIX, kind))
        sock.settimeout(timeout)
        return sock

    def connect(self, path, kind=socket.SOCK_STREAM, timeout=10):
        sock = self.client(kind, timeout)
        sock.connect(address(path))
        return sock

    def talk(self, path, data=b"", kind=socket.SOCK_STREAM, timeout=10):
        """Sends data and an end of file; returns all that comes back."""
        with self.connect(path, kind, timeout) as sock:
            if data:
                sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            return read_to_end(sock)

    def hello(self, path, kind=socket.SOCK_STREAM):
        """A connection to echo that has been greeted."""
        sock = self.connect(path, kind)
        self.assertEqual(self.receive(sock, 7), b"hello\r\n")
        return sock

    def receive(self, sock, count):
        """So many bytes, fewer only at the end of file."""
        data = b""
        while len(data) < count:
            part = sock.recv(count - len(data))
            if not part:
                break
            data += part
        return data

    def round_trip(self, sock, data=b"ping"):
        """Sends to an echo that lives and checks what comes back."""
        sock.sendall(data)
        self.assertEqual(self.receive(sock, len(data)), data)

    @staticmethod
    def offer(sock, data):
        """Sends to one who may have closed it meanwhile."""
        with contextlib.suppress(BrokenPipeError):
            sock.sendall(data)

    def assert_end(self, sock, what=b""):
        """The rest of a connection, which ends with a clean end of file."""
        try:
            self.assertEqual(read_to_end(sock), what)
        except ConnectionResetError:
            self.fail("the connection was reset")

    def assert_quick(self, started, seconds):
        """It has not taken long since then, for so busy a machine."""
        self.assertLess(time.monotonic() - started, seconds * PATIENCE)

    def assert_refused(self, path):
        """Nobody serves the path."""
        with self.assertRaises(OSError) as caught:
            self.connect(path)
        self.assertIn(caught.exception.errno, (errno.ECONNREFUSED, errno.ENOENT))

    # The end of a test

    @contextlib.contextmanager
    def subTest(self, msg=None, **params):
        """A row of a table; what it starts ends with it."""
        sups, socks = len(self.supervisors), len(self.sockets)
        with super().subTest(msg, **params):
            try:
                yield
            except Exception:
                self._end_since(sups, socks)
                self._show_logs(self.supervisors[sups:])
                raise
            self.assertEqual(self._end_since(sups, socks), [], "left behind")

    def _end_since(self, sups, socks):
        """Ends supervisors and clients from these numbers on; returns what was wrong."""
        for sock in self.sockets[socks:]:
            sock.close()
        wrong = [line for sup in self.supervisors[sups:] for line in self._end(sup)]
        return wrong + self._paths_left(sups)

    def _paths_left(self, sups):
        """The sockets that clean stops have left behind."""
        paths = {
            path
            for sup in self.supervisors[sups:]
            for path in sup.sockets
            if sup.result == 0 and not path.startswith("@")
        }
        left = [path for path in paths - self.kept if os.path.lexists(path)]
        return ["socket path " + path for path in left]

    def _clean_up(self):
        signal.alarm(0)
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        wrong = self._end_since(0, 0) + self._end_leftovers()
        if wrong or self._outcome_is_bad():
            self._show_logs(self.supervisors[-2:])
        self.assertEqual(wrong, [], "left behind")

    def _end(self, sup):
        wrong = []
        if sup.poll() is None:
            try:
                status = sup.stop(10)
                if status != 0:
                    wrong.append("udsd ended with %d" % status)
            except AssertionError:
                wrong.append("udsd had to be killed")
                sup.kill(signal.SIGKILL)
                sup.wait()
        return wrong + [line for line in sup.lines() if SANITIZER.search(line)]

    def _end_leftovers(self):
        """All processes below this one should be gone; kills those that are not."""

        def remaining():
            self._reap()
            return [pid for pid in proc.descendants(os.getpid()) if proc.is_alive(pid)]

        try:
            wait_for(lambda: not remaining(), 3)
        except AssertionError:
            pass
        wrong = []
        for pid in remaining():
            wrong.append("process %d: %s" % (pid, proc.title(pid)))
            os.kill(pid, signal.SIGKILL)
        if wrong:
            wait_for(lambda: not remaining(), 5, "killed processes to go")
        return wrong

    @staticmethod
    def _reap():
        """Collects orphans that came to this process as their reaper."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def _outcome_is_bad(self):
        result = getattr(self._outcome, "result", None)
        return getattr(result, "bad", False) or not getattr(
            self._outcome, "success", True
        )

    @staticmethod
    def _show_logs(sups):
        for sup in sups:
            for line in sup.lines()[-30:]:
                diagnose("log: " + line.encode(errors="backslashreplace").decode())
