#!/usr/bin/env python3
"""What a handler is given, attribute by attribute, whatever started udsd was like.

ROWS are the attributes, reported by probe.c as the handler; PARENTS are how udsd is started. Every row
is looked at in every service of every parent.
"""
import ctypes
import fcntl
import os
import platform
import pwd
import resource
import shutil
import signal
import struct
import tempfile
import termios
import unittest

from lib import IS_ROOT, SANITIZED, USER, Case, diagnose, main, needs_root, service
from lib.native import build_c, libc

PROBE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", "probe.c")
UNTOUCHED = object()  # as in the process that started udsd
NONE = "0" * 16       # a set of signals or capabilities
ROOT = pwd.getpwuid(0)

UMASK, NICE = 0o027, 5
WORDS = ["a b", "", "ü", "$HOME", "*", "-x", "'\"\\", "tab\there"]
OWN = ["A=b c", "EMPTY=", "EQUALS=a=b=c", "UTF=ü", 'QUOTE="x" \\']
PASSED = {"SEEN": "yes = ü", "NOTHING": ""}
LIMITS = {"nofile": ("30", 30), "nproc": ("1500", 1500), "as": ("1G", 1 << 30),
          "cpu": ("500", 500), "core": ("0", 0), "fsize": ("100K", 102400)}


# Attributes --------------------------------------------------------------------------------


class Told:
    """What one handler reported, and what it is compared with."""

    def __init__(self, name, told, base, sup, sock):
        self.name = name        # of its service
        self.told = told
        self.base = base        # what a child of the process that started udsd reports
        self.sup = sup
        self.socket = sock
        self.worker = sup.worker(name)


def read_told(data):
    return dict(line.partition(" ")[::2] for line in data.decode().splitlines())


def in_hex(strings):
    return "".join((text + "\0").encode(errors="surrogateescape").hex() for text in strings)


def user_of(c):
    """(uid, gid, groups) of a handler."""
    if c.name == "admin":
        return 0, 0, [0]
    if not c.base["Uid"].startswith("0 "):
        return USER.pw_uid, USER.pw_gid, map(int, c.base["Groups"].split())
    if c.name == "own":
        return USER.pw_uid, 12, [1, 2]
    return USER.pw_uid, USER.pw_gid, os.getgrouplist(USER.pw_name, USER.pw_gid)


def capabilities(c):
    """What a handler may do: root all that its parent might, others nothing."""
    return c.base["CapPrm"] if c.name == "admin" else NONE


def limit(name):
    def expected(c):
        if c.name == "own" and name in LIMITS:
            return "%d %d" % ((LIMITS[name][1],) * 2)
        return c.base["limit-" + name]

    return expected


def environment(c):
    """All of it, sorted; this process is the client."""
    uid, gid = user_of(c)[:2]
    user = ROOT if c.name == "admin" else USER
    fixed = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name,
        "SHELL": user.pw_shell, "PROTO": "UNIX", "UNIXLOCALPATH": c.socket,
        "UNIXLOCALUID": uid, "UNIXLOCALGID": gid, "UNIXLOCALPID": c.worker,
        "UNIXREMOTEEUID": os.geteuid(), "UNIXREMOTEEGID": os.getegid(),
        "UNIXREMOTEPID": os.getpid(), "UDSD_SERVICE": c.name, "UDSD_CONNECTION": 1,
        "UDSD_RULE": "any", **(PASSED if c.name == "own" else {}),
    }
    return sorted((OWN if c.name == "own" else []) + ["%s=%s" % pair for pair in fixed.items()])


def by_service(own, others):
    return lambda c: own if c.name == "own" else others


