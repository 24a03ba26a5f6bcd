import re
import socket
from pathlib import Path

import httpx
import pytest

from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.web.door.security import MAX_BODY_BYTES
from tests.support.patience import PATIENCE_SECONDS
from tests.support.people import cookie_of, member
from tests.support.service import PLAIN
from tests.support.web import serving

BODY = {"holder": "tab", "wanted": 1}


@pytest.fixture
def client(shared: httpx.Client) -> httpx.Client:
    return shared


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:7860", ""])
def test_a_host_that_is_not_this_machine_is_refused(client: httpx.Client, host: str) -> None:
    for answer in (
        client.get("/", headers={"host": host}),
        client.post("/rating/pairs", json=BODY, headers={"host": host}),
    ):
        assert answer.status_code == 400
        assert "this machine only" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:7860", "LOCALHOST"])
def test_every_name_of_this_machine_is_served(client: httpx.Client, host: str) -> None:
    assert client.get("/rating/state", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_cannot_vote(client: httpx.Client, headers: dict[str, str]) -> None:
    before = client.get("/rating/state").json()
    assert client.post("/rating/pairs", json=BODY, headers=headers).status_code == 403
    assert client.get("/rating/state").json() == before


def test_the_page_itself_may(client: httpx.Client) -> None:
    headers = {"origin": str(client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    assert client.post("/rating/pairs", json=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_is_not_json_is_refused(client: httpx.Client, kind: str) -> None:
    headers = {"content-type": kind}
    answer = client.post("/rating/pairs", content=b'{"holder":"x","wanted":1}', headers=headers)
    assert answer.status_code == 415


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    body = b" " * (MAX_BODY_BYTES + 1)
    assert client.post("/rating/pairs", content=body, headers=headers).status_code == 413


def test_a_body_without_its_length_is_refused(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/rating/pairs", content=iter([b"{}"]), headers=headers)
    assert answer.status_code == 411


def test_a_web_socket_is_refused(client: httpx.Client) -> None:
    request = (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{client.base_url.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with socket.create_connection(
        ("127.0.0.1", client.base_url.port or 0), timeout=PATIENCE_SECONDS
    ) as connection:
        connection.sendall(request.encode())
        assert b" 101 " not in connection.recv(200)


def test_no_page_may_have_anything_inline(client: httpx.Client) -> None:
    for path in ("/", "/dashboard", "/labels", "/login"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert {"script-src 'self'", "style-src 'self'"} < set(policy)
        assert not re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", answer.text)
        assert not re.findall(r"""(?:src|href|content)=["'](?:https?:)?//""", answer.text)


@pytest.mark.parametrize("path", ["/", "/rating/state", "/login", "/nothing"])
def test_every_answer_has_the_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
    assert headers["cache-control"] in ("no-store", "no-cache")


def test_no_origin_is_reflected(client: httpx.Client) -> None:
    headers = client.get("/", headers={"origin": "http://evil.example"}).headers
    assert not [name for name in headers if name.startswith("access-control")]


def test_a_page_for_the_network_takes_any_host_name_and_nobody_without_a_login(
    store: Store, tmp_path: Path
) -> None:
    with serving(store, tmp_path, host="0.0.0.0") as service:
        host = {"host": "livedpo.example"}
        nobody = httpx.get(f"{service.url}/rating/state", headers=host, **PLAIN)
        login = cookie_of(service, member(store, "Ann", RaterRole.RATER))
        answer = httpx.get(f"{service.url}/rating/state", headers={**host, **login}, **PLAIN)
    assert nobody.status_code == 401
    assert answer.status_code == 200
