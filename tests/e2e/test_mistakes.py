#!/usr/bin/env python3
"""A table of mistakes in a config, and the whole answer of `udsd -t` to each.

The rows are in mistakes/*.txt: a text, and the answer below it.
    == service: NAME    the text stands in a service that has a socket, a handler and a user
    == top: NAME        it stands outside of sections; there are defaults with a user
    == raw: NAME        it is the whole file
    -- STATUS           the answer; `-- STATUS root` or `-- STATUS user` where it depends on who asks
FILE, DIR, USER and CAT stand for paths and names of the test; \\xHH is a byte; MANY is 140000 letters.
With UDSD_WRITE=1 in the environment the answers are written anew, to be looked at.
"""
import glob
import os
import re
import subprocess

from lib import IS_ROOT, USER, main
from lib.case import UDSD
from lib.config_case import CAT, ConfigCase

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mistakes")
ROW = re.compile(r"^== (\w+): (.*)\n((?:(?!--|==).*\n)*)((?:-- .*\n(?:(?!--|==).*\n)*)*)", re.M)
ANSWER = re.compile(r"^-- (\d+) ?(\w*)\n((?:(?!-- ).*\n)*)", re.M)
BEFORE = {
    "service": 'control-socket = "" defaults { user = USER } '
               'service s { socket = "DIR/s" handler = { CAT } ',
    "top": 'control-socket = "" defaults { user = USER } ',
    "raw": "",
}
AFTER = {"service": "}\n", "top": "", "raw": ""}
WHO = "root" if IS_ROOT else "user"


def rows(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for kind, name, config, answers in ROW.findall(text):
        yield kind, name, config, ANSWER.findall(answers)


class Mistakes(ConfigCase):
    def setUp(self):
        super().setUp()
        self.names = (("FILE", self.file), ("DIR", self.dir), ("USER", USER.pw_name), ("CAT", CAT))
        for name, text, mode in (
            ("no-interpreter", "echo hello\n", 0o755),
            ("crlf", "#!/bin/sh\r\necho hello\r\n", 0o755),
            ("missing", "#!/no/such/shell\n", 0o755),
            ("chain", "#!%s\n" % self.path("missing"), 0o755),
            ("env", "#!/usr/bin/env no-such-language\n", 0o755),
            ("empty", "", 0o755),
            ("nameless", "#!\n", 0o755),
            ("plain", "#!/bin/sh\n", 0o644),
        ):
            self.write(name, text, mode)
        os.mkdir(self.path("directory"))
        os.symlink("directory", self.path("link"))
        with open(CAT, "rb") as file:
            program = file.read()
        for name, data in (("cut", program[:3000]),
                           ("foreign", program[:18] + b"\xb7\x01" + program[20:])):
            with open(self.path(name), "wb") as file:
                file.write(data)
            os.chmod(self.path(name), 0o755)

    def answer(self, kind, text):
        """Status and output of udsd -t, with the names of the test put back."""
        text = BEFORE[kind] + text + AFTER[kind]
        for name, value in self.names:
            text = text.replace(name, value)
        text = text.replace("MANY", "x" * 140000)
        data = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())
        with open(self.file, "wb") as file:
            file.write(data)
        os.chmod(self.file, 0o644)
        done = subprocess.run([UDSD, "-t", "-c", self.file, "-p", ""], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False)
        said = done.stdout.decode(errors="surrogateescape")
        said = "".join(line for line in said.splitlines(True) if not line.startswith("service "))
        for name, value in self.names:
            said = re.sub(r"(?<![\w-])%s(?![\w-])" % re.escape(value), name, said)
        return done.returncode, said

    def test_the_whole_answer(self):
        count = 0
        for path in sorted(glob.glob(os.path.join(HERE, "*.txt"))):
            for kind, name, text, answers in rows(path):
                count += 1
                got = self.answer(kind, text)
                for status, who, said in answers:
                    if who in ("", WHO):
                        with self.subTest(file=os.path.basename(path), row=name):
                            self.assertEqual(got, (int(status), said))
        self.assertGreaterEqual(count, 150)


def write():
    """Puts today's answers into the files; those of the other kind of user stay."""
    test = Mistakes("test_the_whole_answer")
    test.setUp()
    for path in sorted(glob.glob(os.path.join(HERE, "*.txt"))):
        out = []
        for kind, name, text, answers in rows(path):
            status, said = test.answer(kind, text)
            other = [a for a in answers if a[1] not in ("", WHO)]
            old = [a for a in answers if a[1] == ""]
            now = "-- %d\n%s" % (status, said)
            if other and (int(other[0][0]), other[0][2]) != (status, said):
                now = "-- %s %s\n%s-- %d %s\n%s" % (*other[0], status, WHO, said)
            elif old and (int(old[0][0]), old[0][2]) != (status, said) and \
                    os.environ["UDSD_WRITE"] == "2":
                mine = "root" if WHO == "user" else "user"
                now = "-- %s %s\n%s-- %d %s\n%s" % (old[0][0], mine, old[0][2], status, WHO, said)
            out.append("== %s: %s\n%s%s" % (kind, name, text, now))
        with open(path, encoding="utf-8") as file:
            head = file.read().split("== ")[0]
        with open(path, "w", encoding="utf-8") as file:
            file.write(head + "".join(out))


if __name__ == "__main__":
    if "UDSD_WRITE" in os.environ:
        write()
    else:
        main()
