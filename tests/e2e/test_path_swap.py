#!/usr/bin/env python3
"""A directory's owner who puts other things in the place of a socket, or of its directory, at every
moment of starts and reloads: nothing outside of the directory is ever removed, changed or followed.
"""
import os
import signal
import socket

from lib import IS_ROOT, Case, complete, config, diagnose, main, service, wait_for
from lib.users import Child, Who

OWNER = Who(61003, 61003) if IS_ROOT else None
STARTS, RELOADS = 15, 30


def put(kind, name, precious):
    """Makes a thing of a kind; what may stand in the place of a live socket at once."""
    if kind == "file":
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600))
    elif kind == "fifo":
        os.mkfifo(name)
    elif kind == "live socket":
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(name)
        sock.listen()
        return sock
    elif kind == "stale socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(name)
    else:
        os.symlink(os.path.join(precious, kind), name)
    return None


def attempt(function, *args):
    """udsd, or what is there, may be in the way."""
    try:
        return function(*args)
    except OSError:
        return None


def swap(folder, precious, over):
    """Puts things in the place of FOLDER/s, and links in that of FOLDER/d, in which there is another
    socket, until there is a file `over`: how often."""
    os.chdir(folder)
    kinds = ["file", "fifo", "live socket", "stale socket", "dangling", "precious", "dir", "sock"]
    count = 0
    while not os.path.exists(over):
        kept = attempt(put, kinds[count % len(kinds)], "aside", precious)
        attempt(os.rename, "aside", "s")
        attempt(os.unlink, "aside")     # a directory is there
        if count % 2:
            attempt(os.symlink, precious, "link")
            attempt(os.rename, "d", "old")
            attempt(os.rename, "link", "d")
        for _ in range(count % 20):
            os.lstat(".")
        if count % 3 == 0:              # or nothing, or a directory
            attempt(os.unlink, "s")
            attempt(os.rmdir, "s")
        if count % 9 == 0:
            attempt(os.mkdir, "s")
        if count % 2:
            attempt(os.unlink, "d")
            attempt(os.unlink, "link")
            attempt(os.rename, "old", "d")
        if kept is not None:
            kept.close()
        count += 1
    return count


class Swap(Case):
    def setUp(self):
        super().setUp()
        self.precious = self.folder("precious")
        self.write("precious/precious", "mine", 0o600)
        self.write("precious/t", "mine", 0o600)
        os.mkdir(self.path("precious/dir"))
        self.live = self.client()
        self.live.bind(self.path("precious/sock"))
        self.live.listen()
        os.chmod(self.path("precious/sock"), 0o600)
        self.where = self.folder("theirs", 0o755)
        if OWNER:
            os.chown(self.where, OWNER.uid, OWNER.gid)
        self.before = self.look()

    def look(self):
        """All that could change of what is precious."""
        result = {}
        for name in ("precious", "t", "dir", "sock"):
            info = os.lstat(os.path.join(self.precious, name))
            result[name] = (info.st_ino, info.st_mode, info.st_uid, info.st_gid, info.st_size,
                            info.st_mtime_ns, info.st_ctime_ns)
        return result

    def assert_untouched(self):
        self.assertEqual(self.look(), self.before)
        extra = set(os.listdir(self.precious)) - set(self.before)
        self.assertEqual(extra, set(), "made where a link led")

    def text(self, turn=0):
        """The path itself, and one in a directory that is swapped."""
        return complete(config(
            service("s", socket=self.where + "/s", handler=[self.echo()],
                    socket_mode="06%d0" % (turn % 2 * 6))
            + service("t", socket=self.where + "/d/t", handler=[self.echo()],
                      enabled=turn % 3 != 1, socket_mode="0666")
            + service("u", socket=self.path("u"), handler=[self.echo()])))

    def swapping(self):
        over = self.path("over")
        child = Child(OWNER, swap, self.where, self.precious, over)

        def end():
            with open(over, "w", encoding="ascii"):
                pass
            count = child.result()
            os.unlink(over)
            diagnose("%d times swapped" % count)
            self.assertGreater(count, 100)

        return end

    def test_at_starts(self):
        conf = self.write("udsd.conf", self.text())
        end = self.swapping()
        results = []
        for _ in range(STARTS):
            sup = self.start(["-f", "-c", conf])
            wait_for(lambda sup=sup: sup.poll() is not None or sup.events("listen"))
            if sup.poll() is None:
                self.assertEqual(self.talk(self.path("u"), b"x"), b"hello\r\nx")
                self.assertEqual(sup.stop(), 0)
            results.append(sup.result)
            self.assertIn(sup.result, (0, 69, 71))
        end()
        diagnose("exit status of %d starts: %s" % (len(results), results))
        self.assert_untouched()

    def test_at_reloads(self):
        """The supervisor serves all the time, whatever becomes of the reloads."""
        sup = self.start(["-f", "-c", self.write("udsd.conf", self.text())])
        sup.wait_events(3, "listen")
        end = self.swapping()
        for turn in range(1, RELOADS + 1):
            os.replace(self.write("new.conf", self.text(turn)), self.path("udsd.conf"))
            sup.kill(signal.SIGHUP)
            wait_for(lambda n=turn: sum("status" in e for e in sup.events("reload")) >= n, 12)
            self.assertEqual(self.talk(self.path("u"), b"x"), b"hello\r\nx")
        end()
        self.assertEqual(sup.stop(), 0)
        diagnose("%d of %d reloads done" % (len(sup.events("reload", status="done")), RELOADS))
        self.assert_untouched()


if __name__ == "__main__":
    main()
