"""What the tests of rules, limits and overload share: clients as other users, many clients in
one thread, faults on demand."""
import collections
import ctypes
import errno
import os
import pickle
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import proc
from harness import address, read_to_end

CLONE_NEWUSER = 0x10000000
SO_PASSRIGHTS = 83
OVERFLOW = 65534
SHIM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faultshim.c")

libc = ctypes.CDLL(None, use_errno=True)


# Other users -------------------------------------------------------------------------

Who = collections.namedtuple("Who", "uid gid groups", defaults=((),))


def become(who):
    """Makes this process, which is root's, that of somebody else."""
    os.setgroups(list(who.groups))
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)


class Child:
    """A forked process that calls function(*args) as somebody; result() is what it returns."""

    def __init__(self, who, function, *args):
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(who, function, args, writer)
        os.close(writer)
        self.reader = reader

    @staticmethod
    def _run(who, function, args, writer):
        try:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
            os.closerange(3, writer)
            os.closerange(writer + 1, 1 << 20)
            if who is not None:
                become(who)
            answer = function(*args)
        except BaseException as error:          # told to the parent
            answer = error
        with os.fdopen(writer, "wb") as file:
            pickle.dump(answer, file)
        os._exit(0)

    def result(self):
        with os.fdopen(self.reader, "rb") as file:
            answer = pickle.load(file)
        os.waitpid(self.pid, 0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def as_user(who, function, *args):
    """Calls a function in a process of its own, as somebody (None: as we are)."""
    return Child(who, function, *args).result()


# Clients -----------------------------------------------------------------------------

def name_of(error):
    return errno.errorcode.get(error.errno, str(error))


def visit(path, data=b"", kind=socket.SOCK_STREAM, timeout=10):
    """What a client gets until the end of file, or the name of the error that it sees."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect(address(path))
            try:
                if data:
                    sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, OSError) as error:
                if error.errno not in (errno.EPIPE, errno.ENOTCONN):
                    raise
            return read_to_end(sock)
        except OSError as error:
            return name_of(error)


def fill(sock, amount):
    """Sends up to so many bytes, as many as the socket takes at once; returns how many."""
    sent = 0
    block = b"x" * 65536
    sock.setblocking(False)
    try:
        while sent < amount:
            sent += sock.send(block[:amount - sent])
    except (BlockingIOError, BrokenPipeError):
        pass
    return sent


def pour(socks, amount, timeout=20):
    """Sends so many bytes on each of the sockets, as far as they are taken, and reads all that
    comes until the end of file: what each got, or the name of an error. EPIPE only ends the
    sending."""
    selector = selectors.DefaultSelector()
    left = {sock: amount for sock in socks}
    got = {sock: b"" for sock in socks}
    for sock in socks:
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if amount else 0))
    while selector.get_map():
        ready = selector.select(timeout)
        if not ready:
            break
        for key, events in ready:
            sock = key.fileobj
            try:
                if events & selectors.EVENT_WRITE:
                    left[sock] -= _send(sock, left[sock])
                    if not left[sock]:
                        selector.modify(sock, selectors.EVENT_READ)
                if events & selectors.EVENT_READ:
                    part = sock.recv(65536)
                    got[sock] += part
                    if not part:
                        selector.unregister(sock)
            except BlockingIOError:
                pass
            except OSError as error:
                got[sock] = name_of(error)
                selector.unregister(sock)
    for key in list(selector.get_map().values()):
        got[key.fileobj] = "no end"
    selector.close()
    return [got[sock] for sock in socks]


def _send(sock, left):
    """How much less there is to send."""
    try:
        return sock.send(b"y" * min(left, 65536))
    except BrokenPipeError:
        return left


def is_silent(sock):
    """Whether nothing has come on a connection, nor its end."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return not selector.select(0)


# Processes ---------------------------------------------------------------------------

def cpu_seconds(pids):
    """The CPU time of those processes that live, to the nanosecond where the kernel counts
    so."""
    total = 0.0
    for pid in filter(proc.is_alive, pids):
        text = proc.read(pid, "schedstat").split()
        total += int(text[0]) / 1e9 if text else proc.cpu_seconds(pid)
    return total


def is_gone(pid):
    return not proc.is_alive(pid)


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


# The kernel --------------------------------------------------------------------------

def knows_pass_rights():
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)
        except OSError:
            return False
    return True


