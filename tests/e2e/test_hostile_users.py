#!/usr/bin/env python3
"""Other users that attack: a handler's user, a directory's owner, a reader of the pid file."""
import ctypes
import fcntl
import os
import platform
import signal
import stat
import struct
import time

from lib import REFUSED, Case, complete, config, main, needs_root, service, wait_for
from lib.control_socket import ControlCase
from lib.proc import cpu_time
from lib.supervisor import kill_worker
from lib.users import Child, Who

# struct posix_acl_xattr: version 2, then (tag, rights, id): user::rw-, user:ID:rw-, group::---,
# mask::rw-, other::---
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, rights, number)
    for tag, rights, number in (
        (1, 6, 2**32 - 1), (2, 6, 61003), (4, 0, 2**32 - 1), (16, 6, 2**32 - 1),
        (32, 0, 2**32 - 1),
    )
)


class OfAHandler(Case):
    def test_standard_error_that_was_shut_down_is_made_anew(self):
        handler = self.python(
            "h", "import socket, sys\n"
            "line = sys.stdin.readline().strip()\n"
            "if line == 'shut':\n"
            "    socket.socket(fileno=2).shutdown(socket.SHUT_RDWR)\n"
            "else:\n"
            "    print(line, file=sys.stderr, flush=True)\n"
            "print('done')\n",
        )
        sup = self.serve([handler])
        self.assertEqual(self.talk(sup.socket, b"one\n"), b"done\n")
        sup.wait_event("stderr", text="one")
        self.assertEqual(self.talk(sup.socket, b"shut\n"), b"done\n")
        sup.wait_event("fail", step="stderr")
        wait_for(lambda: not sup.workers("s"), what="the worker to end")
        before = cpu_time([sup.pid])
        self.assertEqual(self.talk(sup.socket, b"two\n"), b"done\n")
        sup.wait_event("stderr", text="two")
        self.assertLess(cpu_time([sup.pid]) - before, 0.2)

    def test_one_that_does_not_block_is_not_left_to_the_next_worker(self):
        handler = self.python(
            "h", "import os, sys\n"
            "print(os.get_blocking(2), flush=True)\n"
            "os.set_blocking(2, False)\n",
        )
        sup = self.serve([handler])
        self.assertEqual(self.talk(sup.socket), b"True\n")
        kill_worker(sup)
        wait_for(lambda: self.talk(sup.socket) == b"True\n")

    def leaver(self):
        """A handler that joins the process group of its child."""
        return self.python(
            "h", "import os, time\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    os.setpgid(0, 0)\n"
            "    time.sleep(1000)\n"
            "while os.getpgid(child) != child:\n"
            "    time.sleep(0.01)\n"
            "os.setpgid(0, child)\n"
            "print(child, flush=True)\n"
            "time.sleep(1000)\n",
        )

    def test_who_leaves_its_group_does_not_escape(self):
        for killed in (False, True):
            with self.subTest(worker_killed=killed):
                sup = self.serve([self.leaver()], name="l%d" % killed, max_lifetime="1s",
                                 kill_grace="200ms")
                sock = self.connect(sup.socket)
                child = int(sock.makefile().readline())
                if killed:
                    kill_worker(sup, "l1")
                try:
                    self.assertEqual(sup.wait_event("close")["reason"], "lifetime")
                finally:
                    os.kill(child, signal.SIGKILL)

    def test_a_worker_that_is_stopped_while_it_starts_handlers_is_replaced(self):
        sup = self.serve([self.echo()])
        for _ in range(5):
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
            os.kill(sup.worker("s"), signal.SIGSTOP)
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")


def stop_all(seconds):
    """Stops each new process of this user as soon as it can, by guessing its number."""
    end = time.monotonic() + seconds
    last = os.open("/proc/loadavg", os.O_RDONLY)
    me, count = os.getpid(), 0
    while time.monotonic() < end:
        for _ in range(100):
            newest = int(os.pread(last, 128, 0).split()[-1])
            for pid in range(newest, newest + 3):
                try:
                    if pid != me:
                        os.kill(pid, signal.SIGSTOP)
                        count += 1
                except OSError:
                    pass
    return count


@needs_root
class WhoStopsOthers(ControlCase):
    """A user who stops whatever process becomes his, before it is what it is to be."""

    WHO = Who(61234, 61234)

    def serve_two(self):
        user = {"user": str(self.WHO.uid)}
        handler = self.script("slow", "exec sleep 0.05\n")
        return self.serve_controlled(
            service("w", socket=self.path("w"), handler=[handler], wait=True, kill_grace="100ms",
                    **user)
            + self.section("his", **user)
            + self.section("other", socket="@udsd-e2e-%d" % os.getpid(), allow=["any"]))

    def test_holds_nothing_of_others_and_blocks_none(self):
        sup = self.serve_two()
        attack = Child(self.WHO, stop_all, 6)
        end = time.monotonic() + 4
        while time.monotonic() < end:           # often enough for him to hit one
            started = time.monotonic()
            self.connect(self.path("w"))
            self.ctl("disable", "w")            # which sends signals
            self.ctl("enable", "w")
            self.assert_quick(started, 1)
        for _ in range(2):
            self.reload(sup, timeout=5)         # which tries what his handlers may do
        self.ctl("disable", "other")
        wait_for(lambda: self.status("other")["state"] == "disabled", what="the other to be so")
        self.ctl("enable", "other")             # no other socket has its name
        self.greeted("@udsd-e2e-%d" % os.getpid())
        self.assertGreater(attack.result(), 0)
        self.assertEqual(sup.stop(20), 0)


