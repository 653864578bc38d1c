#!/usr/bin/env python3
"""The config: each fault is reported with file and line, what is right is accepted."""
import os
import re
import shutil
import time

from lib import (IS_ROOT, REFUSED, USER, Case, complete, config, main, needs_root, needs_user,
                 service)
from lib.allowed import niceness

CAT = shutil.which("cat")
MIB = 1024 * 1024

# Options of a service that are refused: text, and a word that the message must have.
BAD_OPTIONS = [
    ("colour = 1", "colour"),
    ('socket-mode = "0999"', "socket-mode"),
    ('socket-mode = "rw-"', "socket-mode"),
    ('socket-mode = "10000"', "socket-mode"),
    ('socket-mode = ""', "socket-mode"),
    ('directory-mode = "0778"', "directory-mode"),
    ('socket-owner = "no-such-user-here"', "no-such-user-here"),
    ('socket-group = "no-such-group-here"', "no-such-group-here"),
    ('type = "dgram"', "type"),
    ("enabled = maybe", "enabled"),
    ("wait = maybe", "wait"),
    ("backlog = -1", "backlog"),
    ("backlog = many", "backlog"),
    ('user = "no-such-user-here"', "no-such-user-here"),
    ('user = ""', "user"),
    ('group = "no-such-group-here"', "no-such-group-here"),
    ('supplementary-groups = { "no-such-group-here" }', "no-such-group-here"),
    ('directory = "relative"', "directory"),
    ('directory = "/no/such/place"', "/no/such/place"),
    ('directory = "/etc/passwd"', "/etc/passwd"),
    ('umask = "0888"', "umask"),
    ('umask = "1000"', "umask"),
    ("nice = 99", "nice"),
    ("nice = -21", "nice"),
    ("nice = low", "nice"),
    ('environment = { "NAME" }', "environment"),
    ('environment = { "=value" }', "environment"),
    ('environment = { "A=1", "B" }', "environment"),
    ('pass-environment = { "A=B" }', "pass-environment"),
    ('pass-environment = { "" }', "pass-environment"),
    ("no-new-privileges = perhaps", "no-new-privileges"),
    ('limit-nofile = "some"', "limit-nofile"),
    ('limit-nofile = "-1"', "limit-nofile"),
    ('limit-as = "1X"', "limit-as"),
    ('limit-as = "1KK"', "limit-as"),
    ('limit-fsize = "99999999999999999999999"', "limit-fsize"),
    ('limit-core = "99999999999999999G"', "limit-core"),
    ('limit-cpu = ""', "limit-cpu"),
    ('limit-nproc = "1 2"', "limit-nproc"),
    ('stderr = "relative/path"', "stderr"),
    ('stderr = ""', "stderr"),
    ("pass-fds = 7", "pass-fds"),
    ('allow = { "alice" }', "alice"),
    ('allow = { "user:no-such-user-here" }', "no-such-user-here"),
    ('deny = { "group:no-such-group-here" }', "no-such-group-here"),
    ('allow = { "uid:" }', "uid:"),
    ('allow = { "uid:x" }', "uid:x"),
    ('allow = { "uid:5-3" }', "uid:5-3"),
    ('allow = { "uid:4294967296" }', "uid:4294967296"),
    ('deny = { "gid:-1" }', "gid:-1"),
    ('deny = { "gid:1-" }', "gid:1-"),
    ('deny = { "" }', "deny"),
    ("max-connections = 65537", "max-connections"),
    ("max-connections = -1", "max-connections"),
    ("max-connections-per-user = -1", "max-connections-per-user"),
    ('rate = "many"', "rate"),
    ('rate = "100"', "rate"),
    ('rate = "0/10s"', "rate"),
    ('rate = "10/0s"', "rate"),
    ('rate = "10/10s/1"', "rate"),
    ('overflow = "drop"', "overflow"),
    ("max-lifetime = 5x", "max-lifetime"),
    ('max-lifetime = "-1s"', "max-lifetime"),
    ("kill-grace = soon", "kill-grace"),
    ('kill-grace = ""', "kill-grace"),
    ("idle-timeout = 1hour", "idle-timeout"),
    ('idle-timeout = "99999999999999999999h"', "idle-timeout"),
    ('idle-timeout = "9999999999999999h"', "idle-timeout"),
    ('worker-idle = "1 s"', "worker-idle"),
    ('log-level = "loud"', "log-level"),
    ('umask = "022" umask = "022"', "umask"),
    ('directory = "${HOME}"', "${"),
    ("directory = ${HOME}", "${"),
    ("stop-timeout = 1s", "stop-timeout"),
    ('include = { "/tmp/*.conf" }', "include"),
    ("umask", ""),
    ("umask = ", ""),
    ("= 1", ""),
    ('umask = { "022" }', ""),
    ('environment = "A=B', ""),
    ("defaults { }", "defaults"),
]

