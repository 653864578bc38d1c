"""What the tests of reload and upgrade share: orders by signal, what udsd must keep, slow checks."""
import os
import re
import signal
import socket
import threading

from lib import proc
from lib.case import Case
from lib.clients import read_to_end
from lib.config_text import complete, service
from lib.waiting import wait_for

def sockets_of(text):
    """The sockets of a config's enabled services."""
    sections = re.findall(r"^service[^\n]*\{\n(.*?)^\}", text, re.M | re.S)
    return [re.search(r'^\s*socket = "([^"]*)"', section, re.M)[1] for section in sections
            if "enabled = false" not in section]


def identity(path):
    """Device and inode: a file that has replaced it has others."""
    info = os.lstat(path)
    return info.st_dev, info.st_ino


class OrderCase(Case):
    """Services whose handlers greet with a word, and orders by signal."""

    seen = 0  # log lines of a verb before the last order

    def tag(self):
        path = self.path("tag")
        return path if os.path.exists(path) else self.script("tag", 'echo "$1"; exec cat\n')

    def section(self, name, word="one", **values):
        first = {"socket": self.path(name + ".sock"), "handler": [self.tag(), word]}
        return service(name, **{**first, **values})

    def greeted(self, path, word="one", **kw):
        """A connection whose handler has greeted with this word."""
        sock = self.connect(path, **kw)
        self.assertEqual(self.receive(sock, len(word) + 1), word.encode() + b"\n")
        return sock

    def assert_rejected(self, path):
        self.assert_end(self.connect(path))

    # Orders

    def rewrite(self, text, name="udsd.conf"):
        """Replaces the config as an editor does, at once."""
        os.replace(self.write(name + ".new", complete(text)), self.path(name))

    def results(self, sup, verb):
        return [event for event in sup.events(verb)
                if event.get("status") in ("done", "refused")]

    def order(self, sup, number, verb, status, timeout=10):
        """Sends the signal; waits for what comes of it, which must have this status."""
        count = len(self.results(sup, verb))
        self.seen = len(sup.events(verb))
        sup.kill(number)
        wait_for(lambda: len(self.results(sup, verb)) > count, timeout, "the end of " + verb)
        result = self.results(sup, verb)[count]
        self.assertEqual(result["status"], status, self.errors(sup, verb))
        return result

    def reload(self, sup, text=None, status="done", **kw):
        if text is not None:
            self.rewrite(text)
            if status == "done":
                sup.sockets += sockets_of(text)
        return self.order(sup, signal.SIGHUP, "reload", status, **kw)

    def upgrade(self, sup, status="done", **kw):
        return self.order(sup, signal.SIGUSR2, "upgrade", status, **kw)

    def errors(self, sup, verb="reload"):
        """What was said to be wrong since the last order."""
        return [event["error"] for event in sup.events(verb)[self.seen:] if "error" in event]

    def assert_error(self, sup, pattern, verb="reload"):
        self.assertRegex("\n".join(self.errors(sup, verb)), pattern)

    # State

    def files(self):
        """What is in the test's directory, but for logs and configs."""
        return {os.path.join(top, name): identity(os.path.join(top, name))
                for top, _, names in os.walk(self.dir) for name in names
                if not re.search(r"\.conf$|^log\.", name)}

    def state(self, sup):
        """What a refused order leaves as it is; not what is there for a moment only."""
        states = []

        def is_settled():
            states.append((self.files(), sorted(proc.fds(sup.pid).items()),
                           sorted(proc.children(sup.pid))))
            return len(states) > 3 and states[-1] == states[-2] == states[-3]

        wait_for(is_settled, 5, "nothing to change")
        return states[-1]

    def assert_state(self, sup, before):
        try:
            wait_for(lambda: self.state(sup) == before, 2)
        except AssertionError:
            self.assertEqual(self.state(sup), before)

    def kill_worker(self, sup, name, pid=None):
        """Kills a worker and waits until the supervisor has its handlers."""
        pid = pid or sup.worker(name)
        os.kill(pid, signal.SIGKILL)
        sup.wait_event("worker", service=name, pid=pid, status="signal:KILL")

    def config_child(self, sup):
        """The pid of the process that checks the config; it must be slow to be seen."""
        return wait_for(lambda: sup.named("udsd: config"), what="a config child")[0]

    def slow_pattern(self, count=600):
        """What takes glob(3) count squared looks into a directory, and matches nothing."""
        top = self.folder("slow")
        for number in range(count):
            os.mkdir(os.path.join(top, str(number)))
        return top + "/*/../*/../x*.conf"

    # Clients without pause

    def clients(self, paths, words, count=3):
        """Starts clients that connect without pause; the function that comes back ends them
        and returns how many were served, and what went wrong."""
        over = threading.Event()
        wrong, served = [], [0]
        lock = threading.Lock()

        def run(path):
            while not over.is_set():
                try:
                    answer = self.visit(path)
                except OSError as error:
                    answer = repr(error)
                with lock:
                    served[0] += 1
                    if answer not in words:
                        wrong.append((path, answer))

        threads = [threading.Thread(target=run, args=(path,), daemon=True)
                   for path in paths for _ in range(count)]
        for thread in threads:
            thread.start()

        def end():
            over.set()
            for thread in threads:
                thread.join()
            return served[0], wrong

        self.addCleanup(end)
        return end

    @staticmethod
    def visit(path):
        """Sends a word and an end of file; returns all that comes back."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(path)
            try:
                sock.sendall(b"x")
                sock.shutdown(socket.SHUT_WR)
            except BrokenPipeError:  # rejected
                pass
            return read_to_end(sock)