class OfADirectory(Case):
    def test_a_lock_on_it_blocks_nothing(self):
        """As anybody may who can read it."""
        folder = self.folder("locked")
        lock = os.open(folder, os.O_RDONLY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        started = time.monotonic()
        sup = self.udsd("".join(service("s%d" % n, socket="%s/%d" % (folder, n),
                                        handler=[self.echo()]) for n in range(20)))
        self.hello(sup.socket)
        self.assert_quick(started, 1)

    def test_a_default_access_list_opens_no_socket(self):
        folder = self.folder("d", 0o755)
        try:
            os.setxattr(folder, "system.posix_acl_default", ACL)
        except OSError as error:
            self.skipTest("no access lists here: %s" % error)
        path = os.path.join(folder, "s")
        self.serve([self.echo()], socket=path, socket_mode="0660")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
        self.assertNotIn("system.posix_acl_access", os.listxattr(path))

    @needs_root
    def test_a_setgid_directory_gives_no_group(self):
        folder = self.folder("d", 0o755)
        os.chown(folder, 0, 5)
        os.chmod(folder, 0o2755)
        path = os.path.join(folder, "s")
        self.serve([self.echo()], socket=path)
        self.assertEqual(os.stat(path).st_gid, os.getegid())

    @needs_root
    def test_links_to_a_handler_are_walked(self):
        """Each has a directory of another user on its way."""
        folder = self.folder("d", 0o1777)
        stranger, own = os.path.join(folder, "stranger"), os.path.join(folder, "own")
        inner = os.path.join(folder, "inner")
        os.symlink("/bin/cat", stranger)
        os.lchown(stranger, 61003, 61003)
        os.symlink(stranger, own)
        os.symlink("/bin", inner)
        os.lchown(inner, 61003, 61003)
        for handler in (stranger, own, os.path.join(inner, "cat")):
            with self.subTest(handler=handler):
                text = complete(config(service("s", socket=self.path("s"), handler=[handler])))
                done = self.run_udsd("-t", "-c", self.write("t.conf", text))
                self.assertEqual(done.returncode, REFUSED, done.stderr)
                self.assertIn("could be replaced", done.stderr)
        good = os.path.join(folder, "good")
        os.symlink("../../../bin/../bin/cat", good)
        text = complete(config(service("s", socket=self.path("s"), handler=[good])))
        done = self.run_udsd("-t", "-c", self.write("t.conf", text))
        self.assertEqual(done.returncode, 0, done.stderr)


class OfThePidFile(Case):
    def test_a_readers_lock_keeps_no_udsd_from_starting(self):
        pid_file = self.write("udsd.pid", "1\n")
        with open(pid_file, "rb") as reader:
            fcntl.lockf(reader, fcntl.LOCK_SH)
            text = config(service("s", socket=self.path("s"), handler=[self.echo()]),
                          pid_file=pid_file)
            sup = self.udsd(text)
            with open(pid_file, encoding="ascii") as file:
                self.assertEqual(int(file.read()), sup.pid)

    def test_a_file_with_another_name_is_not_written(self):
        other = self.write("other", "precious\n")
        os.link(other, self.path("udsd.pid"))
        text = complete(config(service("s", socket=self.path("s"), handler=[self.echo()]),
                               pid_file=self.path("udsd.pid")))
        done = self.run_udsd("-f", "-c", self.write("t.conf", text))
        self.assertEqual(done.returncode, 71, done.stderr)
        with open(other, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious\n")


class OfSecrets(Case):
    @needs_root
    def test_handlers_do_not_possess_our_session_keyring(self):
        if platform.machine() != "x86_64":
            self.skipTest("the numbers of system calls are those of x86_64")
        show = self.python(
            "show", "import ctypes\n"
            "search = ctypes.CDLL(None).syscall(250, 10, -3, b'user', b'udsd-secret', 0)\n"
            "print(search)\n",
        )
        syscall = ctypes.CDLL(None).syscall
        if syscall(250, 1, None) < 0:  # keyctl: join a session keyring of our own
            self.skipTest("no keyrings here")
        syscall(248, b"user", b"udsd-secret", b"x", 1, -3)  # add_key
        self.assertGreater(syscall(250, 10, -3, b"user", b"udsd-secret", 0), 0)
        sup = self.serve([show])
        self.assertEqual(self.talk(sup.socket), b"-1\n")


if __name__ == "__main__":
    main()