BAD_HANDLERS = [
    "{ }",
    '{ "" }',
    '{ "relative" }',
    '{ "/no/such/handler" }',
    '{ "/tmp" }',
    '{ "/etc/passwd" }',
    '{ "@DIR@" }',
]

BAD_SOCKETS = [
    "",
    "relative",
    "@",
    "@abstract-without-allow",
    "/" + "x" * 107,
    "/a\\nb",
    "/a\\x01b",
    "@" + "x" * 108,
    "/a\x7f",
]

BAD_GLOBALS = [
    ('log-level = "loud"', "log-level"),
    ('syslog-facility = "nowhere"', "syslog-facility"),
    ('control-mode = "0999"', "control-mode"),
    ('control-allow = { "alice" }', "alice"),
    ('stop-timeout = "never"', "stop-timeout"),
    ('stop-timeout = "-1"', "stop-timeout"),
    ("nonsense = 1", "nonsense"),
    ("server x { }", "server"),
    ("service { }", "service"),
    ('umask = "022"', "umask"),
    ('log-level = "info" log-level = "info"', "log-level"),
    ('defaults { umask = "0888" }', "umask"),
    ("defaults { nonsense = 1 }", "nonsense"),
    ('defaults { umask = "022" umask = "022" }', "umask"),
    ('defaults { socket = "/tmp/x" }', "socket"),
    ('defaults { handler = { "/bin/cat" } }', "handler"),
    ("}", ""),
    ("{", ""),
    ('"', ""),
    ("/* no end", ""),
    ("\x01", ""),
]

GOOD_OPTIONS = [
    'socket-mode = "0660"',
    'socket-mode = "777"',
    'directory-mode = "0700"',
    "type = stream",
    'type = "seqpacket"',
    "enabled = false",
    "enabled = no",
    "backlog = 128",
    'umask = "077"',
    'umask = "0"',
    "nice = 19",
    "nice = 0",
    'directory = "/tmp"',
    "environment = { }",
    'environment = { "A=", "B=x=y z" }',
    'environment += { "A=1" }',
    'pass-environment = { "TERM", "LANG" }',
    "limit-nofile = 100",
    'limit-nofile = "100"',
    'limit-as = "1G"',
    "limit-as = 64M",
    'limit-core = "infinity"',
    "limit-cpu = 5",
    'limit-fsize = "10K"',
    "limit-nproc = 50",
    "stderr = null",
    'stderr = "client"',
    'stderr = "syslog"',
    'stderr = "/tmp/x.log"',
    'allow = { "any", "self", "uid:0", "gid:0-99", "user:root" }',
    'deny = { "uid:4294967294" }',
    "max-connections = 65536",
    "max-connections = 1",
    "max-connections-per-user = 0",
    'rate = "100/10s"',
    'rate = "1/250ms"',
    'overflow = "reject"',
    'reject-message = "busy\\r\\n"',
    "max-lifetime = 2h",
    'max-lifetime = "5m"',
    "kill-grace = 0",
    "kill-grace = 250ms",
    "idle-timeout = 10",
    'worker-idle = "10s"',
    'log-level = "debug"',
    "no-new-privileges = true",
    "wait = false",
    "pass-fds = false",
    "# directory = nowhere",
    "/* nonsense */",
    "// nonsense",
] + (["supplementary-groups = { }", "nice = -20", 'user = "root"'] if IS_ROOT else [])

