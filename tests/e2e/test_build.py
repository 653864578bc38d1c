#!/usr/bin/env python3
"""Building: what configure decides is in what is built next, and nothing else is built again."""
import glob
import os
import shutil
import subprocess

from lib import SRC, Case, main, needs

# What a build makes in the source tree; the rest is the source, with what autoreconf has made.
MADE = ("*.o", "*.a", "*.log", "*.trs", "*.gc??", ".git", ".deps", ".dirstamp", "Makefile", "config.status",
        "build.h", "stamp-h1", "directories.*", "autom4te.cache")
MADE_AT_TOP = {"run", "deb", "fuzz"}


def is_made(folder, names):
    """What shutil.copytree() leaves out."""
    made = shutil.ignore_patterns(*MADE)(folder, names)
    if folder == SRC:
        made |= {name for name in names if name in MADE_AT_TOP or name.startswith("udsd-")}
    return made


class BuildCase(Case):
    def setUp(self):
        super().setUp()
        self.tree = self.path("tree")
        shutil.copytree(SRC, self.tree, ignore=is_made, symlinks=True)

    def run_in(self, *args):
        env = {name: value for name, value in os.environ.items()
               if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CFLAGS", "CC")}
        done = subprocess.run(args, cwd=self.tree, env=env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[-2000:])
        return done.stdout

    def object_of(self, name):
        source, = glob.glob(os.path.join(self.tree, "src", "**", name), recursive=True)
        return os.path.relpath(source, self.tree)[:-1] + "o"

    def build(self, *options):
        """What was built, of these: an object that has a directory in it, one that has none, a handler,
        and a file with directories that is installed."""
        self.run_in("./configure", "--quiet", *options)
        names = {"places": self.object_of("defaults.c"), "code": self.object_of("peer.c"),
                 "handler": "handlers/echo", "config": "etc/udsd.conf"}
        before = {word: self.stamp(name) for word, name in names.items()}
        self.run_in("make", *names.values())
        return {word for word, name in names.items() if self.stamp(name) != before[word]}

    def stamp(self, name):
        try:
            return os.stat(os.path.join(self.tree, name)).st_mtime_ns
        except FileNotFoundError:
            return None

    def holds(self, name, text):
        with open(os.path.join(self.tree, name), "rb") as file:
            return text.encode() in file.read()


class Decisions(BuildCase):
    @needs("gcc", "make", "pkg-config")
    def test_each_decision_is_in_what_is_built_next(self):
        everything = {"places", "code", "handler", "config"}
        plain = ("CFLAGS=-O0", "--disable-hardening", "--without-musl")
        self.assertEqual(self.build(*plain), everything)
        self.assertTrue(self.holds(self.object_of("defaults.c"), "/usr/local/etc/udsd.conf"))
        self.assertEqual(self.build("--prefix=/usr/local", "--sysconfdir=/etc", *plain),
                         {"places", "config"})
        self.assertFalse(self.holds(self.object_of("defaults.c"), "/usr/local/etc"))
        self.assertTrue(self.holds(self.object_of("defaults.c"), "/etc/udsd.conf"))
        self.assertTrue(self.holds("etc/udsd.conf", '"/etc/udsd.d/*.conf"'))
        # A config is written again whatever has changed, as it is cheap.
        for change in ("CFLAGS=-O1",), ("--enable-hardening",), ("LDFLAGS=-Wl,-O1",):
            with self.subTest(change):
                self.assertEqual(self.build("--sysconfdir=/etc", *plain, *change), everything)
                self.assertEqual(self.build("--sysconfdir=/etc", *plain, *change) - {"config"}, set())

    @needs("gcc", "make", "pkg-config", "musl-gcc")
    def test_musl_is_used_once_it_is_there(self):
        self.build("--without-musl")
        self.assertIn("handler", self.build())


class Jobs(BuildCase):
    @needs("make")
    def test_all_cpus_unless_told(self):
        """By the plain command that README gives; -j of one's own counts."""
        self.run_in("./configure", "--quiet")
        self.write("tree/show.mk", "show:; @echo '[$(AM_MAKEFLAGS)]'\n")
        every = "-j%d" % (len(os.sched_getaffinity(0)) + 2)
        for options, expected in ((), every), (("-k",), every), (("-j1",), ""), (("-j7",), ""):
            text = self.run_in("make", *options, "-f", "Makefile", "-f", "show.mk", "show")
            self.assertIn("[%s]" % expected, text)


if __name__ == "__main__":
    main()
