#!/usr/bin/env python3
"""Sockets: kinds, owner and mode, what is in their way, and what is left of them."""
import errno
import os
import resource
import signal
import socket
import stat
import subprocess

from lib import IS_ROOT, PYTHON, USER, Case, complete, main, needs_root, service, wait_for

STREAM, SEQPACKET, DGRAM = socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM
# Exits 0 if the socket in its arguments could be connected to, however soon.
SPY = """
import os, socket, sys, time
path, uid = sys.argv[1], int(sys.argv[2])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
print(flush=True)
while True:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(path)
        sys.exit(0)
    except OSError:
        sock.close()
"""


def kind_name(kind):
    return "stream" if kind == STREAM else "seqpacket"


def identity(path):
    """Another file that has replaced it has other values."""
    info = os.lstat(path)
    return info.st_dev, info.st_ino, info.st_mode, info.st_mtime_ns


class Kinds(Case):
    def test_a_path_or_an_abstract_name_stream_or_seqpacket(self):
        for number, kind in enumerate((STREAM, SEQPACKET)):
            for name in (
                self.path("%d.sock" % number),
                "@udsd-e2e-%d-%d" % (os.getpid(), number),
            ):
                with self.subTest(name=name, kind=kind):
                    allow = ["any"] if name.startswith("@") else None
                    sup = self.serve(
                        [self.echo()], socket=name, type=kind_name(kind), allow=allow
                    )
                    sock = self.hello(name, kind)
                    self.round_trip(sock, b"one")
                    self.round_trip(sock, b"two")
                    sock.shutdown(socket.SHUT_WR)
                    self.assert_end(sock)
                    self.assertEqual(sup.wait_event("close")["status"], "exit:0")
                    self.assertEqual(sup.stop(), 0)
                    self.assert_refused(name)

    def test_seqpacket_keeps_the_bounds_of_packets(self):
        sup = self.serve([self.echo()], type="seqpacket")
        sock = self.hello(sup.socket, SEQPACKET)
        for packet in (b"a", b"bb" * 1000, b"c"):
            sock.send(packet)
        self.assertEqual([sock.recv(9000) for _ in range(3)], [b"a", b"bb" * 1000, b"c"])

    def test_the_wrong_type_is_not_served(self):
        sup = self.serve([self.echo()], type="seqpacket")
        with self.assertRaises(OSError) as caught:
            self.connect(sup.socket, STREAM)
        self.assertEqual(caught.exception.errno, errno.EPROTOTYPE)

    def test_the_client_sees_the_configured_path(self):
        sup = self.serve([self.echo()])
        self.assertEqual(self.connect(sup.socket).getpeername(), sup.socket)

    def test_a_path_of_107_bytes(self):
        path = self.path("x" * (107 - len(self.dir) - 1))
        self.serve([self.echo()], socket=path)
        self.assertEqual(self.talk(path, b"x"), b"hello\r\nx")

    def test_the_listen_line(self):
        sup = self.serve([self.echo()])
        self.assertEqual(sup.events("listen"), [{"service": "s", "socket": sup.socket}])

    def test_strange_paths(self):
        for name in ("a b", 'q"uote', "back\\slash", "ü", "$HOME", "a=b", "x" * 50):
            with self.subTest(name=name):
                path = self.path(name)
                sup = self.serve(
                    ["/bin/sh", "-c", 'printf "$UNIXLOCALPATH"'], socket=path
                )
                sup.sockets = [path]
                self.assertEqual(self.talk(path).decode(), path)
                self.assertEqual(sup.events("listen")[0]["socket"], path)
                self.assertEqual(sup.stop(), 0)
                self.assertFalse(os.path.lexists(path))

    def test_more_services_than_a_soft_limit_of_descriptors(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        names = ["s%d" % number for number in range(300)]
        text = "".join(
            service(name, socket=self.path(name), handler=["/bin/sh", "-c", "ulimit -n"])
            for name in names
        )
        self.udsd(
            text,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)),
        )
        for name in names[::10]:
            self.assertEqual(self.talk(self.path(name)), b"256\n")

    def test_many_services(self):
        names = ["s%d" % number for number in range(100)]
        self.udsd(
            "".join(
                service(name, socket=self.path(name), handler=["/bin/echo", name])
                for name in names
            )
        )
        for name in names:
            self.assertEqual(self.talk(self.path(name)).decode(), name + "\n")

    def test_a_service_that_is_not_enabled_has_no_socket(self):
        text = service("on", socket=self.path("on"), handler=[self.echo()]) + service(
            "off", socket=self.path("off"), handler=[self.echo()], enabled=False
        )
        self.udsd(text)
        self.assertEqual(self.talk(self.path("on"), b"x"), b"hello\r\nx")
        self.assertFalse(os.path.lexists(self.path("off")))