WHOLE = """# A comment with a " quote and a { brace
log-level = 'info' // and "one" more {
defaults {
    user = '@USER@'
    umask = "022"      /* a } in a comment */
}
service one {
    socket = "@DIR@/one}.sock"
    handler = { "@CAT@", "a \\" b", # in a list
        'c } d' }
    environment = { "A=/* no comment */", "B={", "C=#" }
}
/* between
   lines */
service "two" { socket = "@DIR@/two"  handler = { @CAT@ } }
"""


def open_at_end(text):
    """Whether text ends inside a section, list, string or block comment."""
    token = re.compile(
        r'#[^\n]*|//[^\n]*|/\*.*?\*/|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.S
    )
    rest = token.sub("", text)
    return rest.count("{") > rest.count("}") or bool(re.search(r"[\"']|/\*", rest))


class ConfigCase(Case):
    def setUp(self):
        super().setUp()
        self.file = self.path("udsd.conf")

    def fill(self, text):
        """Puts in what stands for paths and names of this test."""
        for name, value in (
            ("@DIR@", self.dir),
            ("@CAT@", CAT),
            ("@USER@", USER.pw_name),
        ):
            text = text.replace(name, value)
        return text

    def check(self, text, *args):
        """Runs udsd -t on the text just as it is."""
        self.write("udsd.conf", self.fill(text))
        return self.run_udsd("-t", "-c", self.file, *args)

    def assert_fault(self, done, lines, word="", file=None):
        """Refused, with a message that names the file and one of the lines."""
        self.assertEqual(done.returncode, REFUSED, done.stderr)
        pattern = r"%s:(%s):.*%s" % (
            re.escape(file or self.file),
            "|".join(map(str, lines)),
            re.escape(word),
        )
        self.assertRegex(done.stderr, pattern)

    def assert_accepted(self, done):
        """Accepted; warnings may be there."""
        self.assertEqual(done.returncode, 0, done.stderr)

    def section(self, *options, name="s"):
        """A whole service with more options, one a line, from the fourth on."""
        return (
            'service %s {\n    socket = "@DIR@/%s"\n    handler = { @CAT@ }\n%s\n}\n'
            % (name, name, "\n".join("    " + option for option in options))
        )


