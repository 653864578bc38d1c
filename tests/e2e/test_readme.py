#!/usr/bin/env python3
"""README's examples, from its own text. .ci/readme runs all its commands, in a system of their own."""
import os
import re

from lib import SRC, Case, main, needs_root, service

LINK = re.compile(r"\]\(([^)#:]+)\)")


def readme():
    with open(os.path.join(SRC, "README.md"), encoding="utf-8") as file:
        return file.read()


class Readme(Case):
    @needs_root
    def test_a_first_service_beside_the_installed_config_warns_of_nothing(self):
        """At the start and at each reload: README gives it a user of its own."""
        first = re.search(r"<<'END'\n(    service .*?)^    END", readme(), re.M | re.S)[1]
        self.assertRegex(first, r"\n\s*user +=")
        socket = self.path("clock.sock")
        first = re.sub(r'(user +=) "\w+"', r'\1 "games"', first).replace("/run/udsd/clock.sock", socket)
        sup = self.udsd('defaults { user = "nobody" }\n' +
                        service("echo", socket=self.path("echo.sock"), handler=[self.echo()]) + first, ready=None)
        sup.sockets = [self.path("echo.sock"), socket]
        self.wait_ready(sup)
        self.assertIn(b"UTC", self.talk(socket))
        sup.kill(1)
        sup.wait_event("reload", status="done")
        self.assertEqual([line for line in sup.lines() if "warning" in line or "same user" in line], [])

    def test_what_it_links_to_is_there(self):
        for folder in ("", "tests", "tests/bench"):
            with open(os.path.join(SRC, folder, "README.md"), encoding="utf-8") as file:
                for link in LINK.findall(file.read()):
                    self.assertTrue(os.path.exists(os.path.join(SRC, folder, link)), link)

    def test_tests_that_are_named_are_there(self):
        with open(os.path.join(SRC, "tests", "README.md"), encoding="utf-8") as file:
            names = set(re.findall(r"`(test_\w+\.py)`", file.read()))
        there = {name for _, _, files in os.walk(os.path.join(SRC, "tests")) for name in files}
        self.assertTrue(names)
        self.assertEqual(names - there, set())


if __name__ == "__main__":
    main()
