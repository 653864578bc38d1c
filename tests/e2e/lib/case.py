"""A test with a directory, supervisors, clients and other processes of its own, and a strict clean-up.

At the end of a test all that it started must end in good order: a supervisor that must be killed, a
socket path or a process left behind fails it.
"""
import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from lib import proc, tap
from lib.build_tree import ECHO, PYTHON, SANITIZED, UDSC, UDSCTL, UDSD
from lib.clients import address, read_to_end
from lib.config_text import complete, config, service
from lib.log_reader import SANITIZER
from lib.native import libc
from lib.supervisor import Udsd
from lib.tap import IS_ROOT, diagnose
from lib.users import USER
from lib.waiting import PATIENCE, TEST_SECONDS, wait_for

PR_SET_CHILD_SUBREAPER = 36


def main():
    """Runs the tests of the file that was started."""
    for program in (UDSD, UDSC, UDSCTL, ECHO):
        if not os.access(program, os.X_OK):
            print("Bail out! Not built:", program)
            sys.exit(1)
    tap.main()


class Case(unittest.TestCase):
    """A test with a directory, supervisors, clients and other processes of its own."""

    maxDiff = 2000
    PROGRAM = UDSD

    @classmethod
    def setUpClass(cls):
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        # As usual, however the tests were started: in the background, by nohup, under another umask.
        os.umask(0o022)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            if signal.getsignal(number) == signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)

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
        """A copy of echo, which any user may run, whatever the mode of the build tree."""
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
        """No process serves the path."""
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
