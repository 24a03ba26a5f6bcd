"""Run a role that kills itself at a chosen point: `python -m tests.faults.dying_role POINT`."""

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


def main(point: str) -> None:
    """Arm the point, then run the role as ever."""
    from labeler.role import run_role
    from labeler.store.updates import Updates
    from labeler.store.votes import Votes

    if point.startswith("vote"):
        Votes.record = die if point == "vote before commit" else after(Votes.record)  # type: ignore[assignment, method-assign]
        from labeler.web.role import run_web

        run_role("web", run_web)
        return

    from trainer import candidate, worker

    match point:
        case "claimed":
            Updates.claim = _die_when_claimed(Updates.claim)  # type: ignore[method-assign]
        case "training":
            Updates.beat = after(Updates.beat, calls=2)  # type: ignore[method-assign]
        case "trained":
            candidate.write_adapter = die  # type: ignore[assignment]
        case "renamed":
            candidate.write_adapter = after(candidate.write_adapter)
        case "before commit":
            Updates.promote = die  # type: ignore[method-assign]
        case "after commit":
            Updates.promote = after(Updates.promote)  # type: ignore[method-assign]
        case _:
            raise ValueError(point)
    run_role("worker", worker.run_worker)


def _die_when_claimed(real: Callable[..., Any]) -> Callable[..., Any]:
    def claim(*args: Any, **kwargs: Any) -> Any:
        claimed = real(*args, **kwargs)
        if claimed is not None:
            die()
        return claimed

    return claim


if __name__ == "__main__":
    main(sys.argv[1])
