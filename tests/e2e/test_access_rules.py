#!/usr/bin/env python3
"""Who may connect: access rules, as several real users and from user namespaces."""
import grp
import os
import pwd
import socket

from lib import REFUSED, Case, complete, main, needs_root, read_to_end, service, wait_for
from lib.clients import visit
from lib.users import (OVERFLOW, Child, Who, as_user, enter_mapped, leave_namespace,
                       why_no_namespace)

EVERYBODY = "uid:0-4294967294"
NAMED = next(entry for entry in pwd.getpwall() if entry.pw_uid not in (0, OVERFLOW, os.getuid()))
GROUP = next(entry for entry in grp.getgrall() if entry.gr_gid not in (0, OVERFLOW, os.getgid()))
OTHER_GROUP = [entry for entry in grp.getgrall()
               if entry.gr_gid not in (0, OVERFLOW, os.getgid(), GROUP.gr_gid)][0]

ME = None
UID = os.getuid()
GID = os.getgid()
A = Who(40001, 50001)
B = Who(40002, 50002, (50007, 50009))
NAMED_WHO = Who(NAMED.pw_uid, 50003)
GROUP_WHO = Who(40003, GROUP.gr_gid)
MEMBER = Who(40004, 50004, (50005, GROUP.gr_gid))
LAST = Who(4294967294, 4294967294)
STRANGER = Who(OVERFLOW, OVERFLOW)
STRANGE_GROUP = Who(40005, 50001, (OVERFLOW,))

IN = "in"

# allow, deny, who, the rule that decides ("": no rule let it in), whether it is let in
ROWS = [
    (["any"], [], ME, "any", IN),
    (["self"], [], ME, "self", IN),
    (["uid:%d" % UID], [], ME, "uid:%d" % UID, IN),
    (["uid:%d-%d" % (UID, UID + 1)], [], ME, "uid:%d-%d" % (UID, UID + 1), IN),
    (["uid:%d" % (UID + 1)], [], ME, "", None),
    (["uid:%d-%d" % (UID + 1, UID + 9)], [], ME, "", None),
    (["gid:%d" % GID], [], ME, "gid:%d" % GID, IN),
    (["gid:%d" % (GID + 77777)], [], ME, "", None),
    (["user:" + pwd.getpwuid(UID).pw_name], [], ME, "user:" + pwd.getpwuid(UID).pw_name, IN),
    (["user:" + NAMED.pw_name], [], ME, "", None),
    (["any"], ["self"], ME, "self", None),
    (["self"], ["any"], ME, "any", None),
    ([], ["uid:%d" % (UID + 1)], ME, "none", IN),
    ([], ["uid:%d" % UID], ME, "uid:%d" % UID, None),
    ([], ["gid:%d" % GID], ME, "gid:%d" % GID, None),
    (["uid:%d" % (UID + 1), "any"], [], ME, "any", IN),
    (["any", "self"], [], ME, "any", IN),
    ([], [], ME, "none", IN),
]

