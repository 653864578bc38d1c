#!/usr/bin/env python3
"""Paths that another process deletes or replaces, and those that a killed supervisor has left."""
import os
import signal

from lib import Case, complete, config, main, proc, service, wait_for
from lib.supervisor import kill_worker


class Path(Case):
    def setUp(self):
        super().setUp()
        self.sup = self.serve([self.echo()], socket_mode="0640")

    def wait_new(self, count):
        """Waits until the socket listens for the so many-th time."""
        self.sup.wait_events(count, "listen", timeout=2)

    def test_a_deleted_one_is_made_again(self):
        held = self.hello(self.sup.socket)
        for turn in range(2, 12):
            os.unlink(self.sup.socket)
            self.wait_new(turn)
            self.assertEqual(os.stat(self.sup.socket).st_mode & 0o777, 0o640)
            self.assertEqual(self.talk(self.sup.socket, b"x"), b"hello\r\nx")
        self.assertEqual(len(self.sup.events("path")), 10)
        self.round_trip(held)

    def test_pending_connections_at_a_deleted_one_are_served(self):
        self.hello(self.sup.socket).close()
        os.kill(self.sup.worker("s"), signal.SIGSTOP)
        socks = [self.connect(self.sup.socket) for _ in range(5)]
        os.unlink(self.sup.socket)
        self.wait_new(2)
        for sock in socks:
            self.assertEqual(self.receive(sock, 7), b"hello\r\n")

    def test_another_thing_is_left_alone(self):
        """Put there by a rename over it, so that it is never just gone."""
        make = {"file": lambda path: open(path, "w", encoding="ascii").close(),
                "link": lambda path: os.symlink("/etc/passwd", path), "fifo": os.mkfifo}
        for turn, (name, put) in enumerate(make.items(), 1):
            with self.subTest(name=name):
                put(self.path("aside"))
                before = os.lstat(self.path("aside"))
                os.rename(self.path("aside"), self.sup.socket)
                wait_for(lambda t=turn: len(self.sup.events("path")) == t)
                self.assertIn("something else", self.sup.events("path")[-1]["error"])
                self.assertEqual(os.lstat(self.sup.socket).st_ino, before.st_ino)
                os.unlink(self.sup.socket)
                self.wait_new(turn + 1)
                self.assertEqual(self.talk(self.sup.socket, b"x"), b"hello\r\nx")

    def test_one_whose_directory_goes_comes_back(self):
        folder = self.folder("d")
        sup = self.serve([self.echo()], name="t", socket=folder + "/t.sock")
        for go in (lambda: (os.unlink(sup.socket), os.rmdir(folder)),
                   lambda: os.rename(folder, self.path("moved"))):
            count = len(sup.events("listen"))
            go()
            sup.wait_events(count + 1, "listen", timeout=3)
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")

    def test_one_far_below_a_directory_that_moves_comes_back(self):
        top = self.folder("top")
        sup = self.serve([self.echo()], name="t", socket=top + "/x/y/t.sock")
        os.rename(top, self.path("moved"))
        sup.wait_events(2, "listen", timeout=3)
        self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")

    def test_what_is_not_ours_stays_at_a_stop(self):
        os.unlink(self.sup.socket)
        self.wait_new(2)
        os.unlink(self.sup.socket)
        self.sup.kill(signal.SIGTERM)
        self.write("s.sock", "another's")
        self.kept.add(self.sup.socket)
        self.assertEqual(self.sup.wait(), 0)


class Killed(Case):
    def test_the_next_one_takes_over_at_once(self):
        text = complete(config(service("s", socket=self.path("s.sock"), handler=[self.echo()]),
                               pid_file=self.path("pid")))
        held = []
        for turn in range(5):
            sup = self.udsd(text)
            held.append(self.hello(sup.socket))
            for sock in held:
                self.round_trip(sock)
            if turn < 4:
                sup.kill(signal.SIGKILL)
                sup.wait()
        for sock in held:
            self.round_trip(sock)

    def test_its_workers_serve_pending_connections_and_exit(self):
        sup = self.serve([self.echo()])
        self.kept.add(sup.socket)
        held = self.hello(sup.socket)
        worker = sup.worker("s")
        sup.kill(signal.SIGKILL)
        sup.wait()
        self.round_trip(held)
        held.close()
        wait_for(lambda: not proc.is_alive(worker), what="the worker to end")

    def test_handlers_of_a_killed_worker_survive_reload_and_upgrade(self):
        sup = self.serve([self.echo()])
        held = self.hello(sup.socket)
        kill_worker(sup)
        for number, verb in ((signal.SIGHUP, "reload"), (signal.SIGUSR2, "upgrade")):
            sup.kill(number)
            sup.wait_event(verb, status="done")
            self.round_trip(held)
        held.close()
        sup.wait_event("close", conn=1, status="exit:0")


if __name__ == "__main__":
    main()
