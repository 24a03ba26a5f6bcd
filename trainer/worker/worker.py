"""The worker: jobs in order, the most urgent first.

    Worker.step  =  follow the live version; do the first job, for which somebody waits; then the
                    next one of the others that has something to do

One thread does everything, because a policy's adapters are global state. The live version is a
pointer in the database: the worker looks at it before everything it does, so that a rollback takes
effect at once. `trainer.worker.main` puts the jobs together, and is the process.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Protocol

from trainer.worker.live import Live
from trainer.worker.news import News


class Job(Protocol):
    """One kind of work."""

    def step(self, now: float) -> bool:
        """Do one piece of it; false if there was nothing to do. `now` is the time of the turn."""


class Turn(Enum):
    """What a turn came to."""

    WORKED = auto()
    IDLE = auto()
    OTHER_SHAPE = auto()  # the live version has another LoRA shape: load the policy with it


class Worker:
    """Does its jobs with one policy. `closing` ends what they leave running; `is_over` says when it
    has lost the role that it has them for.
    """

    def __init__(
        self,
        live: Live,
        jobs: Sequence[Job],
        news: News,
        closing: Sequence[Callable[[], None]],
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self.jobs = jobs
        self._live = live
        self._news = news
        self._closing = closing
        self.is_over = is_over

    def step(self, now: float) -> Turn:
        """One turn. Raises LivedpoError if the database or the live version cannot be used."""
        if not self._news.is_there(now):
            return Turn.IDLE
        if not self._live.follow():
            return Turn.OTHER_SHAPE
        urgent, *others = self.jobs
        worked = urgent.step(now)  # which keeps no update waiting, however much people ask
        worked = any(job.step(now) for job in others) or worked
        self._news.looked(now, worked=worked)
        return Turn.WORKED if worked else Turn.IDLE

    def wait(self, seconds: float) -> None:
        """Rest for so long, or until a job says that something has come."""
        self._news.wake.wait(seconds)

    def close(self) -> None:
        """Leave nothing running."""
        for end in self._closing:
            end()
