"""The log of a role: a file that is kept short, and the terminal unless it is told to be quiet.

    record  ->  held back if it was said within the last minute  ->  one line
                                                                 ->  its traceback, in the file only

Trouble that a sentence explains (LivedpoError) has no traceback at all. A record may name what it
is `about` (`extra={"about": ...}`), where the sentence itself differs from time to time. A disk on
which the log finds no room is said once; the lines that are lost are counted.
"""

import contextlib
import logging
import sys
import threading
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from labeler.domain.errors import LivedpoError, first_line
from labeler.domain.repeats import Repeats, again
from labeler.domain.visible import visible, visible_lines
from labeler.roles.terminal import tell

log = logging.getLogger(__name__)

LOG_BYTES = 5_000_000
BACKUPS = 2


def log_to(folder: Path, role: str, *, quiet: bool) -> None:
    """Log what this process does from now on, also what would else end it with a traceback."""
    file = folder / f"{role}.log"
    kept = LogFile(file)
    kept.setFormatter(Lines(role))
    handlers: list[logging.Handler] = [kept]
    if not quiet:
        terminal = Terminal()
        terminal.setFormatter(Lines(role, traceback_in=file))
        handlers.append(terminal)
    for handler in handlers:
        handler.addFilter(OnceAMinute())
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    for noisy in ("alembic", "httpx", "httpx2", "openai", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # the scheduler tells it itself
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda gone: _log_uncaught(
        gone.exc_type, gone.exc_value or gone.exc_type(), gone.exc_traceback
    )


def warn_on_terminal(program: str) -> None:
    """Show the warnings of a program that has no log."""
    terminal = Terminal()
    terminal.setFormatter(Lines(program))
    terminal.addFilter(OnceAMinute())
    logging.basicConfig(level=logging.WARNING, handlers=[terminal])


class OnceAMinute(logging.Filter):
    """Holds a warning back that came within the last minute; the next one has their count."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it. All handlers see the same records, so they find the same count."""
        if record.levelno < logging.WARNING:
            return True
        about = record.__dict__.get("about") or record.getMessage()
        times = self._repeats.since(f"{record.name} {about}", record.created)
        record.__dict__["times"] = times
        return times is not None


class Lines(logging.Formatter):
    """A record as one line that steers no terminal, and the traceback of a bug below it.

    With `traceback_in` it only says that it is there.
    """

    def __init__(self, role: str, traceback_in: Path | None = None) -> None:
        super().__init__()
        self._role = role
        self._traceback_in = traceback_in

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        said = again(record.getMessage(), record.__dict__.get("times") or 0)
        line = f"{self.formatTime(record)} {self._role}: {visible(said)}"
        if record.exc_info is None or isinstance(record.exc_info[1], LivedpoError):
            return line
        if self._traceback_in is not None:
            return f"{line} (its traceback is in {visible(str(self._traceback_in))})"
        return f"{line}\n{visible_lines(self.formatException(record.exc_info))}"


class Terminal(logging.StreamHandler):  # type: ignore[type-arg]
    """The terminal. One that is gone is no trouble."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """The line is lost, and there is nobody to tell."""


class LogFile(RotatingFileHandler):
    """A file that says once that it cannot be written, and later how many lines it has lost."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=LOG_BYTES, backupCount=BACKUPS, delay=True)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write it if there is room."""
        before = self._lost
        if self.stream is None:
            with contextlib.suppress(OSError):  # what fails here fails once more below
                Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        super().emit(record)
        if before and self._lost == before:
            self._lost = 0
            log.warning("%d lines are missing here: the file could not be written.", before)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        """Count it; a line on the terminal the first time."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)  # a bug of ours
            return
        if not self._lost:
            with contextlib.suppress(OSError):  # the terminal may be a file on the same disk
                tell(f"The log {self.baseFilename} cannot be written: {error.strerror}.", err=True)
        self._lost += 1
        stream: TextIOWrapper | None = self.stream
        self.stream = None  # the next record opens it anew
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _log_uncaught(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    """A bug that ends the process, or a thread of it."""
    said = f"Stopped by an unexpected error: {kind.__name__}: {first_line(error)}"
    log.critical("%s", said, exc_info=(kind, error, where))
