#!/usr/bin/env python3
"""tests/check-includes: which #include lines it finds wrong, in small trees. src/README.md: what it names is there."""
import os
import re
import sys

from lib import SRC, Case, main

CHECK = os.path.join(SRC, "tests", "check-includes")
CLEAN = {
    "udsd.c": ["build.h", "supervisor/loop.h", "common/clock.h"],
    "udsctl.c": ["ctl/ask.h"],
    "supervisor/loop.c": ["loop.h", "service/listener.h", "../control/request.h"],
    "supervisor/loop.h": [],
    "control/request.c": ["control/request.h", "service/listener.h"],
    "control/request.h": [],
    "service/listener.c": ["service/listener.h", "worker/accept.h"],
    "service/listener.h": ["config/config.h"],
    "worker/accept.c": ["accept.h", "config/config.h"],
    "worker/accept.h": [],
    "config/config.h": ["common/clock.h"],
    "common/clock.h": [],
    "ctl/ask.h": ["common/clock.h"],
}
# A file and what it includes besides, and what is said of its last line.
WRONG = {
    "up": ("worker/accept.h", "service/leaf.h", "worker may not use service, which is above it"),
    "aside": ("control/request.h", "upgrade/new.h", "control may not use upgrade"),
    "only of the service": ("supervisor/loop.c", "worker/accept.h", "supervisor may not use worker"),
    "ctl stands alone": ("ctl/ask.h", "config/config.h", "ctl may not use config"),
    "program": ("common/clock.h", "udsc.c", "common may not use udsc.c, which is above it"),
    "no folder": ("udsd.c", "elsewhere.h", "elsewhere.h has no place in the order of the folders"),
}


class House(Case):
    def check(self, tree, *expected):
        """Writes a tree and checks it; what is found must be as expected, FILE:LINE: TEXT."""
        top = self.folder("src%d" % len(os.listdir(self.dir)))
        for name, included in tree.items():
            os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
            self.write(os.path.join(top, name), "".join('#include "%s"\n' % one for one in included))
        done = self.run_program([sys.executable, CHECK, top])
        self.assertEqual(done.returncode, 1 if expected else 0, done.stdout + done.stderr)
        found = [line.replace(top + "/", "") for line in done.stdout.splitlines()[:-1]]
        self.assertEqual(found, sorted(expected))

    def test_a_clean_tree(self):
        self.check(CLEAN)

    def test_a_folder_that_may_not_be_used(self):
        for name, (path, target, text) in WRONG.items():
            with self.subTest(name):
                included = CLEAN[path] + [target]
                tree = {"udsc.c": [], "upgrade/new.h": [], "service/leaf.h": [], "elsewhere.h": [],
                        **CLEAN, path: included}
                self.check(tree, "%s:%d: %s" % (path, len(included), text))

    def test_a_circle(self):
        tree = {**CLEAN, "service/listener.c": ["service/listener.h", "service/apply.h"],
                "service/apply.h": [], "service/apply.c": ["service/apply.h", "service/reload.h"],
                "service/reload.h": ["service/listener.h"]}
        self.check(tree, "service/listener.c:2: in a circle with service/apply.h",
                   "service/apply.c:2: in a circle with service/reload.h",
                   "service/reload.h:1: in a circle with service/listener.h")

    def test_a_file_and_its_header_are_one(self):
        self.check({"common/log.c": ["log.h"], "common/log.h": ["clock.h"], "common/clock.h": []})

    def test_the_map_names_what_is_there(self):
        """Each `FILE: FUNCTION, ...` of src/README.md, and each file and folder."""
        with open(os.path.join(SRC, "src", "README.md"), encoding="utf-8") as file:
            words = re.findall(r"`([^`\n]+)`", file.read())
        named = 0
        for word in words:
            match = re.fullmatch(r"([a-z]+/\w+\.[ch]): ([\w, ]+)", word)
            if match is None:
                continue
            with open(os.path.join(SRC, "src", match[1]), encoding="utf-8") as file:
                text = file.read()
            for function in match[2].split(", "):
                named += 1
                with self.subTest(word):
                    self.assertRegex(text, r"(?m)^\w.*\b%s\(" % function)
        self.assertGreater(named, 20)
        for word in words:
            if re.fullmatch(r"[a-z]+/(\w+\.[ch])?", word) and not word.startswith(("tests", "handlers")):
                self.assertTrue(os.path.exists(os.path.join(SRC, "src", word)), word)


if __name__ == "__main__":
    main()
