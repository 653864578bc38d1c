#!/usr/bin/env python3
"""Lets every call of the system, and for memory, fail with each plausible error: at the start, at a
connection, at a reload and so on (phases.py). Where a call is made more than once in a phase, it
fails the first time, the second time, and three times in a row.

make faults does all of it and prints what it did; test_faults.py does a fixed part. As a program:
faults.py [PHASE | WORD]... tries these phases only, and of those the cases whose names contain one
of the words.
"""
import collections
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time

sys.path.insert(1, os.path.join(sys.path[0], "..", "e2e")) # for lib
from lib import PATIENCE
from phases import PHASES
from places import place

# What can fail for no other reason.
MEMORY = """
asprintf calloc cfg_init cfg_parse_buf fdopen getgrouplist malloc open_memstream realloc
reallocarray setenv strdup strndup
"""
# Not ECHILD for waitid(P_ALL): the log process is always a child.
ERRORS = {
    **dict.fromkeys(MEMORY.split(), "ENOMEM"),
    "accept4": "EMFILE ENFILE ENOMEM ECONNABORTED", "access": "EACCES", "bind": "EACCES ENOSPC",
    "chdir": "EACCES EIO", "chmod": "EPERM", "clone": "EAGAIN ENOMEM", "close": "EIO EINTR",
    "close_range": "ENOMEM", "connect": "EACCES EAGAIN", "dprintf": "ENOSPC", "dup": "EMFILE",
    "dup2": "EBUSY EMFILE", "dup3": "EBUSY EMFILE", "epoll_create1": "EMFILE ENOMEM",
    "epoll_ctl": "ENOMEM ENOSPC", "epoll_wait": "EINTR", "execv": "ENOENT EACCES ENOMEM",
    "execve": "ENOENT EACCES E2BIG ENOMEM EAGAIN ETXTBSY", "fchdir": "EACCES", "fchmod": "EPERM",
    "fchownat": "EPERM EROFS", "fclose": "ENOSPC", "fcntl": "EMFILE EINVAL", "fflush": "EIO",
    "flock": "ENOLCK", "fopen": "EMFILE EACCES", "fork": "EAGAIN ENOMEM", "fstat": "EIO",
    "fstatat": "EIO EACCES", "ftruncate": "ENOSPC", "getcwd": "ENOENT", "getgrnam": "EIO",
    "getgroups": "EPERM", "getpgid": "ESRCH", "getpwnam": "EIO EMFILE", "getpwuid": "EIO",
    "getresgid": "EPERM", "getresuid": "EPERM", "getrlimit": "EPERM", "getsockname": "ENOBUFS",
    "getsockopt": "ENOMEM ENOPROTOOPT", "inotify_add_watch": "ENOSPC ENOENT",
    "inotify_init1": "EMFILE", "inotify_rm_watch": "EINVAL", "ioctl": "ENOTTY", "kill": "EPERM",
    "listen": "EADDRINUSE", "lstat": "EACCES", "madvise": "EINVAL",
    "memfd_create": "EMFILE ENOMEM", "mkdir": "EACCES ENOSPC", "mmap": "ENOMEM",
    "munmap": "ENOMEM", "nice": "EPERM", "open": "EMFILE ENFILE EACCES ENOMEM",
    "openat": "EMFILE EACCES ENOMEM", "pidfd_open": "EMFILE", "pipe": "EMFILE", "pipe2": "EMFILE",
    "poll": "ENOMEM EINTR", "prctl": "EPERM EINVAL", "pread": "EIO", "read": "EIO EINTR",
    "readlink": "EACCES", "recv": "ENOMEM EINTR", "recvmmsg": "ENOMEM EINTR",
    "recvmsg": "ENOMEM EINTR", "removexattr": "EPERM", "renameat2": "EACCES",
    "send": "EAGAIN ENOBUFS EPIPE", "sendmsg": "EAGAIN ENOBUFS", "seteuid": "EAGAIN EPERM",
    "setgroups": "EPERM ENOMEM", "setpgid": "EPERM", "setresgid": "EPERM EAGAIN",
    "setresuid": "EPERM EAGAIN", "setrlimit": "EPERM", "setsid": "EPERM",
    "setsockopt": "EPERM ENOMEM", "setuid": "EPERM EAGAIN", "shutdown": "ENOTCONN",
    "signalfd": "EMFILE ENOMEM", "sigprocmask": "EINVAL", "socket": "EMFILE ENOBUFS",
    "socketpair": "EMFILE ENFILE", "stat": "EACCES", "syscall": "EPERM ENOENT ENOMEM EAGAIN ETXTBSY",
    "timer_create": "EAGAIN", "timer_settime": "EINVAL", "unlink": "EACCES EROFS",
    "unlinkat": "EACCES EROFS", "wait4": "ECHILD EINTR", "waitid": "EINTR",
    "waitpid": "ECHILD EINTR", "write": "EIO ENOSPC EINTR", "writev": "EIO EINTR",
}
Trial = collections.namedtuple("Trial", "site error first last name")
PROGRESS = 100      # cases from one word of it to the next
# The hits that fail.
TIMES = ((1, 1, ""), (2, 2, " the second time"), (1, 3, " three times"))


def trials(phase, sites):
    for site in sites:
        for word in ERRORS[site.call].split():
            for first, last, when in TIMES if site.hits > 1 else TIMES[:1]:
                name = "%s: %s in %s: %s: %s%s" % (phase.phase, site.role, place(site.offset),
                                                   site.call, word, when)
                yield Trial(site, getattr(errno, word), first, last, name)


def sweep(phase, say, is_chosen):
    """Tries the cases of a phase for which is_chosen(number, runner, trial) holds; returns how
    many, and what failed."""
    failed = []
    runner = prepared(phase)
    chosen = [trial for number, trial in enumerate(trials(phase, runner.sites()))
              if is_chosen(number, runner, trial)]
    for number, trial in enumerate(chosen):
        if number % PROGRESS == 0 < number:
            say("%s: %d of %d cases" % (phase.phase, number, len(chosen)))
        try:
            signal.alarm(int(30 * PATIENCE))
            runner.run_case(trial)
        except (AssertionError, OSError, TimeoutError, subprocess.SubprocessError) as error:
            failed.append(trial.name)
            say("FAIL %s: %s" % (trial.name, str(error).strip().split("\n")[0]))
            finish(runner)
            runner = prepared(phase)
            runner.sites()
    finish(runner)
    return len(chosen), failed


def prepared(phase):
    runner = phase()
    runner.setUpClass()
    runner.setUp()
    runner.open()
    return runner


def finish(runner):
    if runner.sup is not None:
        runner.sup.sockets = []
    try:
        runner.doCleanups()
    except AssertionError:
        pass


def say(text):
    print(text, flush=True)


def run(phase, words):
    """One phase; returns how many cases it has, and how many failed."""
    started = time.monotonic()
    count, failed = sweep(phase, say, lambda _number, _runner, trial:
                          not words or any(word in trial.name for word in words))
    say("%s: %d cases, the call was made in %d of them; %d failed; %.0f s" % (
        phase.phase, count, phase.made, len(failed), time.monotonic() - started))
    return count, len(failed)


def main():
    words = sys.argv[1:]
    phases = [phase for phase in PHASES if phase.phase in words] or PHASES
    words = [word for word in words if word not in [phase.phase for phase in PHASES]]
    with multiprocessing.Pool(os.cpu_count()) as pool:
        results = pool.starmap(run, [(phase, words) for phase in phases], chunksize=1)
    count, failed = map(sum, zip(*results))
    say("%d cases, %d failed" % (count, failed))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