class Faults(ConfigCase):
    def test_a_bad_option_of_a_service(self):
        for option, word in BAD_OPTIONS:
            with self.subTest(option=option):
                done = self.check(complete(self.section("# four", option)))
                self.assert_fault(done, range(5, 12) if word == "" else [5], word)

    def test_a_bad_global_option(self):
        for option, word in BAD_GLOBALS:
            with self.subTest(option=option):
                text = self.section() + option + "\n"
                done = self.check(complete(text) if word else text)
                self.assert_fault(done, range(6, 12) if word == "" else [6], word)

    def test_a_bad_control_socket(self):
        for value in BAD_SOCKETS[1:]:           # "": none
            if value != "@abstract-without-allow":
                with self.subTest(value=value):
                    done = self.check(complete('control-socket = "%s"\n' % value
                                               + self.section()))
                    self.assert_fault(done, [1], "control-socket")

    def test_the_control_socket_is_no_service_s(self):
        done = self.check(complete('control-socket = "%s"\n' % self.path("s")
                                   + self.section()))
        self.assert_fault(done, range(2, 7), "control-socket")

    def test_wait_leaves_no_room_for_what_udsd_does_with_clients(self):
        for option in ('allow = { "any" }', 'deny = { "uid:1" }', "max-connections = 3",
                       "max-connections-per-user = 3", 'rate = "1/1s"', 'overflow = "reject"',
                       'reject-message = "no"', "max-lifetime = 1s", "idle-timeout = 1s",
                       "worker-idle = 1s", 'stderr = "syslog"', 'stderr = "client"'):
            for text in (self.section("wait = true\n" + option),
                         "defaults { %s\n%s }\n" % (option, 'user = "nobody"' if IS_ROOT else "")
                         + self.section("wait = true")):
                with self.subTest(option=option, text=text):
                    done = self.check(complete(text))
                    self.assertEqual(done.returncode, REFUSED)
                    self.assertIn(option.split()[0], done.stderr)

    def test_wait_goes_with_the_rest(self):
        for option in ('stderr = "null"', 'stderr = "/dev/null"', "nice = 1", "kill-grace = 0",
                       "backlog = 3", 'type = "seqpacket"', "enabled = false"):
            with self.subTest(option=option):
                done = self.check(complete(self.section("wait = true\n" + option)))
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(", wait", done.stdout)

    def test_wait_is_not_for_an_abstract_socket(self):
        text = self.section("wait = true").replace("@DIR@", "@no-path")
        done = self.check(complete(text))
        self.assertEqual(done.returncode, REFUSED, text)
        self.assertIn("use a path", done.stderr)

    def test_a_bad_pid_file(self):
        done = self.check('pid-file = "relative"\n' + self.section())
        self.assert_fault(done, [1], "pid-file")

    def test_a_bad_handler(self):
        for value in BAD_HANDLERS:
            with self.subTest(handler=value):
                text = 'service s {\n socket = "@DIR@/s"\n handler = %s\n}\n' % value
                self.assert_fault(self.check(complete(text)), [3])

    def test_a_bad_socket(self):
        for value in BAD_SOCKETS:
            with self.subTest(socket=value):
                text = 'service s {\n\n socket = "%s"\n handler = { @CAT@ }\n}\n' % value
                self.assert_fault(self.check(complete(text)), [3])

    def test_what_is_missing(self):
        for option in ('socket = "@DIR@/s"', "handler = { @CAT@ }"):
            with self.subTest(only=option):
                done = self.check(complete("\nservice s {\n    %s\n}\n" % option))
                self.assert_fault(
                    done, [2, 3, 4], "handler" if "sock" in option else "socket"
                )

    @needs_root
    def test_root_must_name_the_user(self):
        self.assert_fault(
            self.check("defaults { }\n" + complete(self.section())), [2, 6, 7], "user"
        )

    @needs_user
    def test_another_user_needs_root(self):
        done = self.check(complete(self.section('user = "root"')))
        self.assert_fault(done, range(1, 6), "user")

    def test_a_name_or_a_path_that_is_there_twice(self):
        second = 'service %s {\n socket = "@DIR@/%s"\n handler = { @CAT@ }\n}\n'
        for name, path in (("s", "other"), ("other", "s")):
            with self.subTest(name=name, path=path):
                done = self.check(complete(self.section() + second % (name, path)))
                self.assert_fault(done, [6, 7, 8, 9])

    def test_a_bad_name(self):
        for name in ("a\x1bb", "a\nb", "", "a b", "a/b", "x" * 300):
            with self.subTest(name=name):
                text = "\n" + self.section(name="s").replace(
                    "service s", "service '%s'" % name
                )
                self.assert_fault(self.check(complete(text)), range(2, 7))

    def test_all_faults_at_once(self):
        text = (
            'log-level = "loud"\n'
            + self.section('umask = "0999"', "nice = 99", 'user = "no-such-user-here"')
            + self.section('allow = { "uid:x" }', 'directory = "/no/such"', name="t")
            + "service u {\n handler = { @CAT@ }\n}\n"
        )
        done = self.check(complete(text))
        for line, word in (
            (1, "loud"),
            (5, "umask"),
            (6, "nice"),
            (7, "no-such-user-here"),
            (12, "uid:x"),
            (13, "/no/such"),
        ):
            self.assert_fault(done, [line], word)
        self.assert_fault(done, [15, 16, 17], "socket")

    def test_the_line_in_a_list_of_many_lines(self):
        text = self.section(
            "environment = {", ' "A=1",', ' "B",', ' "C=1"', "}", "nice = 99"
        )
        done = self.check(complete(text))
        self.assert_fault(done, range(4, 9), "environment")
        self.assert_fault(done, [9], "nice")

    def test_nothing_is_started_when_one_service_is_bad(self):
        text = complete(self.section() + self.section("nice = 99", name="t"))
        self.check(text)
        done = self.run_udsd("-f", "-c", self.file)
        self.assert_fault(done, [9], "nice")
        self.assertFalse(os.path.lexists(self.path("s")))

    def test_a_message_does_not_pass_control_bytes_on(self):
        done = self.check(complete(self.section('user = "a\x1b[31m"')))
        self.assertEqual(done.returncode, REFUSED)
        self.assertNotIn("\x1b", done.stderr)


