"""Requests of all kinds to the web app in this process: strategies for them, and what must hold.

The app is called as a server would call it, so that bytes that no client library sends arrive too.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote

from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

from labeler.config.settings import Settings
from labeler.web.app import create_app
from labeler.web.door.access import RANKS, RULES, Rule
from labeler.web.door.security import MAX_BODY_BYTES
from labeler.web.door.sessions import Sessions
from tests.support.people import member
from tests.support.web import add_questions, open_test_store

MAX_ANSWER_BYTES = 256 * 1024  # of an answer that is no document and no file
MAX_SENTENCE_CHARS = 1_000
LONG = "x" * 20_001
NESTED = 30_000  # deeper than Python goes
NUMBERS: tuple[Any, ...] = (0, -1, 2**31, 2**53, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 0.5)
WORDS = (
    "",
    " ",
    "0",
    "-1",
    "1e3",
    "null",
    "\0",
    "\ud800",
    "\u202e",
    "%00",
    "'\"<&",
    "ß" * 65,
    LONG,
)

junk: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([*NUMBERS, *WORDS, None, True, False, [], {}, [[[]]], 1e308, float("nan")]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=6,
    ),
)
# A body as the page sends it, by the path of its rule.
GOOD_BODIES: Mapping[str, Mapping[str, Any]] = {
    "/door/login": {"name": "Rater", "password": "no such password"},
    "/door/accept": {"invite": "a", "password": "another long password"},
    "/door/logout": {},
    "/door/password": {"password": "no such password", "new_password": "another long password"},
    "/rating/pairs": {"holder": "tab", "wanted": 2, "shown": ["a"], "give_back": ["b"]},
    "/rating/votes": {
        "votes": [
            {"vote_id": "v", "lease_id": "l", "choice": "left", "strength": 1, "seconds": 2.0}
            | {"edit": "a better text", "reasons": ["clearer"], "comment": "so"}
        ]
    },
    "/rating/undo": {"undo_id": "u", "holder": "tab", "vote_id": "v"},
    "/rating/reasons": {"vote_id": "v", "reasons": ["clearer"], "comment": "so"},
    "/rating/follow-up/seen": {"version": 1},
    "/rating/asks": {"ask_id": "a", "text": "What is tea?", "continues": "v"},
    "/labels/pairs/{id}/aside": {"aside": True, "reason": "odd"},
    "/versions/{id}/promote": {"live": 0},
    "/versions/{id}/reject": {},
    "/versions/rollback": {"live": 0},
    "/people": {"name": "Ann", "role": "rater"},
    "/people/{id}/disable": {},
    "/people/{id}/enable": {},
    "/people/{id}/invite": {},
    "/people/{id}/role": {"role": "rater"},
    "/gradio_api/queue/join": {"data": [], "fn_index": 3, "session_hash": "s"},
}
QUERIES = (
    *("range", "offset", "search", "source", "choice", "state", "purpose", "rater", "version"),
    *("flag", "since", "until", "cursor", "holder", "gone", "labels", "to"),
)


@dataclass(frozen=True)
class House:
    """The app, and the cookie of each kind of person; nobody's is empty."""

    app: ASGIApp
    cookies: Mapping[str, str]


@contextmanager
def a_house(folder: Path) -> Iterator[House]:
    """An app with some pairs, and an account of each role."""
    with closing(open_test_store(folder)) as store:
        add_questions(store, 8)
        settings = Settings(data_dir=folder)
        name = Sessions(settings, store).cookie
        cookies = {role.value: f"{name}={member(store, role.value, role)}" for role in RANKS}
        yield House(create_app(settings, store), cookies | {"nobody": ""})


@dataclass(frozen=True)
class Asked:
    """A request as it comes over the wire."""

    method: str
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _wire(text: str) -> str:
    """A text as a part of an address."""
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


@st.composite
def _paths(draw: st.DrawFn, rule: Rule) -> str:
    """An address of a rule, mostly of something that is there."""
    parts = st.one_of(st.sampled_from(["1", "2", "999999"]), st.sampled_from(WORDS), st.text())
    path = rule.pattern
    while "{" in path:
        before, _, rest = path.partition("{")
        # A real format would run a command of its own for seconds.
        part = draw(parts.filter(bool)) if "export" not in path else "x" + draw(st.text())
        path = before + _wire(str(part)[:300]) + rest.partition("}")[2]
    return path.replace("*", draw(st.sampled_from(["rating/page.js", "..%2f..", "%00", "x"])))


@st.composite
def _queries(draw: st.DrawFn) -> bytes:
    values = st.one_of(st.sampled_from(WORDS), st.integers().map(str), st.text(), junk.map(repr))
    chosen = draw(st.lists(st.tuples(st.sampled_from(QUERIES), values), max_size=3))
    return "&".join(f"{name}={_wire(value[:500])}" for name, value in chosen).encode()


