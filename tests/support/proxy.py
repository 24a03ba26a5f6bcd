"""A real proxy on loopback that gives a service a path of its own, as nginx does by `location`."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.support.loopback import serving
from tests.support.patience import PATIENCE_SECONDS

PREFIX = "/label"
HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "date", "server")


@contextmanager
def proxied(port: int, upstream: int, *, strips: bool) -> Iterator[str]:
    """The address of what listens at `upstream`, under /label/. `strips`: it sees no /label."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE_SECONDS

        def do_GET(self) -> None:
            if self.path == PREFIX and strips:
                self._redirect()
            elif self.path == PREFIX or self.path.startswith(PREFIX + "/"):
                self._pass_on()
            else:
                self.send_error(404)

        do_POST = do_GET  # noqa: N815 (the name is the method's)

        def _redirect(self) -> None:
            self.send_response(301)
            self.send_header("location", PREFIX + "/")
            self.send_header("content-length", "0")
            self.end_headers()

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {
                **{name.lower(): value for name, value in self.headers.items()},
                "connection": "close",
                "x-forwarded-for": "192.0.2.1",
                "x-forwarded-prefix": PREFIX,
            }
            path = self.path.removeprefix(PREFIX) if strips else self.path
            connection = http.client.HTTPConnection("127.0.0.1", upstream, PATIENCE_SECONDS)
            connection.request(self.command, path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with serving(Handler, port) as url:
        yield url + PREFIX
