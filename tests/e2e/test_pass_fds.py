#!/usr/bin/env python3
"""pass-fds: whether clients may send descriptors."""
import array
import errno
import os
import select
import socket
import unittest

from lib import Case, main
from lib.clients import knows_pass_rights

# Receives a descriptor, and answers what it reads from it.
RECEIVER = """
import os, socket
sock = socket.socket(fileno=os.dup(0))
data, fds, flags, address = socket.recv_fds(sock, 100, 4)
sock.sendall(b"%s:%d:" % (data, len(fds)))
for fd in fds:
    sock.sendall(os.pread(fd, 100, 0))
"""

KINDS = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET}


class PassFds(Case):

    def setUp(self):
        super().setUp()
        self.handler = self.python("receiver", RECEIVER)
        self.file = open(self.write("file", "what is in the file"), "rb")
        self.addCleanup(self.file.close)

    def send(self, sock, count=1):
        """Sends descriptors along with a word; 0 or the errno."""
        fds = array.array("i", [self.file.fileno()] * count)
        try:
            sock.sendmsg([b"word"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        except OSError as error:
            return error.errno
        return 0

    def serve_kind(self, name, kind, **values):
        return self.serve([self.handler], name=name, type=kind, **values)

    def test_allowed(self):
        for name, kind in KINDS.items():
            with self.subTest(name):
                sup = self.serve_kind(name, name, pass_fds=True)
                sock = self.connect(sup.socket, kind)
                self.assertEqual(self.send(sock, 2), 0)
                answer = b"".join(iter(lambda s=sock: s.recv(1000), b""))
                self.assertEqual(answer, b"word:2:" + b"what is in the file" * 2)

    @unittest.skipUnless(knows_pass_rights(), "this kernel has no SO_PASSRIGHTS")
    def test_not_allowed(self):
        for name, kind in KINDS.items():
            for options in ({}, {"pass_fds": False}):
                with self.subTest(name, **options):
                    sup = self.serve_kind("%s%d" % (name, len(options)), name, **options)
                    sock = self.connect(sup.socket, kind)
                    self.assertEqual(self.send(sock), errno.EPERM)
                    sock.sendall(b"no descriptor")
                    self.assertEqual(sock.recv(1000), b"no descriptor:0:")

    @unittest.skipUnless(knows_pass_rights(), "this kernel has no SO_PASSRIGHTS")
    def test_not_allowed_while_it_waits(self):
        """A queue of clients is no place to park descriptors."""
        sup = self.serve([self.echo()], max_connections=1)
        held = self.hello(sup.socket)
        waiting = self.connect(sup.socket)
        self.assertEqual(self.send(waiting), errno.EPERM)
        held.close()
        self.assertEqual(self.receive(waiting, 7), b"hello\r\n")
        self.assertEqual(self.send(waiting), errno.EPERM)
        self.round_trip(waiting)

    def test_those_of_a_client_that_is_turned_away_are_closed(self):
        for name, kind in KINDS.items():
            for count in (1, 10, 200):
                with self.subTest(name, count=count):
                    sup = self.serve([self.echo()], name="%s%d" % (name, count), type=name,
                                     pass_fds=True, max_connections=1, rate="1/1h")
                    held = self.hello(sup.socket, kind)
                    self.check_closed(sup, held, kind, count)

    def check_closed(self, sup, held, kind, count):
        """Clients queue, send descriptors, and are rejected when the first one disconnects. An
        ordinary user may have as many under way as may be open: 1024 by Debian's default."""
        socks = [self.connect(sup.socket, kind) for _ in range(min(5, 200 // count))]
        reader, writer = os.pipe()
        for sock in socks:
            for word in (b"word", b"", b"word") if kind == socket.SOCK_SEQPACKET else (b"word",):
                fds = array.array("i", [writer] * count)
                sock.sendmsg([word], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        os.close(writer)
        held.close()
        sup.wait_events(len(socks), "reject", reason="rate")
        for sock in socks:
            self.assert_end(sock)
        with os.fdopen(reader, "rb") as file:
            ready = select.select([file], [], [], 5)[0]
            self.assertTrue(ready, "a process holds a descriptor that was sent")
            self.assertEqual(file.read(), b"")


if __name__ == "__main__":
    main()
