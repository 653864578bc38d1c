"""Connections a second: udsd beside the bare loop, the peers and other handlers."""
import pwd
import shutil
import statistics
import subprocess

from figures import CLIENTS, QUICK, ROUNDS, SECONDS, Row, column, cpu_each, rates, ratios, turns
from servers import FULL, LOG, QUIET, ROOT

MODES = (("logged", LOG, 0.95), ("all on", FULL, 0.95), ("quiet", QUIET, 0.97))
PLACES = (("", False), (", root", True)) if ROOT else (("", False),)
MIDDLE = 16 # clients, where one number has to do


def plural(clients):
    return "%d client%s" % (clients, "" if clients == 1 else "s")


def is_new_s6():
    """s6 2.15 starts handlers with posix_spawn; Debian 12 ships 2.11."""
    path = shutil.which("s6-ipcserverd")
    if path is None:
        return False
    with open(path, "rb") as program:
        return b"posix_spawn" in program.read()


class Rates:
    """All servers with one handler, measured side by side."""

    def __init__(self, bench, handler, modes=MODES, places=PLACES):
        self.bench = bench
        self.modes = [("udsd" + where + ", " + name, goal)
                      for where, _ in places for name, _, goal in modes]
        self.servers = [bench.floor("vfork", handler), bench.floor("fork", handler),
                        bench.floor_many(handler)]
        self.servers += [bench.udsd("udsd" + where + ", " + name, options, handler, as_root)
                         for where, as_root in places for name, options, _ in modes]
        peers, self.missing = bench.peers(handler)
        self.servers += peers
        self.peers = [peer.name for peer in peers]
        self.lost = 0
        self.results = {}                       # clients -> server's name -> rows of load()

    def measure(self, clients):
        rows = rates(self.bench, self.servers, clients)
        self.results[clients] = {s.name: r for s, r in zip(self.servers, rows)}

    def stop(self):
        for server in self.servers:
            self.lost += server.lost_lines()
            server.stop()

    def of(self, clients, name, number=0):
        return column(self.results[clients][name], number)

    def to_floor(self, clients, name, number=0):
        return ratios(self.of(clients, name, number), self.of(clients, "bare loop, vfork", number))

    def fastest(self, clients):
        return max(self.peers, key=lambda name: statistics.median(self.of(clients, name)))

    # Rows ------------------------------------------------------------------------------

    def floor_rows(self):
        return [Row("%s, %s, to the bare loop" % (name, plural(clients)),
                    self.to_floor(clients, name), least=goal)
                for name, goal in self.modes for clients in self.results]

    def cpu_rows(self, label=""):
        """Not a goal, but what other programs on the machine disturb least."""
        def cpu(clients, name):
            return cpu_each(self.results[clients][name])

        rows = []
        for clients in self.results:
            base = cpu(clients, "bare loop, vfork")
            least = min(self.peers, key=lambda name: cpu(clients, name), default=None)
            for name in [name for name, _ in self.modes if "root" not in name] + [least]:
                if name is not None:
                    rows.append(Row("CPU time of a connection, %s%s, %s, to the bare loop" % (
                        label, name, plural(clients)), [cpu(clients, name) / base]))
        return rows

    def peer_rows(self, label, old, new):
        if not self.peers:
            return []
        rows = []
        for clients in self.results:
            name = self.fastest(clients)
            ratio = ratios(self.of(clients, self.modes[0][0]), self.of(clients, name))
            least = new if name == "s6-ipcserver" and is_new_s6() else old
            rows.append(Row("%s, %s%s, to the fastest peer (%s)" % (
                self.modes[0][0], label, plural(clients), name), ratio, least=least))
        return rows

    def latency_rows(self):
        return [Row("connect to first byte, %s, %s, to the bare loop" % (name, plural(MIDDLE)),
                    self.to_floor(MIDDLE, self.modes[0][0], number), most=goal)
                for name, number, goal in (("p50", 1, 1.05), ("p99", 2, 1.15))]

    def table(self):
        """Every server, as numbers."""
        lines = ["| server | " + " | ".join(
            "%s: conn/s | to the bare loop | CPU us" % plural(clients)
            for clients in self.results) + " | failed |",
                 "|---|" + "---|" * (3 * len(self.results) + 1)]
        for server in self.servers:
            cells = []
            for clients in self.results:
                ratio = self.to_floor(clients, server.name)
                cells += ["%.0f" % statistics.median(self.of(clients, server.name)),
                          "%.3f (%.3f to %.3f)" % (
                              statistics.median(ratio), min(ratio), max(ratio)),
                          "%.0f" % cpu_each(self.results[clients][server.name])]
            failed = sum(sum(self.of(clients, server.name, 5)) for clients in self.results)
            lines.append("| %s | %s | %d |" % (server.name, " | ".join(cells), failed))
        return lines


