"""The servers that are measured: bare loops, udsd, peers, and a Node.js server.

All but udsd as root run as an ordinary user, which is nobody where this is root.
"""
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD = os.environ.get("UDSD_BUILD", os.getcwd())
SRC = os.environ.get("UDSD_SRC", BUILD)
QUICK = os.environ.get("QUICK", "") not in ("", "0")
ROOT = os.geteuid() == 0
USER = (pwd.getpwnam(os.environ.get("BENCH_USER") or "nobody") if ROOT
        else pwd.getpwuid(os.geteuid()))
ORDINARY = {"user": USER.pw_uid, "group": USER.pw_gid, "extra_groups": []} if ROOT else {}
PROGRAMS = {
    "udsd": "src/udsd",
    "echo": "handlers/echo",
    "floor": "tests/bench/floor",
    "ladder": "tests/bench/ladder",
    "load": "tests/bench/load",
    "stream": "tests/bench/stream",
    "tiny": "tests/bench/tiny",
    "glibc": "tests/bench/glibc",
}
MOST = 200  # live handlers at once, for servers that have such a limit

LOG = ""
QUIET = 'log-level = warning stderr = "null"'
FULL = """allow = { "group:root", "uid:0-65534" } deny = { "uid:65001-65002" }
          max-connections-per-user = 150 rate = "1000000/1s" idle-timeout = 60s
          max-lifetime = 1h"""


class Bench:
    """A scratch directory with copies of all programs, where the services' user may reach them."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="udsd-bench-", dir="/tmp")
        os.chmod(self.directory, 0o755)
        self.run = os.path.join(self.directory, "run")
        os.mkdir(self.run)
        os.chown(self.run, USER.pw_uid, USER.pw_gid)
        self.program = {}
        for name, path in PROGRAMS.items():
            if os.path.exists(os.path.join(BUILD, path)):
                self.program[name] = shutil.copy(os.path.join(BUILD, path), self.directory)
        self.script = shutil.copy(os.path.join(SRC, "tests/bench/server.js"), self.directory)
        self.servers = []
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers[:]:
            server.stop()
        shutil.rmtree(self.directory)

    def path(self, suffix):
        self.count += 1
        return os.path.join(self.run, "%d.%s" % (self.count, suffix))

    # What can be started ---------------------------------------------------------------

    def start(self, name, command, as_root=False):
        """command with its socket where it says @."""
        path = self.path("sock")
        words = [word.replace("@", path) for word in command]
        return Server(self, name, path, words, {} if as_root else ORDINARY)

    def floor(self, kind="vfork", handler="tiny"):
        return self.start("bare loop, " + kind,
                          [self.program["floor"], kind, "@", self.program[handler]])

    def floor_many(self, handler="tiny"):
        """The bare loop with several starts at once: ladder.c up to that step."""
        return self.start("bare loop, eight starts at once",
                          [self.program["ladder"], "3", "@", self.program[handler]])

    def udsd(self, name, options=LOG, handler="tiny", as_root=False, more=()):
        """udsd with a service, and those of `more`: pairs of a socket's path and options."""
        path = self.path("sock")
        handler = handler if isinstance(handler, list) else [self.program[handler]]
        config = self.path("conf")
        with open(config, "w", encoding="ascii") as out:
            out.write('pid-file = ""\ncontrol-socket = ""\nstop-timeout = 0\n')
            for number, (where, what) in enumerate([(path, options), *more]):
                out.write(section("s%d" % number, where, handler, what, as_root))
        if not as_root:
            os.chown(config, USER.pw_uid, USER.pw_gid)
        command = [self.program["udsd"], "-f", "-c", config]
        return Server(self, name, path, command, {} if as_root else ORDINARY, notify=True)

    def peers(self, handler="tiny"):
        """Those that are installed, and the names of the others. (ncat is not among them: with
        -e it drops clients that have shut their writing side down.)"""
        program = self.program[handler]
        commands = {
            "s6-ipcserver": ["s6-ipcserver", "-c", str(MOST), "-C", str(MOST), "-b", "4096", "@",
                             program],
            "unixserver": ["unixserver", "-q", "-c", str(MOST), "-b", "4096", "@", program],
            "socat": ["socat", "UNIX-LISTEN:@,fork,backlog=4096,max-children=%d" % MOST,
                      "EXEC:%s,nofork" % program],
            "systemd-socket-activate": ["systemd-socket-activate", "-l", "@", "-a", "--inetd",
                                        program],
        }
        missing = [name for name in commands if shutil.which(name) is None]
        return [self.start(name, command) for name, command in commands.items()
                if name not in missing], missing

    def node(self):
        return self.start("Node server", ["node", self.script, "@"])

    # What is measured ------------------------------------------------------------------

    def load(self, server, clients, seconds, greeting="hello\r\n"):
        """rate, first p50, first p99, whole p50, whole p99, failed; the server's CPU seconds"""
        before = server.cpu_seconds()
        result = self.ask("load", server.path, str(clients), str(seconds), greeting)
        time.sleep(0.02) # the last handler ends
        return result + [server.cpu_seconds() - before]

    def loads(self, servers, clients, seconds):
        """All at once; the sum of their rates."""
        running = [subprocess.Popen([self.program["load"], server.path, str(clients), str(seconds)],
                                    stdout=subprocess.PIPE) for server in servers]
        return sum(float(process.communicate()[0].split()[0]) for process in running)

    def ask(self, program, *words):
        done = subprocess.run([self.program[program], *words], capture_output=True, text=True,
                              check=True)
        return [float(word) for word in done.stdout.split()]


