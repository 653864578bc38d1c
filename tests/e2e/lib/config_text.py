"""Configs, written from Python values."""
import re

from lib.tap import IS_ROOT


def quote(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{ %s }" % ", ".join(quote(item) for item in value)
    return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')


def options(values):
    return [
        "%s = %s" % (name.replace("_", "-"), quote(value))
        for name, value in values.items()
        if value is not None
    ]


def service(name, **values):
    """A service section; option names with _ for -, None leaves an option out."""
    return "service %s {\n    %s\n}\n" % (name, "\n    ".join(options(values)))


def config(text="", **values):
    """Global options, then text."""
    return "\n".join(options(values)) + "\n" + text


def has_option(text, name):
    return re.search(r"^\s*%s\s*[={]" % name, text, re.M)


def complete(text):
    """Adds what keeps a test off the system's own files, after the text: lines keep their
    numbers."""
    extra = [
        line
        for name, line in (
            ("pid-file", 'pid-file = ""'),
            ("control-socket", 'control-socket = ""'),
            ("stop-timeout", "stop-timeout = 2s"),
        )
        if not has_option(text, name)
    ]
    if IS_ROOT and not re.search(r"^\s*defaults\b", text, re.M):
        extra.append('defaults { user = "nobody" }')
    return "\n".join([text] + extra) + "\n"
