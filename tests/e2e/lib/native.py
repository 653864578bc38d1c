"""The C library, and programs in C that tests compile."""
import ctypes
import os
import shutil
import subprocess

libc = ctypes.CDLL(None, use_errno=True)


def build_c(source, output, *options):
    """Compiles a program of the tests. None, or why that is not possible here."""
    compiler = os.environ.get("CC", "cc").split()
    if shutil.which(compiler[0]) is None:
        return "not installed: " + compiler[0]
    done = subprocess.run([*compiler, "-O1", "-o", output, source, *options],
                          capture_output=True, text=True, check=False)
    return "cannot be built: " + done.stderr.strip() if done.returncode else None
