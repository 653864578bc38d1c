"""The places in src that these tests know by name, and where an address of the program is.

test_faults.py checks that all of them exist: what is renamed in src must be renamed here too, or its cases
would silently be judged as any other.
"""
import functools
import glob
import os
import re
import shutil
import subprocess

from lib.build_tree import SRC, UDSD_VFORK

NAMED = set()


def at(*places):
    """A pattern of the places FUNCTION, FUNCTION@FILE and @FILE, a file without its folder and .c."""
    NAMED.update(places)
    return "(%s)" % "|".join(re.sub(r"^@", r"\\w+@", place if "@" in place else place + "@")
                             for place in places)


@functools.lru_cache(None)
def place(offset):
    """Where a call returns to, as FUNCTION@FILE.c:LINE, if that is known."""
    if shutil.which("addr2line") is None:
        return "%#x" % offset
    done = subprocess.run(["addr2line", "-sfie", UDSD_VFORK, "%#x" % (offset - 1)], capture_output=True,
                          text=True, check=True)
    words = done.stdout.split("\n")
    pairs = list(zip(words[::2], words[1::2]))  # innermost first
    function, line = next((pair for pair in pairs if ".h:" not in pair[1]), pairs[0])
    return "%s@%s" % (function, line.split(" ")[0])


def is_in(site, pattern):
    """Whether the place of a site begins so."""
    return re.match(pattern, place(site.offset)) is not None


def missing():
    """Those of NAMED that src has not."""
    texts = {}
    for path in glob.glob(os.path.join(SRC, "src", "**", "*.c"), recursive=True):
        with open(path, encoding="utf-8") as file:
            texts[os.path.basename(path)[:-2]] = file.read()

    def is_there(name):
        function, _, name = name.partition("@")
        defined = re.compile(r"^\w.*\b%s\(" % function, re.M)
        return any(not function or defined.search(text) for file, text in texts.items()
                   if name in ("", file))

    return sorted(name for name in NAMED if not is_there(name))
