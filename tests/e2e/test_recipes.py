#!/usr/bin/env python3
"""The examples and recipes of udsd-handler(7), each with the real programs."""
import os
import pwd
import socket
import subprocess

from lib import IS_ROOT, PYTHON, USER, main, needs, proc
from lib.clients import visit
from lib.manual_recipes import RecipeCase
from lib.users import Who, as_user

STAFF = 50  # Debian's number of the group
STRANGER = 4321

# An HTTP server on a Unix socket, of one word for the path and one for what was posted.
HTTP_PY = """
import http.server, os, socketserver, sys

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        size = int(self.headers.get("Content-Length", 0))
        text = b"%s %d\\n" % (self.path.encode(), len(self.rfile.read(size)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET

    def address_string(self):
        return "a client"

os.umask(0o177)
server = socketserver.ThreadingUnixStreamServer(sys.argv[1], Answer)
print("ready", flush=True)
server.serve_forever()
"""


class Clerks(RecipeCase):
    """The three handlers of EXAMPLES, which do the same."""

    def check(self, program):
        sup = self.serve([program], allow=["self"], idle_timeout="60s")
        answer = self.talk(sup.socket, b"who\r\nsecret\nbogus\ndate\nquit\n")
        lines = answer.decode().split("\n")
        self.assertEqual(
            lines[:3],
            ["uid %d by rule self" % os.geteuid(), "42", "unknown command"],
        )
        self.assertRegex(lines[3], r"\d\d:\d\d:\d\d")
        self.assertEqual(lines[4:], [""])
        sup.stop()
        sup = self.serve([program], allow=["any"], idle_timeout="300ms")
        self.assertEqual(self.talk(sup.socket, b"secret\n"), b"denied\n")
        sup.wait_event("stderr", text="secret refused")
        self.assert_end(self.connect(sup.socket))
        sup.wait_events(2, "close", status="exit:0")

    def test_a_shell_script(self):
        self.check(self.file("A shell script", "#!", "clerk", 0o755))

    def test_a_python_program(self):
        self.check(self.file("A Python program", "#!", "clerk", 0o755))

    @needs("cc")
    def test_a_c_program(self):
        self.file("A C program", "#define", "clerk.c")
        self.shell("cd srv && cc -O2 -o clerk clerk.c")
        self.check(self.path("srv/clerk"))


class Files(RecipeCase):
    """Services that hand out files."""

    @needs("git")
    def test_git(self):
        if not os.path.exists(self.shell("git --exec-path").strip() + "/git-daemon"):
            self.skipTest("not installed: git daemon")
        title = "Git repositories"
        self.folder("srv/git")
        self.write("file", os.urandom(300000))
        self.shell(
            "git init -q srv/git/project.git; cd srv/git/project.git;"
            "cp ../../../file .; git add file;"
            "git -c user.name=Test -c user.email=test@example.org commit -q -m one"
        )
        self.give_to_user(self.path("srv/git"))
        sup = self.serve_recipe(title)
        self.run_block(title, "git ")
        self.same("project/file", "file")
        sup.wait_event("close", status="exit:0")

    @needs("rsync")
    def test_rsync(self):
        title = "Files by rsync"
        self.folder("srv/rsync")
        self.folder("srv/rsync/files")
        self.write("srv/rsync/files/big", os.urandom(3000000))
        self.file(title, "use chroot", "rsync/rsyncd.conf")
        sup = self.serve_recipe(title)
        self.run_block(title, "RSYNC")
        self.same("copy/big", "srv/rsync/files/big")
        sup.wait_event("close", status="exit:0")

    @needs("svn", "svnserve", "svnadmin")
    def test_subversion(self):
        title = "Subversion"
        self.folder("srv/svn")
        self.folder("work")
        self.write("work/file", os.urandom(300000))
        self.shell(
            "svnadmin create srv/svn/project;"
            "svn import -q -m one work file://$PWD/srv/svn/project"
        )
        self.give_to_user(self.path("srv/svn"))
        sup = self.serve_recipe(title)
        self.run_block(title, "svn ")
        self.same("copy/file", "work/file")
        sup.wait_event("close", status="exit:0")

    @needs("busybox", "curl")
    def test_http(self):
        if "httpd" not in self.shell("busybox --list").split():
            self.skipTest("not installed: busybox httpd")
        title = "A directory over HTTP"
        self.folder("srv/www")
        self.write("srv/www/index.html", "<p>page</p>\n")
        self.write("srv/www/big", os.urandom(2000000))
        sup = self.serve_recipe(title)
        command = self.block(title, "curl ")
        self.assertEqual(self.shell(command), "<p>page</p>\n")
        self.shell(command.replace("index.html", "big").strip() + " -o big")
        self.same("big", "srv/www/big")
        self.shell(command.replace("curl", "curl -f").replace("index.html", "none"), 22)
        sup.wait_events(3, "close")


