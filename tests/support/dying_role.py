"""Run a role that kills itself at a chosen point: `python -m tests.support.dying_role POINT`."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def die(*_: object, **__: object) -> None:
    """What kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(real: Callable[..., Any], calls: int = 1) -> Callable[..., Any]:
    """Do the real thing, and die at the end of the given call."""
    done = 0

    def run(*args: Any, **kwargs: Any) -> Any:
        nonlocal done
        value = real(*args, **kwargs)
        done += 1
        if done == calls:
            die()
        return value

    return run


def run_with(environment: dict[str, str], point: str) -> None:
    """As `main`, in a process that was forked, with this environment."""
    os.environ.clear()
    os.environ.update(environment)
    main(point)


def main(point: str) -> None:
    """Arm the point, then run the role as ever."""
    from labeler.roles.process import run_role
    from labeler.store.learning.updates import Updates
    from labeler.store.rating.votes import Votes

    if point.startswith("vote"):
        Votes.record = die if point == "vote before commit" else after(Votes.record)  # type: ignore[assignment, method-assign]
        from labeler.web.server import run_web

        run_role("web", run_web)
        return

    from labeler.store.learning.judging import Judging
    from labeler.store.rating.queue import Queue
    from trainer.worker import candidate
    from trainer.worker.main import run_worker

    match point:
        case "sampled":
            Queue.add = after(Queue.add)  # type: ignore[method-assign]
        case "judged":
            Judging.record = die  # type: ignore[assignment, method-assign]
        case "verdicts written":
            Judging.record = after(Judging.record)  # type: ignore[method-assign]
        case "labelled":
            Judging.settle = _die_when_true(Judging.settle)  # type: ignore[method-assign]
        case "gating":
            candidate.examine_candidate = die  # type: ignore[assignment]
        case "claimed":
            Updates.claim = _die_when_true(Updates.claim)  # type: ignore[method-assign]
        case "training":
            Updates.beat = after(Updates.beat, calls=2)  # type: ignore[method-assign]
        case "trained":
            candidate.write_adapter = die  # type: ignore[assignment, attr-defined]
        case "renamed":
            candidate.write_adapter = after(candidate.write_adapter)  # type: ignore[attr-defined]
        case "before commit":
            Updates.promote = die  # type: ignore[method-assign]
        case "after commit":
            Updates.promote = after(Updates.promote)  # type: ignore[method-assign]
        case _:
            raise ValueError(point)
    run_role("worker", run_worker)


def _die_when_true(real: Callable[..., Any]) -> Callable[..., Any]:
    """Do the real thing, and die at the end of the first call that came to something."""

    def run(*args: Any, **kwargs: Any) -> Any:
        value = real(*args, **kwargs)
        if value:
            die()
        return value

    return run


if __name__ == "__main__":
    main(sys.argv[1])