ROWS = [  # the attribute; its name in the probe's output; what it must be
    ("open descriptors", "fds", "0 1 2"),
    ("standard input is a socket and blocks", "fd0", "socket blocking"),
    ("standard output is a socket and blocks", "fd1", "socket blocking"),
    ("both are one", "inode1", lambda c: c.told["inode0"]),
    ("standard error", "fd2", by_service("other blocking", "socket blocking")),
    ("standard error is not the connection", "inode2",
     lambda c: c.told["inode2"] if c.told["inode2"] != c.told["inode0"] else "another"),
    ("blocked signals", "SigBlk", NONE),
    ("ignored signals", "SigIgn", NONE),
    ("caught signals", "SigCgt", NONE),
    ("pending signals", "SigPnd", NONE),
    ("pending signals of the process", "ShdPnd", NONE),
    ("parent", "ppid", lambda c: str(c.worker)),
    ("process group", "group", lambda c: c.told["pid"]),
    ("session", "session", lambda c: str(c.worker)),
    ("controlling terminal", "terminal", "ENXIO"),
    ("uids", "Uid", lambda c: " ".join([str(user_of(c)[0])] * 4)),
    ("gids", "Gid", lambda c: " ".join([str(user_of(c)[1])] * 4)),
    ("groups", "Groups", lambda c: " ".join(map(str, sorted(user_of(c)[2])))),
    ("inheritable capabilities", "CapInh", NONE),
    ("permitted capabilities", "CapPrm", capabilities),
    ("effective capabilities", "CapEff", capabilities),
    ("bounding capabilities", "CapBnd", UNTOUCHED),
    ("ambient capabilities", "CapAmb", NONE),
    ("no new privileges", "NoNewPrivs",
     lambda c: "1" if c.name == "plain" else c.base["NoNewPrivs"]),
    ("securebits", "securebits", "0"),
    ("capabilities kept over setuid", "keepcaps", "0"),
    ("dumpable", "dumpable", "1"),
    ("system call filter", "Seccomp", UNTOUCHED),
    ("umask", "Umask", by_service("%04o" % UMASK, "0022")),
    ("working directory", "directory", by_service("/tmp", "/")),
    ("root directory", "root", "/"),
    ("nice", "nice", lambda c: str(min(19, int(c.base["nice"]) + (NICE if c.name == "own" else 0)))),
    ("scheduler", "scheduler", UNTOUCHED),
    ("processors", "Cpus_allowed", UNTOUCHED),
    ("oom score adjustment", "oom-score-adj", UNTOUCHED),
    ("filter of core dumps", "coredump-filter", UNTOUCHED),
    ("personality", "personality", UNTOUCHED),
    ("timer slack", "timer-slack", UNTOUCHED),
    ("timers", "timers", ""),
    ("interval timers", "interval-timers", "0"),
    ("stack for signals", "signal-stack", "0"),
    ("signal at its parent's end", "death-signal", "0"),
    ("adopts orphans", "subreaper", "0"),
    ("locked memory", "VmLck", "0 kB"),
    ("threads", "Threads", "1"),
    ("arguments", "argv",
     lambda c: in_hex([c.probe] + (WORDS if c.name == "own" else []))),
    ("environment", "environment", lambda c: in_hex(environment(c))),
] + [
    ("limit " + name, "limit-" + name, limit(name))
    for name in "cpu fsize data stack core rss nproc nofile memlock as locks sigpending "
    "msgqueue nice rtprio rttime".split()
]


# Parents -----------------------------------------------------------------------------------


def close_standard():
    for fd in (0, 1, 2):
        os.close(fd)


def block_all():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def ignore_all():
    for number in range(1, 65):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            signal.signal(number, signal.SIG_IGN)
        elif platform.machine() == "x86_64":  # rt_sigaction: libc does not touch 32 and 33
            libc.syscall(13, number, struct.pack("4Q", 1, 0, 0, 0), None, 8)


def keep_capabilities(inherit=True):
    """All that lets capabilities outlive setuid() or exec."""
    libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    if not IS_ROOT:
        return
    head, sets = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    assert libc.capget(head, sets) == 0
    words = list(struct.unpack("6I", sets.raw))
    words[2], words[5] = words[1], words[4]
    assert libc.capset(head, struct.pack("6I", *words)) == 0
    if inherit:
        assert libc.prctl(28, 1 << 2 | 1 << 4, 0, 0, 0) == 0  # no fix-up at setuid()
        raise_ambient()


def raise_ambient():
    for number in (1, 2, 21):
        assert libc.prctl(47, 2, number, 0, 0) == 0


def become_user_with_capabilities():
    keep_capabilities(False)
    os.setgroups([])
    os.setresgid(*[USER.pw_gid] * 3)
    os.setresuid(*[USER.pw_uid] * 3)
    keep_capabilities(False)
    raise_ambient()


def lower_limits():
    rows = [("CPU", 1000, 2000), ("FSIZE", 1 << 30, 1 << 31), ("STACK", 2 << 20, 64 << 20),
            ("CORE", 0, 4096), ("RSS", 1 << 30, 1 << 31), ("NPROC", 2000, 3000),
            ("NOFILE", 40, 200), ("MEMLOCK", 0, 65536), ("SIGPENDING", 100, 200),
            ("MSGQUEUE", 1000, 2000), ("RTTIME", 1000000, 2000000)]
    if not SANITIZED:
        rows += [("DATA", 1 << 30, 1 << 31), ("AS", 2 << 30, 3 << 30)]
    for name, soft, hard in rows:
        number = {"RTTIME": 15}.get(name) or getattr(resource, "RLIMIT_" + name)
        most = resource.getrlimit(number)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(number, (soft, hard))


def weigh_down():
    os.nice(3)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    libc.prctl(29, 1000, 0, 0, 0)  # PR_SET_TIMERSLACK
    libc.personality(0x40000)      # ADDR_NO_RANDOMIZE
    for name, value in (("oom_score_adj", b"300"), ("coredump_filter", b"0x7")):
        with open("/proc/self/" + name, "wb", buffering=0) as file:
            file.write(value)


def leave_traces():
    """What is kept over exec but is of no concern to a handler."""
    for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(which, 10000)
    libc.prctl(1, signal.SIGWINCH, 0, 0, 0)  # PR_SET_PDEATHSIG
    libc.prctl(36, 1, 0, 0, 0)               # PR_SET_CHILD_SUBREAPER
    libc.prctl(4, 0, 0, 0, 0)                # PR_SET_DUMPABLE
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
    os.kill(os.getpid(), signal.SIGWINCH)


