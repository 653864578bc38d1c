"""What the tests of the config share: texts with this test's paths, checked by udsd -t."""
import re
import shutil

from lib.case import Case
from lib.supervisor import REFUSED
from lib.users import USER

CAT = shutil.which("cat")


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
