#!/usr/bin/env python3
"""udsc against servers of the test's own."""
import collections
import contextlib
import os
import re
import socket
import struct
import subprocess
import threading
import time

from lib import PATIENCE, PYTHON, UDSC, Case, crowd, main, read_to_end

SEQPACKET = socket.SOCK_SEQPACKET
USAGE = 64

BAD_USAGE = [
    [],
    ["-v"],
    ["-w"],
    ["-w", "soon", "S"],
    ["-w", "-1", "S"],
    ["-w", "", "S"],
    ["-w", "1x", "S"],
    ["-t", "dgram", "S"],
    ["-t"],
    ["-x", "S"],
    ["--nonsense", "S"],
]


def receive_packets(sock):
    packets = []
    while True:
        packet = sock.recv(1 << 20)
        if not packet:
            return packets
        packets.append(packet)


class UdscCase(Case):
    def server(self, serve, name=None, kind=socket.SOCK_STREAM):
        """Serves one connection in a thread: serve(sock). Returns the socket's name; what
        serve returned is in self.result after self.finish()."""
        name = name or self.path("s")
        listener = self.client(kind)
        listener.bind("\0" + name[1:] if name[0] == "@" else name)
        listener.listen()

        def run():
            try:
                sock, _ = listener.accept()
            except OSError:  # the test has ended without a client
                return
            with sock:
                sock.settimeout(20)
                self.result = serve(sock)
            listener.close()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        return name

    def finish(self):
        self.thread.join(10)
        self.assertFalse(self.thread.is_alive(), "the server still waits")
        if os.path.exists(self.path("s")):
            os.remove(self.path("s"))
        return self.result

    def check(self, done, status=0, out=b"", err=""):
        self.assertEqual((done.returncode, done.stdout), (status, out))
        if isinstance(done.stderr, bytes):
            done.stderr = done.stderr.decode()
        self.assertRegex(done.stderr, err or r"^\Z")

    def udsc(self, *args, **kw):
        return self.run_udsc(*args, text=False, **kw)

    def assert_fails(self, done, *words):
        """Status 1, nothing on stdout, one line on stderr with the words."""
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, b"")
        text = done.stderr.decode()
        self.assertEqual(len(text.splitlines()), 1, text)
        for word in words:
            self.assertIn(word, text)


class Text(UdscCase):
    def test_words(self):
        for words, sent in (
            (["world!"], b"world!\r\n"),
            (["a", "b  c", ""], b"a b  c \r\n"),
            ([""], b"\r\n"),
            (["-v"], b"-v\r\n"),
            (["ü\n"], b"\xc3\xbc\n\r\n"),
            (["x" * 100000], b"x" * 100000 + b"\r\n"),
        ):
            with self.subTest(words=words[0][:10]):
                name = self.server(
                    lambda sock: (
                        sock.sendall(b"hello\r\n"),
                        sock.sendall(read_to_end(sock)),
                    )
                    and None
                )
                done = self.udsc(name, *words)
                self.finish()
                self.check(done, 0, b"hello\r\n" + sent)

    def test_its_writing_side_is_shut_and_all_is_printed(self):
        def serve(sock):
            got = read_to_end(sock)
            for part in (b"one", b"two", b"\0\xff" * 500000):
                time.sleep(0.05)
                sock.sendall(part)
            return got

        done = self.udsc(self.server(serve), "go")
        self.assertEqual(self.finish(), b"go\r\n")
        self.check(done, 0, b"onetwo" + b"\0\xff" * 500000)

    def test_standard_input_is_not_read(self):
        name = self.server(read_to_end)
        reader, writer = os.pipe()
        self.check(self.udsc(name, "go", stdin=reader))
        os.close(writer)
        os.close(reader)
        self.assertEqual(self.finish(), b"go\r\n")

    def test_one_packet(self):
        name = self.server(receive_packets, kind=SEQPACKET)
        for option in ("-tseqpacket",):
            self.check(self.udsc(option, name, "a", "b"))
            self.assertEqual(self.finish(), [b"a b\r\n"])


