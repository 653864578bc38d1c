#!/usr/bin/env python3
"""Measures udsd beside the bare loop and the peers that are installed, in turns, in one run.

usage: bench.py    (make bench; make bench QUICK=1)

Each figure is a ratio to the bare vfork loop of the same round; medians over rounds, with the
lowest and highest. Writes bench.md into the current directory. Environment: UDSD_BUILD, QUICK.
"""
import os
import platform
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("UDSD_BUILD", os.getcwd())
QUICK = os.environ.get("QUICK", "") not in ("", "0")
ROUNDS, SECONDS = (3, 0.5) if QUICK else (9, 1.5)
CLIENTS = (1, 16, 64)
ROOT = os.geteuid() == 0
UDSD = os.path.join(BUILD, "src/udsd")
TOOL = {name: os.path.join(BUILD, "tests/bench", name) for name in ("floor", "load", "tiny")}

LOG = "everything logged"
QUIET = "log-level warning, stderr null"
FULL = "rules, limits, rate and log"
OPTIONS = {
    LOG: "",
    QUIET: "log-level = warning stderr = null",
    FULL: """allow = { "group:root", "uid:0-65000" } deny = { "uid:65001-65002" }
             max-connections-per-user = 150 rate = "1000000/1s" idle-timeout = 60s
             max-lifetime = 1h""",
}


class Server:
    """A program that serves path with the tiny handler."""

    def __init__(self, name, directory, command, user=None):
        self.name = name
        self.path = os.path.join(directory, "%d.sock" % Server.count)
        Server.count += 1
        words = [word.replace("@", self.path) for word in command]
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, user=user, cwd=directory,
        )
        end = time.monotonic() + 5
        while not os.path.exists(self.path) and time.monotonic() < end:
            if self.process.poll() is not None:
                raise OSError("%s ended with %d" % (name, self.process.returncode))
            time.sleep(0.01)
        os.chmod(self.path, 0o666)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    count = 0


def write_config(directory, name, number):
    """A config with one service, as the service's defaults are but for the given options."""
    user = 'user = "nobody"' if ROOT else ""
    path = os.path.join(directory, "udsd%d.conf" % number)
    with open(path, "w", encoding="ascii") as out:
        out.write('pid-file = ""\nservice tiny {\n socket = "@"\n socket-mode = 0666\n'
                  ' handler = { "%s" }\n max-connections = 200\n %s\n %s\n}\n'
                  % (TOOL["tiny"], user, OPTIONS[name]))
    return path


def udsd(directory, name, number):
    path = write_config(directory, name, number)
    socket = os.path.join(directory, "%d.sock" % Server.count)
    with open(path, encoding="ascii") as text:
        words = text.read().replace("@", socket)
    with open(path, "w", encoding="ascii") as out:
        out.write(words)
    return Server("udsd, " + name, directory, [UDSD, "-f", "-c", path])


def start_all(directory):
    """The servers to measure; the first one is what all are compared to."""
    servers = [
        Server("bare loop, vfork", directory, [TOOL["floor"], "vfork", "@", TOOL["tiny"]]),
        Server("bare loop, fork", directory, [TOOL["floor"], "fork", "@", TOOL["tiny"]]),
    ]
    for number, name in enumerate(OPTIONS):
        servers.append(udsd(directory, name, number))
    peers = {
        "s6-ipcserver": ["s6-ipcserver", "-c", "200", "@", TOOL["tiny"]],
        "unixserver": ["unixserver", "-q", "-c", "200", "-b", "4096", "@", TOOL["tiny"]],
        "socat": ["socat", "UNIX-LISTEN:@,fork,backlog=4096,max-children=200",
                  "EXEC:%s,nofork" % TOOL["tiny"]],
        "systemd-socket-activate": ["systemd-socket-activate", "-l", "@", "-a", "--inetd",
                                    TOOL["tiny"]],
    }
    for name, command in peers.items():
        if shutil.which(command[0]) is None:
            print("not installed: %s" % name)
            continue
        try:
            servers.append(Server(name, directory, command))
        except OSError as error:
            print("not measured: %s" % error)
    return servers


def load(server, clients, seconds=SECONDS, uid=None):
    """rate, first p50, first p99, whole p50, whole p99, failed"""
    command = [TOOL["load"], server.path, str(clients), str(seconds)]
    if uid is not None:
        command.append(str(uid))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def spread(values):
    return "%.3f (%.3f to %.3f)" % (statistics.median(values), min(values), max(values))