class Ssh(RecipeCase):
    title = "SSH logins without a network"
    # To sshd the account of nobody may look locked, as nss-systemd has it.
    user = pwd.getpwnam("daemon") if IS_ROOT else USER

    def setUp(self):
        super().setUp()
        self.folder("srv/ssh", owner=self.user)
        conf = self.file(self.title, "HostKey", "ssh/sshd_config")
        with open(conf, "a", encoding="ascii") as file:
            file.write("StrictModes no\n")  # /tmp is everybody's
        self.shell_as_user(self.block(self.title, "cd "))
        key = self.shell("cut -d' ' -f1,2 srv/ssh/host_key.pub")
        known = self.write("known_hosts", "localhost " + key)
        options = "UserKnownHostsFile %s\nBatchMode yes\n" % known
        option = " -F %s -i" % self.write("client_config", options)
        self.changes += [("ssh -i", "ssh" + option), ("sftp -i", "sftp" + option)]

    def passwd(self):
        """/etc/passwd, but with a shell and a home directory for the user."""
        with open("/etc/passwd", encoding="utf-8") as file:
            name = self.user.pw_name + ":"
            others = [line for line in file if not line.startswith(name)]
        entry = "%s:x:%d:%d::%s:/bin/sh\n"
        entry %= (self.user.pw_name, self.user.pw_uid, self.user.pw_gid, self.dir)
        return self.write("passwd", "".join(others) + entry)

    @needs("sshd", "ssh", "ssh-keygen", "sftp")
    def test_a_file(self):
        sup = self.serve_recipe(self.title)
        self.run_block(self.title, "sftp ", cwd=self.path("srv/ssh"))
        self.same("srv/ssh/copy", "/etc/hostname")
        sup.wait_event("close")

    @needs("sshd", "ssh", "ssh-keygen", "unshare")
    def test_a_command(self):
        """The service's user gets a shell, where udsd is root's and can be shown one."""
        wrapper = ()
        if IS_ROOT:
            script = 'mount --bind %s /etc/passwd && exec "$@"' % self.passwd()
            wrapper = ("unshare", "-m", "sh", "-c", script, "sh")
        elif self.user.pw_shell.endswith(("/nologin", "/false")):
            return  # the other test is all that such a user can do
        sup = self.serve_recipe(self.title, wrapper=wrapper)
        out = self.run_block(self.title, "ssh ", cwd=self.path("srv/ssh"))
        self.assertEqual(out, (self.dir if IS_ROOT else self.user.pw_dir) + "\n")
        sup.wait_event("close")


class Confined(RecipeCase):
    """Handlers that may do less."""

    @needs("bwrap")
    def test_in_a_box(self):
        title = "A box around a handler"
        probe = "bwrap --unshare-all --ro-bind / / --proc /proc true".split()
        if self.run_program(probe, user=USER.pw_uid if IS_ROOT else None).returncode:
            self.skipTest("users may not make namespaces here")
        self.folder("srv/boxed")
        self.folder("srv/boxed/files")
        self.write("srv/boxed/files/page", "page\n")
        self.write("outside", "secret\n")
        handler = self.file(title, "#!", "boxed/handler", 0o755)
        sup = self.serve_recipe(title)
        self.assertEqual(self.talk(sup.socket, b"page\n"), b"page\n")
        devices = self.talk(sup.socket, b"../" * 9 + b"proc/net/dev\n")
        self.assertEqual(devices.count(b":"), 1, "the loopback device only")
        outside = [b"../../../outside\n", b"../" * 9 + b"etc/passwd\n"]
        self.assertEqual([self.talk(sup.socket, name) for name in outside], [b"", b""])
        for event in sup.wait_events(2, "stderr"):
            self.assertIn("No such file", event["text"])
        sup.stop()
        sup = self.serve([handler])  # it was the box
        self.assertEqual(self.talk(sup.socket, outside[0]), b"secret\n")

    @needs("prlimit")
    def test_more_limits(self):
        clerk = self.file("A shell script", "#!", "clerk", 0o755)
        os.rename(clerk, self.path("clerk"))
        sup = self.serve_recipe("More limits")
        sock = self.connect(sup.socket)
        sock.sendall(b"bogus\n")
        self.assertEqual(self.receive(sock, 16), b"unknown command\n")
        limits = proc.limits(int(sup.wait_event("open")["pid"]))
        self.assertEqual(limits["Max data size"], ("50000000",) * 2)
        self.assertEqual(limits["Max stack size"], ("1000000",) * 2)


