#!/usr/bin/env python3
"""What settings do to a handler, and a handler's life. Its attributes without any, and with
hostile parents, are in test_handler_attributes.py."""
import grp
import os
import resource
import shutil
import signal
import socket

from lib import (IS_ROOT, PYTHON, WHOAMI, Case, main, needs_root, proc, read_to_end, service,
                 wait_for)
from lib.allowed import niceness

CAT = shutil.which("cat")
O_NONBLOCK = os.O_NONBLOCK

OVERFLOW = 65534  # matches only its own number and "any"

# Limits: value in the config, name in /proc/PID/limits, what stands there.
LIMITS = [
    ("limit_nofile", "64", "Max open files", "64"),
    ("limit_nproc", "1000", "Max processes", "1000"),
    ("limit_as", "4G", "Max address space", str(4 << 30)),
    ("limit_as", "512M", "Max address space", str(512 << 20)),
    ("limit_cpu", "10", "Max cpu time", "10"),
    ("limit_core", "0", "Max core file size", "0"),
    ("limit_fsize", "100K", "Max file size", "102400"),
    ("limit_fsize", 1000, "Max file size", "1000"),
]


class Inside(Case):
    """A cat that waits for input, seen from outside."""

    def handler(self, sup, **client):
        """The pid of the handler of a new client."""
        count = len(sup.events("open"))
        self.sock = self.connect(sup.socket, **client)
        pid = int(sup.wait_events(count + 1, "open")[-1]["pid"])
        wait_for(lambda: proc.comm(pid) == "cat", what="the exec")
        return pid

    def serve_cat(self, **values):
        return self.serve([CAT], **values)

    def test_descriptors(self):
        for kind in (None, "null", "client", self.folder("d", 0o777) + "/log"):
            with self.subTest(stderr=kind):
                sup = self.serve_cat(stderr=kind)
                pid = self.handler(sup)
                fds = proc.fds(pid)
                self.assertEqual(sorted(fds), [0, 1, 2])
                self.assertEqual(fds[0], fds[1])
                self.assertRegex(fds[0], "^socket:")
                self.assertRegex(
                    fds[2],
                    {None: "^socket:", "null": "^/dev/null$"}.get(
                        kind,
                        "^" + fds[0].replace("[", r"\[") if kind == "client" else kind,
                    ),
                )
                for fd in (0, 1):
                    self.assertEqual(proc.fd_flags(pid, fd) & O_NONBLOCK, 0)

    def test_group_session_and_terminal(self):
        sup = self.serve_cat()
        pid = self.handler(sup)
        fields = proc.stat(pid)
        self.assertEqual(int(fields[5]), pid, "its own process group")
        self.assertNotIn(int(fields[6]), (pid, os.getsid(0), os.getsid(sup.pid)))
        self.assertEqual(fields[7], "0", "no terminal")
        other = self.handler(sup)
        self.assertEqual(int(proc.stat(other)[5]), other)

    def test_plain_settings(self):
        rows = [
            ({"umask": "077"}, "0077", 0, "/", "1"),
            ({"nice": 7}, "0022", 7, "/", "1"),
            ({"directory": self.dir}, "0022", 0, self.dir, "1"),
            ({"no_new_privileges": False}, "0022", 0, "/", "0"),
            ({"umask": "0", "nice": 1, "directory": "/tmp"}, "0000", 1, "/tmp", "1"),
        ] + ([({"nice": -3}, "0022", -3, "/", "1")] if IS_ROOT else [])
        for values, umask, nice, folder, no_new in rows:
            with self.subTest(values=values):
                sup = self.serve_cat(**values)
                pid = self.handler(sup)
                status = proc.status(pid)
                self.assertEqual(
                    (
                        status["Umask"],
                        proc.stat(pid)[19],
                        os.readlink("/proc/%d/cwd" % pid),
                        status["NoNewPrivs"],
                    ),
                    (umask, niceness(nice), folder, no_new),
                )

    def test_limits(self):
        for option, value, name, shown in LIMITS:
            with self.subTest(option=option, value=value):
                sup = self.serve_cat(**{option: value})
                pid = self.handler(sup)
                self.assertEqual(proc.limits(pid)[name], (shown, shown))
                self.assertNotEqual(proc.limits(sup.worker("s"))[name], (shown, shown))

    def test_a_limit_of_infinity(self):
        if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
            self.skipTest("file size is limited here")
        text = service("s", socket=self.path("s"), handler=[CAT], limit_fsize="infinity")
        sup = self.udsd(
            text,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (1 << 30, resource.RLIM_INFINITY)
            ),
        )
        self.assertEqual(
            proc.limits(self.handler(sup))["Max file size"], ("unlimited", "unlimited")
        )

    @needs_root
    def test_user_and_groups(self):
        names = [group.gr_name for group in grp.getgrall() if 0 < group.gr_gid < 100][:3]
        gids = {grp.getgrnam(name).gr_gid for name in names}
        rows = [
            ({"user": "daemon"}, 1, 1, {1}),
            ({"user": "daemon", "group": "bin"}, 1, 2, None),
            ({"user": "daemon", "supplementary_groups": []}, 1, 1, set()),
            ({"user": "daemon", "supplementary_groups": names}, 1, 1, gids),
            ({"user": "daemon", "group": str(12345)}, 1, 12345, None),
            ({"user": "root"}, 0, 0, {0}),
        ]
        for values, uid, gid, groups in rows:
            with self.subTest(values=values):
                sup = self.serve_cat(**values)
                status = proc.status(self.handler(sup))
                self.assertEqual(status["Uid"].split(), [str(uid)] * 4)
                self.assertEqual(status["Gid"].split(), [str(gid)] * 4)
                if groups is not None:
                    self.assertEqual(set(map(int, status["Groups"].split())), groups)


