"""What Gradio takes for a file it copies or fetches before any endpoint runs: no call names one."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.web.api.calls import CALL, Calls
from labeler.web.door.person import Person
from tests.support.people import client_of, member
from tests.support.service import PLAIN
from tests.support.web import WebServer, serving

TAKES = [1, 9, 1, 0, 2]  # values of lease, vote, undo, status, export
PREFIXES = ("", "/gradio_api", "/gradio_api/gradio_api")
ELSEWHERE = (
    *("/api/predict", "/api/lease", "/run/predict", "/run/lease", "/run/0", "/call/lease"),
    *("/call/v2/lease", "/queue/join/", "/queue/push", "/upload", "/component_server"),
    *("/process_recording", "/reset", "/cancel", "/stream/a/b/c", "/mcp/http", "/queue/data"),
)


def named(path: str) -> dict[str, Any]:
    """A file as Gradio's clients name it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def places(thing: Any) -> tuple[Any, ...]:
    """Where in a value Gradio would find it."""
    return (thing, [thing], ["x", thing], [[thing]], {"deep": [thing]}, [{"deep": thing}])


def calls(thing: Any) -> Iterator[dict[str, Any]]:
    """Every endpoint, with the thing as each of its values."""
    for number, takes in enumerate(TAKES):
        for at in range(takes):
            for value in places(thing):
                data = [value if place == at else None for place in range(takes)]
                yield {"fn_index": number, "session_hash": "s", "data": data}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Gradio copies files to."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def running(store: Store, cache: Path, tmp_path: Path) -> Iterator[WebServer]:
    with serving(store, tmp_path) as service:
        yield service


@pytest.fixture
def callers(running: WebServer, store: Store) -> Iterator[list[httpx.Client]]:
    """A rater, once by login and once by key."""
    token = member(store, "Ann", RaterRole.RATER)
    key = store.keys.make(store.raters.find("Ann").id, "a test", now=1.0)
    bearer = {"Authorization": f"Bearer {key}"}
    with ExitStack() as stack:
        clients = (
            client_of(running, token),
            httpx.Client(base_url=running.url, headers=bearer, **PLAIN),
        )
        yield [stack.enter_context(client) for client in clients]


def test_no_file_of_the_machine_is_copied_for_a_caller(
    callers: list[httpx.Client], cache: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret")
    for client in callers:
        for body in calls(named(str(secret))):
            answer = client.post(CALL, json=body)
            assert answer.status_code == 422
            assert "only texts, numbers and lists of them" in answer.json()["error"]
    assert [found for found in cache.rglob("*") if found.is_file()] == []


def test_no_other_route_of_gradios_takes_data(callers: list[httpx.Client]) -> None:
    by_login, by_key = callers
    body = {"fn_index": 0, "session_hash": "s", "data": [named("/etc/passwd")]}
    for path in (prefix + path for prefix in PREFIXES for path in ELSEWHERE):
        assert by_login.post(path, json=body).status_code in (404, 405)
        assert by_key.post(path, json=body).status_code in (401, 404, 405)


def test_no_object_reaches_the_queue() -> None:
    """Not on a server: one that fell for /dev/zero would read it for ever."""
    for body in calls(named("/dev/zero")):
        assert asked(body) == (422, False)


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "text", [], ["clearer", "kinder"], "{}"])
def test_what_endpoints_take_reaches_the_queue(value: object) -> None:
    assert asked({"fn_index": 0, "session_hash": "s", "data": [value]}) == (200, True)


def asked(body: object) -> tuple[int, bool]:
    """The status of the answer to a call, and whether Gradio was handed it."""
    handed: list[Scope] = []
    sent: list[Message] = []

    async def gradio(scope: Scope, _receive: Receive, send: Send) -> None:
        handed.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    person = Person(1, "Ann", RaterRole.RATER)
    scope = {"type": "http", "method": "POST", "path": CALL, "query_string": b"", "headers": []}
    app = Calls(gradio, takes=TAKES)
    called = app(scope | {"state": {"person": person}}, receive, send)
    with ThreadPoolExecutor(1) as thread:  # in this one a browser may have its event loop
        thread.submit(asyncio.run, called).result()
    return sent[0]["status"], bool(handed)
