"""What /proc says about processes."""
import os
import re

SO_ACCEPTCON = 0x10000


def read(pid, name):
    """The bytes of /proc/PID/NAME; b"" if the process has exited."""
    try:
        with open("/proc/%s/%s" % (pid, name), "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def stat(pid):
    """The fields of /proc/PID/stat, numbered as in proc(5) (state is 3); None if gone."""
    text = read(pid, "stat").decode(errors="replace")
    if not text:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return dict(enumerate(fields, 3))


def state(pid):
    fields = stat(pid)
    return fields[3] if fields else None


def is_alive(pid):
    return state(pid) not in (None, "Z", "X")


def parents():
    """A dict of every process and its parent."""
    result = {}
    for name in os.listdir("/proc"):
        fields = stat(name) if name.isdigit() else None
        if fields:
            result[int(name)] = int(fields[4])
    return result


def children(pid):
    return sorted(child for child, parent in parents().items() if parent == pid)


def descendants(pid):
    """All below pid, nearest first."""
    family = parents()
    result = [pid]
    for parent in result:
        result += [child for child, above in family.items() if above == parent]
    return result[1:]


def cmdline(pid):
    """The arguments, as a list of str."""
    text = read(pid, "cmdline").decode(errors="surrogateescape")
    return text[:-1].split("\0") if text.endswith("\0") else text.split("\0")


def title(pid):
    """The command line as ps(1) shows it."""
    return " ".join(cmdline(pid)).rstrip(" \0")


def comm(pid):
    return read(pid, "comm").decode(errors="replace").rstrip("\n")


def status(pid):
    """The lines of /proc/PID/status as a dict."""
    text = read(pid, "status").decode(errors="replace")
    return dict(re.findall(r"^(\w+):[ \t]*(.*?)[ \t]*$", text, re.M))


def environ(pid):
    """The environment as a list of NAME=value, in its order."""
    text = read(pid, "environ").decode(errors="surrogateescape")
    return [item for item in text.split("\0") if item]


def limits(pid):
    """The resource limits: name -> (soft, hard), as the kernel prints them."""
    text = read(pid, "limits").decode()
    return {
        m[0]: (m[1], m[2])
        for m in re.findall(r"^(Max .*?)\s{2,}(\S+)\s+(\S+)", text, re.M)
    }


def fds(pid):
    """Open descriptors: number -> what they are."""
    result = {}
    folder = "/proc/%d/fd" % pid
    for name in os.listdir(folder):
        try:
            result[int(name)] = os.readlink(os.path.join(folder, name))
        except FileNotFoundError:
            pass
    return result


def fd_flags(pid, fd):
    """The open(2) flags of a descriptor."""
    text = read(pid, "fdinfo/%d" % fd).decode()
    return int(re.search(r"^flags:\s*(\d+)", text, re.M)[1], 8)


def cpu_seconds(pid):
    fields = stat(pid)
    return (int(fields[14]) + int(fields[15])) / os.sysconf("SC_CLK_TCK")


def unix_table():
    """The lines of /proc/net/unix: (flags, inode, path or "")."""
    with open("/proc/net/unix", errors="surrogateescape") as file:
        next(file)
        for line in file:
            fields = line.rstrip("\n").split(None, 7)
            if len(fields) < 7 or not fields[6].isdigit():
                continue # the rest of a path with a newline
            yield int(fields[3], 16), fields[6], fields[7] if len(fields) > 7 else ""


def unix_sockets():
    """Unix sockets of this network namespace: inode -> path."""
    return {inode: path for _, inode, path in unix_table()}


def listening():
    """The paths of Unix sockets that accept connections."""
    return {path for flags, _, path in unix_table() if flags & SO_ACCEPTCON}


def cpu_time(pids):
    """The CPU time of those processes that live, to the nanosecond where the kernel counts
    so."""
    total = 0.0
    for pid in filter(is_alive, pids):
        text = read(pid, "schedstat").split()
        total += int(text[0]) / 1e9 if text else cpu_seconds(pid)
    return total


def is_gone(pid):
    return not is_alive(pid)
