"""Ctrl-C before a service listens to it, and beside its work: a line at most, never a traceback.

    leave_at_once  ->  imports  ->  `stop_on_signals` of a service, or the work of a command

Nothing heavy is imported here, for this stands before all else.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130  # the exit code that shells have for it
LINE = "livedpo: Interrupted."


def leave_at_once() -> None:
    """From now on Ctrl-C ends this process without cleaning up: it has begun nothing.

    An exception, as Python has it, would come to light in the midst of some import.
    """
    signal.signal(signal.SIGINT, _leave)


@contextmanager
def cleaning_up() -> Iterator[None]:
    """Within it Ctrl-C is a KeyboardInterrupt, so that what was begun is taken back."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def hold_back() -> None:
    """Keep Ctrl-C for the program that this process is about to become."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def let_through() -> None:
    """Take what was held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _leave(*_: object) -> None:
    os.write(2, f"{LINE}\n".encode())
    os._exit(INTERRUPTED)
