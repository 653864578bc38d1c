"""The programs under test: where they are, and how they were built."""
import os
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BUILD = os.environ.get("UDSD_BUILD") or TOP
SRC = os.environ.get("UDSD_SRC") or TOP
UDSD = os.path.join(BUILD, "src", "udsd")
UDSD_VFORK = os.path.join(BUILD, "tests", "faults", "udsd_vfork") # see src/raw.h
UDSC = os.path.join(BUILD, "src", "udsc")
UDSCTL = os.path.join(BUILD, "src", "udsctl")
ECHO = os.path.join(BUILD, "handlers", "echo")
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