class Limits(Case):
    """Limits bite, and the log says so."""

    def check(self, script, statuses, **values):
        sup = self.serve(["/bin/sh", "-c", script], **values)
        self.talk(sup.socket)
        self.assertIn(sup.wait_event("close", timeout=10)["status"], statuses)

    def test_cpu(self):
        self.check("while :; do :; done", ("signal:KILL", "signal:XCPU"), limit_cpu="1")

    def test_file_size(self):
        path = self.folder("d", 0o777) + "/file"
        self.check(
            "exec head -c 100000 /dev/zero >" + path, ("signal:XFSZ",), limit_fsize="10K"
        )
        self.assertLessEqual(os.path.getsize(path), 10240)


class Arguments(Case):
    def test_input_and_output_are_the_connection(self):
        sup = self.serve(
            [self.script("h", 'read a; echo "got $a"; read b; echo "then $b"')]
        )
        sock = self.connect(sup.socket)
        sock.sendall(b"one\n")
        self.assertEqual(self.receive(sock, 8), b"got one\n")
        sock.sendall(b"two\n")
        self.assert_end(sock, b"then two\n")

    def test_large_answers_arrive_whole(self):
        sup = self.serve(["/bin/sh", "-c", "head -c 5000000 /dev/zero"])
        self.assertEqual(len(self.talk(sup.socket)), 5000000)