def leave_namespace():
    """For preexec_fn: into a user namespace that maps nobody, so that all have the overflow
    uid."""
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def enter_mapped(count):
    """For preexec_fn, as root: into a user namespace that maps the ids below count, as they
    are."""
    reader, writer = os.pipe()
    pid = os.getpid()
    helper = os.fork()
    if helper == 0:
        os.read(reader, 1)
        for name in ("uid_map", "gid_map"):
            with open("/proc/%d/%s" % (pid, name), "w", encoding="ascii") as file:
                file.write("0 0 %d" % count)
        os._exit(0)
    leave_namespace()
    os.write(writer, b"x")
    os.waitpid(helper, 0)


def why_no_namespace():
    """None if this user may make user namespaces, else the reason."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if libc.unshare(CLONE_NEWUSER) == 0 else ctypes.get_errno())
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return "no user namespace: " + os.strerror(number) if number else None


def build_c(source, output, *options):
    """Compiles a program of the tests. None, or why that is not possible here."""
    compiler = os.environ.get("CC", "cc").split()
    if shutil.which(compiler[0]) is None:
        return "not installed: " + compiler[0]
    done = subprocess.run([*compiler, "-O1", "-o", output, source, *options],
                          capture_output=True, text=True, check=False)
    return "cannot be built: " + done.stderr.strip() if done.returncode else None


# Faults ------------------------------------------------------------------------------

with open(os.path.join(os.path.dirname(SHIM), "faultcalls.h"), encoding="ascii") as calls:
    CALLS = [None] + re.findall(r"^(?:CALL|MAKE|OTHER)\((\w+)", calls.read(), re.M)
ROLES = ("supervisor", "child", "log", "config", "control", "worker")
SITES = 1000
HEAD = struct.Struct("10IQ")    # as struct control in faultshim.c
SITE = struct.Struct("4IQ")

Site = collections.namedtuple("Site", "call role offset hits")


class Faults:
    """A preloaded library that lets calls of udsd fail while a test wants it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="udsd-faults-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.library = os.path.join(self.dir, "faultshim.so")
        self.control = os.path.join(self.dir, "control")
        self.why_not = build_c(SHIM, self.library, "-shared", "-fPIC", "-ldl")

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def environment(self):
        """The environment of a udsd that has faults."""
        with open(self.control, "wb") as file:
            file.write(bytes(HEAD.size + SITES * SITE.size))
        asan = os.environ.get("ASAN_OPTIONS", "")
        return dict(os.environ, LD_PRELOAD=self.library, UDSD_FAULTS=self.control,
                    ASAN_OPTIONS=asan + ":verify_asan_link_order=0")

    def _read(self):
        with open(self.control, "rb") as file:
            return HEAD.unpack(file.read(HEAD.size))

    def _write(self, offset, *words):
        with open(self.control, "r+b", buffering=0) as file:
            file.seek(offset)
            file.write(struct.pack("%dI" % len(words), *words))

    def loaded(self):
        return self._read()[0] != 0

    def hits(self):
        """How often the call has failed since begin()."""
        return self._read()[3]

    def begin(self, call, error):
        """From now on the call fails everywhere."""
        self._write(4, CALLS.index(call), error, 0, 1, 0, 0)

    def begin_at(self, site, error, first=1, last=1):
        """Of the next times that the call is made at this site these fail."""
        self.end()
        self._write(HEAD.size - 8, site.offset & 0xffffffff, site.offset >> 32)
        self._write(4, CALLS.index(site.call), error, 0, first, last, ROLES.index(site.role) + 1)

    def end(self):
        self._write(4, 0, 0, 0, 0, 0, 0)
        self._write(HEAD.size - 8, 0, 0)

    def record(self, on):
        """Whether the sites that are passed are written down, from none on."""
        self._write(28, int(on), *([0] if on else []))

    def sites(self):
        """Those that were written down."""
        count = self._read()[8]
        with open(self.control, "rb") as file:
            data = file.read()[HEAD.size : HEAD.size + min(count, SITES) * SITE.size]
        return sorted({Site(CALLS[call], ROLES[role], offset, hits)
                       for call, role, hits, _, offset in SITE.iter_unpack(data) if offset})
