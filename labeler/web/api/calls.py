"""What gets through to Gradio's queue: well-formed calls, and sessions of one's own.

Gradio knows a session by a name that the client makes up, and tells its answers to whoever asks for
that name. Here a name belongs to the account that used it first.

It also looks for files in what is sent: an object can name any path of this machine, or a URL, and
Gradio copies what is there before the endpoint runs. So no object gets through, however deep.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs

from pydantic import BaseModel, Field, ValidationError, field_validator
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labeler.web.rating.bodies import Id
from labeler.web.said import sentence_of

CALL = "/gradio_api/queue/join"
ANSWERS = "/gradio_api/queue/data"
MAX_SESSIONS = 10_000
NOT_YOURS = "This session belongs to another account. Make a new client."
Plain = str | int | float | bool | None
NO_SESSION = "The request is invalid: session_hash: it is missing."


class CallBody(BaseModel):
    """A call of an endpoint by its number. What else clients send along is left out."""

    fn_index: Annotated[int, Field(ge=0)]
    session_hash: Id
    data: list[Any]

    @field_validator("data")
    @classmethod
    def _holds_no_object(cls, data: list[Any]) -> list[Any]:
        parts = (part for value in data for part in (value if isinstance(value, list) else [value]))
        if not all(isinstance(part, Plain) for part in parts):
            raise ValueError("only texts, numbers and lists of them are taken")
        return data


class Calls:
    """ASGI middleware inside the door, which says whose call it is.

    `takes`: how many values each endpoint takes.
    """

    def __init__(self, app: ASGIApp, *, takes: Sequence[int]) -> None:
        self._app = app
        self._takes = takes
        self._owners: OrderedDict[str, int] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is right, and say what is wrong with the rest."""
        path = scope.get("path")
        if path == CALL:
            await self._call(scope, receive, send)
        elif path == ANSWERS and (refused := self._unheard(_asked(scope), scope)) is not None:
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = CallBody.model_validate_json(await _read(receive))
        except ValidationError as error:
            refused: JSONResponse | None = _no(422, sentence_of(error.errors()))
        else:
            refused = self._unfit(body) or self._refused(body.session_hash, scope)
        if refused is not None:
            await refused(scope, receive, send)
        else:
            await self._app(*_with(scope, receive, body.model_dump_json().encode()), send)

    def _unfit(self, body: CallBody) -> JSONResponse | None:
        if body.fn_index >= len(self._takes):
            return _no(404, "There is no such endpoint.")
        wanted = self._takes[body.fn_index]
        if len(body.data) != wanted:
            return _no(422, f"This endpoint takes {wanted} values, not {len(body.data)}.")
        return None

    def _unheard(self, session: str | None, scope: Scope) -> JSONResponse | None:
        """Why there are no answers to hear."""
        if session is None:
            return _no(422, NO_SESSION)
        if session not in self._owners:
            return _no(404, "This session has made no call.")
        return self._refused(session, scope)

    def _refused(self, session: str, scope: Scope) -> JSONResponse | None:
        rater_id = scope["state"]["person"].rater_id
        owner = self._owners.setdefault(session, rater_id)
        self._owners.move_to_end(session)
        if len(self._owners) > MAX_SESSIONS:
            self._owners.popitem(last=False)
        return None if owner == rater_id else _no(403, NOT_YOURS)


def _no(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


def _asked(scope: Scope) -> str | None:
    """The session that the address names."""
    named = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [])
    return str(named[-1]) if named else None


async def _read(receive: Receive) -> bytes:
    """The body, whose length the door has bounded."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _with(scope: Scope, receive: Receive, body: bytes) -> tuple[Scope, Receive]:
    """The request with this body, which is read once, and then what comes after it."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))

    async def give() -> Message:
        return pending.pop() if pending else await receive()

    return {**scope, "headers": headers}, give
