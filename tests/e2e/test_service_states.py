#!/usr/bin/env python3
"""Services that cannot run: what is refused, served and reported, and how they recover."""
import contextlib
import os
import shutil
import signal
import threading
import time

from lib import IS_ROOT, REFUSED, SANITIZED, USER, complete, main, needs_root, wait_for
from lib.control_socket import ControlCase
from lib.native import build_c

SERVED = 69
# While a file is there the name service does not know the user daemon.
HANG = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct passwd *getpwnam(const char *name)
{
	struct passwd *(*next)(const char *) =
		(struct passwd *(*)(const char *))dlsym(RTLD_NEXT, "getpwnam");

	while (strcmp(name, "daemon") == 0 && access(getenv("HANG"), F_OK) == 0)
		pause();
	return next(name);
}
"""


class Handler:
    """The handler is a file of its own, which this breaks and fixes."""

    step, state, tested = "handler", "failed", REFUSED

    def __init__(self, test):
        self.test = test
        self.path = test.path("h")
        self.options = {"handler": [self.path, "one"]}
        self.fix()

    def fix(self):
        shutil.copy(self.test.tag(), self.path)
        os.chmod(self.path, 0o755)

    def spoil(self):
        os.remove(self.path)


class Mode(Handler):
    """It has no execute permission."""

    def spoil(self):
        os.chmod(self.path, 0o644)


class Replaceable(Handler):
    """Everybody could replace what root runs."""

    def spoil(self):
        os.chmod(self.path, 0o757)


class Directory(Handler):
    step = "directory"

    def __init__(self, test):
        super().__init__(test)
        self.options["directory"] = test.path("d")
        self.fix()

    def fix(self):
        super().fix()
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.test.path("d"), 0o755)

    def spoil(self):
        os.rmdir(self.test.path("d"))


class Parent(Handler):
    """A file stands where the socket's directory is to be."""

    step = "socket"

    def __init__(self, test):
        super().__init__(test)
        self.options["socket"] = test.path("p/s.sock")

    def fix(self):
        super().fix()
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.remove(self.test.path("p"))

    def spoil(self):
        self.test.write("p", "")


class Taken(Handler):
    """Something foreign is at the path."""

    step, state, tested = "socket", "displaced", SERVED

    def fix(self):
        super().fix()
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.test.path("s.sock"))

    def spoil(self):
        self.test.write("s.sock", "")


class Abstract(Handler):
    """Another process has the abstract name."""

    step, state, tested = "socket", "displaced", SERVED
    other = None

    def __init__(self, test):
        super().__init__(test)
        self.name = "@udsd-e2e-%d" % os.getpid()
        self.options.update(socket=self.name, allow=["any"])

    def fix(self):
        super().fix()
        if self.other:
            self.other.close()

    def spoil(self):
        self.other = self.test.client()
        self.other.bind("\0" + self.name[1:])


# What happens while a service runs, and does not take its socket away.
SPOILS = [Handler, Mode, Directory] + [Replaceable] * IS_ROOT
ALL = SPOILS + [Parent, Taken, Abstract]


