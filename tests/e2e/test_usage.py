#!/usr/bin/env python3
"""What all programs say of wrong command lines, and of output that cannot be written."""
import os
import re
import resource

from lib import SRC, UDSC, UDSCTL, UDSD, ECHO, main, wait_for
from lib.control_socket import ControlCase

USAGE = 64
WHOAMI = os.path.join(SRC, "handlers", "whoami")
METRICS = os.path.join(SRC, "handlers", "metrics")
PROGRAMS = {"udsd": UDSD, "udsctl": UDSCTL, "udsc": UDSC, "echo": ECHO, "whoami": WHOAMI,
            "metrics": METRICS}
KILL = "usage: udsctl [-s SOCKET] kill SERVICE CONN\n"
COMMANDS = ["status", "list", "kill", "disable", "enable", "drain", "reload", "metrics", "top", "help"]

# program, words, what the first line says behind the program's name, what comes later
WRONG = [
    ("udsctl", [], "a command is missing", "\n  kill SERVICE CONN "),
    ("udsctl", ["stauts"], "no such command: stauts, did you mean status?", "\n  status [SERVICE] "),
    ("udsctl", ["lst"], "no such command: lst, did you mean list?", "\n  list [SERVICE] "),
    ("udsctl", ["relaod"], "no such command: relaod, did you mean reload?", ""),
    ("udsctl", ["STATUS"], "no such command: STATUS, did you mean status?", ""),
    ("udsctl", ["frobnicate"], "no such command: frobnicate", "\n  top "),
    ("udsctl", [""], "no such command: ", ""),
    ("udsctl", ["help", "kil"], "no such command: kil, did you mean kill?", ""),
    ("udsctl", ["kill"], "kill: too few words", KILL),
    ("udsctl", ["kill", "s"], "kill: too few words", KILL),
    ("udsctl", ["kill", "s", "1", "2"], "kill: too many words", KILL),
    ("udsctl", ["disable"], "disable: too few words", "disable SERVICE\n"),
    ("udsctl", ["enable", "a", "b"], "enable: too many words", "enable SERVICE\n"),
    ("udsctl", ["drain"], "drain: too few words", "drain SERVICE\n"),
    ("udsctl", ["status", "a", "b"], "status: too many words", "[--json] status [SERVICE]\n"),
    ("udsctl", ["list", "a", "b"], "list: too many words", "[--json] list [SERVICE]\n"),
    ("udsctl", ["reload", "s"], "reload: too many words", "[-s SOCKET] reload\n"),
    ("udsctl", ["metrics", "s"], "metrics: too many words", "[-s SOCKET] metrics\n"),
    ("udsctl", ["top", "s"], "top: too many words", "[-s SOCKET] top\n"),
    ("udsctl", ["help", "a", "b"], "help: too many words", "help [COMMAND]\n"),
    ("udsctl", ["status", "a b"], 'status: not a name: "a b"', "status [SERVICE]\n"),
    ("udsctl", ["kill", "", "1"], 'kill: not a name: ""', KILL),
    ("udsctl", ["--json", "reload"], "reload: --json goes with status and list only", "reload\n"),
    ("udsctl", ["-x"], "unknown option -x", "usage: udsctl"),
    ("udsctl", ["-jx", "status"], "unknown option -x", "usage: udsctl"),
    ("udsctl", ["--jsno", "status"], "unknown option --jsno, did you mean --json?", "usage: udsctl"),
    ("udsctl", ["--json=1", "status"], "option -j, --json takes no argument", "usage: udsctl"),
    ("udsctl", ["status", "-s"], "option -s, --socket wants an argument", "usage: udsctl"),
    ("udsctl", ["-s", "", "status"], '-s wants a path or @NAME of 1 to 107 bytes: ""', ""),
    ("udsctl", ["-s", "x" * 108, "status"], '-s wants a path or @NAME of 1 to 107 bytes: "xx', ""),
    ("udsd", ["-x"], "unknown option -x", "usage: udsd"),
    ("udsd", ["--foregruond"], "unknown option --foregruond, did you mean --foreground?", "usage: udsd"),
    ("udsd", ["--test=yes"], "option -t, --test takes no argument", "usage: udsd"),
    ("udsd", ["-c"], "option -c, --config wants an argument", "usage: udsd"),
    ("udsd", ["-l", "loud"], "-l wants error, warning, notice, info or debug: loud", "usage: udsd"),
    ("udsd", ["-p", "x"], '-p wants an absolute path, or "" for none: x', "usage: udsd"),
    ("udsd", ["-o", "umask"], "-o wants NAME=VALUE: umask", "usage: udsd"),
    ("udsd", ["-o", "umask=0"], "-o goes with SOCKET and HANDLER only", "usage: udsd"),
    ("udsd", ["/tmp/x.sock"], "a handler is missing after the socket: /tmp/x.sock", "usage: udsd"),
    ("udsd", ["reload"], "one word is neither SOCKET nor HANDLER, and udsctl steers a running udsd: reload",
     "usage: udsd"),
    ("udsd", ["-s"], "-s goes with -f", "usage: udsd"),
    ("udsc", [], "the SOCKET is missing", "usage: udsc"),
    ("udsc", ["-v"], "the SOCKET is missing", "usage: udsc"),
    ("udsc", ["-x", "S"], "unknown option -x", "usage: udsc"),
    ("udsc", ["--verbos3", "S"], "unknown option --verbos3, did you mean --verbose?", "usage: udsc"),
    ("udsc", ["-w"], "option -w, --wait wants an argument", "usage: udsc"),
    ("udsc", ["-w", "soon", "S"], "-w wants seconds, from 0.001 to 1000000: soon", "usage: udsc"),
    ("udsc", ["-t", "dgram", "S"], "-t wants stream or seqpacket: dgram", "usage: udsc"),
    ("echo", ["-x"], "unknown option: -x", ""),
    ("echo", ["--hlep"], "unknown option: --hlep", ""),
    ("whoami", ["-x"], "unknown option -x", "usage: whoami"),
    ("metrics", ["-x"], "unknown option -x", "usage: metrics"),
    ("metrics", ["status"], "unknown option status", "usage: metrics"),
]