class Cuts(ConfigCase):
    def test_the_whole_is_accepted(self):
        self.assert_accepted(self.check(complete(WHOLE)))

    def test_no_prefix_that_is_cut_inside_something_is_accepted(self):
        head = complete("").lstrip("\n")
        text = self.fill(head + WHOLE)
        started = time.monotonic()
        self.check(text)
        step = max(1, int(len(text) * (time.monotonic() - started) / 15))
        wrong = []
        for size in range(0, len(text), step):
            if open_at_end(text[:size]):
                done = self.check(text[:size])
                if done.returncode != REFUSED or self.file + ":" not in done.stderr:
                    wrong.append((done.returncode, text[:size][-30:]))
        self.assertEqual(wrong, [])


class Accepted(ConfigCase):
    def test_good_options(self):
        for option in GOOD_OPTIONS:
            with self.subTest(option=option):
                done = self.check(complete(self.section(option)))
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_good_options_in_defaults(self):
        for option in GOOD_OPTIONS:
            with self.subTest(option=option):
                user = "" if option.startswith("user") else "user = '@USER@'"
                text = complete("defaults { %s %s\n}\n" % (user, option) + self.section())
                done = self.check(text)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_globals(self):
        self.assert_accepted(
            self.check(
                config(
                    self.section(),
                    log_level="debug",
                    syslog_facility="local3",
                    pid_file="",
                    control_socket=self.path("control"),
                    control_mode="0660",
                    control_allow=["self", "uid:0", "gid:10-20"],
                    stop_timeout="250ms",
                    include=[self.dir + "/none/*.conf"],
                )
                + 'defaults { user = "%s" }\n' % USER.pw_name
            )
        )

    def test_a_control_rule_that_the_mode_keeps_out_is_warned_of(self):
        text = 'control-socket = "%s"\ncontrol-allow = { "self", "any" }\n' % self.path("c")
        done = self.check(complete(text + self.section()))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, "allows any, whom its mode 0600 keeps out")

    def test_defaults_before_or_after(self):
        defaults = (
            'defaults {\n user = "%s"\n umask = "077"\n nice = 3\n}\n' % USER.pw_name
        )
        handler = self.script("show", "umask; nice")
        plain = service("plain", socket=self.path("plain"), handler=[handler])
        own = service("own", socket=self.path("own"), handler=[handler], umask="011")
        nice = niceness(3).encode()
        for text in (
            defaults + plain + own,
            plain + own + defaults,
            plain + defaults + own,
        ):
            sup = self.udsd(text)
            self.assertEqual(self.talk(self.path("plain")), b"0077\n%s\n" % nice)
            self.assertEqual(self.talk(self.path("own")), b"0011\n%s\n" % nice)
            self.assertEqual(sup.stop(), 0)

    def test_strings_mean_what_they_say(self):
        handler = self.script("show", 'printf "%s|" "$@" "$A"')
        text = (
            'service s {\n socket = "%s"\n handler = { "%s", "a \\"b\\" \\\\", '
            '\'c # d\', "/* e */", f }\n environment = { "A=x = {y}" }\n}\n'
        )
        sup = self.udsd(text % (self.path("s"), handler))
        self.assertEqual(self.talk(sup.socket), b'a "b" \\|c # d|/* e */|f|x = {y}|')