ROOT_ROWS = [
    (["any"], [], A, "any", IN),
    ([], [], A, "none", IN),
    (["self"], [], A, "", None),
    (["uid:40001"], [], A, "uid:40001", IN),
    (["uid:40001"], [], B, "", None),
    (["uid:40001"], [], ME, "", None),
    (["uid:40001-40005"], [], A, "uid:40001-40005", IN),
    (["uid:39000-40001"], [], A, "uid:39000-40001", IN),
    (["uid:40002-40005"], [], A, "", None),
    (["uid:39000-40000"], [], A, "", None),
    (["uid:40001-40001"], [], A, "uid:40001-40001", IN),
    ([EVERYBODY], [], A, EVERYBODY, IN),
    ([EVERYBODY], [], LAST, EVERYBODY, IN),
    (["uid:4294967294"], [], LAST, "uid:4294967294", IN),
    (["user:" + NAMED.pw_name], [], NAMED_WHO, "user:" + NAMED.pw_name, IN),
    (["user:" + NAMED.pw_name], [], A, "", None),
    (["group:" + GROUP.gr_name], [], GROUP_WHO, "group:" + GROUP.gr_name, IN),
    (["group:" + GROUP.gr_name], [], MEMBER, "group:" + GROUP.gr_name, IN),
    (["group:" + OTHER_GROUP.gr_name], [], MEMBER, "", None),
    (["group:" + GROUP.gr_name], [], A, "", None),
    (["gid:50001"], [], A, "gid:50001", IN),
    (["gid:50007"], [], B, "gid:50007", IN),
    (["gid:50008"], [], B, "", None),
    (["gid:50009-50010"], [], B, "gid:50009-50010", IN),
    (["gid:50008-50009"], [], B, "gid:50008-50009", IN),
    (["gid:50003-50006"], [], B, "", None),
    (["gid:40001"], [], A, "", None),
    (["uid:50001"], [], A, "", None),
    (["any"], ["uid:40001"], A, "uid:40001", None),
    (["any"], ["uid:40001"], B, "any", IN),
    (["uid:40001"], ["gid:50001"], A, "gid:50001", None),
    (["uid:40002"], ["gid:50009"], B, "gid:50009", None),
    (["uid:40001", "uid:40002"], ["uid:40002-40009"], B, "uid:40002-40009", None),
    ([], ["uid:40002"], A, "none", IN),
    ([], ["uid:40002"], B, "uid:40002", None),
    (["uid:1-50000", "uid:40001"], [], A, "uid:1-50000", IN),
    (["uid:5", "gid:50001", "any"], [], A, "gid:50001", IN),
    ([EVERYBODY], [], STRANGER, "", None),
    (["uid:60000-70000"], [], STRANGER, "", None),
    (["uid:65534-65534"], [], STRANGER, "", None),
    (["any"], [], STRANGER, "any", IN),
    (["uid:65534"], [], STRANGER, "uid:65534", IN),
    ([], ["uid:65534"], STRANGER, "uid:65534", None),
    (["gid:0-4294967294"], [], STRANGER, "", None),
    (["gid:65534"], [], STRANGER, "gid:65534", IN),
    (["gid:65534"], [], STRANGE_GROUP, "gid:65534", IN),
    (["gid:60000-70000"], [], STRANGE_GROUP, "", None),
]


def connect_and_change(path, first, then, mark):
    """What a client gets that connects as one user and has become another when it is served.
    Makes the directory `mark` in between."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        os.setegid(first.gid)
        os.seteuid(first.uid)
        sock.connect(path)
        os.seteuid(0)
        os.setegid(then.gid)
        os.mkdir(mark)
        os.seteuid(then.uid)
        sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock)


class Base(Case):

    def setUp(self):
        super().setUp()
        self.handler = self.script("handler", 'printf %s "$UDSD_RULE"\n')

    def section(self, name, **values):
        return service(name, socket=self.path(name), socket_mode="0666", handler=[self.handler],
                       **values)


class Rules(Base):

    def check_rows(self, rows):
        """One service for each row, all in one supervisor."""
        text = "".join(self.section("s%d" % number, allow=row[0] or None, deny=row[1] or None,
                                    reject_message="no")
                       for number, row in enumerate(rows))
        sup = self.udsd(text)
        for number, (allow, deny, who, rule, verdict) in enumerate(rows):
            with self.subTest(allow=allow, deny=deny, who=who or "me"):
                name = "s%d" % number
                answer = as_user(who, visit, self.path(name))
                uid, gid = (who.uid, who.gid) if who else (UID, GID)
                if verdict == IN:
                    self.assertEqual(answer, rule.encode())
                    line = sup.wait_event("open", service=name)
                    self.assertEqual(line["rule"], rule)
                    self.assertEqual(sup.events("reject", service=name), [])
                else:
                    self.assertEqual(answer, b"no")
                    line = sup.wait_event("reject", service=name)
                    self.assertEqual(line["reason"], "rule")
                    self.assertEqual(line.get("rule", ""), rule, "the rule that denied")
                    self.assertEqual(sup.events("open", service=name), [])
                self.assertEqual((line["peer-uid"], line["peer-gid"]), (str(uid), str(gid)))

    def test_my_own_user(self):
        rows = ROWS
        if UID == OVERFLOW:                     # then only `any` and the number match
            rows = [row for row in rows
                    if row[3] in ("", "any", "none") and row[:2] != (["any"], ["self"])]
        self.check_rows(rows)

    @needs_root
    def test_other_users(self):
        self.check_rows(ROOT_ROWS)

    @needs_root
    def test_any_number_of_groups(self):
        """What the worker has for a peer's groups grows, and is not confused by fewer."""
        marker = 999999
        text = self.section("in", allow=["gid:%d" % marker]) \
            + self.section("out", deny=["gid:%d" % marker])
        sup = self.udsd(text)
        for count in (0, 1, 200, 3, 1000, 0, 65535, 2):
            groups = tuple(range(100000, 100000 + count))
            without, within = Who(40001, 50001, groups), Who(40001, 50001, (*groups, marker))
            with self.subTest(count=count):
                self.assertEqual(as_user(without, visit, self.path("in")), b"")
                self.assertEqual(as_user(within, visit, self.path("in")), b"gid:999999")
                self.assertEqual(as_user(without, visit, self.path("out")), b"none")
                self.assertEqual(as_user(within, visit, self.path("out")), b"")
        sup.wait_events(8, "open", service="in")
        self.assertEqual(len(sup.workers("in")), 1)
        self.assertEqual(sup.events("worker"), [])

    @needs_root
    def test_credentials_are_those_of_connect(self):
        text = service("s", socket=self.path("s"), socket_mode="0666", handler=[self.echo()],
                       max_connections=1, allow=["self", "uid:40001"])
        sup = self.udsd(text)
        for first, then, verb, answer in ((A, B, "open", b"hello\r\n"), (B, A, "reject", b"")):
            with self.subTest(first=first):
                held = self.hello(self.path("s"))
                mark = self.path("connected-%d" % first.uid)
                child = Child(Who(0, 0), connect_and_change, self.path("s"), first, then, mark)
                wait_for(lambda: os.path.isdir(mark))
                held.close()
                self.assertEqual(child.result(), answer)
                sup.wait_event(verb, peer_uid=first.uid, peer_gid=first.gid)


