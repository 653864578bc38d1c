#!/usr/bin/env python3
"""The options of a config: each fault is reported with file and line, what is right is accepted."""
import os

from lib import (IS_ROOT, REFUSED, USER, complete, config, main, needs_root, needs_user, service)
from lib.allowed import niceness
from lib.config_case import ConfigCase

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
                self.assertEqual((done.returncode, done.stderr),
                                 (0, "udsd: config ok, 1 service\n"))
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
        self.assertRegex(done.stderr, "allows any, but its mode 0600 keeps it out")

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


if __name__ == "__main__":
    main()