class Includes(ConfigCase):
    def part(self, name, text=None):
        text = text or self.section(name=name.split(".")[0])
        self.write(name, self.fill(text))

    def test_a_glob(self):
        os.mkdir(self.path("d"))
        for name in ("b.conf", "a.conf", "c.other"):
            self.part("d/" + name, self.section(name=name[0]))
        done = self.check(complete(self.section() + 'include = { "@DIR@/d/*.conf" }\n'))
        self.assert_accepted(done)
        self.assertEqual(
            sorted(re.findall(re.escape(self.dir) + r"/(\w+)\b", done.stdout)),
            ["a", "b", "s"],
        )

    def test_included_services_are_served(self):
        self.part("more.conf")
        sup = self.udsd(complete('include = { "%s" }\n' % self.path("more.conf")))
        sup.sockets = [self.path("more")]
        sup.wait_event("listen")
        self.assertEqual(self.talk(self.path("more"), b"x"), b"x")

    def test_defaults_reach_into_included_files(self):
        handler = self.script("show", "umask")
        self.part(
            "more.conf", service("more", socket=self.path("more"), handler=[handler])
        )
        self.udsd(
            'include = { "%s" }\ndefaults {\n user = "%s"\n umask = "077"\n}\n'
            % (self.path("more.conf"), USER.pw_name)
        ).wait_event("listen")
        self.assertEqual(self.talk(self.path("more")), b"0077\n")

    def test_a_fault_in_an_included_file(self):
        for text, lines in (
            (self.section("# 4", 'umask = "099"', name="more"), [5]),
            ("# 1\nnonsense = 1\n", [2]),
            (self.section(name="more")[:-2], range(1, 7)),
            (self.section(name="s"), range(1, 7)),
            ('service x { socket = "/x', [1]),
        ):
            with self.subTest(text=text):
                self.part("more.conf", text)
                done = self.check(
                    complete(
                        self.section()
                        + 'include = { "@DIR@/*.conf.more" }\n'
                        + 'include += { "@DIR@/more.conf" }\n'
                    )
                )
                self.assert_fault(done, lines, file=self.path("more.conf"))

    def test_faults_of_several_files_at_once(self):
        self.part("more.conf", self.section("nice = 99", name="more"))
        self.part("most.conf", self.section('umask = "99"', name="most"))
        done = self.check(
            complete(self.section('type = "x"') + 'include = { "@DIR@/mo*.conf" }\n')
        )
        self.assert_fault(done, [4], "type")
        self.assert_fault(done, [4], "nice", self.path("more.conf"))
        self.assert_fault(done, [4], "umask", self.path("most.conf"))

    def test_an_included_file_must_be_a_regular_file(self):
        os.mkdir(self.path("dir.conf"))
        os.mkfifo(self.path("fifo.conf"))
        self.part("big.conf", "#" * MIB + "\n")
        for name in ("dir.conf", "fifo.conf", "big.conf"):
            with self.subTest(name=name):
                done = self.check(
                    complete('include = { "@DIR@/%s" }\n' % name + self.section())
                )
                self.assertEqual(done.returncode, REFUSED)
                self.assertIn(self.path(name), done.stderr)


class Files(ConfigCase):
    def assert_file_refused(self, path, word=""):
        done = self.run_udsd("-t", "-c", path)
        self.assertEqual(done.returncode, REFUSED)
        self.assertRegex(done.stderr, re.escape(path) + ".*" + word)

    def good(self, name="good.conf", mode=0o644):
        text = self.fill(complete(self.section()))
        return self.write(name, text, mode)

    def test_what_is_not_a_regular_file(self):
        os.mkfifo(self.path("fifo"))
        for path in (
            self.dir,
            self.path("fifo"),
            "/dev/null",
            "/dev/zero",
            self.path("missing"),
            self.path("missing/x"),
        ):
            with self.subTest(path=path):
                self.assert_file_refused(path)

    def test_the_size(self):
        base = self.fill(complete(self.section()))
        path = self.write("big", base + "#" * (MIB - len(base) - 1) + "\n")
        self.assertEqual(self.run_udsd("-t", "-c", path).returncode, 0)
        self.assert_file_refused(self.write("big", base + "#" * (MIB - len(base)) + "\n"))

    def test_a_nul_byte_does_not_hide_the_rest(self):
        self.good()
        with open(self.path("good.conf"), "ab") as file:
            file.write(b"# \0\nnonsense = 1\n")
        self.assert_file_refused(self.path("good.conf"))

    def test_a_symlink_to_a_regular_file(self):
        os.symlink(self.good(), self.path("link"))
        self.assertEqual(self.run_udsd("-t", "-c", self.path("link")).returncode, 0)

    @needs_user
    def test_what_cannot_be_read(self):
        self.assert_file_refused(self.good(mode=0o000))

    @needs_user
    def test_an_ordinary_user_may_share_a_config(self):
        path = self.good(mode=0o664)
        self.assertEqual(self.run_udsd("-t", "-c", path).returncode, 0)

    @needs_root
    def test_root_trusts_only_a_file_of_its_own(self):
        for mode, uid in ((0o664, 0), (0o646, 0), (0o644, USER.pw_uid)):
            with self.subTest(mode=oct(mode), uid=uid):
                path = self.good(mode=mode)
                os.chown(path, uid, 0)
                self.assert_file_refused(path)
                main_file = self.write("main.conf", 'include = { "%s" }\n' % path)
                done = self.run_udsd("-t", "-c", main_file)
                self.assertEqual(done.returncode, REFUSED)
                self.assertIn(path, done.stderr)
                os.remove(path)


