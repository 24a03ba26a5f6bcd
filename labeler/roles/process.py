"""How a role lives as a process: settings in, a stop flag, one exit code.

    startup -> body(settings, store, stop) -> exit

Settings come from the environment, so that a supervisor and a shell start a role the same way.
Signals only set the flag. A role started by a supervisor has a pipe as standard input and stops
when it closes, however the supervisor ended. One that is told to be quiet logs to its file only.
A role that was started by itself may be one of several, and is called by its machine and number.
"""

import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from labeler.config.load import handed_down_settings
from labeler.config.settings import Settings
from labeler.domain.adapter_folder import DamagedCheckpointError
from labeler.domain.errors import BadInput, LivedpoError, SamplerError, first_line
from labeler.domain.process_names import one_of_several
from labeler.domain.report_keys import LOST_FOLDER, SAMPLER, TROUBLE
from labeler.roles.interrupt import let_through
from labeler.roles.logs import log_to
from labeler.roles.terminal import tell
from labeler.store import Store, open_store

log = logging.getLogger(__name__)

SUPERVISED = "supervised"
QUIET = "quiet"
ORPHAN_SECONDS = 20.0

Body = Callable[[Settings, Store, threading.Event], None]


def run_role(name: str, body: Body) -> None:
    """Run one role until it is told to stop, and exit the process."""
    gc.freeze()  # what is imported stays
    gc.enable()
    stop = stop_on_signals()
    if SUPERVISED in sys.argv[1:]:
        threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    try:
        settings = handed_down_settings(os.environ)
        store = open_store(settings.database_url)
        log_to(settings.data_dir / "logs", name, quiet=QUIET in sys.argv[1:])
        with reported(own_name(name), store):
            body(settings, store, stop)
        with suppress(LivedpoError):
            store.processes.leave(own_name(name), now=time.time())
    except BadInput as error:
        # A progress bar may stand on this line of a terminal.
        if QUIET in sys.argv[1:] and sys.stderr.isatty():
            tell("", err=True)
        tell(f"livedpo: {error}", err=True)
        sys.exit(error.exit_code)
    except LivedpoError as error:
        log.error("%s", error)
        sys.exit(error.exit_code)


def own_name(role: str) -> str:
    """What this process is called among all; the children of a supervisor by their role.

    There is one worker, whoever starts it.
    """
    if role == "worker" or SUPERVISED in sys.argv[1:]:
        return role
    return one_of_several(role, socket.gethostname(), os.getpid())


@contextmanager
def reported(role: str, store: Store) -> Iterator[None]:
    """Raise the alarm of a role that ends with an error. Its next process takes it back at work;
    one of several is forgotten once another does its work (`Processes.forget_gone`).
    """
    try:
        yield
    except LivedpoError as error:
        report_trouble(role, store, error)
        raise


def report_trouble(role: str, store: Store, error: Exception) -> None:
    """Raise the alarm, unless it is the database that fails: whoever meets that one, tells it."""
    with suppress(LivedpoError):
        store.processes.alarm(_key_of(role, error), first_line(error))


def _key_of(role: str, error: Exception) -> str:
    """The alarm that an error is told under."""
    match error:
        case DamagedCheckpointError():
            return LOST_FOLDER.format(role)
        case SamplerError():  # which the sampler takes back
            return SAMPLER
    return TROUBLE.format(role)


def stop_on_signals() -> threading.Event:
    """A flag that SIGINT and SIGTERM set. The same signal again ends the process at once."""
    stop = threading.Event()

    def ask_to_stop(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask_to_stop)
    let_through()
    return stop


def _stop_with_parent(stop: threading.Event) -> None:
    """Ask to stop when the supervisor is gone, and end for good if something hangs meanwhile."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()
    threading.Event().wait(ORPHAN_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
