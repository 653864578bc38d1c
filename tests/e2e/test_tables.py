#!/usr/bin/env python3
"""Commands, counters and reasons for rejection: the tables in src, manual pages and completion agree."""
import json
import os
import re

from lib import SRC, UDSCTL, main, needs
from lib.control_socket import ControlCase

VARIABLE = ("error", "retry", "wait")     # keys of a status record that only some services have


def manual(name, begin, end):
    """What is in a manual page between two texts."""
    with open(os.path.join(SRC, "man", name), encoding="utf-8") as file:
        return file.read().split(begin, 1)[1].split(end, 1)[0]


def entries(text, macro):
    """Items of a list such as `.It Ic status Op Ar service`, each with its arguments as a help has them."""
    for name, rest in re.findall(r"^\.It %s (\S+)(.*)$" % macro, text, re.M):
        words = re.findall(r"(Op )?(?:Ar )?(\w+)", rest)
        yield name, ["[%s]" % word if option else word for option, word in words]


def shape(arguments):
    """How many there are, and which may be left out."""
    return [word.startswith("[") for word in arguments]


def words_of(text):
    """All literal words of a text that may be keys."""
    return [word for line in re.findall(r"^\.Li (.*)$", text, re.M) for word in line.split()
            if re.fullmatch("[a-z-]+", word)]


class Tables(ControlCase):
    def commands(self):
        """Those of udsctl's help, with their arguments."""
        text = self.run_program([UDSCTL, "--help"]).stdout
        return {name: rest.split() for name, rest in re.findall(
            r"^  ([a-z]+)((?: \[?[A-Z]+\]?)*) ", text, re.M)}

    def requests(self):
        """Those that the supervisor takes, with their arguments."""
        names = re.search("there are (.*)", self.ask(b"nonsense\n"))[1].split(", ")
        usages = [self.ask(name.encode() + b" a b c\n").split(": ")[1].split() for name in names]
        self.assertEqual([usage[0] for usage in usages], names)
        return {usage[0]: usage[1:] for usage in usages}

    def test_commands(self):
        self.serve_controlled(self.section("s"))
        commands, requests = self.commands(), self.requests()
        self.assertLessEqual(len(requests), len(commands))
        self.assertEqual({name: commands.get(name) for name in requests}, requests)
        for page, begin, end, macro, table in (
                ("udsctl.8", "The commands are as follows:", "The options are as follows:", "Ic", commands),
                ("udsd.8", "within 10 seconds is closed.", ".Sh ENVIRONMENT", "Li", requests)):
            told = {}
            for name, arguments in entries(manual(page, begin, end), macro):
                told.setdefault(name, arguments)        # a record has the name of a request
            self.assertEqual({name: shape(told.get(name, "?")) for name in table},
                             {name: shape(table[name]) for name in table}, page)
            if page == "udsctl.8":
                self.assertEqual(list(told), list(table))

    @needs("bash", "awk")
    def test_completion(self):
        script = ('source "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _udsctl; printf "%s\\n" "${COMPREPLY[@]}"')
        for word, wanted in (("", list(self.commands())),
                             ("--", ["--socket", "--json", "--help", "--version"])):
            done = self.run_program(["bash", "-c", script, "bash",
                                     os.path.join(SRC, "etc", "udsctl.bash"), UDSCTL, word])
            self.assertEqual(done.stdout.split(), wanted)

    def test_json_goes_with_what_the_manual_says(self):
        text = manual("udsctl.8", "Fl \\-json\n.Ic status", "as JSON")
        told = ["status"] + re.findall(r"^\.Ic (\w+)$", text, re.M)
        for name, arguments in self.commands().items():
            done = self.run_program([UDSCTL, "-s", self.path("none"), "-j", name]
                                    + ["1" for word in arguments if not word.startswith("[")])
            self.assertEqual(done.returncode, 69 if name in told else 64, name)

    def test_counters(self):
        self.serve_controlled(self.section("s"))
        told = words_of(manual("udsd.8", ".It Li status\nA service:", ".It Li exits"))
        told = {word for word in told if word not in VARIABLE}
        keys = [key for key in self.status("s") if key != "exits"]
        self.assertEqual(sorted(told), sorted(keys))
        helps = dict(re.findall(r"^# HELP \S+ (.*)()$", self.ctl("metrics"), re.M))
        rows = re.findall(r"^  ([a-z-]+) +[0-9.]+ +([A-Z].*)$", self.ctl("status", "s"), re.M)
        self.assertGreater(len(rows), 7)
        for key, text in rows:
            self.assertIn(key, keys)
            self.assertTrue(text in helps or key.startswith("rejected-"), text)

    def test_reasons(self):
        self.serve_controlled(self.section("s"))
        reasons = [key[len("rejected-"):] for key in self.status("s") if key.startswith("rejected-")]
        text = manual("udsd.8", ".It Li reject service=", ".It Li gone ")
        self.assertEqual([name for name, _ in entries(text, "Li")], reasons)
        metrics = re.findall(r'^udsd_rejected_total\{service="s",reason="(.*)"\} 0$', self.ctl("metrics"),
                             re.M)
        self.assertEqual(metrics, reasons)

    def test_records(self):
        """What else the manual page says of records is so."""
        sup = self.serve_controlled(self.section("s"))
        self.greeted(sup.socket)
        sup.wait_event("open")
        for begin, end, row in (
                (".It Li udsd\nThe supervisor:", ".It Li status", json.loads(
                    self.ctl("--json", "status"))["udsd"]),
                ("for each live one:", "then\n.Li end", dict(self.records(b"list\n")[0][1]))):
            self.assertEqual(sorted(words_of(manual("udsd.8", begin, end))), sorted(row), begin)


if __name__ == "__main__":
    main()
