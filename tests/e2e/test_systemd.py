#!/usr/bin/env python3
"""systemd: the states reported to it, and the sockets that it passes."""
import fcntl
import os
import re
import signal
import socket
import time

from lib import REFUSED, SRC, complete, main, needs, proc, wait_for
from lib.fake_systemd import DGRAM, SEQPACKET, STREAM, SystemdCase, identity, now_usec

UNWANTED = "no service wants this descriptor: closed"


class Notify(SystemdCase):
    def test_ready_at_a_path_or_an_abstract_name(self):
        for path in (self.path("n"), "@" + self.path("n")):
            with self.subTest(path=path):
                manager = self.make_manager(path)
                sup = self.managed(self.text("a", "b"), manager)
                message = manager.wait("READY")
                self.assertEqual((message["READY"], message["MAINPID"]), ("1", str(sup.pid)))
                self.assertRegex(message["STATUS"], r"\b2\b")
                self.assertEqual(manager.states(), ["READY"])

    def test_ready_only_when_all_sockets_accept(self):
        """The second one is late: a process that makes one there waits for the directory's lock."""
        lock = os.open(self.folder("late"), os.O_RDONLY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        late = self.path("late/b")
        self.managed(self.text("a") + self.text("b", socket=late), ready=None)
        wait_for(lambda: self.path("a") in proc.listening())
        self.assertEqual(self.manager.states(), [])
        fcntl.flock(lock, fcntl.LOCK_UN)
        self.manager.wait("READY")
        self.assertLessEqual({self.path("a"), late}, proc.listening())

    def test_nothing_when_a_start_fails(self):
        text = self.text("a") + "nonsense = 1\n"
        self.assertEqual(self.managed(text, ready=None).wait(), REFUSED)
        self.assertEqual(self.manager.read(), [])

    def test_ready_without_a_service_that_is_displaced(self):
        self.listening(self.path("taken"))
        self.kept.add(self.path("taken"))
        self.managed(self.text("a", "taken"), ready=None)
        ready = self.manager.wait("READY", 1)
        self.assertIn("1 sockets of 2 services", ready["STATUS"])

    def test_a_reload_is_reported(self):
        sup = self.managed()
        for count, (text, status) in enumerate((
                (self.text(), "done"), (self.text("s", "t"), "done"),
                ("nonsense = 1\n", "refused"), (self.text(nice=1), "done")), 1):
            asked = now_usec()
            self.reload(sup, text, status)
            self.manager.wait("READY", count + 1)
            told = int(self.manager.wait("RELOADING", count)["MONOTONIC_USEC"])
            self.assertTrue(asked <= told <= now_usec(), (asked, told))
            self.assertEqual(self.manager.states(), ["READY"] + ["RELOADING", "READY"] * count)

    def test_after_the_last_of_many_reloads_it_is_ready(self):
        sup = self.managed()
        for _ in range(20):
            asked = now_usec()
            sup.kill(signal.SIGHUP)
            self.manager.read()
            time.sleep(0.003)

        def is_over():
            told = [int(m["MONOTONIC_USEC"]) for m in self.manager.read() if "RELOADING" in m]
            return told and told[-1] >= asked and self.manager.states()[-1] == "READY"

        wait_for(is_over, what="the end of the last reload")
        states = self.manager.states()
        self.assertEqual(states, ["READY"] + ["RELOADING", "READY"] * (len(states) // 2))

    def test_an_upgrade_is_reported(self):
        sup = self.managed()
        self.manager.wait("READY")
        asked = now_usec()
        sup.kill(signal.SIGUSR2)
        self.assertEqual(self.manager.wait("READY", 2)["MAINPID"], str(sup.pid))
        self.assertEqual(self.manager.states(), ["READY", "RELOADING", "READY"])
        self.assertGreaterEqual(int(self.manager.wait("RELOADING")["MONOTONIC_USEC"]), asked)
        self.manager.wait_stored(self.path("s"))

    def test_a_stop_is_told_when_it_begins(self):
        for count, number in enumerate((signal.SIGTERM, signal.SIGINT), 1):
            with self.subTest(number=number):
                sup = self.managed()
                sock = self.hello(sup.socket)
                sup.kill(number)
                self.manager.wait("STOPPING", count)
                self.assertIsNone(sup.poll())
                sock.close()
                self.assertEqual(sup.wait(), 0)
                self.assertEqual(self.manager.states()[-1], "STOPPING")

    def test_a_manager_that_does_not_read_blocks_nothing(self):
        self.manager.fill()
        sup = self.managed()
        self.greet(sup.socket)
        self.reload(sup, self.text("s", "t"))
        self.greet(self.path("t"))
        self.manager.wait("READY", 2)
        self.manager.wait_stored(self.path("s"), self.path("t"))
        self.manager.fill()
        started = time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assert_quick(started, 2)

    def test_a_manager_that_is_not_there_is_no_trouble(self):
        for name in (self.path("nobody"), "x", "", "/" + "x" * 200, "@"):
            with self.subTest(name=name):
                sup = self.udsd(self.text(), env=dict(os.environ, NOTIFY_SOCKET=name))
                self.reload(sup, self.text("s", "t"))
                self.greet(self.path("t"))

    def test_the_unit_leaves_handlers_alone(self):
        with open(os.path.join(SRC, "etc", "udsd.service.in"), encoding="utf-8") as file:
            keys = dict(re.findall(r"^(\w+)=(.*)$", file.read(), re.M))
        self.assertRegex(keys["Type"], r"^(notify-reload|@\w+@)$")
        self.assertEqual((keys["KillMode"], keys["RuntimeDirectoryPreserve"], keys["TasksMax"]),
                         ("process", "restart", "infinity"))
        self.assertGreater(int(keys["FileDescriptorStoreMax"]), 100)
        self.assertGreaterEqual(int(keys["LimitNOFILE"]), 65536)
        inherited = re.compile("Protect|Private|Restrict|NoNew|SystemCall|Capability|ReadOnly")
        self.assertEqual(list(filter(inherited.match, keys)), [])


class Passed(SystemdCase):
    """LISTEN_FDS."""

    def assert_foreign(self, sup, path, before):
        """It serves the path, whose owner, mode and inode are as they were, also at the end."""
        self.greet(path)
        self.assertEqual(identity(path), before)
        self.assertEqual(sup.stop(), 0)
        self.assertEqual(identity(path), before)

    def assert_unwanted(self, sup, path, fd_name):
        """The socket was closed, and the log says so."""
        sup.wait_event("listen", socket=path, fd_name=fd_name, error=UNWANTED)
        self.assert_refused(path)

    def test_sockets_are_matched_by_name(self):
        paths = {name: self.path("unit." + name) for name in "abc"}
        for order in ("abc", "cba"):
            with self.subTest(order=order):
                sup = self.pass_on(self.text("a", "b", "c"),
                                  [(self.listening(paths[name]), name) for name in order])
                for name, path in paths.items():
                    self.greet(path)
                    sup.wait_event("open", service=name)
                    self.assertFalse(os.path.lexists(self.path(name)))

    def test_else_by_path(self):
        for path, kind in ((self.path("s"), STREAM), (self.path("s"), SEQPACKET),
                           ("@" + self.path("s"), STREAM), ("@" + self.path("s"), SEQPACKET)):
            for name in ("unit.socket", ""):
                with self.subTest(path=path, kind=kind, name=name):
                    sock = self.listening(path, kind)
                    inode = str(os.fstat(sock.fileno()).st_ino)
                    text = self.text(socket=path, allow=["any"],
                                     type="stream" if kind == STREAM else "seqpacket")
                    self.pass_on(text, [(sock, name)], kept=[path])
                    self.greet(path, kind)
                    self.assertEqual(proc.unix_sockets().get(inode), path)

    def test_what_no_service_wants_is_reported_and_closed(self):
        for kind, name in ((STREAM, "other"), (SEQPACKET, "s"), (DGRAM, "s")):
            with self.subTest(kind=kind, name=name):
                sock = self.listening(self.path("unit"), kind)
                sup = self.pass_on(self.text(), [(sock, name)])
                self.greet(self.path("s"))
                self.assert_unwanted(sup, self.path("unit"), name)
                self.assertTrue(os.path.lexists(self.path("unit")), "it is not ours")

    def test_one_service_takes_one_socket(self):
        sup = self.pass_on(self.text(), [(self.listening(self.path("unit%d" % number)), "s")
                                        for number in range(3)])
        self.greet(self.path("unit0"))
        self.assert_unwanted(sup, self.path("unit1"), "s")
        self.assert_unwanted(sup, self.path("unit2"), "s")

    def test_other_files_are_closed(self):
        with open(self.write("file", "x"), "rb") as file, socket.socket(socket.AF_UNIX) as bare:
            sup = self.pass_on(self.text(), [(file, "s"), (bare, "s"), (file, "x")])
        sup.wait_events(3, "listen", error=UNWANTED)
        self.greet(sup.socket)
        self.assertNotIn(self.path("file"), proc.fds(sup.pid).values())

    def test_the_path_of_a_socket_unit_is_not_touched(self):
        for name, path in (("s", self.path("unit")), ("x", self.path("s"))):
            with self.subTest(path=path):
                sock = self.listening(path, mode=0o640)
                before = identity(path)
                sup = self.pass_on(self.text(socket_mode="0600"), [(sock, name)], kept=[path])
                self.greet(path)
                self.reload(sup, self.text(socket_mode="0666", backlog=9, nice=1))
                self.assert_foreign(sup, path, before)
                self.assertEqual(self.manager.stored(), [], "its unit has it")
        sock = self.listening(path, mode=0o640)
        sup = self.pass_on(self.text("t", "s"), [(sock, "s")])
        before = identity(path)
        self.reload(sup, self.text("t"))
        self.assert_refused(path)
        self.assertEqual(identity(path), before)

    def test_nor_by_an_upgrade(self):
        for name, path in (("s", self.path("unit")), ("x", self.path("s"))):
            with self.subTest(path=path):
                sock = self.listening(path, mode=0o640)
                before = identity(path)
                sup = self.pass_on(self.text(socket_mode="0600"), [(sock, name)], kept=[path])
                self.upgrade(sup)
                self.greet(path)
                self.upgrade(sup)
                self.assert_foreign(sup, path, before)

    def test_one_that_was_deleted_is_not_made_again(self):
        sup = self.pass_on(self.text(), [(self.listening(self.path("s")), "s")])
        os.unlink(self.path("s"))
        self.reload(sup, self.text(nice=1))
        self.assertFalse(os.path.lexists(self.path("s")))

    def test_those_of_another_process_are_ignored(self):
        for pid in (str(os.getpid()), "1", "", "x", "-1"):
            with self.subTest(pid=pid):
                given = [(self.listening(self.path("unit")), "s")]
                sup = self.pass_on(self.text(), given, {"LISTEN_PID": pid})
                self.greet(self.path("s"))
                self.assert_refused(self.path("unit"))
                self.assertEqual(sup.events("listen", error=UNWANTED), [])

    def test_garbage_does_no_harm(self):
        paths = [self.path("s"), self.path("t")]
        for name, value in (("FDS", "abc"), ("FDS", "-1"), ("FDS", ""), ("FDS", "0"),
                            ("FDS", "9" * 30), ("FDS", "1000000"), ("FDS", "1"), ("FDS", "40"),
                            ("FDNAMES", "s"), ("FDNAMES", ""), ("FDNAMES", ":::::"),
                            ("FDNAMES", "s:t:" + "x:" * 5000), ("FDNAMES", "udsd-1-:udsd-x-y")):
            with self.subTest(name=name, value=value[:20]):
                given = [(self.listening(self.path(name)), name) for name in "st"]
                sup = self.pass_on(self.text("s", "t"), given, {"LISTEN_" + name: value}, paths)
                for path in paths:
                    self.greet(path)
                self.assertLess(len(proc.fds(sup.pid)), 40)

    def test_handlers_know_nothing_of_it(self):
        names = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]
        sup = self.pass_on(self.text(pass_environment=names),
                          [(self.listening(self.path(name)), name) for name in ("x", "s")],
                          kept=[self.path("s")])
        sock = self.hello(self.path("s"))
        pid = int(sup.wait_event("open")["pid"])
        self.assertEqual(sorted(proc.fds(pid)), [0, 1, 2])
        text = " ".join(proc.environ(pid))
        self.assertEqual([name for name in names + ["NOTIFY_SOCKET"] if name in text], [])
        sock.close()

    @needs("systemd-socket-activate")
    def test_by_systemd_socket_activate(self):
        conf = self.write("udsd.conf", complete(self.text()))
        for options, path in ((["--fdname=s"], self.path("unit")), ([], self.path("s"))):
            with self.subTest(options=options):
                wrapper = ["systemd-socket-activate", "-l", path, *options]
                sup = self.start(["-f", "-c", conf], wrapper)
                wait_for(lambda it=path: it in proc.listening())
                self.assert_foreign(sup, path, identity(path))
                self.assertEqual(len(sup.events("open", service="s")), 1)


if __name__ == "__main__":
    main()
