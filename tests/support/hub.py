"""A hub with one model or data set: as much of its interface as a download takes."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.support.loopback import serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub_with(name: str, folder: Path, kind: str = "models") -> Iterator[str]:
    """Serve the files of a folder as the model or data set `name`; yields the hub's address."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    api = f"/api/{kind}/{name}"
    tree = [
        {"type": "file", "path": path, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
        for path, body in files.items()
    ]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            if path in (api, f"{api}/revision/main"):
                self._send({"id": name, "sha": COMMIT, "siblings": []}, body=body)
            elif path.startswith(f"{api}/tree/"):
                self._send(tree, body=body)
            elif (file := path.rpartition("/")[2]) in files:
                self._send(files[file], body=body)
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _send(self, content: Any, *, body: bool) -> None:
            sent = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.send_header("ETag", f'"{hashlib.sha1(sent).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with serving(Handler) as url:
        yield url