class Rights(Case):
    def test_the_mode_is_exact_whatever_the_umask(self):
        for umask in (0o000, 0o022, 0o177, 0o777):
            for mode in (None, "0666", "0620", "0000"):
                with self.subTest(umask=oct(umask), mode=mode):
                    text = service(
                        "s",
                        socket=self.path("s"),
                        handler=[self.echo()],
                        socket_mode=mode,
                    )
                    sup = self.udsd(text, preexec_fn=lambda bits=umask: os.umask(bits))
                    info = os.stat(sup.socket)
                    self.assertEqual(stat.S_IMODE(info.st_mode), int(mode or "0600", 8))
                    self.assertEqual(
                        (info.st_uid, info.st_gid), (os.geteuid(), os.getegid())
                    )
                    sup.stop()

    @needs_root
    def test_owner_and_group(self):
        for owner, group, uid, gid in (
            ("daemon", "bin", 1, 2),
            ("1234", "4321", 1234, 4321),
            ("daemon", None, 1, 0),
            (None, "daemon", 0, 1),
        ):
            with self.subTest(owner=owner, group=group):
                sup = self.serve(
                    [self.echo()],
                    socket_owner=owner,
                    socket_group=group,
                    socket_mode="0660",
                )
                info = os.stat(sup.socket)
                self.assertEqual(
                    (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)),
                    (uid, gid, 0o660),
                )
                sup.stop()

    def test_own_owner_and_group_need_no_root(self):
        sup = self.serve(
            [self.echo()], socket_owner=str(os.geteuid()), socket_group=str(os.getegid())
        )
        self.assertEqual(os.stat(sup.socket).st_uid, os.geteuid())

    def test_no_client_is_ever_faster_than_the_mode(self):
        """A client that the mode keeps out tries all the time while udsd starts."""
        path = self.path("s")
        text = service("s", socket=path, handler=[self.echo()], socket_mode="0000")
        spy = self.spawn(
            [PYTHON, "-c", SPY, path, str(USER.pw_uid)], stdout=subprocess.PIPE
        )
        spy.stdout.readline()
        for _ in range(15):
            sup = self.udsd(text, preexec_fn=lambda: os.umask(0))
            self.assertEqual(sup.stop(), 0)
        self.assertIsNone(spy.poll(), "a client got in before the mode was in force")

    def test_missing_directories(self):
        for number, mode in enumerate((None, "0710")):
            with self.subTest(mode=mode):
                top = self.path("d%d" % number)
                text = service(
                    "s", socket=top + "/e/f/s", handler=[self.echo()], directory_mode=mode
                )
                sup = self.udsd(text, preexec_fn=lambda: os.umask(0o077))
                for folder in (top, top + "/e", top + "/e/f"):
                    info = os.stat(folder)
                    self.assertEqual(stat.S_IMODE(info.st_mode), int(mode or "0755", 8))
                    self.assertEqual(info.st_uid, os.geteuid())
                self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
                sup.stop()

    def test_directories_that_are_there_stay_as_they_are(self):
        folder = self.folder("d", 0o750)
        self.serve([self.echo()], socket=folder + "/s", directory_mode="0700")
        self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o750)
        self.assertEqual(stat.S_IMODE(os.stat(self.dir).st_mode), 0o755)


