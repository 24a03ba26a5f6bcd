"""What stands in front of the page: which hosts, paths and requests get through, and how it is
answered.

Gradio brings routes for uploads, files, logs and its own API. This page needs none of them, so the
guard has an allow-list and answers 404 for everything else. On a loopback host only loopback names
are served, which stops DNS rebinding; a request that changes something must be JSON of this very
page, which stops other sites from voting.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labeler.settings import LOOPBACK_HOSTS
from labeler.web import document

FILES = frozenset({"/theme.css", "/favicon.ico"})
FOLDERS = ("/assets/", "/page/", "/rating/")
READS = frozenset({"GET", "HEAD"})
IMMUTABLE = "private, max-age=31536000, immutable"  # Gradio's file names hold their hash
LARGEST_BODY_BYTES = 256 * 1024

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class Guard:
    """ASGI middleware around the whole app. `loopback`: only this machine may use it."""

    def __init__(self, app: ASGIApp, *, loopback: bool) -> None:
        self._app = app
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with one sentence, or pass on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, scope["path"])
        if (refusal := self._refusal(scope)) is not None:
            status, sentence = refusal
            await JSONResponse({"error": sentence}, status)(scope, receive, answer)
        elif scope["type"] == "http":
            await self._app(_without_compression(scope), receive, answer)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        if scope["type"] != "http":
            return 404, "This page has no web socket."
        headers = Headers(scope=scope)
        if self._loopback and _name(headers.get("host", "")) not in LOOPBACK_HOSTS:
            return 400, "This page is served to this machine only; open it as http://localhost."
        if not _is_known(scope["path"]):
            return 404, "There is nothing at this address."
        if scope["method"] in READS:
            return None
        if scope["method"] != "POST":
            return 405, "Only GET and POST are understood here."
        return _refused_post(scope, headers)


def _refused_post(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    if not _is_own_page(scope, headers):
        return 403, "Votes are taken from the page of this service only."
    if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return 415, "The body must be application/json."
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return 411, "The body must come with its length."
    if int(length) > LARGEST_BODY_BYTES:
        return 413, f"The body is larger than {LARGEST_BODY_BYTES} bytes."
    return None


def _is_own_page(scope: Scope, headers: Headers) -> bool:
    """Browsers name the page a POST comes from; a program on this machine need not."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or origin == f"{scope['scheme']}://{headers.get('host', '')}"


def _is_known(path: str) -> bool:
    return path == "/" or path in FILES or path.startswith(FOLDERS)


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _without_compression(scope: Scope) -> Scope:
    """The document is rewritten on its way out, so it must come as plain text."""
    if scope["path"] != "/":
        return scope
    headers = [(key, value) for key, value in scope["headers"] if key != b"accept-encoding"]
    return {**scope, "headers": headers}


class _Answer:
    """Sends a response on with the security headers; a document whole, trimmed and with its CSP."""

    def __init__(self, send: Send, path: str) -> None:
        self._send = send
        self._is_document = path == "/"
        self._caching = IMMUTABLE if path.startswith("/assets/") else "no-store"
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            if not self._is_document:
                await self._send(self._with_headers(message, document.policy()))
        elif message["type"] == "http.response.body" and self._is_document:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_document()
        else:
            await self._send(message)

    async def _send_document(self) -> None:
        html = document.trim(self._body)
        headers = MutableHeaders(scope=self._start)
        if "content-length" in headers and self._body:
            headers["content-length"] = str(len(html))
        await self._send(self._with_headers(self._start, document.policy(html)))
        await self._send({"type": "http.response.body", "body": html})

    def _with_headers(self, start: Message, policy: str) -> Message:
        headers = MutableHeaders(scope=start)
        for name in [name for name in headers if name.startswith("access-control-")]:
            del headers[name]  # Gradio reflects any origin
        headers.update({**_HEADERS, "content-security-policy": policy})
        if start["status"] != 200:
            headers["cache-control"] = "no-store"
        headers.setdefault("cache-control", self._caching)
        return start
