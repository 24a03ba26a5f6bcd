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


def test_the_document_carries_a_strict_policy_that_matches_its_scripts(
    client: httpx.Client,
) -> None:
    answer = client.get("/")
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    assert "http" not in str(policy)
    inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>", answer.text)
    assert policy["script-src"].count("sha256-") == len(inline) > 0


def test_the_document_names_no_other_host(client: httpx.Client) -> None:
    html = client.get("/").text
    links = re.findall(r"""(?:src|href|content)=["'](?:https?:)?//([^"'/]+)""", html)
    assert links == []
    assert "iframeResizer.contentWindow" not in html
    assert "manifest" not in re.findall(r'<link rel="(\w+)"', html)


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


def test_what_is_asked_for_by_its_hash_is_kept_if_it_is_there(client: httpx.Client) -> None:
    (asset,) = re.findall(r'src="\./(assets/index-[^"]+\.js)"', client.get("/").text)
    assert "immutable" in client.get(f"/{asset}").headers["cache-control"]
    assert client.get("/assets/nothing.js").headers["cache-control"] == "no-store"


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
