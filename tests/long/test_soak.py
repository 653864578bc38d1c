#!/usr/bin/env python3
"""make soak with small numbers: clients without pause while the supervisor is reloaded, upgraded, killed
and stopped."""
import os
import sys

sys.path.insert(1, os.path.join(sys.path[0], "..", "e2e")) # for lib
from lib import PATIENCE, SANITIZED, Case, diagnose, main
import soak

NUMBERS = {"connects": 2000, "clients": 3, "reloads": 60, "upgrades": 6, "kills": 30, "stops": 60,
           "services": 200}


class Soak(Case):
    def test_connections_leave_nothing(self):
        self.assertEqual(soak.connects(self, NUMBERS, diagnose), [])

    def test_reloads_and_upgrades_drop_no_connection(self):
        failed, warm, after, dead = soak.reloads_and_upgrades(self, NUMBERS, diagnose)
        self.assertEqual((failed, dead), ({}, 0))
        self.assertLessEqual(after[0], warm[0] + 2, "descriptors of the supervisor")
        if not SANITIZED:
            self.assertLessEqual(after[1], warm[1] + 100, "KiB of the supervisor")

    def test_a_kill_costs_one_client_at_most(self):
        failed, killed, dead = soak.kills_and_deletions(self, NUMBERS, diagnose)
        self.assertLessEqual(soak.lost(failed), killed, failed)
        self.assertEqual(dead, 0)

    def test_stop_at_any_moment_leaves_nothing(self):
        slowest, statuses = soak.stops(self, NUMBERS, diagnose)
        self.assertLessEqual(set(statuses), {0, -15})
        self.assertLess(slowest, 0.5 * PATIENCE)

    def test_many_services_are_reloaded_soon(self):
        self.assertLess(soak.many_services(self, NUMBERS, diagnose), 1 * PATIENCE)


if __name__ == "__main__":
    main()
