"""The service under a path of another host's: behind a proxy that strips the path or does not."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Response, expect

from labeler.config.settings import Settings
from labeler.domain.passwords import hash_password
from labeler.domain.states import RaterRole
from labeler.roles.address import home_of, url_of
from labeler.store import Store
from labeler.web.door.sessions import Sessions
from tests.support.page import leave
from tests.support.people import member
from tests.support.proxy import proxied
from tests.support.service import free_port
from tests.support.web import Screen, add_questions, log_in, serving, standing

PASSWORD = "correct horse battery"
PUBLIC = "https://lab.example/label/"
LOGIN = {"name": "Ann", "password": PASSWORD}


@pytest.fixture(scope="module")
def kept() -> str:
    return hash_password(PASSWORD)


@pytest.mark.parametrize("strips", [True, False], ids=["stripping", "keeping the path"])
def test_people_log_in_rate_and_look_behind_a_proxy_with_a_path(
    tab: Page, store: Store, tmp_path: Path, kept: str, strips: bool
) -> None:
    add_questions(store, 6)
    member(store, "Ann", RaterRole.ADMIN, kept)
    page, outer, refused = tab, free_port(), list[str]()

    def look(answer: Response) -> None:
        if answer.status >= 400:
            refused.append(f"{answer.status} {answer.url}")

    page.on("response", look)
    public_url = f"http://127.0.0.1:{outer}/label/"
    with (
        serving(store, tmp_path, public_url=public_url) as service,
        proxied(outer, service.port, strips=strips) as url,
    ):
        screen = Screen(page, url)
        page.goto(url)
        log_in(page, "Ann", PASSWORD)
        page.wait_for_selector("#reply-left .text")
        assert page.url == f"{url}/"
        screen.vote("1")
        screen.wait_saved()
        page.keyboard.press("o")
        page.keyboard.type("Kept for this path")
        kept_here = page.evaluate(
            "Object.keys(localStorage).filter((key) => key.includes('draft'))"
        )
        assert all(key.startswith("livedpo/label/.") for key in kept_here)
        assert len(kept_here) == 1
        page.get_by_role("link", name="Dashboard").first.click()
        page.wait_for_selector("#tiles > *")
        expect(page.get_by_role("link", name="Raw")).to_have_attribute(
            "href", "/label/export/raw?labels=all"
        )
        page.goto(f"{url}/labels")
        page.wait_for_selector("#list li")
        assert page.get_by_role("link", name="Labels").first.get_attribute("aria-current")
        (cookie,) = page.context.cookies()
        assert cookie.get("path") == "/label/"
        screen.leave()
        page.remove_listener("response", look)
        leave(page)
    assert len(standing(store)) == 1
    assert refused == []
    screen.assert_clean()


def test_a_cookie_of_a_path_goes_to_that_path_only_and_its_origin_is_the_hosts(
    store: Store, tmp_path: Path, kept: str
) -> None:
    """Browsers refuse `__Host-` with another path than the root's."""
    member(store, "Ann", RaterRole.RATER, kept)
    headers = {"host": "lab.example", "x-forwarded-prefix": "/label"}
    with serving(store, tmp_path, public_url=PUBLIC) as service:

        def post(origin: str) -> httpx.Response:
            origins = {**headers, "origin": origin}
            return httpx.post(f"{service.url}/label/door/login", json=LOGIN, headers=origins)

        (cookie,) = post("https://lab.example").headers.get_list("set-cookie")
        assert post("https://lab.example/label").status_code == 403
        assert post("http://lab.example").status_code == 403
        for asked, led in (("/label", "label/"), ("/label/", "login?to=/"), ("/", "login?to=/")):
            assert httpx.get(service.url + asked, headers=headers).headers["location"] == led
        assert httpx.get(f"{service.url}/labels/label/", headers=headers).status_code == 404
    assert cookie.startswith("__Secure-livedpo-443=")
    assert {"Path=/label/", "Secure", "HttpOnly"} <= set(cookie.split("; "))


@pytest.mark.parametrize(
    ("public_url", "url", "prefix"),
    [
        (PUBLIC, "https://lab.example/label", "/label"),
        ("https://lab.example/a/b", "https://lab.example/a/b", "/a/b"),
        ("https://lab.example/", "https://lab.example", ""),
    ],
)
def test_a_public_address_may_have_a_path_and_a_slash_at_its_end(
    tmp_path: Path, public_url: str, url: str, prefix: str
) -> None:
    settings = Settings(data_dir=tmp_path, public_url=public_url)
    assert (url_of(settings), settings.prefix) == (url, prefix)
    assert home_of(settings) == (f"{url}/" if prefix else url)


@pytest.mark.parametrize("public_url", ["https://lab.example/a?b", "https://x/a//b", "lab.example"])
def test_a_public_address_that_is_none_is_refused(tmp_path: Path, public_url: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        Settings(data_dir=tmp_path, public_url=public_url)


def test_the_cookie_of_a_whole_host_stays_its_own(store: Store, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, public_url="https://lab.example/")
    assert Sessions(settings, store).cookie == "__Host-livedpo-443"
