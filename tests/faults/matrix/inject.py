"""The faults, each from outside the process, and what takes them back."""

import contextlib
import os
import resource
import signal
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import psutil

from tests.support.service import Service

Lift = Callable[[], object]  # takes a fault back, also if its process has ended meanwhile
HOUR_SECONDS = 3600


def inject(fault: str, process: str, pid: int, service: Service) -> Lift:
    """Begin a fault; returns what ends it."""
    held = service.data_dir / "held"
    match fault.split():
        case ["frozen", *_]:
            os.kill(pid, signal.SIGSTOP)
            return lambda: _signal(pid, signal.SIGCONT)
        case ["kill", "-9"]:
            os.kill(pid, signal.SIGKILL)
            return lambda: None
        case ["no", "memory"]:
            return _limit(pid, resource.RLIMIT_AS, psutil.Process(pid).memory_info().vms)
        case ["no", "file", "handles"]:
            return _limit(pid, resource.RLIMIT_NOFILE, _highest_handle(pid) + 1)
        case ["disk", "full"]:
            return _limit(pid, resource.RLIMIT_FSIZE, 0)
        case ["read-only"]:
            flag = held / f"{process}.readonly"
            flag.touch()
            return lambda: flag.unlink(missing_ok=True)
        case ["clock", sign_and_hours, "h"]:
            clock = held / f"{process}.clock"
            clock.write_text(f"{int(sign_and_hours) * HOUR_SECONDS:+d}")
            return lambda: clock.write_text("+0")
        case ["adapter", "gone"]:
            return _move_away(service.data_dir)
        case ["database", "busy"]:
            return _occupy(service.data_dir / "livedpo.sqlite")
        case _:
            raise ValueError(fault)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _limit(pid: int, what: int, most: int) -> Lift:
    """Let the process have no more than that. The one that takes its place has no such limit."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most, before[1]))

    def lift() -> None:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, what, before)

    return lift


def _highest_handle(pid: int) -> int:
    return max(int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir())


def _move_away(data_dir: Path) -> Lift:
    """The folder of the live version. The newest may be that of a candidate."""
    with closing(sqlite3.connect(data_dir / "livedpo.sqlite")) as reader:
        query = "SELECT folder FROM policy_version WHERE LOWER(state) = 'live'"
        folder = data_dir / "adapters" / Path(reader.execute(query).fetchone()[0]).name
    aside = folder.rename(data_dir / "gone")
    return lambda: aside.rename(folder)


def _occupy(file: Path) -> Lift:
    """Another program writes for long."""
    with ExitStack() as stack:
        other = sqlite3.connect(file, isolation_level=None, timeout=60, check_same_thread=False)
        stack.callback(other.close)
        other.execute("BEGIN IMMEDIATE")
        return stack.pop_all().close
