"""Lets calls of udsd fail while a test wants it, by a preloaded library (faultshim.c)."""
import collections
import os
import re
import shutil
import struct
import tempfile

from lib.native import build_c

SHIM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faultshim.c")
with open(os.path.join(os.path.dirname(SHIM), "faultcalls.h"), encoding="ascii") as calls:
    CALLS = [None] + re.findall(r"^(?:CALL|MAKE|OTHER)\((\w+)", calls.read(), re.M)
ROLES = ("supervisor", "child", "log", "config", "control", "worker")
SITES = 1000
HEAD = struct.Struct("10IQ")    # as struct control in faultshim.c
SITE = struct.Struct("4IQ")

Site = collections.namedtuple("Site", "call role offset hits")


class Faults:
    """A preloaded library that lets calls of udsd fail while a test wants it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="udsd-faults-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.library = os.path.join(self.dir, "faultshim.so")
        self.control = os.path.join(self.dir, "control")
        self.why_not = build_c(SHIM, self.library, "-shared", "-fPIC", "-ldl")

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def environment(self):
        """The environment of a udsd that has faults."""
        with open(self.control, "wb") as file:
            file.write(bytes(HEAD.size + SITES * SITE.size))
        asan = os.environ.get("ASAN_OPTIONS", "")
        return dict(os.environ, LD_PRELOAD=self.library, UDSD_FAULTS=self.control,
                    ASAN_OPTIONS=asan + ":verify_asan_link_order=0")

    def _read(self):
        with open(self.control, "rb") as file:
            return HEAD.unpack(file.read(HEAD.size))

    def _write(self, offset, *words):
        with open(self.control, "r+b", buffering=0) as file:
            file.seek(offset)
            file.write(struct.pack("%dI" % len(words), *words))

    def loaded(self):
        return self._read()[0] != 0

    def hits(self):
        """How often the call has failed since begin()."""
        return self._read()[3]

    def begin(self, call, error):
        """From now on the call fails everywhere."""
        self._write(4, CALLS.index(call), error, 0, 1, 0, 0)

    def begin_at(self, site, error, first=1, last=1):
        """Of the next times that the call is made at this site these fail."""
        self.end()
        self._write(HEAD.size - 8, site.offset & 0xffffffff, site.offset >> 32)
        self._write(4, CALLS.index(site.call), error, 0, first, last, ROLES.index(site.role) + 1)

    def end(self):
        self._write(4, 0, 0, 0, 0, 0, 0)
        self._write(HEAD.size - 8, 0, 0)

    def record(self, on):
        """Whether the sites that are passed are written down, from none on."""
        self._write(28, int(on), *([0] if on else []))

    def sites(self):
        """Those that were written down."""
        count = self._read()[8]
        with open(self.control, "rb") as file:
            data = file.read()[HEAD.size : HEAD.size + min(count, SITES) * SITE.size]
        return sorted({Site(CALLS[call], ROLES[role], offset, hits)
                       for call, role, hits, _, offset in SITE.iter_unpack(data) if offset})
