"""What the jobs of one worker share."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from labeler.config.settings import Settings
from labeler.store import Store
from trainer.policy.policy import Policy
from trainer.worker.live import Live
from trainer.worker.stopwatch import Stopwatch
from trainer.worker.supply import ROLE, Supply

SAY_SECONDS = 5.0

Clock = Callable[[], float]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Workplace:
    """`say` tells people what goes on; `clock` is for work that takes longer than a turn."""

    store: Store
    policy: Policy
    settings: Settings
    live: Live
    supply: Supply
    stopwatch: Stopwatch
    say: Say
    clock: Clock


class SignOfLife:
    """Says what the worker does: at once if it is news, else every few seconds."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._said = ""
        self._said_at = 0.0

    def say(self, says: str) -> None:
        """Write it down where people see it."""
        now = self._clock()
        if says != self._said or now - self._said_at > SAY_SECONDS:
            self._store.roles.say(ROLE, says, pid=os.getpid(), now=now)
            self._said, self._said_at = says, now