class InTheWay(Case):
    def setUp(self):
        super().setUp()
        self.target = self.path("s")
        self.text = complete(
            service("before", socket=self.path("before"), handler=[self.echo()])
            + service("s", socket=self.target, handler=[self.echo()])
            + service("after", socket=self.path("after"), handler=[self.echo()])
        )
        self.write("refused.conf", self.text)

    def bind(self, path, kind=STREAM, listen=True):
        sock = self.client(kind)
        sock.bind(path)
        if listen and kind != DGRAM:
            sock.listen()
        return sock

    def stale(self, path, kind=STREAM):
        self.bind(path, kind).close()

    def assert_left_alone(self):
        """What is at the path stays as it was, and other services are served."""
        before = identity(self.target)
        sup = self.start(["-f", "-c", self.path("refused.conf")])
        fail = sup.wait_event("fail", service="s", step="socket")
        self.assertIn(self.target, fail["error"])
        for name in ("before", "after"):
            sup.wait_event("listen", service=name)
            self.assertEqual(self.talk(self.path(name), b"x"), b"hello\r\nx")
        self.assertEqual(sup.stop(), 0)
        self.assertEqual(identity(self.target), before)

    def test_what_is_not_a_socket(self):
        def symlink_to(make):
            return lambda path: (
                make(path + ".target"),
                os.symlink(path + ".target", path),
            )

        def make_file(path):
            with open(path, "wb") as file:
                file.write(b"precious")

        kinds = {
            "a file": make_file,
            "an empty file": lambda path: open(path, "wb").close(),
            "a directory": os.mkdir,
            "a fifo": os.mkfifo,
            "a dangling symlink": lambda path: os.symlink("/no/such/place", path),
            "a symlink to a file": symlink_to(make_file),
            "a symlink to a directory": symlink_to(os.mkdir),
            "a symlink to a live socket": symlink_to(self.bind),
            "a symlink to a stale socket": symlink_to(self.stale),
        }
        for name, make in kinds.items():
            with self.subTest(kind=name):
                self.target = self.path(name.replace(" ", "-"))
                self.write(
                    "refused.conf",
                    self.text.replace(self.path("s") + '"', self.target + '"'),
                )
                make(self.target)
                self.assert_left_alone()

    def test_a_live_socket(self):
        for kind, listen in (
            (STREAM, True),
            (SEQPACKET, True),
            (STREAM, False),
            (DGRAM, False),
        ):
            with self.subTest(kind=kind, listen=listen):
                sock = self.bind(self.target, kind, listen)
                self.assert_left_alone()
                sock.settimeout(0.1)
                if listen:
                    with self.assertRaises(socket.timeout):
                        sock.accept()
                sock.close()
                os.remove(self.target)

    def test_an_abstract_name_that_is_served(self):
        name = "@udsd-e2e-%d-live" % os.getpid()
        other = self.bind("\0" + name[1:])
        text = service("s", socket=name, handler=[self.echo()], allow=["any"])
        sup = self.start(["-f", "-c", self.write("refused.conf", complete(text))])
        self.assertIn(name, sup.wait_event("fail", service="s")["error"])
        other.close()
        sup.wait_event("listen", service="s")
        self.assertEqual(self.talk(name, b"x"), b"hello\r\nx")

    def test_a_full_backlog_is_a_live_socket(self):
        sock = self.bind(self.target, listen=False)
        sock.listen(0)
        self.connect(self.target)
        self.assert_left_alone()

    def test_a_stale_socket_is_replaced(self):
        for kind in (STREAM, SEQPACKET, DGRAM):
            with self.subTest(kind=kind):
                self.stale(self.target, kind)
                if IS_ROOT:
                    os.chmod(self.target, 0)
                sup = self.udsd(self.text)
                self.assertEqual(self.talk(self.target, b"x"), b"hello\r\nx")
                self.assertEqual(sup.stop(), 0)

    def test_what_a_killed_udsd_left_is_replaced(self):
        sup = self.udsd(self.text)
        sup.kill(signal.SIGKILL)
        sup.wait()
        sup = self.udsd(self.text)
        self.assertEqual(self.talk(self.target, b"x"), b"hello\r\nx")

    def test_a_parent_that_is_no_directory(self):
        self.write("file", "")
        self.target = self.path("file")
        self.write(
            "refused.conf",
            self.text.replace(self.path("s") + '"', self.path("file/s") + '"'),
        )
        self.assert_left_alone()

    def test_of_two_that_start_at_once_one_waits_for_the_other(self):
        text = complete(service("s", socket=self.target, handler=[self.echo()]))
        conf = self.write("race.conf", text)
        for _ in range(5):
            self.stale(self.target)
            sups = [self.start(["-f", "-c", conf]) for _ in range(2)]
            wait_for(lambda: all(sup.events("start") for sup in sups))
            wait_for(lambda: any(sup.events("fail") for sup in sups))
            loser, winner = sorted(sups, key=lambda sup: not sup.events("fail"))
            winner.wait_event("listen")
            self.assertEqual(self.talk(self.target, b"x"), b"hello\r\nx")
            self.assertEqual(winner.stop(), 0)
            loser.wait_event("listen")
            self.assertEqual(self.talk(self.target, b"x"), b"hello\r\nx")
            self.assertEqual(loser.stop(), 0)
            self.assertFalse(os.path.lexists(self.target))


class Removal(Case):
    def test_removed_at_the_end(self):
        sup = self.serve([self.echo()])
        self.assertEqual(sup.stop(), 0)
        self.assertFalse(os.path.lexists(sup.socket))

    def test_what_has_replaced_it_is_kept(self):
        def make_file(path):
            with open(path, "wb"):
                pass

        def make_socket(path):
            sock = self.client()
            sock.bind(path)
            sock.listen()

        for make in (
            make_file,
            make_socket,
            os.mkdir,
            os.mkfifo,
            lambda path: os.symlink("/no/such/place", path),
        ):
            with self.subTest(make=make):
                sup = self.serve([self.echo()])
                self.kept.add(sup.socket)
                os.remove(sup.socket)
                make(sup.socket)
                before = identity(sup.socket)
                self.assertEqual(sup.stop(), 0)
                self.assertEqual(identity(sup.socket), before)
                if stat.S_ISDIR(before[2]):
                    os.rmdir(sup.socket)
                else:
                    os.remove(sup.socket)

    def test_a_path_that_has_gone_does_not_disturb_the_end(self):
        sup = self.serve([self.echo()])
        os.remove(sup.socket)
        self.assertEqual(sup.stop(), 0)

    def test_a_restart_finds_all_free(self):
        for _ in range(10):
            sup = self.serve([self.echo()])
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
            self.assertEqual(sup.stop(), 0)


if __name__ == "__main__":
    main()
