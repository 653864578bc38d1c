"""A line of the log, taken apart."""
import re

NAME = r"[a-z][a-z0-9-]*"
VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^\s"]*)'
PAIR = re.compile("(%s)=(%s)" % (NAME, VALUE))
LINE = re.compile("([a-z]+)((?: %s=%s)*)$" % (NAME, VALUE))
PREFIX = re.compile(r"^(?:<\w+>)?\s*(?:[^\"]*?\budsd\S*: )?")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
HEAD = re.compile("^" + TIME + " udsd: ")  # of a line on standard error
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: \w+Sanitizer")


def unescape(text):
    """The value that a logged word stands for; bytes that are not UTF-8 as surrogates."""
    if text.startswith('"'):
        text = text[1:-1]
    data = text.encode(errors="surrogateescape")
    data = re.sub(
        rb"\\(?:x([0-9a-fA-F]{2})|(.))",
        lambda m: bytes([int(m[1], 16)]) if m[1] else m[2],
        data,
    )
    return data.decode(errors="surrogateescape")


def parse_line(line):
    """A log line as (verb, dict), or (None, {}) if it is something else."""
    for text in (line, PREFIX.sub("", line, 1)):
        match = LINE.match(text)
        if match:
            return match[1], {
                key: unescape(value) for key, value in PAIR.findall(match[2])
            }
    return None, {}
