#!/usr/bin/env python3
"""wait = true: the handler gets the listening socket and accepts its clients itself."""
import os
import shutil
import signal
import socket
import time

from lib import USER, config, crowd, main, needs, needs_root, proc, read_to_end, service, wait_for
from lib.allowed import niceness
from lib.orders import OrderCase
from lib.proc import cpu_time

# WORD IDLE CLIENTS: sends each client WORD and its pid, and echoes; ends when no client has come for
# IDLE seconds, or when so many have come and disconnected.
SERVER = """
import os, select, signal, socket, subprocess, sys, threading
word, idle, count = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
last = None
def serve(client):
    client.sendall(b"%s %d\\n" % (word.encode(), os.getpid()))
    while data := client.recv(65536):
        client.sendall(data)
    client.close()
def tell(number, frame):
    last.sendall(b"TERM")
    os._exit(0)
if word == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "100"])
if word == "teller":
    signal.signal(signal.SIGTERM, tell)
threads = []
with socket.socket(fileno=3) as sock:
    while len(threads) < count and select.select([sock], [], [], idle)[0]:
        last = sock.accept()[0]
        threads.append(threading.Thread(target=serve, args=[last]))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if word == "nonblocking":
        os.set_blocking(3, False)
    if word == "shut":
        sock.shutdown(socket.SHUT_RDWR)
"""
# As inetd's programs do it: accepts on standard input until no client comes any more.
INETD = """
import select, socket
sock = socket.socket(fileno=0)
while select.select([sock], [], [], 0.2)[0]:
    client = sock.accept()[0]
    client.sendall(b"hello\\r\\n")
    while data := client.recv(65536):
        client.sendall(data)
    client.close()
"""
NODE = """
const server = require("net").createServer({allowHalfOpen: true}, socket => {
    socket.write("hello\\r\\n");
    socket.pipe(socket);
});
server.listen({fd: 3});
"""
OWN = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PROTO", "UNIXLOCALPATH", "UNIXLOCALUID",
       "UNIXLOCALGID", "UNIXLOCALPID", "UDSD_SERVICE", "LISTEN_FDS", "LISTEN_PID",
       "LISTEN_FDNAMES"}


class Wait(OrderCase):
    def text(self, word="one", idle=60, clients=1000, stop_timeout="0", **values):
        if not os.path.exists(self.path("server")):
            self.python("server", SERVER)
        values.setdefault("handler", [self.path("server"), word, str(idle), str(clients)])
        text = service("s", socket=self.path("s"), wait=True, **values)
        return config(text, stop_timeout=stop_timeout)

    def run_one(self, *args, **values):
        return self.udsd(self.text(*args, **values))

    def greeted_by(self, path, word="one", **kw):
        """A connection, and the pid of the handler that has greeted with the word."""
        sock = self.connect(path, **kw)
        return sock, self.hear(sock, word)

    def hear(self, sock, word="one"):
        words = sock.makefile("rb", 0).readline().decode().split()
        self.assertEqual(words[:1], [word])
        return int(words[1])

    def ended(self, sup, pid, status, **kw):
        """Waits for the line of a handler's end; returns it."""
        return sup.wait_event("handler", pid=pid, status=status, **kw)

    def started(self, sup):
        return len(sup.events("handler", status="started"))


