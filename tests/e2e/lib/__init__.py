"""What most end-to-end tests need, in one import; the rest is in the modules of this folder.

UDSD_BUILD and UDSD_SRC name the build and the source tree.
"""
from lib.build_tree import (BUILD, ECHO, PYTHON, SANITIZED, SRC, UDSC, UDSCTL, UDSD, UDSD_VFORK,
                            WHOAMI)
from lib.case import Case, main
from lib.clients import address, crowd, read_to_end
from lib.config_text import complete, config, service
from lib.log_reader import parse_line
from lib.supervisor import REFUSED, Udsd
from lib.tap import IS_ROOT, diagnose, needs, needs_root, needs_user
from lib.users import USER
from lib.waiting import PATIENCE, wait_for
