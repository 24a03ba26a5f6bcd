"""How everything is answered: the security headers, and the rating page's document as it is sent.

Gradio's document is collected, trimmed, and gets a policy with the hashes of its own scripts. The
documents of this project need no inline script or style, so theirs allows none.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from labeler.web.door import document
from labeler.web.page_files import IMMUTABLE

GRADIO_DOCUMENT = "/"
HASHED = ("/assets/", "/theme.css")  # Gradio asks for its files by their hashes
HSTS = "max-age=31536000"

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
ERROR_HEADERS = {
    **HEADERS,
    "content-security-policy": document.STRICT_POLICY,
    "cache-control": "no-store",
}


class Answer:
    """Sends a response on with the security headers. `https`: browsers shall come back by HTTPS."""

    def __init__(self, send: Send, path: str, *, https: bool) -> None:
        self._send = send
        self._collects = path == GRADIO_DOCUMENT
        self._caching = IMMUTABLE if path.startswith(HASHED) else "no-store"
        self._https = https
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        """Take one ASGI message of a response."""
        if message["type"] == "http.response.start":
            self._start = message
            if not self._collects:
                await self._send(self._with_headers(message, document.STRICT_POLICY))
        elif message["type"] == "http.response.body" and self._collects:
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
        headers.update({**HEADERS, "content-security-policy": policy})
        if self._https:
            headers["strict-transport-security"] = HSTS
        if start["status"] != 200:
            headers["cache-control"] = "no-store"
        headers.setdefault("cache-control", self._caching)
        return start