class Given(Wait):
    """What a handler gets."""

    def test_the_socket_is_0_and_1_and_3(self):
        sup = self.run_one()
        sock, pid = self.greeted_by(sup.socket)
        sock.close()
        wait_for(lambda: len(proc.fds(pid)) == 4, what="the client's end")
        fds = proc.fds(pid)
        self.assertEqual(fds.pop(2), "/dev/null")
        self.assertEqual((sorted(fds), len(set(fds.values()))), ([0, 1, 3], 1))
        inode = fds[3][len("socket:["):-1]
        self.assertEqual([(flags & proc.SO_ACCEPTCON, path)
                          for flags, number, path in proc.unix_table() if number == inode],
                         [(proc.SO_ACCEPTCON, sup.socket)])

    def test_it_blocks_whatever_was_before(self):
        sup = self.run_one("nonblocking", clients=1)
        for _ in range(3):
            sock, pid = self.greeted_by(sup.socket, "nonblocking")
            for fd in (0, 1, 3):
                self.assertFalse(proc.fd_flags(pid, fd) & os.O_NONBLOCK, fd)
            sock.close()
            self.ended(sup, pid, "exit:0")

    def test_environment(self):
        sup = self.udsd(self.text(environment=["MINE=x", "HOME=/"], pass_environment=["FROM"]),
                        env=dict(os.environ, FROM="outside", OTHER="y", LISTEN_FDS="7"))
        _, pid = self.greeted_by(sup.socket)
        env = dict(pair.split("=", 1) for pair in proc.environ(pid))
        self.assertEqual(set(env), OWN | {"MINE", "FROM"})
        wanted = {"LISTEN_FDS": "1", "LISTEN_PID": str(pid), "LISTEN_FDNAMES": "s",
                  "MINE": "x", "FROM": "outside", "HOME": "/", "PROTO": "UNIX",
                  "UNIXLOCALPATH": sup.socket, "UNIXLOCALPID": str(pid), "UDSD_SERVICE": "s"}
        self.assertLessEqual(wanted.items(), env.items())

    def test_session_limits_and_directory(self):
        sup = self.run_one(limit_nofile=77, limit_core=0, umask="027", nice=3, directory="/tmp")
        _, pid = self.greeted_by(sup.socket)
        stat, status, limits = proc.stat(pid), proc.status(pid), proc.limits(pid)
        self.assertEqual([stat[n] for n in (4, 5, 6, 7)], [str(sup.pid), str(pid), str(pid), "0"])
        self.assertEqual(stat[19], niceness(3))
        self.assertEqual(limits["Max open files"], ("77", "77"))
        self.assertEqual(limits["Max core file size"], ("0", "0"))
        self.assertEqual((status["Umask"], os.readlink("/proc/%d/cwd" % pid)), ("0027", "/tmp"))
        self.assertEqual((int(status["SigBlk"], 16), status["NoNewPrivs"]), (0, "1"))

    @needs_root
    def test_no_more_than_its_user_may(self):
        for values, gid, groups in (({}, USER.pw_gid, None), ({"group": "daemon"}, 1, None),
                                    ({"supplementary_groups": []}, USER.pw_gid, []),
                                    ({"supplementary_groups": ["bin"]}, USER.pw_gid, ["2"])):
            with self.subTest(values=values):
                sup = self.run_one(**values)
                _, pid = self.greeted_by(sup.socket)
                status = proc.status(pid)
                self.assertEqual(status["Uid"].split(), [str(USER.pw_uid)] * 4)
                self.assertEqual(status["Gid"].split(), [str(gid)] * 4)
                self.assertNotIn("0", status["Groups"].split())
                if groups is not None:
                    self.assertEqual(status["Groups"].split(), groups)
                for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                    self.assertEqual(int(status[name], 16), 0, name)

    def test_standard_error_in_a_file(self):
        folder = self.folder("errors", owner=USER)
        handler = self.script("says", 'echo text >&2; exec "${0%says}server" one 60 9\n')
        sup = self.run_one(handler=[handler], stderr=folder + "/file")
        self.greeted_by(sup.socket)
        with open(folder + "/file", encoding="ascii") as file:
            self.assertEqual(file.read(), "text\n")
        self.assertEqual(os.stat(folder + "/file").st_uid, USER.pw_uid)


