"""A judge that learns from people hears what is new, in every process that asks it something."""

from labeler.domain.judging import Judge
from labeler.store import Store
from trainer.judge.learned import LearnedJudge
from trainer.worker.between import Between
from trainer.worker.weighing import Weighing


class Hearing:
    """The votes that this judge has heard. Others than one that learns hear none."""

    def __init__(
        self,
        store: Store,
        judge: Judge | None,
        weighing: Weighing,
        between: Between | None = None,
    ) -> None:
        """`between`: there are pauses while it learns."""
        self._store = store
        self._weighing = weighing
        self._between = between
        self._judge = judge if isinstance(judge, LearnedJudge) else None
        self._heard: tuple[int, int, int] | None = None

    def news(self) -> str | None:
        """Let it learn if there is something new; then what has become of it, in words."""
        if self._judge is None:
            return None
        heard = self._store.judging.have_said()
        if heard == self._heard:
            return None
        pause = None if self._between is None else self._between.begin()
        self._judge.learn(self._weighing.examples(), pause)
        self._heard = heard
        return self._judge.says

    def step(self, now: float) -> bool:
        """As a job, which keeps no other one waiting."""
        self.news()
        return False