class Usage(ControlCase):
    def run_named(self, name, words, **kw):
        return self.run_program([PROGRAMS[name], *words], **kw)

    def test_wrong_command_lines(self):
        for name, words, first, later in WRONG:
            with self.subTest(name=name, words=words):
                done = self.run_named(name, words)
                self.assertEqual((done.returncode, done.stdout), (USAGE, ""), done.stderr)
                self.assertEqual(done.stderr[:len(name) + 2 + len(first)], "%s: %s" % (name, first))
                self.assertIn(later, done.stderr)

    def test_a_name_of_its_own_by_whatever_path(self):
        link = self.path("other-name")
        for name in ("udsd", "udsctl", "udsc"):
            with self.subTest(name=name):
                os.symlink(os.path.abspath(PROGRAMS[name]), link)
                done = self.run_program([link, "-x"])
                self.assertRegex(done.stderr, "^%s: unknown option -x\n" % name)
                os.unlink(link)

    def test_help_is_whole(self):
        for words in (["-h"], ["--help"], ["help"]):
            done = self.run_named("udsctl", words)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for command in COMMANDS:
                self.assertRegex(done.stdout, r"(?m)^  %s ([][A-Z ]+)? +\S" % command)
            for option in ("-s, --socket=SOCKET", "-j, --json", "-h, --help", "-V, --version",
                           "Exit status"):
                self.assertIn(option, done.stdout)
        for command in COMMANDS[:-1]:
            for words in (["help", command], [command, "--help"], ["-h", command]):
                done = self.run_named("udsctl", words)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertRegex(done.stdout, r"^usage: udsctl \[-s SOCKET\] .*%s" % command)

    def test_help_and_version_of_all(self):
        for name in PROGRAMS:
            for word in ("-h", "--help", "-V", "--version"):
                with self.subTest(name=name, word=word):
                    done = self.run_named(name, [word])
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertRegex(done.stdout, "^(usage: )?%s" % name)


