"""The web app: Gradio's layout at `/`, the rating routes, their files, and the guard in front."""

import asyncio
import logging
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.store import Store
from labeler.web.bounds import bounds_routes
from labeler.web.dashboard.downloads import download_routes
from labeler.web.dashboard.people import people_routes
from labeler.web.dashboard.routes import dashboard_routes
from labeler.web.dashboard.trust import trust_routes
from labeler.web.door.answer import ERROR_HEADERS
from labeler.web.door.person import rater_of
from labeler.web.door.routes import door_routes
from labeler.web.door.security import Guard
from labeler.web.labels.routes import labelled_routes
from labeler.web.metrics import metrics_routes
from labeler.web.rating.asks import asks_routes
from labeler.web.rating.changes import changes_routes
from labeler.web.rating.page import mount_layout
from labeler.web.rating.routes import rating_routes

STATIC = Path(__file__).parent / "static"
log = logging.getLogger(__name__)


def create_app(settings: Settings, store: Store) -> FastAPI:
    """The whole app, ready for a server."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(door_routes(settings, store))
    app.include_router(rating_routes(settings, store, rater_of))
    app.include_router(asks_routes(settings, store))
    app.include_router(changes_routes(settings, store))
    app.include_router(dashboard_routes(settings, store))
    app.include_router(labelled_routes(settings, store))
    app.include_router(people_routes(store))
    app.include_router(download_routes(settings))
    app.include_router(trust_routes(settings, store))
    app.include_router(metrics_routes(settings, store))
    app.include_router(bounds_routes())
    app.mount("/page", _PageFiles(directory=STATIC))
    app.add_exception_handler(LivedpoError, _explain)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _explain_body)
    app.add_exception_handler(Exception, _apologise)
    app.add_middleware(Guard, settings=settings, store=store)
    asyncio.run(mount_layout(app))
    return app


class _PageFiles(StaticFiles):
    """The page's own scripts and styles, asked for again at each visit so that none is outdated."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be checked by its ETag each time. Documents have addresses of their own."""
        if path.endswith(".html"):
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


async def _explain(_request: Request, error: Exception) -> JSONResponse:
    return _sentence(str(error), 422 if isinstance(error, BadInput) else 503)


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    """What a route says no to, and paths that nobody has."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)


async def _explain_body(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    return _sentence(f"The request is invalid: {where}: {first['msg']}.", 422)


async def _apologise(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    answer = _sentence("Something went wrong in the service. Its log has the details.", 500)
    answer.headers.update(ERROR_HEADERS)  # this one does not pass the guard on its way out
    return answer


def _sentence(text: str, status: int) -> JSONResponse:
    return JSONResponse({"error": text}, status)