class States(ControlCase):
    def section_of(self, kind, **values):
        return self.section("s", **{**kind.options, **values})

    def text(self, kind, **values):
        return self.controlled(self.section("good") + self.section_of(kind, **values))

    def socket_of(self, kind):
        return kind.options.get("socket", self.path("s.sock"))

    def started(self, kind):
        """A start with a broken service."""
        sup = self.start(["-f", "-c", self.write("udsd.conf", complete(self.text(kind)))])
        sup.wait_event("start")
        sup.sockets += [self.path("good.sock"), self.control]
        if not self.socket_of(kind).startswith("@"):
            self.kept.add(self.socket_of(kind))
        return sup

    def running(self, kind):
        sup = self.serve_controlled(self.section("good") + self.section_of(kind))
        self.greeted(self.socket_of(kind)).close()
        return sup

    @contextlib.contextmanager
    def kind(self, make):
        """A row of a table: a service that this can break."""
        with self.subTest(kind=make.__name__):
            kind = make(self)
            yield kind
            kind.fix()
            for name in ("h", "s.sock"):
                with contextlib.suppress(OSError):
                    os.remove(self.path(name))

    def assert_state(self, kind, state=None):
        shown = self.status("s")
        self.assertEqual(shown["state"], state or kind.state)
        self.assertEqual("error" in shown, state is None, shown)
        self.greeted(self.path("good.sock")).close()
        return shown

    def assert_serves(self, kind):
        self.greeted(self.socket_of(kind)).close()
        self.assertIn(self.status("s")["state"], ("enabled", "full"))

    def test_a_test_refuses_a_start_does_not(self):
        for make in ALL:
            with self.kind(make) as kind:
                kind.spoil()
                conf = self.write("udsd.conf", complete(self.text(kind)))
                self.assertEqual(self.run_udsd("-t", "-c", conf).returncode, kind.tested)
                sup = self.started(kind)
                fail = sup.wait_event("fail", service="s", step=kind.step)
                self.assertIn("udsd.conf:", fail["error"])
                self.assertIn(fail["retry"], ("30.000", "1.000"))
                sup.wait_log("udsctl enable s")
                shown = self.assert_state(kind)
                self.assertIn(shown["error"], fail["error"])
                if kind.state == "failed":
                    self.assertLessEqual(shown["retry"], 30)
                self.assertIn("udsctl enable s", self.ctl("status", "s"))
                self.assertEqual(sup.stop(), 0)

    def test_enable_tries_again(self):
        for make in ALL:
            with self.kind(make) as kind:
                kind.spoil()
                sup = self.started(kind)
                self.assertIn("s", self.ctl("enable", "s", status=1))
                self.assert_state(kind)
                kind.fix()
                self.ctl("enable", "s")
                sup.wait_event("listen", service="s")
                self.assert_serves(kind)
                self.assertEqual(sup.stop(), 0)

    def test_a_reload_tries_again(self):
        for make in ALL:
            with self.kind(make) as kind:
                kind.spoil()
                sup = self.started(kind)
                self.reload(sup)
                self.assert_state(kind)
                kind.fix()
                self.reload(sup)
                self.assert_serves(kind)
                self.assertEqual(sup.stop(), 0)

    def test_unchanged_it_serves_on_over_a_reload(self):
        for make in SPOILS:
            with self.kind(make) as kind:
                sup = self.running(kind)
                held = self.greeted(self.socket_of(kind))
                worker = sup.worker("s")
                kind.spoil()
                self.reload(sup)
                sup.wait_log("reload warning=.*: " + kind.step)
                self.assert_state(kind)
                self.assertEqual(sup.worker("s"), worker)
                self.round_trip(held)
                kind.fix()
                self.reload(sup)
                self.assert_serves(kind)
                self.assertEqual(sup.worker("s"), worker)
                self.assertEqual(sup.stop(), 0)

    def test_changed_or_new_it_refuses_a_reload(self):
        for make in ALL:
            with self.kind(make) as kind:
                sup = self.serve_controlled(self.section("good"))
                kind.spoil()
                self.reload(sup, self.text(kind), status="refused")
                self.assertTrue(self.errors(sup))
                self.assertEqual(sup.stop(), 0)
        for make in SPOILS:
            with self.kind(make) as kind:
                sup = self.running(kind)
                kind.spoil()
                self.reload(sup, self.text(kind, max_connections=5), status="refused")
                self.assert_state(kind, "enabled")
                self.assertEqual(sup.stop(), 0)

    def test_others_may_change_meanwhile(self):
        for make in ALL:
            with self.kind(make) as kind:
                kind.spoil()
                sup = self.started(kind)
                self.reload(sup, self.controlled(
                    self.section("good", "two") + self.section_of(kind)
                ))
                self.greeted(self.path("good.sock"), "two").close()
                self.assertEqual(self.status("s")["state"], kind.state)
                self.assertEqual(sup.stop(), 0)

    def test_no_upgrade_is_refused(self):
        for make in SPOILS:
            with self.kind(make) as kind:
                sup = self.running(kind)
                held = self.greeted(self.socket_of(kind))
                kind.spoil()
                self.upgrade(sup)
                self.round_trip(held)
                self.assert_state(kind)
                waiting = self.connect(self.socket_of(kind))
                kind.fix()
                self.ctl("enable", "s")
                self.assertEqual(self.receive(waiting, 4), b"one\n")
                self.round_trip(held)
                self.assert_serves(kind)
                self.assertEqual(sup.stop(), 0)

    def test_text_refuses_an_upgrade(self):
        kind = Handler(self)
        sup = self.running(kind)
        self.rewrite(self.text(kind) + "nonsense = 1\n")
        self.upgrade(sup, status="refused")
        self.assert_serves(kind)

    def test_a_user_that_is_not_there(self):
        kind = Handler(self)
        for option, value in (("user", "no-such-user"), ("allow", ["user:no-such-user"]),
                              ("socket_group", "no-such-group")):
            with self.subTest(option=option):
                kind.options = {"handler": kind.options["handler"], option: value}
                sup = self.started(kind)
                step = option.replace("_", "-")
                self.assertIn("no-such", sup.wait_event("fail", step=step)["error"])
                self.assert_state(kind)
                self.assert_refused(self.path("s.sock"))
                self.assertEqual(sup.stop(), 0)

    def test_it_heals_by_itself(self):
        kind = Mode(self)
        kind.spoil()
        sup = self.started(kind)
        began = time.monotonic()
        kind.fix()
        sup.wait_event("listen", timeout=45, service="s")
        self.assertGreater(time.monotonic() - began, 25)
        self.assert_serves(kind)
        self.assertEqual(len(sup.events("fail")), 1)

    def test_what_is_being_edited_is_not_tried(self):
        """A recheck loads what is in force."""
        kind = Handler(self)
        kind.spoil()
        sup = self.started(kind)
        self.rewrite("service s {\n")
        kind.fix()
        self.ctl("enable", "s")
        self.assert_serves(kind)
        self.assertEqual(len(sup.events("recheck")), 0)

    def test_included_files_are_tried_as_they_were(self):
        kind = Handler(self)
        os.mkdir(self.path("conf.d"))
        self.write("conf.d/s.conf", self.section_of(kind))
        kind.spoil()
        text = self.controlled(self.section("good"), include=[self.path("conf.d/*.conf")])
        sup = self.start(["-f", "-c", self.write("udsd.conf", complete(text))])
        sup.wait_event("fail", service="s")
        os.remove(self.path("conf.d/s.conf"))
        kind.fix()
        self.ctl("enable", "s")
        self.assert_serves(kind)

    def test_disabled_it_is_not_tried(self):
        kind = Handler(self)
        kind.spoil()
        sup = self.started(kind)
        self.ctl("disable", "s")
        self.assert_state(kind, "disabled")
        kind.fix()
        self.ctl("enable", "good")
        self.assert_state(kind, "disabled")
        kind.spoil()
        self.assertIn("handler", self.ctl("enable", "s", status=1))
        self.assert_state(kind)
        kind.fix()
        self.ctl("enable", "s")
        self.assert_serves(kind)
        self.assertEqual(sup.stop(), 0)

    def test_a_recheck_leaves_others_as_the_administrator_wants_them(self):
        kind = Handler(self)
        kind.spoil()
        self.started(kind)
        self.ctl("disable", "good")
        kind.fix()
        self.ctl("enable", "s")
        self.assertEqual(self.status("good")["state"], "disabled")

    def test_removed_while_it_has_failed(self):
        for make in ALL:
            with self.kind(make) as kind:
                kind.spoil()
                sup = self.started(kind)
                self.reload(sup, self.controlled(self.section("good")))
                self.assertIn("no service", self.ctl("status", "s", status=1))
                self.assertEqual(sup.stop(), 0)

    def test_none_that_can_be_opened(self):
        kind = Handler(self)
        kind.spoil()
        conf = self.write("udsd.conf", complete(self.controlled(self.section_of(kind))))
        sup = self.start(["-f", "-c", conf])
        sup.wait_event("start", services=0)
        self.assertEqual(self.status("s")["state"], "failed")

    def test_the_control_socket_itself(self):
        kind = Handler(self)
        self.write("control.sock", "")
        sup = self.start(["-f", "-c", self.write("udsd.conf", complete(self.text(kind)))])
        sup.wait_event("fail", service="(control)")
        self.greeted(self.path("good.sock")).close()
        os.remove(self.control)
        sup.wait_event("listen", control_socket=self.control)
        self.assert_serves(kind)

    def state_is(self, state):
        wait_for(lambda: self.status("s")["state"] == state, what="to be " + state)

    def test_its_directory_goes_while_it_runs(self):
        kind = Parent(self)
        sup = self.running(kind)
        held = self.greeted(self.socket_of(kind))
        shutil.rmtree(self.path("p"))
        kind.spoil()
        self.state_is("failed")
        self.assertIn("socket " + self.path("p/s.sock"), self.status("s")["error"])
        kind.fix()
        self.state_is("enabled")
        self.greeted(self.socket_of(kind)).close()
        self.round_trip(held)
        self.assertEqual(sup.events("fail"), [])

    def test_a_path_that_is_taken_and_put_back(self):
        kind = Taken(self)
        self.running(kind)
        path = self.socket_of(kind)
        os.rename(path, path + ".own")
        kind.spoil()
        self.state_is("displaced")
        os.rename(path + ".own", path)
        self.state_is("enabled")
        self.greeted(path).close()

    def test_a_command_is_refused(self):
        done = self.run_udsd(self.path("x"), "/no/such/handler")
        self.assertEqual(done.returncode, REFUSED)
        self.write("x", "")
        done = self.run_udsd(self.path("x"), self.echo())
        self.assertEqual(done.returncode, SERVED)
        done = self.run_udsd(self.path("x/y"), self.echo())
        self.assertEqual(done.returncode, 71)

    def test_a_command_is_upgraded_all_the_same(self):
        kind = Handler(self)
        sup = self.serve_bare(self.path("s.sock"), kind.options["handler"])
        kind.spoil()
        self.upgrade(sup)
        self.assertIn("handler", sup.wait_event("fail", service="h")["error"])
        waiting = self.connect(sup.socket)
        kind.fix()
        sup.kill(signal.SIGHUP)
        self.assertEqual(self.receive(waiting, 4), b"one\n")

    @needs_root
    def test_a_name_service_that_hangs(self):
        """It costs some seconds, and only those whose users are asked for."""
        source = self.write("hang.c", HANG)
        problem = build_c(source, self.path("hang.so"), "-shared", "-fPIC")
        if problem or SANITIZED:
            self.skipTest(problem or "sanitizers want to be first")
        env = {**os.environ, "LD_PRELOAD": self.path("hang.so"), "HANG": self.path("hung")}
        text = self.controlled(self.section("good", user=USER.pw_name) + "".join(
            self.section(name, user="daemon", supplementary_groups=[]) for name in "st"
        ))
        conf = self.write("udsd.conf", complete(text))
        sup = self.start(["-f", "-c", conf], env=env)
        sup.wait_events(4, "listen")
        self.write("hung", "")
        done = self.run_udsd("-t", "-c", conf, env=env)
        self.assertEqual(done.returncode, SERVED, done.stderr)
        self.reload(sup)
        self.assertIn("name service", self.assert_state(Handler(self))["error"])
        self.greeted(self.path("s.sock")).close()
        self.upgrade(sup, timeout=20)
        waiting = self.connect(self.path("s.sock"))
        self.greeted(self.path("good.sock")).close()
        os.remove(self.path("hung"))
        self.ctl("enable", "s")
        self.assertEqual(self.receive(waiting, 4), b"one\n")

    def test_a_mode_that_flips_ends_no_upgrade(self):
        kind = Mode(self)
        sup = self.running(kind)
        over = threading.Event()

        def flip():
            while not over.wait(0.003):
                kind.spoil()
                over.wait(0.003)
                os.chmod(kind.path, 0o755)

        thread = threading.Thread(target=flip)
        thread.start()
        try:
            for _ in range(10):
                self.upgrade(sup)
                self.greeted(self.path("good.sock")).close()
        finally:
            over.set()
            thread.join()
        kind.fix()
        self.ctl("enable", "s")
        self.assert_serves(kind)

    def test_full(self):
        kind = Handler(self)
        self.serve_controlled(self.section("good") + self.section_of(kind, max_connections=1))
        held = self.greeted(self.socket_of(kind))
        self.assert_state(kind, "full")
        held.close()
        wait_for(lambda: self.status("s")["state"] == "enabled", what="room")


if __name__ == "__main__":
    main()
