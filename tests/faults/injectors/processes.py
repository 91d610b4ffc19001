"""kill -9, and SIGSTOP for a time: the process is there and does nothing."""

import contextlib
import os
import signal
import threading


def kill9(node):
    node.kill9()


@contextlib.contextmanager
def paused(*nodes):
    """SIGSTOP to all of them at once, SIGCONT when the block is left however it is."""
    for node in nodes:
        node.process.pause()
    try:
        yield
    finally:
        for node in nodes:
            node.process.resume()


def pause_for(node, seconds):
    """SIGSTOP now, SIGCONT from a timer, so that nothing can leave it stopped; returns the timer."""
    pid = node.process.pid
    node.process.pause()
    timer = threading.Timer(seconds, _resume, [pid])
    timer.start()
    return timer


def _resume(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


def is_stopped(pid):
    """Whether the kernel says that it is stopped."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"