def section(name, path, handler, options, as_root):
    words = ", ".join('"%s"' % word for word in handler)
    if "max-connections =" not in options and "wait =" not in options:
        options += " max-connections = %d" % MOST
    return 'service %s {\n socket = "%s"\n socket-mode = 0666\n handler = { %s }\n %s\n %s\n}\n' % (
        name, path, words, 'user = "%s"' % USER.pw_name if as_root else "", options)


class Server:
    """A running program that serves path."""

    def __init__(self, bench, name, path, words, user, notify=False):
        self.bench, self.name, self.path = bench, name, path
        self.log = open(bench.path("log"), "ab") # what udsd logs is written, as it would be
        ready = Ready(bench) if notify else None
        begun = time.monotonic()
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
            cwd=bench.run, env=dict(os.environ, **(ready.environment if ready else {})), **user)
        bench.servers.append(self)
        if not (ready.wait() if ready else wait_for(lambda: serves(path))):
            with open(self.log.name, encoding="utf-8") as log:
                raise OSError("%s does not start: %s" % (name, log.read()))
        self.start_time = time.monotonic() - begun

    def own(self):
        """The pids of it and its children."""
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as children:
            return [pid] + [int(child) for child in children.read().split()]

    def cpu_seconds(self):
        """That these and all handlers that have ended used."""
        ticks = 0
        for pid in self.own():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                with open("/proc/%d/stat" % pid, encoding="ascii") as stat:
                    words = stat.read().rpartition(")")[2].split()
                ticks += sum(int(word) for word in words[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def lost_lines(self):
        """How often udsd had to leave out lines of its log."""
        with open(self.log.name, encoding="utf-8") as log:
            return sum("udsd: drop " in line for line in log)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.bench.servers.remove(self)


class Ready:
    """Where a server says that it is ready, as to systemd."""

    def __init__(self, bench):
        self.path = bench.path("notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(10)
        os.chmod(self.path, 0o777)
        self.environment = {"NOTIFY_SOCKET": self.path}

    def wait(self):
        with self.socket:
            try:
                while b"READY=1" not in self.socket.recv(4096):
                    pass
            except TimeoutError:
                return False
        return True


def serves(path):
    """Whether a server listens, asked with a socket of another type, which wakes none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError: # EPROTOTYPE
            return True
    return True


def wait_for(condition, seconds=10):
    """Whether condition() came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
