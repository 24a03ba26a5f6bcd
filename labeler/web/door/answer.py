"""How everything is answered: with the security headers. No page needs inline scripts or styles."""

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

HSTS = "max-age=31536000"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
ERROR_HEADERS = {**HEADERS, "cache-control": "no-store"}


class Answer:
    """Sends a response on with the security headers. `https`: browsers shall come back by HTTPS."""

    def __init__(self, send: Send, *, https: bool) -> None:
        self._send = send
        self._https = https

    async def __call__(self, message: Message) -> None:
        """Take one ASGI message of a response."""
        if message["type"] == "http.response.start":
            self._secure(MutableHeaders(scope=message), message["status"])
        await self._send(message)

    def _secure(self, headers: MutableHeaders, status: int) -> None:
        for name in [name for name in headers if name.startswith("access-control-")]:
            del headers[name]  # Gradio reflects any origin
        headers.update(HEADERS)
        if self._https:
            headers["strict-transport-security"] = HSTS
        if status != 200:
            headers["cache-control"] = "no-store"
        headers.setdefault("cache-control", "no-store")