class Fronts(RecipeCase):
    """udsd in front of another server, and another server in front of udsd."""

    def http_server(self):
        server = self.spawn(
            [PYTHON, "-c", HTTP_PY, self.path("real.sock")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.assertEqual(server.stdout.readline(), b"ready\n")

    @needs("curl")
    def test_access_rules_for_a_socket(self):
        title = "Access rules in front of another socket"
        self.http_server()
        if not IS_ROOT:
            self.changes += [("group:staff", "self")]
        staff = {"user": STRANGER, "group": STRANGER, "extra_groups": [STAFF]}
        staff = staff if IS_ROOT else {}
        sup = self.serve_recipe(title)
        command = self.block(title, "curl ")
        self.assertEqual(self.shell(command, **staff), "/version 0\n")
        post = command.replace("curl", "head -c 500000 /dev/zero | curl --data-binary @-")
        self.assertEqual(self.shell(post, **staff), "/version 500000\n")
        sup.wait_events(2, "close", status="exit:0")
        if IS_ROOT:
            self.check_stranger(sup)

    def check_stranger(self, sup):
        """Users outside the group can neither go through nor around."""
        stranger = Who(STRANGER, STRANGER)
        answer = as_user(stranger, visit, sup.socket)
        self.assertEqual(answer, b"HTTP/1.0 403 Forbidden\r\n\r\n")
        sup.wait_event("reject", reason="rule", peer_uid=STRANGER)
        self.assertEqual(as_user(stranger, visit, self.path("real.sock")), "EACCES")

    @needs("socat", "curl")
    def test_with_socat(self):
        self.http_server()
        relay = ["/usr/bin/socat", "STDIO", "UNIX-CONNECT:" + self.path("real.sock")]
        sup = self.serve(relay, user="root" if IS_ROOT else None)
        url = "curl --unix-socket '%s' -d x http://localhost/a" % sup.socket
        self.assertEqual(self.shell(url), "/a 1\n")

    def haproxy(self, title):
        """Starts it on listening sockets of ours: no other test can have their ports."""
        names = ("127.0.0.1:7000", "127.0.0.1:7001")
        socks = {name: self.adopt(socket.create_server(("127.0.0.1", 0))) for name in names}
        fds = [sock.fileno() for sock in socks.values()]
        paths = self.changes
        self.changes = paths + [(name, "fd@%d" % fd) for name, fd in zip(names, fds)]
        conf = self.file(title, "defaults", "tls/haproxy.cfg")
        self.spawn(
            ["haproxy", "-db", "-f", conf],
            pass_fds=fds,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.changes = paths[:]
        for name, sock in socks.items():
            self.changes.append((name, "127.0.0.1:%d" % sock.getsockname()[1]))
            sock.close()

    @needs("haproxy", "openssl", "socat")
    def test_haproxy(self):
        title = "For other machines, by HAProxy"
        self.folder("srv/tls")
        self.run_block(title, "cd ")
        sup = self.serve([self.echo()], name="echo")
        self.haproxy(title)
        for text in self.blocks[title][-2:]:
            out = self.run_block(title, text, cwd=self.path("srv/tls"))
            self.assertEqual(out, "hello\r\nhi\n")
        sup.wait_events(2, "close", status="exit:0")


if __name__ == "__main__":
    main()
