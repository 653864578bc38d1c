"""Clients: one, many in threads, and many in one thread."""
import errno
import selectors
import socket
import threading

SO_PASSRIGHTS = 83


def address(path):
    return "\0" + path[1:] if path.startswith("@") else path


def read_to_end(sock):
    """All bytes until the end of file."""
    parts = []
    while True:
        part = sock.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def name_of(error):
    return errno.errorcode.get(error.errno, str(error))


def visit(path, data=b"", kind=socket.SOCK_STREAM, timeout=10):
    """What a client gets until the end of file, or the name of the error that it sees."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect(address(path))
            try:
                if data:
                    sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, OSError) as error:
                if error.errno not in (errno.EPIPE, errno.ENOTCONN):
                    raise
            return read_to_end(sock)
        except OSError as error:
            return name_of(error)


def crowd(workers, jobs, function):
    """Calls function(i) for i in range(jobs), from so many threads; returns the results,
    an exception in the place of the call that raised it."""
    results = [None] * jobs
    numbers = iter(range(jobs))
    lock = threading.Lock()

    def run():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                results[number] = function(number)
            except Exception as error:  # the result, for the caller
                results[number] = error

    threads = [threading.Thread(target=run, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def fill(sock, amount):
    """Sends up to so many bytes, as many as the socket takes at once; returns how many."""
    sent = 0
    block = b"x" * 65536
    sock.setblocking(False)
    try:
        while sent < amount:
            sent += sock.send(block[:amount - sent])
    except (BlockingIOError, BrokenPipeError):
        pass
    return sent


def pour(socks, amount, timeout=20):
    """Sends so many bytes on each of the sockets, as far as they are taken, and reads all that
    comes until the end of file: what each got, or the name of an error. EPIPE only ends the
    sending."""
    selector = selectors.DefaultSelector()
    left = {sock: amount for sock in socks}
    got = {sock: b"" for sock in socks}
    for sock in socks:
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if amount else 0))
    while selector.get_map():
        ready = selector.select(timeout)
        if not ready:
            break
        for key, events in ready:
            sock = key.fileobj
            try:
                if events & selectors.EVENT_WRITE:
                    left[sock] -= _send(sock, left[sock])
                    if not left[sock]:
                        selector.modify(sock, selectors.EVENT_READ)
                if events & selectors.EVENT_READ:
                    part = sock.recv(65536)
                    got[sock] += part
                    if not part:
                        selector.unregister(sock)
            except BlockingIOError:
                pass
            except OSError as error:
                got[sock] = name_of(error)
                selector.unregister(sock)
    for key in list(selector.get_map().values()):
        got[key.fileobj] = "no end"
    selector.close()
    return [got[sock] for sock in socks]


def _send(sock, left):
    """How much less there is to send."""
    try:
        return sock.send(b"y" * min(left, 65536))
    except BrokenPipeError:
        return left


def is_silent(sock):
    """Whether nothing has come on a connection, nor its end."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return not selector.select(0)


def knows_pass_rights():
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)
        except OSError:
            return False
    return True
