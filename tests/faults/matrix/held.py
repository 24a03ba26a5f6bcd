"""The service as ever, but that a test may hold it: `python -m tests.faults.matrix.held WHAT`.

    serve                     the supervisor, whose roles are started by this module too
    MODULE WORDS              a role, as `labeler.roles.start` runs it

A file POINT.hold in the folder `held` of the data dir stops whoever comes by that point, and tells
so with POINT.reached, until it is gone. ROLE.readonly makes the database read-only for one process,
as SQLite does for a file that may not be written. Where `held/clocks` is, each process has a clock
of its own, which goes by the offset in ROLE.clock (libfaketime).
"""

import os
import sys
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from labeler.config.load import PREFIX
from labeler.roles import MODULES

ROLES = {module: role for role, module in MODULES.items()}
SUPERVISOR = "supervisor"
PRELOAD = "LD_PRELOAD"
LOOK_SECONDS = 0.02


def folder() -> Path:
    """Where a test leaves word for the processes."""
    return Path(os.environ[f"{PREFIX}DATA_DIR"]) / "held"


def library() -> Path | None:
    """libfaketime, if this machine has it."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def held(
    point: str, real: Callable[..., Any], when: Callable[..., bool] = lambda *_, **__: True
) -> Callable[..., Any]:
    """The same, once nothing holds it here any more."""
    hold, reached = folder() / f"{point}.hold", folder() / f"{point}.reached"

    @wraps(real)
    def run(*args: Any, **kwargs: Any) -> Any:
        if hold.exists() and when(*args, **kwargs):
            reached.touch()
            while hold.exists():
                threading.Event().wait(LOOK_SECONDS)  # time.sleep fails under libfaketime
        return real(*args, **kwargs)

    return run


def hold_web() -> None:
    """While a vote is on its way into the database."""
    from labeler.store.rating.votes import Votes

    Votes.record = held("voting", Votes.record)  # type: ignore[method-assign]


def hold_worker() -> None:
    """While it samples, trains, examines and promotes."""
    from labeler.domain.states import UpdateState
    from labeler.store.learning.updates import Updates
    from labeler.store.rating.queue import Queue
    from trainer.worker import candidate

    def trains(_self: Any, _claim: Any, state: UpdateState, **_: Any) -> bool:
        return state is UpdateState.TRAINING

    Queue.add = held("sampling", Queue.add)  # type: ignore[method-assign]
    Updates.beat = held("training", Updates.beat, trains)  # type: ignore[method-assign]
    candidate.examine_candidate = held("gating", candidate.examine_candidate)
    Updates.promote = held("promoting", Updates.promote)  # type: ignore[method-assign]


def make_read_only_on_demand(role: str) -> None:
    """Each transaction asks whether the file may be written just now."""
    from labeler.store.engines import sqlite

    begin, flag = sqlite._begin, folder() / f"{role}.readonly"

    def run(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA query_only = {int(flag.exists())}")
        begin(connection)

    sqlite._begin = run


def take_own_clock(role: str) -> None:
    """Start anew with a clock that a test may set."""
    found = library()
    clock = folder() / f"{role}.clock"
    if not (folder() / "clocks").exists() or os.environ.get("FAKETIME_TIMESTAMP_FILE") == str(
        clock
    ):
        return
    assert found is not None
    os.environ |= {
        PRELOAD: str(found),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
    }
    os.execv(sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:]])


def main() -> None:
    """Arm what is there to arm, and go on as the service."""
    module = sys.argv[1]
    role = ROLES.get(module, SUPERVISOR)
    take_own_clock(role)
    make_read_only_on_demand(role)
    if role == SUPERVISOR:
        from labeler.cli.main import main as command_line
        from labeler.roles import supervisor

        supervisor.START = __spec__.name  # type: ignore[attr-defined]
        command_line()
        return
    from labeler.roles.start import start

    {"web": hold_web, "worker": hold_worker, "scheduler": lambda: None}[role]()
    start()


if __name__ == "__main__":
    main()
