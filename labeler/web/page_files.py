"""The pages' scripts and styles, which a browser asks for once.

They are at `/page/VERSION/`, and the version is a hash of them all: whatever changes is at another
address, so none is ever outdated and all may be kept. Scripts import each other by relative paths,
so only the documents name the version. All are read when the service starts: an update of livedpo
under a running one changes no answer.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, Response

STATIC = Path(__file__).parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css"}
IMMUTABLE = "private, max-age=31536000, immutable"


class PageFiles:
    """The files of a folder, and the scripts that the server makes: `made`, their text by path."""

    def __init__(self, made: Mapping[str, str], folder: Path = STATIC) -> None:
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
        self._files = {name: path.read_bytes() for name, path in found.items()}
        self._files |= {name: text.encode() for name, text in made.items()}
        hashes = [f"{sha256(data).hexdigest()} {name}" for name, data in self._files.items()]
        self.version = sha256("\n".join(sorted(hashes)).encode()).hexdigest()[:16]

    def with_addresses(self, html: str) -> str:
        """A document whose files are named without the version."""
        return html.replace('="page/', f'="page/{self.version}/')

    def document(self, name: str) -> HTMLResponse:
        """A document of the folder, which is asked for at each visit."""
        html = self.with_addresses(self._files[name].decode())
        return HTMLResponse(html, headers={"cache-control": "no-cache"})

    def routes(self) -> APIRouter:
        """GET /page/{version}/{name}. Documents have addresses of their own."""
        routes = APIRouter()

        @routes.api_route("/page/{version}/{name:path}", methods=["GET", "HEAD"])
        async def file(version: str, name: str) -> Response:
            kind = TYPES.get(PurePosixPath(name).suffix)
            if version != self.version or kind is None or name not in self._files:
                raise HTTPException(404)
            headers = {"cache-control": IMMUTABLE}
            return Response(self._files[name], media_type=kind, headers=headers)

        return routes
