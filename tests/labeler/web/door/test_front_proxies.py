"""The service behind nginx and Caddy, under a path: what the handbook says to write is run."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from labeler.domain.passwords import hash_password
from labeler.domain.states import RaterRole
from labeler.store import Store
from tests.support.certificate import self_signed
from tests.support.front_proxy import caddy, example, nginx, program
from tests.support.people import member
from tests.support.service import PLAIN, free_port
from tests.support.web import Screen, add_questions, log_in, serving, standing

PASSWORD = "correct horse battery"
LOGIN = {"name": "Ann", "password": PASSWORD}
needs_nginx = pytest.mark.skipif(program("nginx") is None, reason="nginx is not installed")
needs_caddy = pytest.mark.skipif(program("caddy") is None, reason="Caddy is not installed")


@pytest.fixture(scope="module")
def kept() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def people(store: Store, kept: str) -> None:
    add_questions(store, 6)
    member(store, "Ann", RaterRole.ADMIN, kept)


@contextmanager
def nginx_before(
    store: Store, folder: Path, *, https: bool, strips: bool, more: str = ""
) -> Iterator[str]:
    """A service behind nginx; the address of its page. `more`: another line for its location."""
    outer = free_port()
    url = f"{'https' if https else 'http'}://localhost:{outer}/label/"
    with serving(store, folder, public_url=url) as service:
        upstream = f"http://127.0.0.1:{service.port}"
        site = example(
            "nginx",
            listen=f"listen 127.0.0.1:{outer}{' ssl' if https else ''};",
            certificate=str(folder / "chain.pem"),
            key=str(folder / "key.pem"),
            host="localhost",
            upstream=upstream + ("/" if strips else "") + (f"; {more}" if more else ""),
        )
        self_signed(folder)
        with nginx(folder, site, url):
            yield url


def rate(url: str) -> list[str]:
    """Log in, get pairs and vote, all on one connection; the paths of the cookies."""
    with httpx.Client(**PLAIN) as client:
        headers = {"origin": url.removesuffix("/label/"), "sec-fetch-site": "same-origin"}
        moved = client.get(url.removesuffix("/"))
        assert moved.is_redirect
        assert str(moved.next_request and moved.next_request.url) == url
        wrong = client.post(f"{url}door/login", json=LOGIN | {"password": "?"}, headers=headers)
        assert wrong.status_code == 401
        assert client.post(f"{url}door/login", json=LOGIN, headers=headers).is_success
        page = client.get(url)
        (script,) = re.findall(r'src="(page/[^"]+/rating/page.js)"', page.text)
        assert client.get(f"{url}{script}").is_success
        body = {"holder": "tab", "wanted": 2}
        answer = client.post(f"{url}rating/pairs", json=body, headers=headers).json()
        votes = [
            {"vote_id": pair["lease_id"], "lease_id": pair["lease_id"], "choice": "left"}
            for pair in answer["pairs"]
        ]
        saved = client.post(f"{url}rating/votes", json={"votes": votes}, headers=headers).json()
        assert [receipt["saved"] for receipt in saved["receipts"]] == [True, True]
        assert client.get(f"{url}dashboard").is_success
        return [cookie.path for cookie in client.cookies.jar]


@needs_nginx
@pytest.mark.parametrize(
    ("https", "strips", "more"),
    [
        (True, False, ""),
        (False, True, "proxy_set_header X-Forwarded-Prefix /label"),
        (False, False, "proxy_set_header X-Forwarded-Prefix /label"),
    ],
)
def test_a_program_rates_through_nginx(
    store: Store, tmp_path: Path, people: None, https: bool, strips: bool, more: str
) -> None:
    with nginx_before(store, tmp_path, https=https, strips=strips, more=more) as url:
        assert rate(url) == ["/label/"]


@needs_nginx
def test_a_person_rates_behind_the_nginx_of_the_handbook(
    browser: Browser, store: Store, tmp_path: Path, people: None
) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    failed: list[str] = []
    page.on("response", lambda got: got.status >= 400 and failed.append(got.url))
    with nginx_before(store, tmp_path, https=True, strips=True) as url:
        screen = Screen(page, url)
        page.goto(url)
        log_in(page, "Ann", PASSWORD)
        page.wait_for_selector("#reply-left .text")
        assert page.url == url
        screen.vote("1")
        screen.vote("2")
        screen.wait_saved()
        (cookie,) = context.cookies()
        assert (cookie.get("path"), cookie.get("secure")) == ("/label/", True)
        context.close()
    assert len(standing(store)) == 2
    assert failed == []
    screen.assert_clean()


@needs_caddy
def test_a_program_rates_through_the_caddy_of_the_handbook(
    store: Store, tmp_path: Path, people: None
) -> None:
    outer = free_port()
    url = f"https://localhost:{outer}/label/"
    with serving(store, tmp_path, public_url=url) as service:
        upstream = f"127.0.0.1:{service.port}"
        site = example("caddy", host=f"https://localhost:{outer}", caddy_upstream=upstream)
        with caddy(tmp_path, site, url):
            assert rate(url) == ["/label/"]
