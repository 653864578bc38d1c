#!/usr/bin/env python3
"""A fixed part of make faults: every step of privileges, what was ever found, and some of the rest."""
import re

from faults import Connection, Reload, Start, Stop, sweep
from harness import Case, diagnose, main

SOME = 12       # each twelfth
FOUND = re.compile("inherited_limit.*getrlimit|open_standard.*(close|open)|drain@logger.*ENOMEM|"
                   "unit_order.*EAGAIN|obey.*ENOMEM|unit_answer.*ENOMEM|refuse_next.*EMFILE")


def is_chosen(number, runner, trial):
    return (number % SOME == 0 or FOUND.search(trial.name)
            or (trial.name.endswith("EPERM") and runner.is_privilege(trial.site)))


class Faults(Case):
    def check(self, phase):
        count, failed = sweep(phase, diagnose, is_chosen)
        diagnose("%d cases" % count)
        self.assertGreater(count, 5)
        self.assertEqual(failed, [])

    def test_at_the_start(self):
        self.check(Start)

    def test_at_a_connection(self):
        self.check(Connection)

    def test_at_a_reload(self):
        self.check(Reload)

    def test_at_a_stop(self):
        self.check(Stop)


if __name__ == "__main__":
    main()
