#!/usr/bin/env python3
"""What a worker and its handlers may do, and what their user may do to a worker."""
import os
import signal
import time

from lib import IS_ROOT, USER, Case, main, needs, needs_root, proc, service
from lib.allowed import niceness

CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapAmb")
KEPT = "+chown,+kill,+setuid,+setgid,+dac_override"
# 32 and 33 belong to the C library; KILL and STOP cannot be ignored.
SIGNALS = sorted(set(range(1, 65)) - {9, 19, 32, 33})


class SameUser(Case):
    """What the service's user, that is also any handler, can do to a worker."""

    SEND = "import os, sys\nfor n in eval(sys.argv[2]): os.kill(int(sys.argv[1]), n)"
    PEEK = (
        "import os, sys\n"
        "for name in 'fd', 'environ', 'maps', 'mem', 'cwd', 'exe':\n"
        "    path = '/proc/%s/%s' % (sys.argv[1], name)\n"
        "    try:\n"
        "        os.listdir(path) if name == 'fd' else os.readlink(path) \\\n"
        "            if name in ('cwd', 'exe') else open(path, 'rb').read(1)\n"
        "        print(name)\n"
        "    except PermissionError:\n"
        "        pass\n"
    )

    def test_signals_do_nothing(self):
        sup = self.serve([self.echo()])
        held = self.hello(sup.socket)
        worker = sup.worker("s")
        done = self.run_as_user(self.SEND, worker, SIGNALS)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for _ in range(5):
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
        self.round_trip(held)
        self.assertEqual(sup.workers("s"), [worker])
        self.assertEqual(sup.events("worker"), [])
        held.close()
        sup.wait_events(6, "close", status="exit:0")

    def test_signals_do_nothing_to_the_log_process(self):
        sup = self.serve([self.echo()])
        log = sup.log_pid()
        for number in SIGNALS:
            os.kill(log, number)
        self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx")
        sup.wait_event("close")
        self.assertEqual(sup.log_pid(), log)

    def test_other_signals_do_not_end_the_supervisor(self):
        sup = self.serve([self.echo()])
        held = self.hello(sup.socket)
        for name in (
            "HUP",
            "USR1",
            "USR2",
            "PIPE",
            "ALRM",
            "CHLD",
            "CONT",
            "WINCH",
            "IO",
        ):
            sup.kill(getattr(signal, "SIG" + name))
            time.sleep(0.02)
            self.assertEqual(self.talk(sup.socket, b"x"), b"hello\r\nx", name)
        self.round_trip(held)
        self.assertIsNone(sup.poll())

    @needs_root
    def test_the_user_cannot_signal_the_others(self):
        sup = self.serve([self.echo()])
        for pid in (sup.pid, sup.log_pid()):
            self.assertIn("PermissionError", self.run_as_user(self.SEND, pid, [0]).stderr)

    def test_a_worker_cannot_be_looked_into(self):
        sup = self.serve([self.echo()])
        self.hello(sup.socket)
        done = self.run_as_user(self.PEEK, sup.worker("s"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_handler_can_be_looked_into(self):
        sup = self.serve([self.echo()])
        self.hello(sup.socket)
        done = self.run_as_user(self.PEEK, sup.wait_event("open")["pid"])
        self.assertIn("fd", done.stdout.split())

    def test_signals_between_handlers_and_worker_lose_no_close_line(self):
        sup = self.serve(["/bin/sh", "-c", "kill -CHLD $PPID; kill -TERM $$"])
        for _ in range(10):
            self.talk(sup.socket)
        sup.wait_events(10, "close", status="signal:TERM")


class Privileges(Case):
    def assert_identity(self, status, uid, gid, groups):
        self.assertEqual(status["Uid"].split(), [str(uid)] * 4)
        self.assertEqual(status["Gid"].split(), [str(gid)] * 4)
        self.assertEqual(sorted(map(int, status["Groups"].split())), sorted(groups))

    @needs_root
    def test_a_worker_drops_them_for_good(self):
        for values, gid, groups in (
            ({}, USER.pw_gid, {USER.pw_gid}),
            ({"group": "daemon"}, 1, None),
            ({"supplementary_groups": []}, USER.pw_gid, set()),
            ({"supplementary_groups": ["bin", "sys"]}, USER.pw_gid, {2, 3}),
        ):
            with self.subTest(values=values):
                sup = self.serve([self.echo()], **values)
                self.hello(sup.socket)
                pids = sup.worker("s"), int(sup.wait_event("open")["pid"])
                for pid in pids:
                    status = proc.status(pid)
                    own = (
                        groups
                        if groups is not None
                        else set(map(int, status["Groups"].split())) - {0}
                    )
                    self.assert_identity(status, USER.pw_uid, gid, own)
                    for name in CAPABILITIES:
                        self.assertEqual(int(status[name], 16), 0, name)
                    self.assertEqual(status["NoNewPrivs"], "1")

    @needs_root
    @needs("setpriv")
    def test_a_worker_drops_inherited_ones_too(self):
        """Ambient capabilities, keep-caps and groups of the process that started udsd."""
        text = service(
            "s", socket=self.path("s"), handler=[self.echo()], no_new_privileges=False
        )
        sup = self.udsd(
            text,
            wrapper=[
                "setpriv",
                "--inh-caps=" + KEPT,
                "--ambient-caps=" + KEPT,
                "--groups=0,1,2,3",
            ],
        )
        self.hello(self.path("s"))
        for pid in (sup.worker("s"), int(sup.wait_event("open")["pid"])):
            status = proc.status(pid)
            for name in CAPABILITIES:
                self.assertEqual(int(status[name], 16), 0, name)
            self.assert_identity(status, USER.pw_uid, USER.pw_gid, {USER.pw_gid})

    @needs_root
    def test_root_may_be_named(self):
        sup = self.serve([self.echo()], user="root")
        self.hello(sup.socket)
        self.assert_identity(proc.status(sup.wait_event("open")["pid"]), 0, 0, {0})

    def test_an_ordinary_user_stays_who_it_is(self):
        uid, gid = (USER.pw_uid, USER.pw_gid) if IS_ROOT else (os.geteuid(), os.getegid())
        sup = self.serve([self.echo()])
        self.hello(sup.socket)
        for pid in (sup.worker("s"), sup.wait_event("open")["pid"]):
            status = proc.status(pid)
            self.assertEqual(status["Uid"].split(), [str(uid)] * 4)
            self.assertEqual(status["Gid"].split(), [str(gid)] * 4)

    @needs_root
    def test_a_worker_is_in_its_services_directory(self):
        sup = self.serve([self.echo()], directory="/tmp", nice=4, umask="077")
        self.hello(sup.socket)
        worker = sup.worker("s")
        self.assertEqual(os.readlink("/proc/%d/cwd" % worker), "/tmp")
        self.assertEqual(proc.stat(worker)[19], niceness(4))
        self.assertEqual(proc.status(worker)["Umask"], "0077")

if __name__ == "__main__":
    main()
