"""The programs under test: where they are, and how they were built."""
import atexit
import contextlib
import os
import shutil
import sys
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BUILD = os.environ.get("UDSD_BUILD") or TOP
SRC = os.environ.get("UDSD_SRC") or TOP


def copy_programs(*names):
    """Copies of programs of the build tree, in a directory that goes when this process ends:
    others must get at them too, and the build tree may be below one that is its owner's."""
    folder = tempfile.mkdtemp(prefix="udsd-programs-", dir="/tmp")
    os.chmod(folder, 0o755)
    owner = os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    copies = []
    for name in names:
        copies.append(os.path.join(folder, os.path.basename(name)))
        with contextlib.suppress(FileNotFoundError):  # main() reports it
            shutil.copyfile(os.path.join(BUILD, name), copies[-1])
            os.chmod(copies[-1], 0o755)
    return copies


UDSD, UDSC, UDSCTL, ECHO, UDSD_VFORK = copy_programs(
    "src/udsd", "src/udsc", "src/udsctl", "handlers/echo",
    "tests/faults/udsd_vfork",  # see src/worker/rawcall.h
)
WHOAMI = os.path.join(SRC, "handlers", "whoami")
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable


def is_sanitized(program):
    """Whether it was built with the address sanitizer."""
    try:
        with open(program, "rb") as file:
            return b"__asan_init" in file.read()
    except FileNotFoundError:
        return False


SANITIZED = is_sanitized(UDSD)
