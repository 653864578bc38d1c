#!/usr/bin/env python3
"""A fixed part of make faults: each step of privileges, what was ever found, some of the rest."""
import errno
import os
import re
import sys

sys.path.insert(1, os.path.join(sys.path[0], "..", "e2e")) # for lib
from lib import Case, diagnose, main
from faults import sweep
from phases import Connection, Control, Daemon, Death, Reload, Start, Stop, Upgrade, Wait

SOME = 100      # each hundredth
FOUND = re.compile(
    "start: .*(inherited_limit.*getrlimit|open_standard.*(close|open)|loader_start.*fork|wait_for@|"
    "copy_vector|walk_section|section_texts|finish_user)|daemon: .*(read|write): EIO|"
    "connection: .*(drain@.*ENOMEM|children_reap.*EINTR|reap@.*ECHILD)|wait: .*place_descriptors.*EMFILE|"
    "reload: .*(unit_order.*EAGAIN|obey.*ENOMEM|unit_answer.*ENOMEM)|stop: .*(refuse_next.*EMFILE|reap_next.*EINTR)|"
    "upgrade: .*write_names|death: .*add@orphan")
FOUND_LATER = re.compile("upgrade: .*watch@logger.*ENOMEM the second time") # not at a first call


def is_chosen(number, runner, trial):
    if number % SOME == 0:
        return True
    if trial.first != trial.last or trial.first > 1:
        return FOUND_LATER.search(trial.name)
    is_step = trial.error == errno.EPERM and runner.is_privilege(trial.site)
    return FOUND.search(trial.name) or (is_step and isinstance(runner, (Connection, Wait)))


class Faults(Case):
    def check(self, phase):
        count, failed = sweep(phase, diagnose, is_chosen)
        diagnose("%d cases" % count)
        self.assertGreater(count, 2)
        self.assertEqual(failed, [])

    def test_at_the_start(self):
        self.check(Start)

    def test_of_a_daemon(self):
        self.check(Daemon)

    def test_at_a_connection(self):
        self.check(Connection)

    def test_where_the_handler_accepts(self):
        self.check(Wait)

    def test_at_the_death_of_a_worker(self):
        self.check(Death)

    def test_at_a_reload(self):
        self.check(Reload)

    def test_at_a_request(self):
        self.check(Control)

    def test_at_an_upgrade(self):
        self.check(Upgrade)

    def test_at_a_stop(self):
        self.check(Stop)


if __name__ == "__main__":
    main()
