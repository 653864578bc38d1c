"""Runs a file of unittest cases and prints TAP, one line for each test function.

Automake's tap-driver reads the output. A word on the command line runs only the tests
whose names contain it.
"""
import os
import shutil
import sys
import unittest

IS_ROOT = os.geteuid() == 0
HIDE_ROOT = os.environ.get("UDSD_E2E_HIDE_ROOT") == "1"


def needs_root(item):
    """Skips a test unless for root; UDSD_E2E_HIDE_ROOT=1 leaves it out of the plan."""
    item.udsd_needs_root = True
    return unittest.skipUnless(IS_ROOT, "needs root")(item)


def needs_user(item):
    """Skips a test for root, whom the kernel does not restrict."""
    return unittest.skipIf(IS_ROOT, "needs an ordinary user")(item)


def needs(*tools):
    """Skips a test where a program is not installed."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return unittest.skipIf(missing, "not installed: " + ", ".join(missing))


def diagnose(text):
    """Prints text as TAP diagnostics."""
    for line in str(text).rstrip().splitlines():
        print("#", line, flush=True)


def name_of(test):
    return test.id().split(".")[-1][len("test_") :].replace("_", " ")


class TapResult(unittest.TestResult):
    """Prints a line when a test has ended, with what went wrong before it."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.bad = False
        self.skip = None

    def startTest(self, test):
        super().startTest(test)
        self.bad = False
        self.skip = None

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.skip = reason

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._report(self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._report(self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            diagnose("case %s:" % subtest._subDescription())
            self._report(self._exc_info_to_string(err, test))

    def stopTest(self, test):
        super().stopTest(test)
        self.number += 1
        line = "%s %d - %s" % ("not ok" if self.bad else "ok", self.number, name_of(test))
        if self.skip is not None and not self.bad:
            line += " # SKIP " + self.skip
        print(line, flush=True)

    def _report(self, text):
        self.bad = True
        diagnose(text)


def is_hidden(test):
    method = getattr(test, test._testMethodName)
    for item in (method, type(test)):
        if getattr(item, "udsd_needs_root", False):
            return HIDE_ROOT and not IS_ROOT
    return False


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    """Runs the tests of the file that was started; exits 1 if one failed."""
    module = sys.modules["__main__"]
    words = sys.argv[1:]
    tests = [
        test
        for test in flatten(unittest.defaultTestLoader.loadTestsFromModule(module))
        if not is_hidden(test) and (not words or any(word in test.id() for word in words))
    ]
    if not tests:
        print("1..0 # SKIP nothing to run for this user")
        return
    print("1..%d" % len(tests), flush=True)
    result = TapResult()
    unittest.TestSuite(tests).run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