def measure(servers):
    """results[clients][server] is a list with a row of figures for each round."""
    results = {}
    for clients in CLIENTS:
        rows = results[clients] = [[] for _ in servers]
        for number in range(ROUNDS):
            for index, server in enumerate(servers):
                rows[index].append(load(server, clients))
            print("\r%d clients, round %d of %d " % (clients, number + 1, ROUNDS), end="",
                  file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def ratios(rows, index, column):
    """Of one server's figures to those of the first one, round by round."""
    return [row[column] / base[column] for row, base in zip(rows[index], rows[0])]


def tables(servers, results):
    lines = []
    for clients, rows in results.items():
        lines += ["", "### %d client%s" % (clients, "" if clients == 1 else "s"), "",
                  "| server | connections/s | to the bare loop | first byte p50 | p99 | failed |",
                  "|---|---|---|---|---|---|"]
        for index, server in enumerate(servers):
            lines.append("| %s | %.0f | %s | %.2f | %.2f | %d |" % (
                server.name, statistics.median(row[0] for row in rows[index]),
                spread(ratios(rows, index, 0)),
                statistics.median(ratios(rows, index, 1)),
                statistics.median(ratios(rows, index, 2)),
                sum(row[5] for row in rows[index])))
        plain, full = ratios(rows, 2, 0), ratios(rows, 4, 0)
        lines += ["", "Rules, limits and rate cost %.1f %% (median of rounds)." % (
            100 * (1 - statistics.median(f / p for f, p in zip(full, plain))))]
    return lines


class Holder:
    """A process of another uid that holds connections."""

    def __init__(self, path, uid, count):
        script = ("import os, socket, sys\nos.setuid(%d)\nheld = []\nfor _ in range(%d):\n"
                  "    held.append(socket.socket(socket.AF_UNIX))\n    held[-1].connect(%r)\n"
                  "    held[-1].recv(7)\nprint(flush=True)\nsys.stdin.read()\n"
                  % (uid, count, path))
        self.process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def stop(self):
        self.process.communicate()


def fairness(directory):
    """One uid floods a service at its limit; what does another one see?"""
    if not ROOT:
        return ["", "Fairness: not measured, this needs root (two uids)."]
    flood_uid, good_uid = pwd.getpwnam("daemon").pw_uid, pwd.getpwnam("games").pw_uid
    lines = ["", "### Fairness", "",
             "A uid holds its limit of 4 connections and hammers, 8 at a time; another one connects,",
             "one at a time. Its whole connections, to those without the flood:", "",
             "| backlog | p50 | p99 | failed |", "|---|---|---|---|"]
    for number, backlog in enumerate((4096, 16)):
        OPTIONS["fair"] = 'max-connections-per-user = 4 log-level = warning backlog = %d' % backlog
        server = udsd(directory, "fair", 100 + number)
        p50, p99, failed = [], [], 0
        holder = Holder(server.path, flood_uid, 4)
        for _ in range(ROUNDS):
            alone = load(server, 1, uid=good_uid)
            with subprocess.Popen(
                [TOOL["load"], server.path, "8", str(SECONDS + 0.5), str(flood_uid)],
                stdout=subprocess.DEVNULL,
            ) as flood:
                beside = load(server, 1, uid=good_uid)
                flood.wait()
            p50.append(beside[3] / alone[3])
            p99.append(beside[4] / alone[4])
            failed += beside[5]
        holder.stop()
        server.stop()
        lines.append("| %d | %s | %s | %d |" % (backlog, spread(p50), spread(p99), failed))
    return lines


def machine():
    cpu = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    return "Linux %s, %s, %d CPUs; %d rounds of %.1f s; %s" % (
        platform.release(), cpu, os.cpu_count() or 0, ROUNDS, SECONDS,
        "root, services of nobody" if ROOT else "an ordinary user")


def main():
    directory = tempfile.mkdtemp(prefix="udsd-bench-", dir="/tmp")
    os.chmod(directory, 0o755)
    for name in ("tiny",): # a place that the services' user may reach
        TOOL[name] = shutil.copy(TOOL[name], directory)
    servers = []
    try:
        servers = start_all(directory)
        results = measure(servers)
        lines = ["# Connections a second, and what they cost", "", machine()]
        lines += tables(servers, results)
        for server in servers:
            server.stop()
        servers = []
        lines += fairness(directory)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(directory)
    text = "\n".join(lines) + "\n"
    with open("bench.md", "w", encoding="ascii") as out:
        out.write(text)
    print(text)


if __name__ == "__main__":
    main()