class Relay(UdscCase):
    def test_both_ways(self):
        data = os.urandom(3000000)

        def serve(sock):
            sock.sendall(b"hello\r\n")
            while True:
                part = sock.recv(65536)
                if not part:
                    return
                sock.sendall(part)

        done = self.udsc(self.server(serve), input=data)
        self.finish()
        self.check(done, 0, b"hello\r\n" + data)

    def test_after_the_end_of_input_it_goes_on_printing(self):
        def serve(sock):
            got = read_to_end(sock)
            for word in (b"a", b"b", b"c"):
                time.sleep(0.1)
                sock.sendall(word)
            return got

        done = self.udsc(self.server(serve), input=b"in")
        self.assertEqual(self.finish(), b"in")
        self.check(done, 0, b"abc")

    def test_it_prints_at_once(self):
        name = self.server(lambda sock: (sock.sendall(b"now"), read_to_end(sock)))
        process = self.spawn([UDSC, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(os.read(process.stdout.fileno(), 10), b"now")
        process.stdin.write(b"bye")
        process.stdin.close()
        self.assertEqual(process.wait(5), 0)
        self.assertEqual(self.finish(), (None, b"bye"))

    def test_the_server_closes_while_input_is_open(self):
        name = self.server(lambda sock: sock.sendall(b"bye"))
        reader, writer = os.pipe()
        self.check(self.udsc(name, stdin=reader), 0, b"bye")
        os.close(reader)
        os.close(writer)

    def test_empty_input(self):
        name = self.server(read_to_end)
        self.check(self.udsc(name))
        self.assertEqual(self.finish(), b"")

    def test_the_server_reads_slowly(self):
        data = b"x" * 1000000

        def serve(sock):
            parts = []
            while True:
                time.sleep(0.001)
                part = sock.recv(20000)
                if not part:
                    return b"".join(parts)
                parts.append(part)

        self.check(self.udsc(self.server(serve), input=data))
        self.assertEqual(self.finish(), data)

    def test_a_file_as_input_and_output(self):
        data = os.urandom(500000)
        source, target = self.write("in", data), self.path("out")

        def serve(sock):
            sock.sendall(read_to_end(sock))

        with open(source, "rb") as stdin, open(target, "wb") as stdout:
            done = self.udsc(self.server(serve), stdin=stdin, stdout=stdout)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        with open(target, "rb") as file:
            self.assertEqual(file.read(), data)

    def test_seqpacket(self):
        def serve(sock):
            got = receive_packets(sock)
            sock.send(b"one")
            sock.send(b"two" * 10000)
            return got

        done = self.udsc(
            "-t", "seqpacket", self.server(serve, kind=SEQPACKET), input=b"in"
        )
        self.assertEqual(self.finish(), [b"in"])
        self.check(done, 0, b"one" + b"two" * 10000)

    def test_an_abstract_socket(self):
        name = self.server(read_to_end, "@udsc-e2e-%d" % os.getpid())
        self.check(self.udsc(name, "x"))
        self.assertEqual(self.finish(), b"x\r\n")

    def test_a_path_of_107_bytes(self):
        name = self.server(read_to_end, self.path("x" * (106 - len(self.dir))))
        self.assertEqual(len(name), 107)
        self.check(self.udsc(name, "x"))
        self.assertEqual(self.finish(), b"x\r\n")


class Options(UdscCase):
    def test_verbose(self):
        for option in ("-v", "--verbose"):
            name = self.server(read_to_end)
            done = self.udsc(option, name, "x")
            self.finish()
            self.check(
                done, 0, b"", r"^udsc: connected to %s\nudsc: disconnected\n\Z"
                % re.escape(name)
            )

    def test_wait(self):
        name = self.server(read_to_end)
        reader, writer = os.pipe()
        started = time.monotonic()
        done = self.udsc("-w", "1", name, stdin=reader)
        self.assertTrue(0.9 < time.monotonic() - started < 1.5 * PATIENCE)
        self.assert_fails(done, "time")
        os.close(reader)
        os.close(writer)

    def test_each_byte_starts_the_wait_anew(self):
        def serve(sock):
            read_to_end(sock)
            for _ in range(5):
                time.sleep(0.5)
                sock.sendall(b".")

        self.check(self.udsc("-w", "1", self.server(serve), "x"), 0, b".....")

    def test_a_packet_in_wait_mode(self):
        name = self.server(receive_packets, kind=SEQPACKET)
        self.check(self.udsc("-w5", "-t", "seqpacket", name, "x"))

    def test_bad_usage(self):
        for args in BAD_USAGE:
            with self.subTest(args=args):
                done = self.udsc(*args)
                self.assertEqual(done.returncode, USAGE)
                self.assertEqual(done.stdout, b"")
                self.assertNotEqual(done.stderr, b"")


class Failure(UdscCase):
    def test_cannot_connect(self):
        stale = self.client()
        stale.bind(self.path("stale"))
        stale.close()
        self.write("file", "")
        for name, word in (
            ("/no/such/socket", "No such file"),
            (self.path("stale"), "refused"),
            (self.path("file"), "refused"),
            (self.dir, "refused"),
            ("@no-such-name-%d" % os.getpid(), "refused"),
            (self.path("x" * 200), ""),
        ):
            for more in ([], ["text"]):
                with self.subTest(name=name, more=more):
                    self.assert_fails(self.udsc("-v", name, *more), name, word)

    def test_the_wrong_type(self):
        name = self.server(read_to_end)
        self.assert_fails(self.udsc("-t", "seqpacket", name, "x"), name)

    def test_a_reset_is_a_broken_connection(self):
        def serve(sock):
            sock.recv(1)  # the rest is unread at the close
            time.sleep(0.2)

        done = self.udsc(self.server(serve), input=b"x" * 1000)
        self.finish()
        self.assert_fails(done, "reset")

    def test_a_server_that_takes_no_more_but_ends_cleanly(self):
        """What could not be sent is no fault, and is said on demand."""

        def serve(sock):
            sock.shutdown(socket.SHUT_RD)
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while sock.recv(1 << 20):
                    pass
            time.sleep(0.3)

        for options, said in (
            ([], r"^\Z"),
            (["-v"], r"^udsc: connected to \S+\nudsc: \d+ bytes could not be sent\n"
             r"udsc: disconnected\n\Z"),
        ):
            with self.subTest(options=options):
                done = self.udsc(*options, self.server(serve), input=b"x" * 3000000)
                self.finish()
                self.check(done, 0, b"", said)

    def test_a_full_backlog_and_a_wait(self):
        listener = self.client()
        listener.bind(self.path("s"))
        listener.listen(0)
        self.connect(self.path("s"))
        self.assert_fails(self.udsc("-w", "1", self.path("s"), "x"), self.path("s"))

    def test_standard_output_that_is_full_or_closed(self):
        def serve(sock):
            try:
                sock.sendall(b"x" * 1000000)
            except OSError:
                pass

        with open("/dev/full", "wb") as full:
            done = self.udsc(self.server(serve), stdout=full)
        self.finish()
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        name = self.server(serve)
        reader, writer = os.pipe()
        os.close(reader)
        done = self.udsc(name, stdout=writer)
        os.close(writer)
        self.finish()
        self.assertNotEqual(done.returncode, 0)

    def test_standard_descriptors_that_are_closed(self):
        name = self.server(lambda sock: (read_to_end(sock), sock.sendall(b"out")))
        done = self.udsc(name, "x", preexec_fn=lambda: os.close(0))
        self.check(done, 0, b"out")

    def test_a_server_that_dies(self):
        """SO_LINGER means nothing here; the end is clean."""

        def serve(sock):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            read_to_end(sock)

        self.check(self.udsc(self.server(serve), "x"))


class Rejected(Case):
    """A client that is rejected always sees the same, however busy the machine is."""

    def ends(self, path, count, **run):
        """How many of so many udsc ended how, four at a time, two more processes computing."""
        burners = [self.spawn([PYTHON, "-c", "while True: pass"]) for _ in range(2)]

        def one(_):
            done = self.run_udsc(path, timeout=60, **run)
            return done.returncode, done.stdout, done.stderr

        ends = collections.Counter(crowd(4, count, one))
        for burner in burners:
            burner.kill()
            burner.wait()
        return ends

    def test_the_status_of_a_rejected_client(self):
        large = self.write("large", b"y" * 3000000)
        for name, values, message in (
            ("rule", {"deny": ["any"]}, ""),
            ("message", {"deny": ["any"], "reject_message": "no\\n"}, None),
            ("limit", {"max_connections": 1, "overflow": "reject"}, ""),
        ):
            with self.subTest(name=name):
                sup = self.serve([self.echo()], name="s", **values)
                if name == "limit":
                    self.hello(sup.socket)
                for run, count in (({"input": "hello\n"}, 300), ({}, 50),
                                   ({"stdin": open(large, "rb")}, 1)):
                    ends = self.ends(sup.socket, count, **run)
                    self.assertEqual(len(ends), 1, ends)
                    status, out, err = next(iter(ends))
                    self.assertEqual((status, err), (0, ""))
                    self.assertTrue(out if message is None else out == message, out)
                    if "stdin" in run:
                        run["stdin"].close()

    def test_five_hundred_with_text(self):
        sup = self.serve([self.echo()], deny=["any"])

        def one(number):
            done = self.run_udsc(*["-v"][number % 2:], sup.socket, "some", "text", timeout=60)
            return done.returncode, done.stdout, done.stderr.replace(sup.socket, "S")

        burners = [self.spawn([PYTHON, "-c", "while True: pass"]) for _ in range(2)]
        ends = collections.Counter(crowd(4, 500, one))
        for burner in burners:
            burner.kill()
        said = "udsc: connected to S\nudsc: disconnected\n"
        more = said.replace("udsc: dis", "udsc: 11 bytes could not be sent\nudsc: dis")
        self.assertEqual(sum(ends.values()), 500)
        self.assertEqual(set(ends) - {(0, "", said), (0, "", more)}, {(0, "", "")}, ends)


if __name__ == "__main__":
    main()