class Life(Wait):
    def test_the_first_client_starts_it(self):
        sup = self.run_one()
        self.reload(sup)
        self.assertEqual((self.started(sup), proc.children(sup.pid)), (0, [sup.log_pid()]))
        first = self.greeted_by(sup.socket)[1]
        for _ in range(5):
            self.assertEqual(self.greeted_by(sup.socket)[1], first)
        self.assertEqual(self.started(sup), 1)

    def test_no_connection_is_dropped_between_two(self):
        for clients in (1, 3):
            with self.subTest(clients=clients):
                sup = self.run_one(clients=clients)

                answers = crowd(6, 24, lambda _: self.talk(self.path("s"), b"x"))
                wrong = [a for a in answers if not (a[:4] == b"one " and a[-1:] == b"x")]
                self.assertEqual(wrong, [])
                sup.wait_events(24 // clients, "handler", status="exit:0")

    def test_pending_connections_outlive_it(self):
        sup = self.run_one(clients=1)
        _, pid = self.greeted_by(sup.socket)
        pending = [self.connect(sup.socket) for _ in range(8)]
        os.kill(pid, signal.SIGKILL)
        for sock in pending:
            self.assertNotEqual(self.hear(sock), pid)
            sock.close()
        self.ended(sup, pid, "signal:KILL")

    def test_one_that_fails_at_once_is_put_off(self):
        sup = self.run_one(handler=[self.script("h", "exit 3")])
        sock = self.connect(sup.socket)
        started = time.monotonic()
        lines = sup.wait_events(4, "handler", status="exit:3")
        self.assertGreater(time.monotonic() - started, 0.65)
        self.assertEqual([float(line["retry"]) for line in lines[:4]], [0.1, 0.2, 0.4, 0.8])
        self.script("h", 'exec "${0%h}server" one 60 9\n')
        self.reload(sup)
        started = time.monotonic()
        self.hear(sock)
        self.assert_quick(started, 0.4)

    def test_one_that_cannot_be_executed_is_put_off(self):
        """A client for each try sees the end of file, the others wait for the next."""
        for error, spoil in (("No such file or directory", os.unlink),
                             ("Permission denied", lambda path: os.chmod(path, 0o644))):
            with self.subTest(error=error):
                sup = self.run_one()
                server = self.path("server")
                spoil(server)
                socks = [self.connect(sup.socket) for _ in range(3)]
                self.offer(socks[0], b"x" * 1000)
                lines = sup.wait_events(2, "fail", handler=server, step="execute", error=error)
                self.assertEqual(lines[0]["service"], "s")
                for sock in socks[:2]:
                    self.assert_end(sock)
                os.replace(self.python("new", SERVER), server)
                answer = socks[2].makefile("rb", 0).readline()
                self.assertEqual(answer[:4], b"one " if len(sup.events("fail")) == 2 else b"")
                self.hear(self.connect(sup.socket))
                retries = [line["retry"] for line in sup.events("handler") if "retry" in line]
                self.assertEqual(list(map(float, retries[:2])), [0.1, 0.2])

    def test_one_that_never_accepts_does_not_keep_us_busy(self):
        sup = self.run_one(handler=["/bin/true"])
        self.connect(sup.socket)
        sup.wait_events(2, "handler", status="exit:0")
        ours, begin = [sup.pid, sup.log_pid()], time.monotonic()
        count, before = self.started(sup), cpu_time(ours)
        time.sleep(0.5)
        used, seconds = cpu_time(ours) - before, time.monotonic() - begin
        self.assertLess(self.started(sup) - count, 120 * seconds)
        self.assertLess(used, 0.4 * seconds)

    def test_one_that_was_stopped_is_left_alone(self):
        sup = self.run_one()
        _, pid = self.greeted_by(sup.socket)
        os.kill(pid, signal.SIGSTOP)
        pending = self.connect(sup.socket)
        wait_for(lambda: proc.state(pid) == "T")
        time.sleep(0.5)
        self.assertEqual((proc.state(pid), self.started(sup)), ("T", 1))
        os.kill(pid, signal.SIGCONT)
        self.assertEqual(self.hear(pending), pid)

    def test_a_socket_that_it_has_shut_down_is_made_anew(self):
        sup = self.run_one("shut", clients=1)
        for count in range(1, 4):
            sock, pid = self.greeted_by(sup.socket, "shut")
            sock.close()
            self.ended(sup, pid, "exit:0")
            sup.wait_events(count + 1, "listen", socket=sup.socket)
        self.assertEqual(len(sup.events("fail", socket=sup.socket, step="accept")), 3)

    def test_a_program_of_inetd(self):
        sup = self.run_one(handler=[self.python("inetd", INETD)])
        for count in (1, 2, 3):
            answers = crowd(4, 12, lambda _: self.talk(sup.socket, b"x" * 100000))
            self.assertEqual(set(answers), {b"hello\r\n" + b"x" * 100000})
            sup.wait_events(count, "handler", status="exit:0")

    @needs("node")
    def test_a_node_server(self):
        script = self.write("server.js", NODE)
        sup = self.run_one(handler=[os.path.realpath(shutil.which("node")), script])
        answers = crowd(8, 60, lambda _: self.talk(sup.socket, b"x" * 100000))
        self.assertEqual(set(answers), {b"hello\r\n" + b"x" * 100000})
        self.assertEqual(self.started(sup), 1)


class Reload(Wait):
    def test_a_changed_one_runs_on_and_the_next_is_new(self):
        sup = self.run_one()
        held, pid = self.greeted_by(sup.socket)
        self.reload(sup, self.text("two", nice=2))
        self.round_trip(held)
        self.assertEqual(self.greeted_by(sup.socket)[1], pid)
        os.kill(pid, signal.SIGTERM)
        self.ended(sup, pid, "signal:TERM")
        second = self.greeted_by(sup.socket, "two")[1]
        self.assertEqual(proc.stat(second)[19], niceness(2))

    def test_a_removed_or_disabled_one_ends(self):
        other = service("t", socket=self.path("t"), handler=[self.echo()])
        for word, grace, status, low in (("one", "5s", "signal:TERM", 0),
                                         ("stubborn", "400ms", "signal:KILL", 0.4),
                                         ("stubborn", "0", "signal:KILL", 0)):
            for text in (other, self.text(word, kill_grace=grace, enabled=False) + other):
                with self.subTest(word=word, grace=grace, removed=text == other):
                    sup = self.run_one(word, kill_grace=grace)
                    sock, pid = self.greeted_by(sup.socket, word)
                    started = time.monotonic()
                    self.reload(sup, text)
                    self.assertFalse(os.path.lexists(sup.socket))
                    self.assert_end(sock)
                    self.assertGreaterEqual(time.monotonic() - started, low)
                    self.assert_quick(started, low + 1)
                    self.ended(sup, pid, status)
                    wait_for(lambda it=pid: not proc.is_alive(it))

    def test_pending_connections_of_a_removed_one_get_a_clean_end(self):
        sup = self.run_one(clients=1)
        self.greeted_by(sup.socket)
        pending = [self.connect(sup.socket) for _ in range(5)]
        pending[0].sendall(b"x" * 1000)
        self.reload(sup, service("t", socket=self.path("t"), handler=[self.echo()]))
        for sock in pending:
            self.assert_end(sock)

    def test_it_lives_through_an_upgrade(self):
        sup = self.run_one()
        held, pid = self.greeted_by(sup.socket)
        self.upgrade(sup)
        self.round_trip(held)
        self.assertEqual(self.greeted_by(sup.socket)[1], pid)
        self.rewrite(self.text("two"))
        self.upgrade(sup)
        self.assertEqual(self.greeted_by(sup.socket)[1], pid)
        os.kill(pid, signal.SIGTERM)
        self.ended(sup, pid, "signal:TERM")
        self.greeted_by(sup.socket, "two")

    def test_it_ends_after_an_upgrade(self):
        """By a stop, with its service, and with udsd."""
        other = service("t", socket=self.path("t"), handler=[self.echo()])
        for end in ("stop", "removed", "killed"):
            with self.subTest(end=end):
                sup = self.run_one()
                sock, pid = self.greeted_by(sup.socket)
                if end == "removed":
                    self.rewrite(other)
                self.upgrade(sup)
                if end != "removed":
                    self.round_trip(sock)
                    sup.kill(signal.SIGTERM if end == "stop" else signal.SIGKILL)
                if end == "killed":
                    self.kept.add(sup.socket)
                self.assert_end(sock)
                wait_for(lambda it=pid: not proc.is_alive(it))
                if end != "killed":
                    self.ended(sup, pid, "signal:TERM")


class Stop(Wait):
    def test_after_the_timeout_it_is_told_and_then_killed(self):
        for word, timeout, grace, status, low in (
                ("one", "0", "5s", "signal:TERM", 0), ("one", "300ms", "5s", "signal:TERM", 0.3),
                ("stubborn", "200ms", "300ms", "signal:KILL", 0.5),
                ("stubborn", "0", "0", "signal:KILL", 0)):
            with self.subTest(word=word, timeout=timeout, grace=grace):
                sup = self.run_one(word, stop_timeout=timeout, kill_grace=grace)
                sock, pid = self.greeted_by(sup.socket, word)
                started = time.monotonic()
                self.assertEqual(sup.stop(), 0)
                self.assertGreaterEqual(time.monotonic() - started, low)
                self.assert_quick(started, low + 1)
                self.assert_end(sock)
                self.ended(sup, pid, status)

    def test_it_may_finish(self):
        sup = self.run_one(clients=1, stop_timeout="30s")
        sock, pid = self.greeted_by(sup.socket)
        sup.kill(signal.SIGTERM)
        wait_for(lambda: not os.path.lexists(sup.socket))
        self.round_trip(sock)
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual((read_to_end(sock), sup.wait(3)), (b"", 0))
        self.ended(sup, pid, "exit:0")

    def test_a_second_signal_kills_it(self):
        sup = self.run_one("stubborn", stop_timeout="30s")
        _, pid = self.greeted_by(sup.socket, "stubborn")
        sup.kill(signal.SIGTERM)
        wait_for(lambda: not os.path.lexists(sup.socket))
        started = time.monotonic()
        self.assertEqual(sup.stop(), 0)
        self.assert_quick(started, 1)
        self.ended(sup, pid, "signal:KILL")

    def test_pending_connections_get_a_clean_end(self):
        sup = self.run_one(clients=1, stop_timeout="200ms")
        self.greeted_by(sup.socket)
        pending = [self.connect(sup.socket) for _ in range(10)]
        pending[0].sendall(b"x" * 1000)
        self.assertEqual(sup.stop(), 0)
        for sock in pending:
            self.assert_end(sock)

    def test_it_is_told_of_the_end_of_udsd(self):
        sup = self.run_one("teller")
        self.kept.add(sup.socket)
        sock, pid = self.greeted_by(sup.socket, "teller")
        sup.kill(signal.SIGKILL)
        sup.wait()
        self.assert_end(sock, b"TERM")
        wait_for(lambda: not proc.is_alive(pid))


if __name__ == "__main__":
    main()
