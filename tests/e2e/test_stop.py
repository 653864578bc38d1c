#!/usr/bin/env python3
"""Stop: handlers may finish, then TERM, then KILL; pending connections get a clean end."""
import errno
import os
import signal
import socket
import subprocess
import time

from lib import PATIENCE, Case, complete, config, main, proc, service, wait_for

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
PATIENT = "echo ready; cat; echo finished"
PARENT = "sleep 100 & echo $!; wait"


class Stop(Case):
    def serve_script(self, text, stop_timeout, **values):
        handler = self.script("handler", text)
        return self.udsd(
            config(
                service("s", socket=self.path("s"), handler=[handler], **values),
                stop_timeout=stop_timeout,
            )
        )

    def ready(self, sup):
        sock = self.connect(sup.socket)
        self.assertEqual(self.receive(sock, 6), b"ready\n")
        return sock

    def assert_ends_after(self, sup, low, high):
        """Sends TERM; the end comes with status 0 between these seconds."""
        started = time.monotonic()
        self.assertEqual(sup.stop(high + 5), 0)
        took = time.monotonic() - started
        self.assertTrue(low <= took <= high * PATIENCE, "it took %.2f s" % took)

    def test_at_once_when_nothing_is_live(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            for used in (False, True):
                with self.subTest(number=number, used=used):
                    sup = self.serve([self.echo()])
                    if used:
                        self.talk(sup.socket, b"x")
                    started = time.monotonic()
                    sup.kill(number)
                    self.assertEqual(sup.wait(), 0)
                    self.assert_quick(started, 1)
                    self.assertEqual(len(sup.events("stop")), 1)
                    self.assertIn("reason", sup.events("stop")[0])

    def test_handlers_may_finish(self):
        sup = self.serve_script(PATIENT, "20s")
        sock = self.ready(sup)
        sup.kill(signal.SIGTERM)
        wait_for(lambda: not os.path.lexists(sup.socket), what="the path to go")
        self.assert_refused(sup.socket)
        time.sleep(0.5)
        self.round_trip(sock)
        self.assertIsNone(sup.poll())
        sock.shutdown(socket.SHUT_WR)
        self.assert_end(sock, b"finished\n")
        sup.wait(2)
        self.assertEqual(sup.result, 0)
        self.assertEqual(sup.events("close")[0]["status"], "exit:0")

    def test_then_they_are_terminated(self):
        sup = self.serve_script(PATIENT, "500ms")
        sock = self.ready(sup)
        self.assert_ends_after(sup, 0.4, 2)
        self.assert_end(sock)
        self.assertEqual(sup.events("close")[0]["status"], "signal:TERM")

    def test_then_they_are_killed(self):
        sup = self.serve_script(STUBBORN, "300ms", kill_grace="500ms")
        sock = self.ready(sup)
        self.assert_ends_after(sup, 0.7, 3)
        self.assert_end(sock)
        self.assertEqual(sup.events("close")[0]["status"], "signal:KILL")

    def test_a_grace_of_its_own_for_each_service(self):
        stubborn = self.script("stubborn", STUBBORN)
        text = "".join(
            service(name, socket=self.path(name), handler=[stubborn], kill_grace=grace)
            for name, grace in (("quick", "100ms"), ("slow", "1s"))
        )
        sup = self.udsd(config(text, stop_timeout="0"))
        for path in sup.sockets:
            self.assertEqual(self.connect(path).recv(6), b"ready\n")
        self.assert_ends_after(sup, 0.9, 3)
        quick, slow = (
            float(sup.events("close", service=name)[0]["duration"])
            for name in ("quick", "slow")
        )
        self.assertGreater(slow - quick, 0.6)

    def test_no_timeout_and_no_grace(self):
        for timeout, grace, text, status in (
            ("0", None, PATIENT, "signal:TERM"),
            ("0", "0", STUBBORN, "signal:KILL"),
            ("0s", "0ms", STUBBORN, "signal:KILL"),
        ):
            with self.subTest(timeout=timeout, grace=grace):
                sup = self.serve_script(text, timeout, kill_grace=grace)
                self.ready(sup)
                self.assert_ends_after(sup, 0, 1)
                self.assertEqual(sup.events("close")[0]["status"], status)

    def test_the_whole_group_gets_the_signal(self):
        for timeout, grace in (("0", None), ("0", "0")):
            with self.subTest(grace=grace):
                sup = self.serve_script(PARENT, timeout, kill_grace=grace)
                child = int(self.connect(sup.socket).makefile().readline())
                self.assertEqual(sup.stop(), 0)
                wait_for(
                    lambda pid=child: not proc.is_alive(pid), what="the child to end"
                )

    def test_a_second_signal_kills_at_once(self):
        for first, second in (
            (signal.SIGTERM, signal.SIGTERM),
            (signal.SIGINT, signal.SIGINT),
            (signal.SIGTERM, signal.SIGINT),
        ):
            with self.subTest(first=first, second=second):
                sup = self.serve_script(STUBBORN, "30s")
                sock = self.ready(sup)
                sup.kill(first)
                wait_for(lambda: not os.path.lexists(self.path("s")))
                time.sleep(0.2)
                self.assertIsNone(sup.poll())
                started = time.monotonic()
                sup.kill(second)
                self.assertEqual(sup.wait(), 0)
                self.assert_quick(started, 1)
                self.assert_end(sock)
                self.assertEqual(sup.events("close")[0]["status"], "signal:KILL")

    def test_many_handlers(self):
        sup = self.serve_script(PATIENT, "300ms")
        socks = [self.ready(sup) for _ in range(40)]
        self.assert_ends_after(sup, 0.2, 4)
        for sock in socks:
            self.assert_end(sock)
        self.assertEqual(len(sup.events("close", status="signal:TERM")), 40)

    def test_handlers_of_a_dead_worker(self):
        sup = self.serve_script(PATIENT, "300ms")
        self.ready(sup)
        os.kill(sup.worker("s"), signal.SIGKILL)
        sup.wait_event("worker")
        self.assert_ends_after(sup, 0.2, 2)
        self.assertEqual(sup.events("close")[0]["status"], "signal:TERM")

    def test_handlers_whose_worker_dies_during_it(self):
        """After they were terminated: they are as the others."""
        sup = self.serve_script("trap 'echo told' TERM; echo ready; while :; do sleep 0.1; done",
                                "0", kill_grace="1s")
        sock = self.ready(sup)
        worker = sup.worker("s")
        sup.kill(signal.SIGTERM)
        self.assertEqual(self.receive(sock, 5), b"told\n")
        started = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        self.assertEqual(sup.wait(), 0)
        self.assert_quick(started, 2)
        self.assert_end(sock, b"told\n")
        self.assertEqual(sup.events("close")[0]["status"], "signal:KILL")

    def test_a_stopped_worker_does_not_hinder_it(self):
        sup = self.serve_script(PATIENT, "300ms")
        self.ready(sup)
        worker = sup.worker("s")
        sup.kill(signal.SIGTERM)
        try:
            os.kill(worker, signal.SIGSTOP)
        except ProcessLookupError:
            pass
        self.assertEqual(sup.wait(5), 0)

    def test_a_stopped_handler_is_ended_too(self):
        sup = self.serve_script(PATIENT, "200ms", kill_grace="300ms")
        self.ready(sup)
        os.kill(int(sup.wait_event("open")["pid"]), signal.SIGSTOP)
        self.assert_ends_after(sup, 0.4, 3)
        self.assertIn(sup.events("close")[0]["status"], ("signal:KILL", "signal:TERM"))

    def test_stop_while_it_starts(self):
        """At any moment of the start: a clean end, and no path is left."""
        conf = self.write(
            "udsd.conf",
            complete(service("s", socket=self.path("s"), handler=[self.echo()])),
        )
        for number in range(20):
            sup = self.start(["-f", "-c", conf])
            sup.sockets = [self.path("s")]
            time.sleep(number * 0.001)
            sup.kill(signal.SIGTERM)
            self.assertIn(sup.wait(), (0, -signal.SIGTERM))
            self.assertFalse(os.path.lexists(self.path("s")), number)


class Queue(Case):
    def setUp(self):
        super().setUp()
        self.sup = self.udsd(
            config(
                service(
                    "s", socket=self.path("s"), handler=[self.echo()], max_connections=1
                ),
                stop_timeout="400ms",
            )
        )
        self.held = self.hello(self.path("s"))

    def queue(self, count, data=b"", half=False):
        socks = []
        for _ in range(count):
            sock = self.connect(self.path("s"))
            if data:
                sock.sendall(data)
            if half:
                sock.shutdown(socket.SHUT_WR)
            socks.append(sock)
        return socks

    def test_pending_connections_get_a_clean_end(self):
        socks = (
            self.queue(10)
            + self.queue(10, b"data")
            + self.queue(10, b"x" * 50000)
            + self.queue(5, b"data", half=True)
        )
        self.assertEqual(self.sup.stop(), 0)
        for sock in socks:
            self.assert_end(sock)
        self.assertEqual(len(self.sup.events("open")), 1)

    def test_a_pending_client_that_sends_gets_a_broken_pipe(self):
        (sock,) = self.queue(1)
        self.assertEqual(self.sup.stop(), 0)
        self.assert_end(sock)
        with self.assertRaises(OSError) as caught:
            sock.sendall(b"x")
        self.assertEqual(caught.exception.errno, errno.EPIPE)

    def test_who_is_sending_all_the_time_is_not_reset(self):
        socks = self.queue(150)
        for sock in socks:
            sock.setblocking(True)
        writers = [
            self.spawn(
                ["dd", "if=/dev/zero", "bs=500"],
                stdout=sock.fileno(),
                stderr=subprocess.PIPE,
                env={"LC_ALL": "C"},
            )
            for sock in socks
        ]
        time.sleep(0.3)
        self.assertEqual(self.sup.stop(), 0)
        for writer, sock in zip(writers, socks):
            error = writer.communicate(timeout=10)[1]
            self.assertNotIn(b"reset", error)
            self.assert_end(sock)

    def test_the_end_does_not_wait_for_the_queue(self):
        self.queue(20)
        self.held.close()
        started = time.monotonic()
        self.assertEqual(self.sup.stop(), 0)
        self.assert_quick(started, 3)


if __name__ == "__main__":
    main()
