"""The examples and recipes of udsd-handler(7), taken from the page itself, so that a test
runs what a reader copies. Only paths, users and ports are changed to the test's own.
"""
import os
import re
import shutil

from lib.build_tree import BUILD, SRC, UDSC
from lib.case import Case
from lib.tap import IS_ROOT
from lib.users import USER

PAGE = os.path.join(SRC, "man", "udsd-handler.7")
ESCAPES = {r"\-": "-", r"\e": "\\", r"\(aq": "'", r"\(dq": '"', r"\&": ""}


def plain(text):
    """Text as the reader of the page sees it."""
    return re.sub(r"\\(?:\(..|.)", lambda match: ESCAPES[match[0]], text)


def read_page():
    """A dict: title of a subsection -> its literal blocks, in order."""
    with open(PAGE, encoding="utf-8") as file:
        parts = re.split(r"^\.Ss (.*)\n", file.read(), flags=re.M)
    block = re.compile(r"^\.Bd -literal.*\n((?s:.*?))^\.Ed$", re.M)
    return {
        title: [plain(text) for text in block.findall(body)]
        for title, body in zip(parts[1::2], parts[2::2])
    }


class RecipeCase(Case):
    """A test that follows subsections of the page, by their titles."""

    user = USER  # the services'

    def setUp(self):
        super().setUp()
        self.blocks = read_page()
        self.folder("srv")
        self.changes = [
            ("/run/udsd/", self.path("")),
            ("/run/docker.sock", self.path("real.sock")),
            ("/srv/", self.path("srv/")),
            ("/usr/local/libexec/", self.path("")),
            ("alice@", self.user.pw_name + "@"),
        ]

    def block(self, title, start):
        """The subsection's block that begins so, with the test's own paths."""
        text = next(text for text in self.blocks[title] if text.startswith(start))
        for old, new in self.changes:
            text = text.replace(old, new)
        return text

    def serve_recipe(self, title, **popen):
        """Serves its service section."""
        text = self.block(title, "service ")
        text = re.sub(
            r'(handler\s*= \{ ")([^"]+)', lambda m: m[1] + self.program(m[2]), text
        )
        user = r'^ *user +=( "root"|.*)\n'
        text = re.sub(user, self._user if IS_ROOT else "", text, flags=re.M)
        return self.udsd(text, **popen)

    def _user(self, match):
        return match[0] if "root" in match[1] else '    user = "%s"\n' % self.user.pw_name

    def program(self, path):
        """Where a handler's program is on this machine."""
        if path == "/usr/bin/udsc":
            return shutil.copy(UDSC, self.path("udsc"))
        return path if os.path.exists(path) else shutil.which(os.path.basename(path))

    def file(self, title, start, name, mode=0o644):
        """Writes a block to a file below srv."""
        return self.write("srv/" + name, self.block(title, start), mode)

    def give_to_user(self, folder):
        """As its service's user would have made it."""
        if IS_ROOT:
            for path, names, files in os.walk(folder):
                for name in [""] + names + files:
                    os.chown(os.path.join(path, name), self.user.pw_uid, self.user.pw_gid)

    def shell(self, command, status=0, **kw):
        """Runs commands as a reader would who has udsc installed; returns the output."""
        env = dict(os.environ, HOME=self.dir, LC_ALL="C", GIT_CONFIG_NOSYSTEM="1")
        env["PATH"] = os.path.join(BUILD, "src") + ":" + env["PATH"]
        kw.setdefault("cwd", self.dir)
        done = self.run_program(["sh", "-euc", command], timeout=40, env=env, **kw)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def run_block(self, title, start, **kw):
        return self.shell(self.block(title, start), **kw)

    def shell_as_user(self, command, **kw):
        """... as the service's user."""
        if IS_ROOT:
            kw.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        return self.shell(command, **kw)

    def same(self, one, other):
        """Two files of the test's have the same bytes."""
        with open(self.path(one), "rb") as first, open(self.path(other), "rb") as second:
            self.assertEqual(first.read(), second.read())