def handlers(bench):
    """The shipped echo, and cat, beside the handler without a libc."""
    tiny = bench.udsd("tiny", QUIET, "tiny")
    echo = bench.udsd("echo", QUIET, "echo")
    cat = bench.udsd("cat", QUIET, [shutil.which("cat") or "/bin/cat"])
    rows = []
    for clients in (1, MIDDLE):
        one, two, three = turns("handlers, " + plural(clients), [
            lambda: bench.load(tiny, clients, SECONDS)[0],
            lambda: bench.load(echo, clients, SECONDS)[0],
            lambda: bench.load(cat, clients, SECONDS, "")[0]])
        rows.append(Row("shipped echo, %s, to a handler without a libc" % plural(clients),
                        ratios(two, one), least=0.85))
        rows.append(Row("cat, %s, to a handler without a libc" % plural(clients),
                        ratios(three, one)))
    for server in (tiny, echo, cat):
        server.stop()
    return rows


def two_at_once(bench):
    floors = [bench.floor(), bench.floor()]
    path = bench.path("sock")
    first = bench.udsd("two", LOG, more=[(path, LOG)])
    second = type("Second", (), {"path": path})
    base, ours = turns("two services", [
        lambda: bench.loads(floors, MIDDLE, SECONDS),
        lambda: bench.loads([first, second], MIDDLE, SECONDS)])
    for server in (*floors, first):
        server.stop()
    return [Row("two services at once, %s each, to two bare loops" % plural(MIDDLE),
                ratios(ours, base), least=0.93)]


def node(bench):
    """What a process for each connection cannot do, and udsd's answer."""
    if shutil.which("node") is None:
        return []
    servers = [bench.udsd("udsd", LOG), bench.node(), bench.udsd(
        "wait", "wait = true stderr = null", [shutil.which("node"), bench.script])]
    bench.load(servers[2], 1, 0.1) # starts it
    ours, plain, waited = (column(rows, 0) for rows in rates(bench, servers, MIDDLE))
    for server in servers:
        server.stop()
    return [Row("a Node server that starts no process, %s, to udsd" % plural(MIDDLE),
                ratios(plain, ours)),
            Row("the same server under udsd with `wait = true`, to itself", ratios(waited, plain))]


def fairness(bench):
    """One uid holds its limit of 4 and hammers, 8 at a time; what does another one see?"""
    if not ROOT:
        return []
    load = bench.program["load"]
    flooder, good = pwd.getpwnam("daemon").pw_uid, pwd.getpwnam("games").pw_uid

    def whole(server, seconds=SECONDS):
        done = subprocess.run([load, server.path, "1", str(seconds)], user=good,
                              capture_output=True, text=True, check=True)
        return [float(word) for word in done.stdout.split()]

    rows = []
    for backlog in (4096, 16):
        server = bench.udsd("fair", "max-connections-per-user = 4 log-level = warning backlog = %d"
                            % backlog, as_root=True)
        holder = subprocess.Popen([bench.program["stream"], "hold", server.path, "4"],
                                  user=flooder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        holder.stdout.readline()
        p50 = []
        for _ in range(2 if QUICK else ROUNDS // 2):
            alone = whole(server)
            with subprocess.Popen([load, server.path, "8", str(SECONDS + 0.5)],
                                  user=flooder, stdout=subprocess.DEVNULL) as flood:
                p50.append(whole(server)[3] / alone[3])
                flood.wait()
        holder.communicate()
        server.stop()
        rows.append(Row("a connection beside another user's flood, backlog %d, p50, to one alone"
                        % backlog, p50))
    return rows


def measure(bench):
    """Rows, tables by title, and the names of peers that are not installed."""
    tiny = Rates(bench, "tiny")
    for clients in CLIENTS:
        tiny.measure(clients)
    tiny.stop()
    glibc = Rates(bench, "glibc", MODES[:1], PLACES[:1])
    for clients in (MIDDLE,) if QUICK else CLIENTS:
        glibc.measure(clients)
    glibc.stop()
    rows = tiny.floor_rows()
    rows += tiny.peer_rows("", 2.2, 1.25) + glibc.peer_rows("static glibc handler, ", 1.6, 1.07)
    rows += tiny.cpu_rows() + glibc.cpu_rows("static glibc handler, ")
    rows += handlers(bench) + tiny.latency_rows() + two_at_once(bench)
    rows += node(bench) + fairness(bench)
    tables = {"A handler without a libc": tiny.table(), "A static glibc handler": glibc.table()}
    return rows, tables, tiny
