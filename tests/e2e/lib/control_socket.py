"""What the tests of the control socket and of udsctl share."""
import json

from lib import clients
from lib.build_tree import UDSCTL
from lib.config_text import config
from lib.log_reader import parse_line
from lib.orders import OrderCase


class ControlCase(OrderCase):
    """Supervisors with a control socket."""

    def setUp(self):
        super().setUp()
        self.control = self.path("control.sock")

    def controlled(self, text, **values):
        """A config with a control socket."""
        return config(text, **{"control_socket": self.control, **values})

    def serve_controlled(self, text, **values):
        sup = self.udsd(self.controlled(text, **values), ready=None)
        sup.sockets.append(self.control)
        self.wait_ready(sup, "path")
        return sup

    def ctl(self, *args, status=0, **kw):
        """Runs udsctl; what it prints, which is on standard error where it fails."""
        done = self.run_program([UDSCTL, "-s", self.control, *args], **kw)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stderr if status else done.stdout

    def status(self, service):
        """The JSON status of a service."""
        return json.loads(self.ctl("--json", "status", service))["services"][0]

    def listed(self, *service):
        return json.loads(self.ctl("--json", "list", *service))

    def ask(self, request, path=None):
        """A request as another program would send it: the answer."""
        answer = clients.visit(path or self.control, request)
        self.assertIsInstance(answer, bytes)    # no error
        return answer.decode()

    def records(self, request):
        """The records of a good answer, as (word, pairs)."""
        head, _, rest = self.ask(request).partition("\n")
        lines = rest.splitlines()
        self.assertEqual((head, lines.pop()), ("ok", "end"))
        return [parse_line(line) for line in lines]