class Environment(Case):
    def environment(self, sup, prepare=None):
        """What env(1) as the handler prints, as a list; prepare is given the socket."""
        sock = self.client()
        if prepare:
            prepare(sock)
        sock.connect(sup.socket)
        return read_to_end(sock).decode(errors="surrogateescape").split("\0")[:-1]

    def serve_env(self, **values):
        return self.serve([shutil.which("env"), "-0"], **values)

    def test_the_rule(self):
        mine = "uid:%d" % os.geteuid()
        rows = [([mine], mine), (["gid:%d" % os.getegid()], "gid:%d" % os.getegid())]
        if os.geteuid() != OVERFLOW:
            wide = mine + "-4294967294"
            rows += [(["self"], "self"), (["uid:54321", wide, "any"], wide)]
        for rules, rule in rows:
            with self.subTest(rules=rules):
                sup = self.serve_env(allow=rules)
                self.assertIn("UDSD_RULE=" + rule, self.environment(sup))
                self.assertEqual(sup.wait_event("open")["rule"], rule)

    def test_no_name_is_there_twice(self):
        sup = self.serve_env(environment=["PATH=/opt", "HOME=/h", "SHELL=/s", "A=1"])
        shown = self.environment(sup)
        self.assertEqual(len({item.split("=")[0] for item in shown}), len(shown))
        for item in ("PATH=/opt", "HOME=/h", "SHELL=/s", "A=1"):
            self.assertIn(item, shown)

    def test_where_the_peer_is_bound(self):
        sup = self.serve_env()
        for name, shown in (
            ("peer", "peer"),
            ("pe er=ü", "pe er=ü"),
            ("a\nb", None),
            ("a\x1bb", None),
            ("a\x7fb", None),
        ):
            with self.subTest(name=name):
                path = self.path(name)
                found = [
                    item
                    for item in self.environment(sup, lambda sock, to=path: sock.bind(to))
                    if item.startswith("UNIXREMOTEPATH")
                ]
                self.assertEqual(found, ["UNIXREMOTEPATH=" + path] if shown else [])

    def test_whoami(self):
        copy = self.path("whoami")
        shutil.copyfile(WHOAMI, copy)
        os.chmod(copy, 0o755)
        sup = self.serve([copy])
        answer = self.talk(sup.socket).decode()
        for number in (os.geteuid(), os.getegid(), os.getpid()):
            self.assertRegex(answer, r"\b%d\b" % number)
        self.assertEqual(sup.wait_event("close")["status"], "exit:0")
        self.assertEqual(sup.events("stderr"), [])

    @needs_root
    def test_the_peer_is_who_it_is(self):
        sup = self.serve_env(socket_mode="0666")
        code = (
            "import os, socket, sys\n"
            "os.setgroups([]); os.setgid(1234); os.setuid(4321)\n"
            "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
            "print(os.getpid(), flush=True)\n"
            "while True:\n d = s.recv(9999); os.write(1, d)\n if not d: break\n"
        )
        done = self.run_program([PYTHON, "-c", code, sup.socket])
        pid, _, rest = done.stdout.partition("\n")
        shown = rest.split("\0")
        for item in (
            "UNIXREMOTEEUID=4321",
            "UNIXREMOTEEGID=1234",
            "UNIXREMOTEPID=" + pid,
        ):
            self.assertIn(item, shown)
        event = sup.wait_event("open")
        self.assertEqual(
            (event["peer-uid"], event["peer-gid"], event["peer-pid"]),
            ("4321", "1234", pid),
        )


