"""A /dev of one's own, so that a test can be the syslog daemon.

enter() is for preexec_fn: it puts the process into a mount namespace (an ordinary
user's also into a user namespace, as the same uid) whose /dev has a few devices and a
symlink `log` that leads to a path of the test's.
"""
import ctypes
import os

from lib.native import libc

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
DEVICES = ("null", "zero", "random", "urandom")


def check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount(source, target, flags, kind=None):
    check(libc.mount(source.encode(), target.encode(), kind, flags, None))


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def map_own_ids(uid, gid):
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", "%d %d 1" % (uid, uid))
    write("/proc/self/gid_map", "%d %d 1" % (gid, gid))


def enter(folder, log):
    """Makes folder, empty or used before, the /dev of this process."""
    uid, gid = os.geteuid(), os.getegid()
    check(libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if uid else 0)))
    if uid:
        map_own_ids(uid, gid)
    mount("none", "/", MS_REC | MS_PRIVATE)
    for name in DEVICES:
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            write(path, "")
        mount("/dev/" + name, path, MS_BIND)
    if not os.path.islink(os.path.join(folder, "log")):
        os.symlink(log, os.path.join(folder, "log"))
    mount(folder, "/dev", MS_BIND | MS_REC)


def why_not(folder):
    """None if this process may do that, else the reason. Tried in a child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            enter(folder, "/nowhere")
            os.unlink(os.path.join(folder, "log"))
        except OSError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as file:
        reason = file.read()
    return "no mount namespace: " + reason if reason else None
