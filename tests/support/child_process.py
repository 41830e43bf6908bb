"""Child processes that cannot outlive the one that started them."""

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import threading

PR_SET_PDEATHSIG = 1
# Below the range from which the kernel takes ports for outgoing connections,
# so that a broker that was killed finds its port free when it returns.
PORTS = range(20000, 32000)

_libc = ctypes.CDLL(None, use_errno=True)
_given_ports = set()
_ports_lock = threading.Lock()


def die_with_parent(parent):
    """In the child: SIGKILL when the starting thread ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def spawn(command, log, bound=True):
    """Starts `command` with its output in the file `log`.

    With `bound` the child ends when the calling thread does, so call it from
    the main thread. It has its own session: a terminal's Ctrl-C reaches only
    the parent, which then ends its children in order.
    """
    parent = os.getpid()
    with open(log, "ab") as out:
        return subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, start_new_session=True,
            preexec_fn=(lambda: die_with_parent(parent)) if bound else None)


def free_port():
    """A loopback port that nothing uses and that was not given before."""
    with _ports_lock:
        for port in random.sample(PORTS, len(PORTS)):
            if port in _given_ports:
                continue
            with contextlib.closing(socket.socket()) as probe:
                # As servers do it: an old connection in TIME_WAIT is no
                # obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            _given_ports.add(port)
            return port
    raise OSError("no free loopback port from 20000 to 32000")


@contextlib.contextmanager
def ending_on_signals():
    """SIGTERM and SIGHUP end the block as an exception does: it cleans up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number, _frame):
        raise SystemExit(128 + number)

    old = {number: signal.signal(number, leave)
           for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