class Life(Case):
    """The beginning and the end of a connection."""

    def test_open_and_close_lines(self):
        sup = self.serve(["/bin/sh", "-c", "exit 3"], allow=["any"])
        self.talk(sup.socket)
        opened, closed = sup.wait_event("open"), sup.wait_event("close")
        self.assertEqual(
            set(opened),
            {"service", "conn", "pid", "peer-uid", "peer-gid", "peer-pid", "rule"},
        )
        self.assertEqual(
            (opened["peer-uid"], opened["peer-gid"], opened["peer-pid"]),
            (str(os.geteuid()), str(os.getegid()), str(os.getpid())),
        )
        self.assertEqual(
            set(closed),
            {
                "service",
                "conn",
                "pid",
                "status",
                "duration",
                "user",
                "system",
                "maxrss-kib",
            },
        )
        self.assertEqual(closed["status"], "exit:3")
        for name in ("service", "conn", "pid"):
            self.assertEqual(opened[name], closed[name])
        for name in ("duration", "user", "system"):
            self.assertRegex(closed[name], r"^\d+\.\d{3}$")
        self.assertGreater(int(closed["maxrss-kib"]), 100)

    def test_the_status_of_the_end(self):
        sup = self.serve(["/bin/sh", "-c", 'read what; eval "$what"'])
        for command, status in (
            ("exit 0", "exit:0"),
            ("exit 255", "exit:255"),
            ("kill -TERM $$", "signal:TERM"),
            ("kill -KILL $$", "signal:KILL"),
            ("kill -USR1 $$", "signal:USR1"),
        ):
            with self.subTest(command=command):
                count = len(sup.events("close"))
                self.talk(sup.socket, command.encode() + b"\n")
                self.assertEqual(
                    sup.wait_events(count + 1, "close")[-1]["status"], status
                )

    def test_what_it_took(self):
        sup = self.serve(
            [
                "/bin/sh",
                "-c",
                "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done;" " sleep 0.3",
            ]
        )
        self.talk(sup.socket)
        closed = sup.wait_event("close")
        self.assertGreaterEqual(float(closed["duration"]), 0.3)
        self.assertLess(float(closed["duration"]), 10)
        self.assertGreater(float(closed["user"]) + float(closed["system"]), 0.02)

    def test_connections_are_counted_for_each_service(self):
        sup = self.udsd(
            "".join(
                service(name, socket=self.path(name), handler=["/bin/true"])
                for name in ("a", "b")
            )
        )
        for name in "aabab":
            self.talk(self.path(name))
        for name, count in (("a", 3), ("b", 2)):
            events = sup.wait_events(count, "open", service=name)
            self.assertEqual(
                [event["conn"] for event in events],
                [str(number + 1) for number in range(count)],
            )

    def test_a_client_that_has_gone_costs_no_process(self):
        sup = self.serve([CAT], log_level="debug")
        sup.kill(signal.SIGSTOP)
        for _ in range(5):
            self.connect(sup.socket).close()
        last = self.connect(sup.socket)
        sup.kill(signal.SIGCONT)
        self.round_trip(last)
        sup.wait_events(5, "gone")
        self.assertEqual(len(sup.wait_events(1, "open")), 1)

    def test_a_client_that_left_a_message_is_served(self):
        folder = self.folder("d", 0o777)
        sup = self.serve([self.script("h", "cat >%s/out.$UDSD_CONNECTION" % folder)])
        sup.kill(signal.SIGSTOP)
        for half in (False, True):
            sock = self.connect(sup.socket)
            sock.sendall(b"message")
            if half:
                sock.shutdown(socket.SHUT_WR)
            else:
                sock.close()
        sup.kill(signal.SIGCONT)
        sup.wait_events(2, "close", status="exit:0")
        for number in (1, 2):
            with open("%s/out.%d" % (folder, number), "rb") as file:
                self.assertEqual(file.read(), b"message")

    def test_a_half_closed_client_is_served(self):
        sup = self.serve([CAT])
        sup.kill(signal.SIGSTOP)
        sock = self.connect(sup.socket)
        sock.shutdown(socket.SHUT_WR)
        sup.kill(signal.SIGCONT)
        self.assert_end(sock)
        sup.wait_event("close", status="exit:0")

    def test_a_connection_ends_when_its_handler_does(self):
        """What the handler left behind keeps the client's end open."""
        sup = self.serve([self.script("h", "(sleep 2; echo late) & exit 0")])
        sock = self.connect(sup.socket)
        sock.settimeout(0.5)
        sup.wait_event("close", status="exit:0")
        with self.assertRaises(socket.timeout):
            sock.recv(1)
        sock.settimeout(10)
        self.assert_end(sock, b"late\n")

    def test_who_writes_to_a_client_that_has_gone_ends_by_sigpipe(self):
        sup = self.serve(["/bin/sh", "-c", "echo up; read x; echo lost"])
        sock = self.connect(sup.socket)
        self.assertEqual(self.receive(sock, 3), b"up\n")
        sock.close()
        sup.wait_event("close", status="signal:PIPE")

    def test_the_client_sees_the_end_at_once(self):
        sup = self.serve([self.script("h", "echo done; sleep 0.2; exit 1")])
        sock = self.connect(sup.socket)
        self.assert_end(sock, b"done\n")
        sup.wait_event("close", status="exit:1")


if __name__ == "__main__":
    main()
