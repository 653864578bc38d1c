"""Other users: a function of the test that runs as one of them (for root), and user namespaces."""
import collections
import ctypes
import os
import pickle
import pwd
import signal

from lib.native import libc
from lib.tap import IS_ROOT

USER = pwd.getpwnam("nobody") if IS_ROOT else pwd.getpwuid(os.geteuid())
CLONE_NEWUSER = 0x10000000
OVERFLOW = 65534

Who = collections.namedtuple("Who", "uid gid groups", defaults=((),))


def become(who):
    """Makes this process, which is root's, another user's."""
    os.setgroups(list(who.groups))
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)


class Child:
    """A forked process that calls function(*args) as a user; result() is what it returns."""

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
        except BaseException as error:          # for the parent
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
    """Calls a function in a process of its own, as a user (None: as we are)."""
    return Child(who, function, *args).result()


def leave_namespace():
    """For preexec_fn: into a user namespace that maps no id, so that all have the overflow
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
