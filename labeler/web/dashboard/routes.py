"""The dashboard's routes: its document, its figures, and what an admin may do to versions."""

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from labeler.config.settings import Settings
from labeler.roles import promotion
from labeler.store import Store
from labeler.web.body import Body
from labeler.web.dashboard.figures import Figures
from labeler.web.door.person import Id, PersonHere
from labeler.web.page_files import PageFiles

MAX_AHEAD_SECONDS = 15 * 3600

Range = Literal["hour", "day", "week", "month", "all"]
Offset = Annotated[int, Query(ge=-MAX_AHEAD_SECONDS, le=MAX_AHEAD_SECONDS)]


class ChangeBody(Body):
    """`live`: the version that the person saw live when they asked."""

    live: Id | None = None


def dashboard_routes(settings: Settings, store: Store, files: PageFiles) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    figures = Figures(settings, store)

    @routes.get("/dashboard", include_in_schema=False)
    def page() -> HTMLResponse:
        return files.document("dashboard/dashboard.html")

    @routes.get("/dashboard/figures")
    def all_figures(range: Range = "day", offset: Offset = 0) -> dict[str, Any]:
        return figures.get(range, offset, now=time.time())

    @routes.post("/versions/rollback")
    def rollback(body: ChangeBody, person: PersonHere) -> dict[str, Any]:
        return _make_live(None, body, person.name)

    @routes.post("/versions/{version_id}/promote")
    def promote(version_id: Id, body: ChangeBody, person: PersonHere) -> dict[str, Any]:
        return _make_live(version_id, body, person.name)

    @routes.post("/versions/{version_id}/reject")
    def reject(version_id: Id, body: ChangeBody, person: PersonHere) -> dict[str, Any]:
        changed = promotion.reject(settings, store, version_id, now=time.time(), by=person.name)
        figures.forget()
        if changed.live == changed.previous:
            return {"sentence": f"Version {version_id} is rejected."}
        return {
            "sentence": f"Version {version_id} is rejected; version {changed.live} is live again."
        }

    def _make_live(version_id: int | None, body: ChangeBody, name: str) -> dict[str, Any]:
        changed = promotion.make_live(
            settings, store, version_id, now=time.time(), by=name, live=body.live
        )
        figures.forget()
        return {"sentence": changed.told}

    return routes