class Output(ControlCase):
    """Output that cannot be written is an error, which is said."""

    def check(self, name, words, status):
        for where, error in (("full", "No space left on device|I/O error"),
                             ("pipe", "Broken pipe|^$"), ("closed", "Bad file descriptor|I/O error"),
                             ("limit", "File too large|XFSZ|^$")):
            with self.subTest(name=name, words=words, where=where):
                done = self.run_into(where, [PROGRAMS[name], *words])
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stderr, error)
                if name.startswith("uds") and (words[0] != "-t" or where != "limit"):
                    self.assertEqual(done.returncode, status)
                    self.assertRegex(done.stderr, "(?m)^%s: standard output: (%s)$" % (name, error))
                elif done.stderr:
                    self.assertIn(name + ": ", done.stderr)

    @staticmethod
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def run_into(self, where, args):
        if where == "closed":
            return self.run_program(args, preexec_fn=lambda: os.close(1))
        if where == "limit":
            with open(self.path("output"), "wb") as file:
                return self.run_program(args, stdout=file, preexec_fn=self.limit)
        if where == "full":
            with open("/dev/full", "wb") as full:
                return self.run_program(args, stdout=full)
        reader, writer = os.pipe()
        os.close(reader)
        done = self.run_program(args, stdout=writer)
        os.close(writer)
        return done

    def test_help_and_version(self):
        for name, status in (("udsd", 71), ("udsctl", 1), ("udsc", 1), ("echo", 1), ("whoami", 1),
                             ("metrics", 1)):
            for word in ("-h", "--help", "-V", "--version"):
                self.check(name, [word], status)
        self.check("udsctl", ["help"], 1)
        self.check("udsctl", ["help", "kill"], 1)

    def test_every_command_that_prints(self):
        sup = self.serve_controlled(self.section("s"))
        self.greeted(sup.socket)
        wait_for(lambda: len(self.listed("s")) == 1, what="a connection")
        for words in (["status"], ["status", "s"], ["--json", "status"], ["list"],
                      ["--json", "list"], ["metrics"], ["top"], ["reload"]):
            self.check("udsctl", ["-s", self.control, *words], 1)
        self.check("udsd", ["-t", "-c", self.path("udsd.conf")], 71)
        self.check("udsc", [sup.socket, "text"], 1)

    def test_every_command_that_prints_nothing(self):
        """What was done is not undone by a full disk."""
        self.serve_controlled(self.section("s"))
        for words in (["disable", "s"], ["drain", "s"], ["enable", "s"]):
            with self.subTest(words=words):
                done = self.run_into("full", [UDSCTL, "-s", self.control, *words])
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_much_output(self):
        self.serve_controlled("".join(self.section("s%d" % n) for n in range(60)))
        for where in ("full", "pipe"):
            done = self.run_into(where, [UDSCTL, "-s", self.control, "metrics"])
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, "^udsctl: standard output: ")


class Near(ControlCase):
    def test_services(self):
        self.serve_controlled(self.section("files") + self.section("echo") + self.section("git-daemon"))
        for name, near in (("file", "files"), ("flies", "files"), ("Echo", "echo"),
                           ("git_daemon", "git-daemon"), ("daemon", "git-daemon"),
                           ("nothing-of-it", None), ("e", None)):
            for words in (["status"], ["list"], ["kill", None, "1"], ["disable"], ["enable"],
                          ["drain"]):
                with self.subTest(name=name, words=words):
                    words = [words[0], name, *words[2:]]
                    said = self.ctl(*words, status=1)
                    hint = ", did you mean %s?" % near if near else ""
                    self.assertRegex(said, "^udsctl: %s %s.*: no service has this name%s\n$"
                                     % (words[0], name, re.escape(hint)))

    def test_connections(self):
        self.serve_controlled(self.section("s"))
        for number, said in (("x", "a connection's number is needed, as `udsctl list`"),
                             ("1x", "a connection's number is needed, as `udsctl list`"),
                             ("99", "no live connection has this number, see `udsctl list`")):
            self.assertIn("udsctl: kill s %s: %s" % (number, said), self.ctl("kill", "s", number, status=1))


if __name__ == "__main__":
    main()
