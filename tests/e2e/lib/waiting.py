"""Waiting for a condition, with a bound; PATIENCE is how many times longer a bound is here."""
import os
import time

from lib.build_tree import SANITIZED

# What may take longer on a busy machine: upper bounds are multiplied by this.
PATIENCE = float(os.environ.get("UDSD_E2E_PATIENCE", 4 if SANITIZED else 2))
TEST_SECONDS = 60 * PATIENCE


def wait_for(condition, timeout=5, what=None):
    """Polls until condition() is true and returns its value; fails after timeout seconds,
    or longer on a busy machine."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %g s for %s" % (timeout, what or "a condition"))
        time.sleep(0.01)
