"""What every page shows of the loop, worked out once for all that ask at the same time.

It takes some milliseconds, and fifty pages ask about once a second each: it would be half of a
core's work. So it may be half a second old, but what concerns the rater who asks is read anew.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from labeler.config.settings import Settings
from labeler.roles.disk import disk_of
from labeler.store import Store
from labeler.web.kept import Kept

MAX_AGE_SECONDS = 0.5


class LoopView:
    """The last look at the loop, shared by all pages of this process."""

    def __init__(
        self, settings: Settings, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._rules = settings.due_rules
        self._data_dir = settings.data_dir
        self._kept = Kept[tuple[float, dict[str, Any]]](MAX_AGE_SECONDS, clock=clock)

    def page(self, rater_id: int, *, versions: Iterable[int] = ()) -> dict[str, Any]:
        """The state for a rater's page. `versions`: those of the pairs that come with it.

        Pages give back pairs that are not of the live version, so it must not be an earlier one.
        """
        looked_at, shown = self._kept.get(self._look)
        if any(version != shown["live"] for version in versions):
            self.forget()
            looked_at, shown = self._kept.get(self._look)
        return self._store.reports.page_of(rater_id, shown, self._rules, looked_at=looked_at)

    def forget(self) -> None:
        """Look anew next time: a vote was taken back."""
        self._kept.forget()

    def _look(self) -> tuple[float, dict[str, Any]]:
        now = time.time()
        disk = disk_of(self._data_dir)
        shown = self._store.reports.shown_to_all(self._rules, now=now, disk=disk)
        return now, shown | {"standstill": self._store.reports.standstill(self._rules, now=now)}
