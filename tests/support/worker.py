"""A worker that tests turn by hand."""

import threading
from collections.abc import Callable
from typing import TypeVar

from labeler.config.settings import Settings
from labeler.store import Store
from tests.support.tiny import Clock
from trainer.policy.policy import Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.sampler import Sampler
from trainer.worker.main import make_worker
from trainer.worker.worker import Turn

J = TypeVar("J")


class HandTurned:
    """A worker that has taken up the live version, and the clock that it goes by."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        settings: Settings,
        *,
        sampler: Sampler | None = None,
        name: str = "w",
        stop: threading.Event | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.clock = clock or Clock()
        stop = stop or threading.Event()
        self.worker = make_worker(
            store,
            policy,
            sampler or LocalSampler(policy),
            settings,
            name=name,
            stop=stop,
            clock=self.clock,
        )

    def turn(self) -> Turn:
        """One turn, now."""
        return self.worker.step(self.clock())

    def step(self) -> bool:
        """One turn; false if there was nothing to do."""
        return self.turn() is Turn.WORKED

    def job(self, kind: type[J]) -> J:
        """The worker's job of this kind."""
        return next(job for job in self.worker.jobs if isinstance(job, kind))

    def close(self) -> None:
        """Leave nothing running."""
        self.worker.close()
