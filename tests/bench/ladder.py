#!/usr/bin/env python3
"""What each step of udsd's adds to the bare loop, in microseconds for a connection.

usage: ladder.py    (make bench-ladder; QUICK=1, CLIENTS=16)

Wall is the median over all rounds, of the difference in one round; CPU is that of the server and
its handlers in all rounds, which other programs on the machine disturb less.
"""
import os
import statistics

from figures import QUICK, column, cpu_each, turns
from servers import FULL, LOG, QUIET, Bench

ROUNDS, SECONDS = (5, 0.2) if QUICK else (40, 0.2)
CLIENTS = int(os.environ.get("CLIENTS") or "1")
STEPS = (
    "the bare loop: accept4, vfork, dup2 twice, execve, close, waitpid",
    "poll, signalfd, wait4 for any child; signal mask in the child",
    "clone with a stack of its own instead of vfork",
    "eight starts at once, while more clients wait",
    "the peer: address, credentials, whether it has disconnected",
    "17 environment variables, 5 of them written anew",
    "setpgid in the child",
    "two log records, and the process that reads them",
)


def start_all(bench):
    servers = [bench.start(name, [bench.program["ladder"], str(number), "@",
                                  bench.program["tiny"]])
               for number, name in enumerate(STEPS)]
    return servers + [bench.udsd("udsd, quiet", QUIET), bench.udsd("udsd, logged", LOG),
                      bench.udsd("udsd, rules, limits and rate too", FULL)]


def main():
    with Bench() as bench:
        servers = start_all(bench)
        results = turns("ladder", [
            lambda s=server: bench.load(s, CLIENTS, SECONDS) for server in servers], ROUNDS)
    print("microseconds for a connection, clients: %d; udsd's own rows: added to the bare loop"
          % CLIENTS)
    print("%8s %8s %8s %8s  %s" % ("wall", "added", "CPU", "added", "step"))
    walls = [[1e6 / rate for rate in column(rows, 0)] for rows in results]
    cpus = [cpu_each(rows, SECONDS) for rows in results]
    for number, server in enumerate(servers):
        before = number - 1 if 0 < number < len(STEPS) else 0
        added = statistics.median(w - b for w, b in zip(walls[number], walls[before]))
        print("%8.1f %8.1f %8.1f %8.1f  %s" % (
            statistics.median(walls[number]), added, cpus[number],
            cpus[number] - cpus[before], server.name))


if __name__ == "__main__":
    main()
