"""A worker that tests turn by hand."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from labeler.config.settings import Settings
from labeler.domain.messages import Messages
from labeler.roles.scheduler import open_due_update
from labeler.store import Store
from labeler.store.records import LeasedPair
from labeler.store.tables import Update
from tests.support.store import last_update, lease, vote_on
from tests.support.tiny import Clock
from trainer.policy.policy import Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.sampler import Sampler
from trainer.worker.assembly import make_worker
from trainer.worker.worker import Turn

PROMPTS = [[{"role": "user", "content": f"how do you make good tea {n}?"}] for n in range(40)]

J = TypeVar("J")


def vote_for_longer(store: Store, count: int) -> None:
    """The local rater's votes on the next pairs, always for the longer reply."""
    for pair in lease(store, count, now=1.0):
        vote_on(store, pair, "left" if len(pair.left) > len(pair.right) else "right", now=2.0)


def lease_all(store: Store) -> list[LeasedPair]:
    """Let another page of the local rater hold every pair that waits."""
    return lease(store, 50, holder="all", now=1.0)


class HandTurned:
    """A worker that has taken up the live version, and the clock that it goes by.

    The store has these prompts as well, so that there is something to sample.
    """

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
        prompts: Sequence[Messages] = PROMPTS,
    ) -> None:
        store.prompts.add(prompts, now=1.0)
        self.store = store
        self.settings = settings
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

    def work(self) -> None:
        """Turns until there is nothing to do."""
        while self.step():
            pass

    def make_due(self) -> None:
        """Fill the queue, and vote until an update is due."""
        self.work()
        vote_for_longer(self.store, self.settings.labels_per_update)
        open_due_update(self.settings, self.store, self.clock())

    def update(self) -> Update:
        """Make an update due and take a turn; returns what came of it."""
        self.make_due()
        assert self.step()
        return last_update(self.store)

    def job(self, kind: type[J]) -> J:
        """The worker's job of this kind."""
        return next(job for job in self.worker.jobs if isinstance(job, kind))

    def close(self) -> None:
        """Leave nothing running."""
        self.worker.close()
