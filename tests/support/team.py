"""Ranks as threads of one process, which meet through real gloo."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from torch import distributed as dist

from tests.support.patience import PATIENCE_SECONDS
from trainer.learning.team import Team

Result = TypeVar("Result")


def in_a_team(size: int, work: Callable[[Team], Result]) -> list[Result]:
    """What each of so many ranks comes to, in their order; raises what one raises."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    timeout = timedelta(seconds=PATIENCE_SECONDS)
    together = threading.Barrier(size)

    def rank(number: int) -> Result:
        group = dist.ProcessGroupGloo(store, number, size, timeout)
        try:
            return work(Team(number, size, group))  # type: ignore[arg-type]  # has its methods
        finally:
            together.wait(PATIENCE_SECONDS)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(rank, range(size)))
