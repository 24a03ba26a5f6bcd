"""The web app: the pages, their routes and files, the endpoints, and the guard in front."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from inspect import signature

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.store import Store
from labeler.web.api.calls import Calls
from labeler.web.api.endpoints import Endpoints
from labeler.web.api.mount import mount_api
from labeler.web.bounds import bounds_module
from labeler.web.dashboard.downloads import Exporter, download_routes, formats_module
from labeler.web.dashboard.people import people_routes
from labeler.web.dashboard.routes import dashboard_routes
from labeler.web.dashboard.trust import trust_routes
from labeler.web.door.answer import ERROR_HEADERS
from labeler.web.door.frames import Frames
from labeler.web.door.person import rater_of
from labeler.web.door.routes import door_routes
from labeler.web.door.security import Guard
from labeler.web.labels.routes import labelled_routes
from labeler.web.metrics import metrics_routes
from labeler.web.page_files import PageFiles
from labeler.web.rating.asks import asks_routes
from labeler.web.rating.changes import changes_routes
from labeler.web.rating.desk import Desk
from labeler.web.rating.follow_up import follow_up_routes
from labeler.web.rating.page import page_routes
from labeler.web.rating.routes import rating_routes
from labeler.web.said import sentence_of

log = logging.getLogger(__name__)


def create_app(settings: Settings, store: Store) -> FastAPI:
    """The whole app, ready for a server."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    files = PageFiles(made_modules())
    desk, exporter = Desk(settings, store), Exporter(settings)
    app.include_router(page_routes(files))
    app.include_router(door_routes(settings, store, files))
    app.include_router(rating_routes(settings, store, desk, rater_of))
    app.include_router(asks_routes(settings, store))
    app.include_router(changes_routes(settings, store))
    app.include_router(dashboard_routes(settings, store, files))
    app.include_router(labelled_routes(settings, store, files))
    app.include_router(follow_up_routes(store))
    app.include_router(people_routes(store))
    app.include_router(download_routes(exporter))
    app.include_router(trust_routes(settings, store))
    app.include_router(metrics_routes(settings, store))
    app.include_router(files.routes())
    app.add_exception_handler(LivedpoError, _explain)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _explain_body)
    app.add_exception_handler(Exception, _apologise)
    endpoints = Endpoints(desk, exporter).all
    app.add_middleware(Calls, takes=[len(signature(one).parameters) - 1 for one in endpoints])
    app.add_middleware(Guard, settings=settings, store=store, files=files)
    if settings.embed_in:
        app.add_middleware(Frames, origins=settings.embed_in)
    # On a thread of its own: the caller's may have an event loop, as a notebook does.
    with ThreadPoolExecutor(1, "mount-api") as thread:
        thread.submit(asyncio.run, mount_api(app, endpoints)).result()
    return app


def made_modules() -> dict[str, str]:
    """The scripts that the server makes, by where they lie among the pages' files."""
    return {"shared/bounds.js": bounds_module(), "dashboard/formats.js": formats_module()}


async def _explain(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, BadInput):
        return _sentence(str(error), 422)
    log.warning("%s", error)  # of the service, not of what was asked: whoever runs it is told
    return _sentence(str(error), 503)


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    """What a route says no to, and paths that nobody has."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)


async def _explain_body(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _sentence(sentence_of(error.errors()), 422)


async def _apologise(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    answer = _sentence("Something went wrong in the service. Its log has the details.", 500)
    answer.headers.update(ERROR_HEADERS)  # this one does not pass the guard on its way out
    return answer


def _sentence(text: str, status: int) -> JSONResponse:
    return JSONResponse({"error": text}, status)
