"""Pages of other addresses that may show this service in a frame: those of `--embed-in`, else none.

Whoever frames a page can lay something over it, so that a click means what nobody meant. The
login's cookie stays SameSite=Strict: browsers send it in a frame of the same site (another host
of the same domain), and not in one of another site, where people would have to log in and could
not. `Partitioned` would change that, for sites that are not one's own.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "content-security-policy"
CLOSED = "frame-ancestors 'none'"


class Frames:
    """ASGI middleware around the guard, which lets nobody. `origins` are separated by spaces."""

    def __init__(self, app: ASGIApp, *, origins: str) -> None:
        self._app = app
        self._open = f"frame-ancestors {origins}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with these origins in place of none."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[POLICY] = headers[POLICY].replace(CLOSED, self._open)
                del headers["x-frame-options"]  # it can name no other origin
            await send(message)

        await self._app(scope, receive, answer)
