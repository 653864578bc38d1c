#!/usr/bin/env python3
"""udsd as a daemon: readiness, the pid file, and what it detaches from."""
import os
import signal
import stat
import subprocess
import time

from lib import REFUSED, UDSD, Case, complete, config, main, proc, service, wait_for

SERVED = 69


class Daemon(Case):
    def setUp(self):
        super().setUp()
        self.socket = self.path("s")
        self.pid_file = self.path("udsd.pid")
        self.text = service("s", socket=self.socket, handler=[self.echo()])

    def again(self, text=None, **kw):
        """Tries to start another one with the pid file; returns what came of it."""
        text = complete(config(text or self.text, pid_file=self.pid_file))
        return self.run_udsd("-c", self.write("again.conf", text), **kw)

    def assert_nothing_left(self):
        def living():
            return list(filter(proc.is_alive, proc.descendants(os.getpid())))

        wait_for(lambda: not living(), what="all to end")
        self._reap()
        self.assertFalse(os.path.lexists(self.socket))
        self.assertFalse(os.path.isfile(self.pid_file))

    def test_ready_when_the_command_returns(self):
        for _ in range(10):
            sup = self.daemon(self.text)
            self.assertEqual(self.talk(self.socket, b"x"), b"hello\r\nx")
            self.assertEqual(sup.stop(), 0)
            self.assertFalse(os.path.lexists(self.pid_file))
            self.assertFalse(os.path.lexists(self.socket))

    def test_every_socket_is_ready(self):
        text = "".join(
            service(
                "s%d" % number, socket=self.path("s%d" % number), handler=[self.echo()]
            )
            for number in range(20)
        )
        sup = self.daemon(text)
        for path in sup.sockets:
            self.assertEqual(self.talk(path, b"x"), b"hello\r\nx")

    def test_it_detaches(self):
        sup = self.daemon(self.text, cwd=self.dir)
        fields = proc.stat(sup.pid)
        self.assertNotEqual(int(fields[6]), os.getsid(0), "a session of its own")
        self.assertEqual(fields[7], "0", "no terminal")
        self.assertEqual(os.readlink("/proc/%d/cwd" % sup.pid), "/")
        fds = proc.fds(sup.pid)
        self.assertEqual([fds[fd] for fd in (0, 1, 2)], ["/dev/null"] * 3)

    def test_nothing_is_printed_and_no_pipe_is_held(self):
        text = complete(config(self.text, pid_file=self.pid_file))
        started = time.monotonic()
        done = self.run_udsd("-c", self.write("udsd.conf", text))
        self.assert_quick(started, 5)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.end_by_pid_file()

    def end_by_pid_file(self):
        with open(self.pid_file, encoding="ascii") as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not proc.is_alive(pid), what="the end of udsd")
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertFalse(os.path.lexists(self.pid_file))
        self.assertFalse(os.path.lexists(self.socket))

    def test_the_pid_file(self):
        old = os.umask(0)
        try:
            sup = self.daemon(self.text)
        finally:
            os.umask(old)
        with open(self.pid_file, encoding="ascii") as file:
            self.assertEqual(file.read(), "%d\n" % sup.pid)
        self.assertEqual(stat.S_IMODE(os.stat(self.pid_file).st_mode) & 0o133, 0)
        self.assertEqual(proc.comm(sup.pid), "udsd")

    def test_the_option_overrides_the_config(self):
        other = self.path("other.pid")
        text = complete(config(self.text, pid_file="/no/such/place/udsd.pid"))
        done = self.run_udsd("-p", other, "-c", self.write("udsd.conf", text))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.pid_file = other
        self.end_by_pid_file()

    def test_a_second_start_is_69(self):
        sup = self.daemon(self.text)
        info = os.stat(self.pid_file)
        other = service("s", socket=self.path("other"), handler=[self.echo()])
        for text in (self.text, other):
            done = self.again(text)
            self.assertEqual(done.returncode, SERVED)
            self.assertNotEqual(done.stderr, "")
        done = self.again(other, timeout=5)
        self.assertIn(self.pid_file, done.stderr)
        self.assertFalse(os.path.lexists(self.path("other")))
        self.assertEqual(os.stat(self.pid_file).st_ino, info.st_ino)
        with open(self.pid_file, encoding="ascii") as file:
            self.assertEqual(file.read(), "%d\n" % sup.pid)
        self.assertEqual(self.talk(self.socket, b"x"), b"hello\r\nx")

    def test_a_second_start_in_the_foreground_is_69(self):
        self.daemon(self.text)
        self.assertEqual(
            self.run_udsd("-f", "-c", self.path("udsd.conf")).returncode, SERVED
        )

    def test_an_unlocked_pid_file_is_replaced(self):
        for content in ("", "%d\n" % os.getpid(), "99999999\n", "rubbish " * 1000):
            with self.subTest(content=content[:20]):
                self.write("udsd.pid", content)
                sup = self.daemon(self.text)
                with open(self.pid_file, encoding="ascii") as file:
                    self.assertEqual(file.read(), "%d\n" % sup.pid)
                self.assertEqual(sup.stop(), 0)

    def test_after_a_kill_it_starts_again(self):
        sup = self.daemon(self.text)
        sup.kill(signal.SIGKILL)
        sup.wait()
        self.assertTrue(os.path.exists(self.pid_file))
        self.daemon(self.text)
        self.assertEqual(self.talk(self.socket, b"x"), b"hello\r\nx")

    def test_a_bad_config_is_reported(self):
        done = self.again(self.text + "nonsense = 1\n")
        self.assertEqual(done.returncode, REFUSED)
        self.assertRegex(done.stderr, r"again\.conf:\d+:.*nonsense")
        self.assert_nothing_left()

    def assert_reported(self, path):
        """One socket cannot be opened: it is named, and the others are served."""
        done = self.again(self.text + service("t", socket=path, handler=[self.echo()]))
        self.assertEqual(done.returncode, 0)
        self.assertIn(path, done.stderr)
        self.assertIn("service t: ", done.stderr)
        self.assertEqual(self.talk(self.socket, b"x"), b"hello\r\nx")
        self.end_by_pid_file()

    def test_a_socket_in_use_is_reported(self):
        taken = self.client()
        taken.bind(self.path("taken"))
        taken.listen()
        self.assert_reported(self.path("taken"))

    def test_a_socket_that_the_system_refuses_is_reported(self):
        self.write("file", "")
        self.assert_reported(self.path("file/t"))

    def test_a_pid_file_that_cannot_be_made_is_reported(self):
        for name in ("", "/file/udsd.pid"):
            with self.subTest(name=name):
                self.write("file", "")
                self.pid_file = self.dir + name
                done = self.again()
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(self.pid_file, done.stderr)
                self.assert_nothing_left()

    def test_standard_descriptors_may_be_closed(self):
        for closed in ((0,), (1,), (2,), (0, 1, 2), (0, 2)):
            with self.subTest(closed=closed):
                sup = self.daemon(
                    self.text, preexec_fn=lambda fds=closed: [os.close(fd) for fd in fds]
                )
                self.assertEqual(self.talk(self.socket, b"x"), b"hello\r\nx")
                fds = proc.fds(sup.pid)
                self.assertEqual([fds[fd] for fd in (0, 1, 2)], ["/dev/null"] * 3)
                self.assertEqual(sup.stop(), 0)

    def test_descriptors_of_the_starter_are_closed(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        sup = self.daemon(self.text, pass_fds=[writer])
        os.close(writer)
        self.assertEqual(self.talk(self.socket, b"x"), b"hello\r\nx")
        os.set_blocking(reader, False)
        self.assertEqual(os.read(reader, 1), b"", "a process holds the pipe")
        self.assertEqual(sup.stop(), 0)

    def test_a_relative_config(self):
        text = complete(config(self.text, pid_file=self.pid_file))
        self.write("rel.conf", text)
        done = self.run_udsd("-c", "rel.conf", cwd=self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.end_by_pid_file()

    def test_it_does_not_die_with_its_terminal_or_starter(self):
        sup = self.daemon(self.text, start_new_session=True)
        sock = self.hello(self.socket)
        for pid in [sup.worker("s"), sup.log_pid()]:
            os.kill(pid, signal.SIGHUP)
        self.round_trip(sock)
        self.assertTrue(proc.is_alive(sup.pid))

    def test_a_signal_while_it_starts(self):
        """Whatever moment TERM hits, the command ends and leaves nothing."""
        text = complete(config(self.text, pid_file=self.pid_file))
        conf = self.write("udsd.conf", text)
        for number in range(15):
            process = self.spawn([UDSD, "-c", conf], stderr=subprocess.DEVNULL)
            time.sleep(number * 0.001)
            process.terminate()
            process.wait(10)
            self.assert_ends_soon()

    def assert_ends_soon(self):
        """Ends what may have become a daemon before the signal came."""
        time.sleep(0.05)
        for pid in proc.descendants(os.getpid()):
            if proc.is_alive(pid) and proc.comm(pid) == "udsd":
                os.kill(pid, signal.SIGTERM)
        self.assert_nothing_left()


if __name__ == "__main__":
    main()