def forbid_new_privileges():
    libc.prctl(38, 1, 0, 0, 0)


class Attributes(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bin = tempfile.mkdtemp(prefix="udsd-probe-", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.bin)
        os.chmod(cls.bin, 0o755)
        why = build_c(PROBE, cls.bin + "/probe")
        if why:
            raise unittest.SkipTest(why)

    def setUp(self):
        super().setUp()
        self.probe = self.bin + "/probe"
        self.place = self.folder("sockets", 0o777)

    def sections(self, admin):
        """Services by name: one with defaults, one that sets all, one of root's."""
        own = {"limit_" + name: value for name, (value, _) in LIMITS.items()}
        own.update(handler=[self.probe] + WORDS, stderr="null", umask="%o" % UMASK, nice=NICE,
                   directory="/tmp", no_new_privileges=False, environment=OWN,
                   pass_environment=list(PASSED) + ["UNSET"])
        result = {"plain": {}, "own": own}
        if admin:
            own.update(group="12", supplementary_groups=["1", "2"])
            result["admin"] = {"user": "root", "no_new_privileges": False}
        for name, values in result.items():
            values.setdefault("handler", [self.probe])
            values.update(socket=os.path.join(self.place, name), allow=["any"])
        return result

    def check(self, admin=IS_ROOT, can_repeat=True, **popen):
        """Starts udsd in this way and looks at every attribute in every service. can_repeat:
        preexec_fn can be called once more, for a child to compare with."""
        popen["env"] = {**os.environ, **PASSED, **popen.get("env", {})}
        sections = self.sections(admin)
        text = "".join(service(name, **values) for name, values in sections.items())
        sup = self.udsd(text, ready="path", **popen)
        if not can_repeat:
            del popen["preexec_fn"]
        base = read_told(self.run_program([self.probe], text=False, **popen).stdout)
        wrong = []
        for name, values in sections.items():
            told = read_told(self.talk(values["socket"]))
            c = Told(name, told, base, sup, values["socket"])
            c.probe = self.probe
            wrong += self.compare(c)
        diagnose("%d attributes in %d services" % (len(ROWS), len(sections)))
        self.assertEqual(wrong, [])

    def compare(self, c):
        strings = bytes.fromhex(c.told["environment"]).decode(errors="surrogateescape")
        c.told["environment"] = in_hex(sorted(strings.split("\0")[:-1]))
        for key in ("Uid", "Gid", "Groups"):
            c.told[key] = " ".join(c.told[key].split())
        wrong = []
        for row, key, expected in ROWS:
            if callable(expected):
                expected = expected(c)
            elif expected is UNTOUCHED:
                expected = c.base[key]
            if c.told[key] != expected:
                wrong.append("%s: %s: %r, not %r" % (c.name, row, c.told[key], expected))
        return wrong

    def test_of_an_ordinary_parent(self):
        self.check()

    def test_of_one_without_standard_descriptors(self):
        self.check(preexec_fn=close_standard, can_repeat=False)

    def test_of_one_with_77_more_descriptors(self):
        extra = [os.open(path, os.O_RDONLY) for path in ["/dev/null", "/"] * 38 + ["/tmp"]]
        self.addCleanup(lambda: [os.close(fd) for fd in extra])
        self.check(pass_fds=extra)

    def test_of_one_that_blocks_all_signals(self):
        self.check(preexec_fn=block_all)

    def test_of_one_that_ignores_all_signals(self):
        self.check(preexec_fn=ignore_all)

    def test_of_one_with_a_strange_umask_directory_and_environment(self):
        odd = {"PATH": "", "IFS": "/", "HOME": "\x01\n", "USER": "root", "PROTO": "TCP",
               "UNIXREMOTEEUID": "0", "UDSD_RULE": "forged", "LISTEN_FDS": "x",
               "LISTEN_PID": "1", "NOTIFY_SOCKET": "relative", "ENV": "/tmp/x",
               "BASH_ENV": "/tmp/x", "LANG": "\udcff", "LONG": "x" * 100000}
        self.check(env=odd, cwd=self.folder("odd \n dir", 0o700), umask=0o777)

    def test_of_one_that_keeps_capabilities(self):
        self.check(preexec_fn=keep_capabilities)

    @needs_root
    def test_of_an_ordinary_user_with_ambient_capabilities(self):
        self.check(admin=False, preexec_fn=become_user_with_capabilities)

    def test_of_one_with_low_limits(self):
        self.check(preexec_fn=lower_limits)

    def test_of_one_that_counts_for_little(self):
        self.check(preexec_fn=weigh_down)

    def test_of_one_with_timers_and_pending_signals(self):
        self.check(preexec_fn=leave_traces)

    def test_of_one_without_new_privileges(self):
        self.check(preexec_fn=forbid_new_privileges)

    def test_of_one_with_a_terminal(self):
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)

        def take_terminal():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.check(preexec_fn=take_terminal, can_repeat=False)


if __name__ == "__main__":
    main()