class Refused(Base):

    def refused(self, text):
        done = self.run_udsd("-t", "-c", self.write("bad.conf", complete(text)))
        self.assertEqual(done.returncode, REFUSED, done.stderr)
        return done.stderr

    def test_names_of_the_overflow_ids(self):
        rows = [("user", entry.pw_name) for entry in pwd.getpwall() if entry.pw_uid == OVERFLOW] \
            + [("group", entry.gr_name) for entry in grp.getgrall() if entry.gr_gid == OVERFLOW]
        if not rows:
            self.skipTest("no user has the overflow uid here")
        for kind, name in rows:
            for option in ("allow", "deny"):
                with self.subTest(kind=kind, name=name, option=option):
                    text = self.refused(self.section("s", **{option: ["%s:%s" % (kind, name)]}))
                    self.assertIn("%s:%s" % (kind, name), text)
                    self.assertIn("number", text)

    def test_an_abstract_socket_without_allow(self):
        name = "@udsd-rules-%d" % os.getpid()
        rows = [({}, False), ({"deny": ["uid:5"]}, False), ({"allow": ["self", "any"]}, True)]
        for options, good in rows:
            with self.subTest(options=options):
                text = service("s", socket=name, handler=[self.handler], **options)
                if good:
                    self.udsd(text)
                    self.assertIn(visit(name), (b"self", b"any"))
                else:
                    self.assertIn("allow", self.refused(text))


class Namespace(Base):
    """Where the supervisor cannot see who a peer is, the kernel shows the overflow uid."""

    # allow, deny, the rule that lets it in or None
    ROWS = [
        ([EVERYBODY], None, None),
        (["uid:60000-70000"], None, None),
        (["self"], None, None),
        (["uid:65534"], None, "uid:65534"),
        (["any"], None, "any"),
        (["any"], ["uid:65534"], None),
        (["any"], [EVERYBODY], "any"),
        (["gid:0-4294967294"], None, None),
    ]

    def setUp(self):
        super().setUp()
        reason = why_no_namespace()
        if reason:
            self.skipTest(reason)

    def check_rows(self, preexec, who, **values):
        """Abstract sockets: a path could have no owner there."""
        names = ["@udsd-rules-%d-%d" % (os.getpid(), number) for number in range(len(self.ROWS))]
        text = "".join(service("s%d" % number, socket=names[number], handler=[self.handler],
                               allow=allow, deny=deny, **values)
                       for number, (allow, deny, _) in enumerate(self.ROWS))
        sup = self.udsd(text, preexec_fn=preexec)
        for number, (allow, deny, rule) in enumerate(self.ROWS):
            with self.subTest(allow=allow, deny=deny):
                answer = as_user(who, visit, names[number])
                self.assertEqual(answer, rule.encode() if rule else b"")
                line = sup.wait_event("open" if rule else "reject", service="s%d" % number)
                self.assertEqual(line["peer-uid"], str(OVERFLOW))

    def test_nobody_is_mapped(self):
        self.check_rows(leave_namespace, ME)

    @needs_root
    def test_the_client_is_not_mapped(self):
        self.check_rows(lambda: enter_mapped(60000), Who(61234, 61234), user="daemon")


if __name__ == "__main__":
    main()
