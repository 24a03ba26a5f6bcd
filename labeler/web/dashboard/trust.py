"""GET /dashboard/trust: whether the votes can be trusted. Worked out now and then, not for each
page that asks, for it takes up to some seconds.
"""

import threading
import time
from typing import Any

from fastapi import APIRouter

from labeler.config.settings import Settings
from labeler.store import Store

LOOK_SECONDS = 30.0
HOUR_SECONDS = 3600.0  # a report tells of the last day, which moves on without a vote


class TrustView:
    """The last report, shared by all pages of this process."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._turn = threading.Lock()
        self._looked_at = float("-inf")
        self._mark: tuple[float, ...] | None = None
        self._report: dict[str, Any] | None = None

    def report(self, *, now: float, clock: float) -> dict[str, Any]:
        """The report; a new one if the last is old, and votes came or an hour began since.

        `clock`: seconds of a clock that never goes back. Who comes while it is worked out gets the
        last one, or waits if there is none.
        """
        if self._turn.acquire(blocking=self._report is None):
            try:
                if clock - self._looked_at >= LOOK_SECONDS:
                    self._look(now)
                    self._looked_at = clock
            finally:
                self._turn.release()
        assert self._report is not None
        return self._report

    def _look(self, now: float) -> None:
        mark = now // HOUR_SECONDS, *self._store.trust.mark()
        if mark != self._mark:
            self._report = self._store.trust.report(
                min_reading_seconds=self._settings.min_reading_seconds,
                weighing=self._settings.weigh_raters,
                now=now,
            )
            self._mark = mark


def trust_routes(settings: Settings, store: Store) -> APIRouter:
    """The route; the door lets reviewers and admins through."""
    routes = APIRouter(prefix="/dashboard")
    view = TrustView(settings, store)

    @routes.get("/trust")
    def trust() -> dict[str, Any]:
        return view.report(now=time.time(), clock=time.monotonic())

    return routes
