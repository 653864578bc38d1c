#!/usr/bin/env python3
"""A config's files: what is included, read or cut off, who may write to them, and its handlers' programs."""
import os
import re
import shutil
import time

from lib import REFUSED, USER, complete, main, needs_root, needs_user, service
from lib.config_case import CAT, ConfigCase

MIB = 1024 * 1024

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

    def test_one_without_execute_permission(self):
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
