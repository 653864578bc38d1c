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
from places import at, missing

SOME = 100      # each hundredth
# Cases that did harm once: phase, place, and what else the name of a case has.
FOUND = re.compile("|".join("%s: .*%s.*%s" % row for row in (
    ("start", at("startup_limit"), "getrlimit"),
    ("start", at("open_standard"), "(close|open)"),
    ("start", at("loader_start"), "fork"),
    ("start", at("wait_for@udsd", "copy_vector", "@parse"), ""),
    ("daemon", "", "(read|write): EIO"),
    ("connection", at("drain_channel@logger"), "read: EIO"),
    ("connection", at("reap@children"), "EINTR"),
    ("connection", at("wait_for_child@reaper"), "ECHILD"),
    ("wait", at("setup_descriptors"), "EMFILE"),
    ("reload", at("send_order"), "EAGAIN"),
    ("reload", at("read_order", "channel_ready"), "ENOMEM"),
    ("stop", at("accept_refuse_next"), "EMFILE"),
    ("stop", at("wait_for_next"), "EINTR"),
    ("upgrade", at("write_names"), ""),
    ("death", at("add@orphans"), ""),
)))
FOUND_LATER = re.compile("upgrade: .*%s.*ENOMEM the second time" % at("add_channel@logger")) # not at a first call


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

    def test_the_places_exist(self):
        self.assertEqual(missing(), [], "renamed in src, but not in tests/faults")

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