class Handlers(ConfigCase):
    """Whose program root runs, and what the service's user can run."""

    def trial(self, handler, **values):
        text = service("s", socket=self.path("s"), handler=[handler], **values)
        self.write("udsd.conf", complete(text))
        return self.run_udsd("-t", "-c", self.file)

    def test_one_that_nobody_may_execute(self):
        self.assert_fault(self.trial(self.write("h", "#!/bin/sh\n", 0o644)), [3])

    @needs_root
    def test_one_that_the_services_user_may_not_execute(self):
        self.assert_fault(self.trial(self.write("h", "#!/bin/sh\n", 0o744)), [3])
        os.mkdir(self.path("closed"), 0o700)
        self.assert_fault(self.trial(self.write("closed/h", "#!/bin/sh\n", 0o755)), [3])

    @needs_root
    def test_a_directory_that_the_services_user_may_not_enter(self):
        os.mkdir(self.path("closed"), 0o700)
        self.assert_fault(self.trial(CAT, directory=self.path("closed")), [4], "closed")

    @needs_root
    def test_one_that_others_could_replace(self):
        other = 2
        self.assertNotEqual(other, USER.pw_uid)
        for folder_mode, folder_uid, mode, uid, good in (
            (0o755, 0, 0o755, 0, True),
            (0o755, USER.pw_uid, 0o755, USER.pw_uid, True),
            (0o1777, 0, 0o755, 0, True),
            (0o755, 0, 0o755, other, False),
            (0o755, other, 0o755, 0, False),
            (0o777, 0, 0o755, 0, False),
            (0o775, 0, 0o755, 0, False),
            (0o755, 0, 0o775, 0, False),
            (0o755, 0, 0o757, 0, False),
        ):
            with self.subTest(
                folder=(oct(folder_mode), folder_uid), file=(oct(mode), uid)
            ):
                for handler in ("d/h", "d/e/h"):
                    os.makedirs(self.path("d/e"))
                    path = self.script(handler, "")
                    os.chmod(path, mode)
                    os.chown(path, uid, 0)
                    os.chown(self.path("d"), folder_uid, 0)
                    os.chmod(self.path("d"), folder_mode)
                    done = self.trial(path)
                    shutil.rmtree(self.path("d"))
                    if good:
                        self.assert_accepted(done)
                    else:
                        self.assert_fault(done, [3])

    @needs_root
    def test_a_symlink_into_a_place_that_others_can_write(self):
        os.mkdir(self.path("open"))
        os.chmod(self.path("open"), 0o777)
        self.script("open/h", "")
        os.symlink(self.path("open/h"), self.path("link"))
        self.assert_fault(self.trial(self.path("link")), [3])
        os.symlink(self.script("h", ""), self.path("good"))
        self.assert_accepted(self.trial(self.path("good")))

    @needs_root
    def test_services_of_one_user_are_warned_of(self):
        text = self.section() + self.section(name="t")
        done = self.check(complete(text))
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "%s.*user" % re.escape(self.file))

    def test_a_warning_is_no_fault(self):
        done = self.check(
            complete(self.section('allow = { "uid:12345" }', 'socket-mode = "0600"'))
        )
        self.assertEqual(done.returncode, 0)
        self.assertIn("uid:12345", done.stderr)


if __name__ == "__main__":
    main()
