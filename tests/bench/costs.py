"""What udsd costs besides: streams, memory, held connections, many services, wake-ups."""
import contextlib
import resource
import shutil
import socket
import subprocess
import time

from figures import QUICK, ROUNDS, SECONDS, Row, column, rates, ratios, turns
from servers import LOG, QUIET, ROOT, wait_for

MIDDLE = 16             # clients
HELD, HELD_ROUNDS = (500, 1) if QUICK else (10000, 3)
IDLE_SECONDS = 3 if QUICK else 60
SERVICES = 1000


# Streams -----------------------------------------------------------------------------

def streams(bench):
    """The shipped echo beside the bare 256 KiB loop and a Node server, on one connection."""
    servers = [bench.floor(), bench.udsd("echo", LOG, "echo")]
    if shutil.which("node"):
        servers.append(bench.node())
    rows = []
    for mode, name, goals in (
            ("bulk", "bulk copy", {"least": (0.98, 3)}),
            ("trips", "round trip of 64 bytes, p50", {"most": (1.02, 0.75)})):
        bare, echo, *node = turns(name, [
            lambda s=server, m=mode: bench.ask("stream", m, s.path, str(SECONDS))[0]
            for server in servers])
        for label, base, number in zip(("the bare loop", "the Node server"), (bare, *node), (0, 1)):
            goal = {key: values[number] for key, values in goals.items()}
            rows.append(Row("shipped echo, %s, to %s" % (name, label), ratios(echo, base), **goal))
    for server in servers:
        server.stop()
    return rows


# Held connections ----------------------------------------------------------------------

def held_count():
    """As many as a process may have descriptors and a user processes."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as most:
        pids = int(most.read()) // 3
    return max(1, min(HELD, files - 100, pids))


@contextlib.contextmanager
def holding(bench, path, count):
    with subprocess.Popen([bench.program["stream"], "hold", path, str(count)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdout.readline() != b"held\n":
            raise OSError("could not hold %d connections" % count)
        yield
        process.communicate()


def tasks():
    """Processes and threads of the whole machine."""
    with open("/proc/loadavg", encoding="ascii") as line:
        return int(line.read().split()[3].partition("/")[2])


def rate_beside(bench, server, count):
    """A server's rate with connections held, to that with none."""
    before = tasks()
    alone = bench.load(server, MIDDLE, SECONDS)[0]
    with holding(bench, server.path, count):
        beside = bench.load(server, MIDDLE, SECONDS)[0]
    # Until the handlers have ended and been waited for: the bare loop does so when it accepts.
    wait_for(lambda: bench.load(server, 1, 0.05) and tasks() < before + count / 10, 60)
    return beside / max(1, alone)


def held(bench):
    count = held_count()
    many = "max-connections = %d" % (count + 300)
    servers = [bench.floor(), bench.udsd("held", many),
               bench.udsd("held, quiet", many + " " + QUIET)]
    floor, logged, quiet = turns("%d held" % count, [
        lambda s=server: rate_beside(bench, s, count) for server in servers], HELD_ROUNDS)
    for server in servers:
        server.stop()
    what = "rate with %d connections held, to rate with none" % count
    return [Row(what + ": the bare loop", floor),
            Row(what + ": udsd, logged, to the bare loop's", ratios(logged, floor), least=0.95),
            Row(what + ": udsd, quiet, to the bare loop's", ratios(quiet, floor), least=0.95)]


# Memory and wake-ups ---------------------------------------------------------------------

def private(server):
    """Private memory of its own processes in bytes."""
    total = 0
    for pid in server.own():
        with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as rollup:
            total += sum(int(line.split()[1]) * 1024 for line in rollup
                         if line.startswith("Private_"))
    return total


def greet(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    connection.recv(7)
    return connection


def memory(bench):
    if not ROOT:
        return [] # a worker's memory is shown to root only
    server = bench.udsd("memory", LOG, as_root=True)
    greet(server.path).close()
    time.sleep(0.3)
    idle = private(server)
    server.stop()
    count = 200 if QUICK else 2000
    server = bench.udsd("memory", QUIET + " max-connections = %d" % (count + 1), as_root=True)
    with greet(server.path):
        before = private(server)
        with holding(bench, server.path, count):
            each = (private(server) - before) / count
    server.stop()
    return [Row("own private memory, idle, one service", [idle / 1024], most=600, unit=" KiB"),
            Row("own private memory for each of %d held connections" % count, [each],
                most=300, unit=" bytes")]


def switches(pids):
    """How often they were given a CPU and gave it up."""
    total = 0
    for pid in pids:
        with open("/proc/%d/status" % pid, encoding="ascii") as status:
            total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    return total


def wakeups(bench):
    """One service idle, its worker gone; the other one's worker with one quiet connection."""
    idle = bench.udsd("idle", "worker-idle = 1s")
    quiet = bench.udsd("quiet", "worker-idle = 1s")
    greet(idle.path).close()
    wait_for(lambda: len(idle.own()) == 2)
    with greet(quiet.path):
        time.sleep(1.5)
        groups = idle.own(), quiet.own()
        before = [switches(pids) for pids in groups]
        time.sleep(IDLE_SECONDS)
        counts = [switches(pids) - old for pids, old in zip(groups, before)]
    idle.stop()
    quiet.stop()
    return [Row("wake-ups in %d idle seconds, %s" % (IDLE_SECONDS, name), [count], most=0,
                unit=" switches")
            for name, count in zip(("idle workers gone", "a worker with a quiet connection"),
                                   counts)]


# Many services ---------------------------------------------------------------------------

def many_services(bench):
    one = bench.udsd("one service")
    more = [(bench.path("sock"), LOG) for _ in range(SERVICES - 1)]
    starts = []
    for _ in range(1 if QUICK else 5):
        many = bench.udsd("many services", more=more)
        starts.append(many.start_time)
        many.stop()
    many = bench.udsd("many services", more=more)
    starts.append(many.start_time)
    alone, among = (column(r, 0) for r in rates(bench, [one, many], 1, rounds=2 * ROUNDS))
    one.stop()
    many.stop()
    return [Row("%d services, start to last listen" % SERVICES, starts, most=0.5, unit=" s"),
            Row("connections a second of one of %d services, to one alone" % SERVICES,
                ratios(among, alone), least=0.97)]


def measure(bench):
    return (streams(bench) + held(bench) + memory(bench) + many_services(bench)
            + wakeups(bench))