@st.composite
def _contents(draw: st.DrawFn, pattern: str) -> Any:
    """A body as the page sends it, with something in it changed."""
    good = json.loads(json.dumps(GOOD_BODIES[pattern]))
    place = good
    if draw(st.booleans()) and isinstance(good.get("votes"), list):
        place = good["votes"][0]
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from([*place, *place, "more", "\ud800", "__proto__"]))
        if draw(st.booleans()):
            place[name] = draw(junk)
        else:
            place.pop(name, None)
    return draw(st.sampled_from([good, good, good, [good], draw(junk)]))


@st.composite
def _bodies(draw: st.DrawFn, pattern: str) -> bytes:
    """Mostly JSON in UTF-8; or JSON otherwise, broken, endless or none at all."""
    text = json.dumps(draw(_contents(pattern)))
    kinds = st.sampled_from(["good", "good", "good", "good", "bytes", "wide", "cut", "deep", "big"])
    match draw(kinds):
        case "bytes":
            return draw(st.binary(max_size=60))
        case "wide":
            return text.encode(draw(st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "utf-7"])))
        case "cut":
            return text.encode()[: draw(st.integers(0, len(text)))]
        case "deep":
            depth = draw(st.sampled_from([50, 500, NESTED]))
            return draw(st.sampled_from([b'{"a":', b"[", b'{"votes":['])) * depth
        case "big":
            return text.encode() + b" " * (MAX_BODY_BYTES - draw(st.integers(-2, 200)))
    return text.encode()


_TYPES = st.sampled_from(
    [
        *(b"application/json",) * 6,
        *(b"application/json; charset=utf-16", b"APPLICATION/JSON", b"text/plain", b"", b"\xff"),
        *(b"multipart/form-data; boundary=x", b"application/json, text/plain"),
    ]
)
_MORE_HEADERS = st.sampled_from(
    [
        *((),) * 6,
        ((b"content-encoding", b"gzip"),),
        ((b"x-livedpo-person", b"99"),),
        ((b"x-livedpo-person", b"\xff\xfe"),),
        ((b"x-forwarded-for", b"\x00, [::"),),
        ((b"origin", b"null"),),
        ((b"cookie", b"=;;\xff=\xff; a"),),
        ((b"accept-encoding", b"br, gzip;q=x"),),
        ((b"range", b"bytes=0-0,1-9,-5"),),
        ((b"if-modified-since", b"never"), (b"if-none-match", b"\xff")),
    ]
)
_LENGTHS = st.sampled_from([*(None,) * 8, b"", b"-1", b"1e3", b"\xb2", b"9" * 4_400, b"0"])


@st.composite
def asked(draw: st.DrawFn, cookies: Mapping[str, str]) -> tuple[str, Asked]:
    """A request of any rule, by one of these people: by name the cookie, empty if there is none."""
    rule, person = draw(st.sampled_from(RULES)), draw(st.sampled_from(sorted(cookies)))
    path, query = draw(_paths(rule)), draw(_queries())
    body = draw(_bodies(rule.pattern)) if rule.method == "POST" else b""
    length = draw(_LENGTHS)
    headers = [
        (b"host", b"localhost"),
        (b"cookie", cookies[person].encode()),
        (b"content-type", draw(_TYPES)),
        (b"content-length", str(len(body)).encode() if length is None else length),
        *draw(_MORE_HEADERS),
    ]
    return person, Asked(rule.method, path, query, tuple(headers), body)


def posted(path: str, body: bytes, *, cookie: str) -> Asked:
    """A request as the page sends it."""
    headers = (
        (b"host", b"localhost"),
        (b"cookie", cookie.encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    )
    return Asked("POST", path, b"", headers, body)


async def answer_to(app: ASGIApp, request: Asked) -> Answered:
    """Call the app as uvicorn does."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(request.path),
        "raw_path": request.path.encode("ascii"),
        "query_string": request.query,
        "root_path": "",
        "headers": list(request.headers),
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 7860),
        "state": {},
    }
    incoming: list[Message] = [
        {"type": "http.request", "body": request.body[:70_000], "more_body": True},
        {"type": "http.request", "body": request.body[70_000:], "more_body": False},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        if incoming:
            return incoming.pop(0)
        await asyncio.sleep(3600)  # the client waits for its answer
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    body = b"".join(message.get("body", b"") for message in rest)
    return Answered(start["status"], headers, body)


def check_answer(answer: Answered, log: Sequence[logging.LogRecord]) -> None:
    """What must hold of any answer: no failure of ours, and one sentence for theirs.

    `log` are the records that were written meanwhile.
    """
    failed = [record.getMessage() for record in log if record.levelno >= logging.ERROR]
    assert answer.status < 500, (answer.body[:300], failed)
    assert not failed
    assert not [record for record in log if record.exc_info]
    if answer.status >= 400 and answer.headers.get("content-type") == "application/json":
        told = json.loads(answer.body)
        sentence = told.get("error") or told["detail"]  # Gradio's own, of a file that is not there
        assert 0 < len(sentence) <= MAX_SENTENCE_CHARS
    if answer.headers.get("content-type") == "application/json":
        assert len(answer.body) <= MAX_ANSWER_BYTES
    assert answer.headers["x-content-type-options"] == "nosniff"
