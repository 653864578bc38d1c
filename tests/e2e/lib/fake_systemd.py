"""What the tests of systemd share: a service manager of their own, with its store of descriptors."""
import contextlib
import json
import os
import socket
import subprocess
import time

from lib.build_tree import PYTHON
from lib.clients import address
from lib.config_text import service
from lib.orders import OrderCase
from lib.waiting import wait_for

STREAM, SEQPACKET, DGRAM = socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM
STATES = ("READY", "RELOADING", "STOPPING")
# Puts descriptors where LISTEN_FDS wants them and becomes udsd, as a service manager does.
LAUNCH = """
import fcntl, json, os, sys
sys.stdin.read()
order = json.loads(sys.argv[1])
for at, fd in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in order["fds"]], 3):
    os.dup2(fd, at)
os.closerange(3 + len(order["fds"]), 200)
env = dict(os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(order["fds"])))
os.execve(sys.argv[2], sys.argv[2:], dict(env, **order["env"]))
"""


def now_usec():
    return int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)


def identity(path):
    info = os.lstat(path)
    return info.st_dev, info.st_ino, info.st_mode, info.st_uid, info.st_gid


class Manager:
    """A service manager's end of NOTIFY_SOCKET, with its store of descriptors."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, DGRAM)
        self.sock.bind(address(path))
        self.sock.setblocking(False)
        self.messages = []
        self.store = {}                     # FDNAME: descriptor

    def close(self):
        self.sock.close()
        for fd in self.store.values():
            os.close(fd)

    def read(self):
        """Takes all that has come; returns all messages so far, each a dict."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, fds, _, _ = socket.recv_fds(self.sock, 4096, 4)
                self._take(dict(line.split("=", 1) for line in data.decode().splitlines()), fds)
        return self.messages

    def _take(self, message, fds):
        self.messages.append(message)
        name = message.get("FDNAME")
        if message.get("FDSTORE") == "1" and len(fds) == 1 and name not in self.store:
            self.store[name] = fds.pop()
        elif message.get("FDSTOREREMOVE") == "1" and name in self.store:
            os.close(self.store.pop(name))
        for fd in fds:
            os.close(fd)

    def states(self):
        """What was said of the state, in its order."""
        return [word for message in self.read() for word in STATES if word in message]

    def wait(self, state, count=1):
        """Waits until a state was reported so often; returns the last such message."""
        wait_for(lambda: self.states().count(state) >= count, what="%d %s" % (count, state))
        return [message for message in self.messages if state in message][-1]

    def stored(self):
        """The addresses of the sockets in the store, "-" for one that does not listen."""
        names = []
        self.read()
        for fd in self.store.values():
            with socket.socket(fileno=os.dup(fd)) as sock:
                name = os.fsdecode(sock.getsockname()).replace("\0", "@")
                listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                names.append(name if listens else "-")
        return sorted(names)

    def wait_stored(self, *paths):
        """Waits until the store has the sockets of these addresses and no others."""
        wait_for(lambda: self.stored() == sorted(paths), what="a store of %s" % (paths,))

    def fill(self):
        """Leaves no room in the queue for any sender."""
        sent = True
        while sent:
            sent = False
            with socket.socket(socket.AF_UNIX, DGRAM) as sock, \
                    contextlib.suppress(BlockingIOError):
                sock.setblocking(False)
                while True:
                    sock.sendto(b"X=1", address(self.path))
                    sent = True


class SystemdCase(OrderCase):
    def setUp(self):
        super().setUp()
        self.manager = self.make_manager(self.path("notify"))

    def make_manager(self, path):
        manager = Manager(path)
        self.addCleanup(manager.close)
        return manager

    def text(self, *names, **values):
        values.setdefault("handler", [self.echo()])
        return "".join(service(name, **dict({"socket": self.path(name)}, **values))
                       for name in names or ("s",))

    def managed(self, text=None, manager=None, **popen):
        env = dict(os.environ, NOTIFY_SOCKET=(manager or self.manager).path)
        return self.udsd(text or self.text(), env=env, **popen)

    def listening(self, path, kind=STREAM, mode=0o666):
        """A socket that a manager would pass."""
        sock = self.adopt(socket.socket(socket.AF_UNIX, kind))
        if os.path.lexists(path):
            os.unlink(path)
        sock.bind(address(path))
        if os.path.lexists(path):
            os.chmod(path, mode)
        if kind != DGRAM:
            sock.listen(50)
        return sock

    def pass_on(self, text, given, env=None, kept=()):
        """A udsd that gets files as (file, name); here they are closed."""
        self.kept.update(kept)
        fds = [file.fileno() for file, _ in given]
        names = ":".join(name for _, name in given)
        order = json.dumps({"fds": fds, "env": dict({"LISTEN_FDNAMES": names}, **(env or {}))})
        sup = self.managed(text, wrapper=[PYTHON, "-c", LAUNCH, order], pass_fds=fds,
                           stdin=subprocess.PIPE, ready=None)
        for file, _ in given:
            file.close()
        sup.popen.stdin.close()
        self.wait_ready(sup)
        return sup

    def greet(self, path, kind=STREAM):
        self.hello(path, kind).close()
