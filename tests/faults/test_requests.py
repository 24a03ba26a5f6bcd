"""Whatever is sent to whichever route by whomever: never a failure of ours, never a traceback."""

import contextlib
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings

from labeler.web.door.security import MAX_BODY_BYTES
from tests.support.patience import PATIENCE_SECONDS
from tests.support.people import client_of
from tests.support.requests import Asked, House, a_house, answer_to, asked, check_answer, posted
from tests.support.web import add_questions, open_test_store, serving

REQUESTS = 400
SLOW = 40


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("house")) as made:
        yield made


def test_no_request_makes_the_service_fail(house: House, caplog: pytest.LogCaptureFixture) -> None:
    @settings(
        max_examples=REQUESTS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(asked(house.cookies))
    def ask(request: tuple[str, Asked]) -> None:
        caplog.clear()
        check_answer(portal.call(answer_to, house.app, request[1]), caplog.records)

    with start_blocking_portal() as portal:
        ask()


def test_the_largest_bodies_take_little_memory(tmp_path: Path) -> None:
    """However they nest, and however much is wrong with them."""
    bodies = (
        b"[" * MAX_BODY_BYTES,
        b'{"votes":[' + b"[]," * (MAX_BODY_BYTES // 4) + b"[]]}",
        b'{"votes":[' + b'{"a":{"b":1}},' * (MAX_BODY_BYTES // 15) + b"{}]}",
    )
    tracemalloc.start()
    try:
        with a_house(tmp_path) as house, start_blocking_portal() as portal:
            for body in bodies:
                request = posted("/rating/votes", body, cookie=house.cookies["rater"])
                assert portal.call(answer_to, house.app, request).status in (400, 422)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * MAX_BODY_BYTES


def test_bodies_that_come_slowly_keep_nobody_waiting(tmp_path: Path) -> None:
    """Each of them holds a connection, and no thread that votes need."""
    with contextlib.closing(open_test_store(tmp_path)) as store:
        add_questions(store, 2)
        with serving(store, tmp_path) as service, contextlib.ExitStack() as stack:
            body = b'{"holder": "slow", "wanted": 1}'
            head = (
                "POST /rating/pairs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            slow = [
                stack.enter_context(
                    socket.create_connection(("127.0.0.1", service.port), PATIENCE_SECONDS)
                )
                for _ in range(SLOW)
            ]
            for connection in slow:
                connection.sendall(head.encode() + body[:5])
            client = stack.enter_context(client_of(service))
            wanted = {"holder": "quick", "wanted": 1}
            (pair,) = client.post("/rating/pairs", json=wanted).json()["pairs"]
            vote = {"vote_id": "v", "lease_id": pair["lease_id"], "choice": "left"}
            answer = client.post("/rating/votes", json={"votes": [vote]}).json()
            assert answer["receipts"][0]["saved"]
            slow[0].sendall(body[5:])
            assert slow[0].recv(20).startswith(b"HTTP/1.1 200")
