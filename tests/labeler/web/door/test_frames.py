"""The service in a frame of another page: closed, unless a setting names who may."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from labeler.config.settings import Settings
from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.web.door.sessions import Sessions
from tests.support import loopback
from tests.support.people import member
from tests.support.service import free_port
from tests.support.web import WebServer, add_questions, serving, standing


@contextmanager
def framing(port: int, framed: str) -> Iterator[None]:
    """A page at this port that shows another one in a frame."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(f'<iframe src="{framed}" width=1200 height=700></iframe>'.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with loopback.serving(Handler, port):
        yield


def test_nobody_may_frame_it_by_default(shared: httpx.Client) -> None:
    for path in ("/", "/login", "/rating/state", "/nothing"):
        headers = shared.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"


@pytest.fixture
def outer() -> int:
    return free_port()


@pytest.fixture
def framed(store: Store, tmp_path: Path, outer: int) -> Iterator[WebServer]:
    """A service with accounts that pages at two names of this machine may frame."""
    add_questions(store, 3)
    origins = f"http://localhost:{outer} http://127.0.0.1:{outer}"
    with serving(store, tmp_path, embed_in=origins) as service:
        yield service


def test_people_rate_in_a_frame_of_their_own_site_and_cannot_log_in_on_another(
    framed: WebServer, store: Store, outer: int, tab: Page
) -> None:
    """Ports make no difference to a site; the names `localhost` and `127.0.0.1` do."""
    url = f"http://localhost:{framed.port}"
    name, token = Sessions(framed.settings, store).cookie, member(store, "Ann", RaterRole.RATER)
    cookie = {"name": name, "value": token, "url": url, "sameSite": "Strict"}
    tab.context.add_cookies([cookie])  # type: ignore[list-item]
    with framing(outer, url):
        tab.goto(f"http://localhost:{outer}")
        inside = tab.frames[1]
        inside.wait_for_selector("#reply-left .text")
        inside.locator("#prompt .body").focus()
        inside.wait_for_selector("body[data-takes=all]")
        tab.keyboard.press("1")
        expect(inside.locator("#saved .mark")).to_have_attribute("data-kind", "saved")
        tab.goto(f"http://127.0.0.1:{outer}")
        tab.frames[1].wait_for_selector("#password")
        tab.context.clear_cookies()
    assert len(standing(store)) == 1


@pytest.mark.parametrize(
    "origins", ["*", "'self'", "https://*.example", "https://x/a", "x.example"]
)
def test_what_is_no_list_of_addresses_is_refused(tmp_path: Path, origins: str) -> None:
    with pytest.raises(ValueError, match="embed_in"):
        Settings(data_dir=tmp_path, embed_in=origins)
