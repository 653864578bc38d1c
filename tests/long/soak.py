#!/usr/bin/env python3
"""Long runs under load: no connection is dropped, nothing is left, nothing grows. Prints what was measured:
for connections alone also the zombies, and what each process has at a tenth of them and at the end.

make soak runs all with large numbers; test_soak.py runs the same with small ones. As a program:
soak.py [NAME=NUMBER]... with the names of NUMBERS.
"""
import collections
import os
import random
import signal
import socket
import sys
import time

sys.path.insert(1, os.path.join(sys.path[0], "..", "e2e")) # for lib
from lib import (ECHO, PATIENCE, SANITIZED, UDSD, Case, complete, parse_line, proc, service,
                 wait_for)
from lib.clients import name_of
from lib.users import Child

NUMBERS = {
    "connects": 1000000,                        # at least so many, by `clients` processes
    "clients": 4,
    "reloads": 1000,
    "upgrades": 100,
    "kills": 100,                               # of workers, then log processes and paths
    "stops": 10000,
    "services": 1000,
}
CLIENT_SECONDS = 7200
GROWTH = 4                                      # KiB that a process may grow by, and
BUFFERS = {"udsd: log": 48}                     # those of static buffers that were not full before


# Clients -----------------------------------------------------------------------------

def ask(path, token):
    """One connection to echo: None, or what went wrong."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10 * PATIENCE)
        try:
            sock.connect(path)
            sock.sendall(token)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while True:
                part = sock.recv(4096)
                if not part:
                    break
                answer += part
        except OSError as error:
            return name_of(error)
    if answer == b"hello\r\n" + token:
        return None
    return "cut off" if b"hello\r\n".startswith(answer) else "wrong answer %r" % answer[:40]


def hammer(paths, stop, number):
    """Asks again and again until the file `stop` is there: a Counter of what went wrong, and
    "tried"."""
    signal.alarm(CLIENT_SECONDS)
    count = collections.Counter()
    while not os.path.exists(stop):
        for _ in range(20):
            count["tried"] += 1
            token = b"%d %d" % (number, count["tried"])
            error = ask(paths[count["tried"] % len(paths)], token)
            if error:
                count[error] += 1
    return count


class Load:
    """Processes that ask all the time, until end()."""

    def __init__(self, case, paths, clients):
        self.stop = case.path("stop.%d" % len(os.listdir(case.dir)))
        self.children = [Child(None, hammer, paths, self.stop, n) for n in range(clients)]
        self.count = collections.Counter()      # what all of them have seen, at the end

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with open(self.stop, "w", encoding="ascii"):
            pass
        for child in self.children:
            self.count += child.result()


# What is done meanwhile --------------------------------------------------------------

class Tail:
    """Counts lines of a log, reading each only once."""

    def __init__(self, sup):
        self.file = open(sup.log, encoding="utf-8", errors="replace")
        self.counts = collections.Counter()
        self.rest = ""

    def close(self):
        self.file.close()

    def count(self, verb, **match):
        lines = (self.rest + self.file.read()).split("\n")
        self.rest = lines.pop()
        for line in lines:
            name, pairs = parse_line(line)
            if name not in ("open", "close"):
                self.counts[name, pairs.get("status")] += 1
        return self.counts[verb, match.get("status")]


def memory(pid, kind):
    """KiB."""
    text = proc.read(pid, "smaps_rollup").decode()
    return sum(int(line.split()[1]) for line in text.split("\n") if line.startswith(kind))


def figures(pid):
    """Descriptors and memory, in KiB, of a process: all that is not a file's, also what it still shares
    with those it forked, since that becomes private whenever one of them writes or ends."""
    return len(proc.fds(pid)), memory(pid, "Anonymous")


def zombies(sup):
    """How many processes below the supervisor have exited, and are not reaped after a second."""
    dead = [pid for pid in proc.descendants(sup.pid) if proc.state(pid) == "Z"]
    if dead:
        time.sleep(1)
    return sum(proc.state(pid) == "Z" for pid in dead)


def processes(sup):
    """The figures() of each process that lasts, by title and pid; waits for handlers to end. Workers
    hide theirs from all but root."""
    lasting = [sup.pid] + proc.children(sup.pid)
    wait_for(lambda: not any(map(proc.is_alive, set(sup.family()) - set(lasting))), 10,
             "handlers to end")
    return {(proc.title(pid), pid): figures(pid) for pid in lasting
            if os.access("/proc/%d/fd" % pid, os.R_OK)}


class Storm:
    """A supervisor with two services under load: "s", which reloads change, and "u"."""

    def __init__(self, case):
        self.case = case
        self.paths = [case.path("s.sock"), case.path("u.sock")]
        self.turn = 0
        self.echo = case.light_echo()
        self.sup = case.udsd(self.text())
        self.tail = Tail(self.sup)

    def text(self):
        return complete(
            service("s", socket=self.paths[0], handler=[self.echo], umask="0%d7" % (self.turn % 8),
                    socket_mode=("0600", "0666")[self.turn // 3 % 2],
                    max_connections=500 + self.turn % 2)
            + service("u", socket=self.paths[1], handler=[self.echo], max_connections=500))

    def reload(self, kind):
        """A reload with a config that is changed, unchanged or broken; waits for its end."""
        self.turn += kind == "changed"
        self.case.write("udsd.conf", self.text() + ("service {" if kind == "broken" else ""))
        wanted = "refused" if kind == "broken" else "done"
        before = self.tail.count("reload", status=wanted)
        self.sup.kill(signal.SIGHUP)
        wait_for(lambda: self.tail.count("reload", status=wanted) > before, 20, "reload " + wanted)

    def upgrade(self):
        self.case.write("udsd.conf", self.text())
        before = self.tail.count("upgrade", status="done")
        self.sup.kill(signal.SIGUSR2)
        wait_for(lambda: self.tail.count("upgrade", status="done") > before, 20, "an upgrade")

    def kill_worker(self):
        """Kills one worker if there is one; how many were killed."""
        pids = self.sup.workers(random.choice("su"))
        if pids:
            os.kill(pids[-1], signal.SIGKILL)
            wait_for(lambda: not proc.is_alive(pids[-1]))
        return len(pids[-1:])

    def kill_log(self):
        os.kill(self.sup.log_pid(), signal.SIGKILL)

    def delete_path(self):
        path = random.choice(self.paths)
        os.unlink(path)
        wait_for(lambda: os.path.exists(path), 5, "the path to be made again")


def connects(case, numbers, say):
    """Connections and nothing else, so that each process lasts. Returns what went wrong."""
    storm = Storm(case)
    started = time.monotonic()
    count, dead, seen = collections.Counter(), 0, []
    for goal in (numbers["connects"] // 10, numbers["connects"]):
        with Load(case, storm.paths, numbers["clients"]) as load:
            wait_for(lambda: served(storm.sup) >= goal, CLIENT_SECONDS, "connections")
            dead += zombies(storm.sup)
        count += load.count
        seen.append(processes(storm.sup))
        dead += zombies(storm.sup)
    warm, after = seen
    say("%d connects in %.0f s: %s, %d zombies"
        % (count["tried"], time.monotonic() - started, failures(count) or "none failed", dead))
    for who in sorted(warm.keys() | after.keys()):
        say("  %-9s %s" % (who[0], ", at the end ".join(
            "%d descriptors, %d KiB" % then[who] if who in then else "not there"
            for then in seen)))
    storm.tail.close()
    return [*failures(count).items(), *["zombies"] * dead,
            *(who for who in warm.keys() | after.keys() if has_grown(warm, after, who))]


def has_grown(warm, after, who):
    """Whether a process has not lasted, or has more descriptors or memory than before."""
    if who not in warm or who not in after:
        return True
    (fds, size), (fds_then, size_then) = warm[who], after[who]
    return fds_then > fds or (not SANITIZED and size_then > size + GROWTH + BUFFERS.get(who[0], 0))


def reloads_and_upgrades(case, numbers, say):
    """No connection may be dropped. Returns what went wrong, figures() of the supervisor after a tenth and at
    the end, and the number of zombies."""
    storm = Storm(case)
    started = time.monotonic()
    kinds = ["changed", "changed", "unchanged", "broken"]
    every = max(1, numbers["reloads"] // max(1, numbers["upgrades"]))
    warm = None
    with Load(case, storm.paths, numbers["clients"]) as load:
        for turn in range(numbers["reloads"]):
            storm.reload(kinds[turn % len(kinds)])
            if turn % every == every - 1:
                storm.upgrade()
            if turn == numbers["reloads"] // 10:
                warm = figures(storm.sup.pid)
    wait_for(lambda: not storm.sup.workers("s")[1:] and not storm.sup.workers("u")[1:], 10,
             "old workers to end")
    after, dead = figures(storm.sup.pid), zombies(storm.sup)
    say("%d reloads, %d upgrades, %d connects in %.0f s: %s, %d zombies"
        % (numbers["reloads"], storm.tail.count("upgrade", status="done"), load.count["tried"],
           time.monotonic() - started, failures(load.count) or "none failed", dead))
    say("supervisor: %d descriptors after a tenth of it, %d at the end; %d KiB, then %d"
        % (warm[0], after[0], warm[1], after[1]))
    storm.tail.close()
    return failures(load.count), warm, after, dead


def served(sup):
    """The number of connections so far, by the last `open` line of each service."""
    size = os.path.getsize(sup.log)
    last = {}
    with open(sup.log, "rb") as file:
        file.seek(max(0, size - 200000))
        for line in file.read().decode(errors="replace").split("\n"):
            name, pairs = parse_line(line)
            if name == "open":
                last[pairs["service"]] = int(pairs["conn"])
    return sum(last.values())


def failures(count):
    return {key: n for key, n in count.items() if key != "tried"}


def kills_and_deletions(case, numbers, say):
    """One connection may be dropped for each worker killed; clients that connect while there is no path see
    ENOENT. Returns (what went wrong, workers killed, zombies)."""
    storm = Storm(case)
    killed = 0
    with Load(case, storm.paths, numbers["clients"]) as load:
        for turn in range(numbers["kills"]):
            killed += storm.kill_worker()
            if turn % 5 == 1:
                storm.reload("changed")
            if turn % 10 == 2:
                storm.kill_log()
            if turn % 10 == 3:
                storm.delete_path()
            if turn % 20 == 4:
                storm.upgrade()
            time.sleep(random.random() / 50)    # not in step with what happens there
    dead = zombies(storm.sup)
    say("%d workers killed, with reloads, upgrades, log processes killed and %d paths deleted: "
        "%d connects, failed: %s, %d zombies"
        % (killed, (numbers["kills"] + 6) // 10, load.count["tried"],
           failures(load.count) or "none", dead))
    storm.tail.close()
    return failures(load.count), killed, dead


def stops(case, numbers, say):
    """SIGTERM at any moment: the slowest end in seconds, and the statuses."""
    path = case.path("stop.sock")
    slowest, statuses = 0, collections.Counter()
    for _ in range(numbers["stops"]):
        sup = case.start(["-l", "error", "-o", "user=" + ("nobody" if os.geteuid() == 0 else
                                                          str(os.geteuid())),
                          path, case.echo()])
        time.sleep(random.random() * 0.04)      # any moment of its start, or just after
        if random.random() < 0.3:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
            except OSError:
                pass
        started = time.monotonic()
        sup.kill(signal.SIGTERM)
        statuses[sup.popen.wait()] += 1
        slowest = max(slowest, time.monotonic() - started)
        sup.poll()
        os.unlink(sup.log)
        sup.log = os.devnull
        case.supervisors.remove(sup)
        if os.path.lexists(path):
            raise AssertionError("the path was left behind")
    say("%d stops at random moments: slowest %.0f ms, statuses %s"
        % (numbers["stops"], slowest * 1000, dict(statuses)))
    return slowest, statuses


def many_services(case, numbers, say):
    """What idle services cost, and a reload of all with one of them changed."""
    def text(umask):
        return complete("".join(
            service("s%d" % n, socket=case.path("s%d" % n), handler=[case.echo()],
                    umask=umask if n == 7 else "022") for n in range(numbers["services"])))

    started = time.monotonic()
    sup = case.udsd(text("022"), ready="path")
    ready = time.monotonic() - started
    private = memory(sup.pid, "Private_")
    times = []
    for turn in range(5):
        case.write("udsd.conf", text("02%d" % (turn + 3)))
        started = time.monotonic()
        sup.kill(signal.SIGHUP)
        sup.wait_events(turn + 1, "reload", status="done", changed=1, timeout=20)
        times.append(time.monotonic() - started)
    say("%d services: ready after %.0f ms, %.1f KiB private each; a reload with one changed: %s ms"
        % (numbers["services"], ready * 1000, private / numbers["services"],
           ", ".join("%.0f" % (t * 1000) for t in sorted(times))))
    return sorted(times)[2]


def main():
    numbers = dict(NUMBERS)
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name not in numbers or not value.isdigit():
            sys.exit("usage: soak.py [NAME=NUMBER]... of %s" % ", ".join(NUMBERS))
        numbers[name] = int(value)
    for program in (UDSD, ECHO):
        if not os.access(program, os.X_OK):
            sys.exit("not built: " + program)
    sys.exit(sum(run_alone(run, numbers) for run in (many_services, stops, connects,
                                                     reloads_and_upgrades,
                                                     kills_and_deletions)) > 0)


def run_alone(run, numbers):
    """Runs one of the above outside of a test; whether it found something wrong."""
    case = Case()
    case.setUpClass()
    case.setUp()
    signal.alarm(0)
    try:
        result = run(case, numbers, lambda text: print(text, flush=True))
    finally:
        case.doCleanups()
    if run is connects:
        return result != []
    if run is reloads_and_upgrades:
        failed, warm, after, dead = result
        return failed != {} or after[0] > warm[0] or dead > 0
    if run is kills_and_deletions:
        failed, killed, dead = result
        return lost(failed) > killed or dead > 0
    return run is stops and not set(result[1]) <= {0, -signal.SIGTERM}


def lost(failed):
    """Those who were not just there while a deleted path was made again."""
    return sum(n for error, n in failed.items() if error not in ("ENOENT", "ECONNREFUSED"))


if __name__ == "__main__":
    main()
