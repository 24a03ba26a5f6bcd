"""What every page shows of the loop, worked out once for all that ask at the same time.

It takes some milliseconds, and fifty pages ask about once a second each: it would be half of a
core's work. An answer to a vote must know that vote, others may be half a second old.
"""

import threading
from collections.abc import Callable
from typing import Any

from labeler.config.settings import Settings
from labeler.store import Store


class LoopView:
    """The last look at the loop, shared by all pages of this process.

    `clock`: seconds, of a clock that never goes back.
    """

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._rules = settings.due_rules
        self._clock = clock
        self._turn = threading.Lock()
        self._looked_at = float("-inf")
        self._shown: dict[str, Any] = {}

    def page(self, rater_id: int, *, oldest_seconds: float = 0.0) -> dict[str, Any]:
        """The state for a rater's page, not older than that. Reads the database."""
        oldest = self._clock() - oldest_seconds
        with self._turn:
            if self._looked_at < oldest:
                looked_at = self._clock()  # before it, so that it tells all that was there by then
                self._shown = self._store.reports.shown_to_all(self._rules)
                self._looked_at = looked_at
            shown = self._shown
        return self._store.reports.page_of(rater_id, shown, self._rules.votes)
