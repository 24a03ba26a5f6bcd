"""What one of all samplers does for all: it holds the role, and the others leave it alone.

ChoresJob.step  =  the first of its jobs that has something to do, while the role is ours
"""

from collections.abc import Callable, Sequence

from labeler.roles.holding import Holding
from trainer.worker.worker import Job


class ChoresJob:
    """Jobs that would be done twice, or paid twice, if two samplers did them.

    `take_up` is called whenever the role has come to this process.
    """

    def __init__(self, holding: Holding, jobs: Sequence[Job], take_up: Callable[[], None]) -> None:
        self._holding = holding
        self._jobs = jobs
        self._take_up = take_up
        self._was_held = False

    def step(self, now: float) -> bool:
        """Do a piece of one of them; false if there is none, or another sampler has the role."""
        held = self._holding.is_held
        if held and not self._was_held:
            self._take_up()
        self._was_held = held
        return held and any(job.step(now) for job in self._jobs)
