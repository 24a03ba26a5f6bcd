"""GET /dashboard/trust: whether the votes can be trusted. Worked out now and then, not for each
page that asks, for it takes up to some seconds.
"""

import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

from labeler.config.settings import Settings
from labeler.store import Store
from labeler.web.kept import Kept

LOOK_SECONDS = 30.0
HOUR_SECONDS = 3600.0  # a report tells of the last day, which moves on without a vote


class TrustView:
    """The last report, shared by all pages of this process."""

    def __init__(
        self, settings: Settings, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._store = store
        self._kept = Kept[dict[str, Any]](LOOK_SECONDS, clock=clock)
        self._mark: tuple[float, ...] | None = None
        self._report: dict[str, Any] = {}

    def report(self, *, now: float) -> dict[str, Any]:
        """The report; a new one if the last is old, and votes came or an hour began since."""
        return self._kept.get(lambda: self._look(now))

    def _look(self, now: float) -> dict[str, Any]:
        mark = now // HOUR_SECONDS, *self._store.trust.mark()
        if mark != self._mark:
            self._report = self._store.trust.report(
                min_reading_seconds=self._settings.min_reading_seconds,
                weighing=self._settings.weigh_raters,
                now=now,
            )
            self._mark = mark
        return self._report


def trust_routes(settings: Settings, store: Store) -> APIRouter:
    """The route; the door lets reviewers and admins through."""
    routes = APIRouter(prefix="/dashboard")
    view = TrustView(settings, store)

    @routes.get("/trust")
    def trust() -> dict[str, Any]:
        return view.report(now=time.time())

    return routes
