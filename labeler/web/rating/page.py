"""The rating page's document. Its scripts and styles are in `static/rating/`."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from labeler.web.page_files import PageFiles


def page_routes(files: PageFiles) -> APIRouter:
    """GET /."""
    routes = APIRouter()

    @routes.get("/")
    def page() -> HTMLResponse:
        return files.document("rating/rating.html")

    return routes
