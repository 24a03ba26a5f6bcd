"""When a worker with nothing to do looks again: where there is news, and else once a second."""

import math
import threading

from labeler.store import Store

LOOK_SECONDS = 1.0


class News:
    """Whether a look at everything is worth its queries.

    It is if the worker was busy, if the database has changed, if somebody called `wake.set`, and
    every second: some work becomes due by time alone.
    """

    def __init__(self, store: Store) -> None:
        self.wake = threading.Event()
        self._store = store
        self._mark: int | None = None
        self._looked_at = -math.inf

    def is_there(self, now: float) -> bool:
        """Whether to look now; costs one small query."""
        before, self._mark = self._mark, self._store.change_mark()
        if self.wake.is_set():
            self.wake.clear()
            return True
        return self._mark != before or abs(now - self._looked_at) >= LOOK_SECONDS

    def looked(self, now: float, *, worked: bool) -> None:
        """Everything was looked at, and something was done or not."""
        self._looked_at = -math.inf if worked else now
