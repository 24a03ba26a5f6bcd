"""Which service a page is of: another data dir is served at the same address, or none has a version
yet.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.web.door.sessions import Sessions
from tests.support.empty_store import new_store
from tests.support.patience import wait_until
from tests.support.people import member
from tests.support.web import (
    Screen,
    WebServer,
    add_questions,
    open_test_store,
    serving,
    standing,
)


@pytest.fixture
def other_store(tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "other"
    folder.mkdir()
    with closing(open_test_store(folder)) as store:
        add_questions(store, 12)
        yield store


def test_votes_wait_for_their_own_service(
    screen: Screen,
    service: WebServer,
    store: Store,
    other_store: Store,
    tmp_path: Path,
) -> None:
    screen.may_lose_connection = True
    bar = screen.page.locator(".who-out")
    service.stop()
    screen.vote("1")
    screen.vote("2")
    screen.expect_mark("2 votes waiting")
    with serving(other_store, tmp_path / "other", port=service.port):
        expect(bar).to_contain_text("Another service answers here")
        bar.get_by_role("link", name="Reload").click()
        expect(bar).to_be_empty()
        screen.page.wait_for_selector("#reply-left .text")
        screen.vote("t")
        screen.wait_saved()
        assert len(standing(other_store)) == 1
    service.start()
    expect(bar).to_contain_text("Another service answers here")
    screen.open()
    wait_until(lambda: len(standing(store)) == 2, "the votes of before")
    screen.complaints = [text for text in screen.complaints if "401" not in text]


def test_reasons_that_are_not_saved_wait_for_their_own_service(
    screen: Screen,
    service: WebServer,
    other_store: Store,
    tmp_path: Path,
) -> None:
    screen.may_lose_connection = True
    comment = screen.page.locator("#why-comment")
    screen.vote("1")
    screen.wait_saved()
    screen.press("r")
    comment.fill("Not done yet")
    screen.press("Escape")
    service.stop()
    with serving(other_store, tmp_path / "other", port=service.port):
        screen.open()
        screen.press("r")
        expect(screen.page.locator("#saved .complaint")).to_contain_text(
            "no recent vote to explain"
        )
    service.start()
    screen.open()
    screen.press("r")
    expect(comment).to_have_value("Not done yet")
    screen.complaints = [text for text in screen.complaints if "401" not in text]


def test_a_login_at_another_service_is_not_said_to_have_ended(
    unopened: Screen,
    service: WebServer,
    store: Store,
    other_store: Store,
    tmp_path: Path,
) -> None:
    screen = unopened
    screen.may_lose_connection = True
    cookie = Sessions(service.settings, store).cookie

    def log_in(at: Store) -> None:
        token = member(at, "Ann", RaterRole.ADMIN)
        screen.page.context.add_cookies([{"name": cookie, "value": token, "url": service.url}])

    log_in(store)
    screen.open()
    service.stop()
    log_in(other_store)
    with serving(other_store, tmp_path / "other", port=service.port):
        bar = screen.page.locator(".who-out")
        expect(bar).to_have_text(re.compile("^Another service answers here"))
        bar.get_by_role("link", name="Reload").click()
        expect(bar).to_be_empty()
        screen.page.wait_for_selector("#reply-left .text")
    screen.complaints = [text for text in screen.complaints if "401" not in text]


def test_a_page_from_before_the_first_version_is_of_the_service_as_soon_as_there_is_one(
    tab: Page, tmp_path: Path, port: int
) -> None:
    with (
        closing(new_store(f"sqlite:///{tmp_path / 'livedpo.sqlite'}")) as store,
        serving(store, tmp_path, port=port) as service,
    ):
        screen = Screen(tab, service.url)
        tab.goto(service.url)
        expect(tab.locator(".version")).to_have_text("no version yet")
        store.versions.adopt_base(base="test", fingerprint="f", now=1.0)
        add_questions(store, 4)
        tab.wait_for_selector("#reply-left .text")
        tab.route("**/rating/votes", lambda route: route.abort())
        screen.vote("1")
        screen.expect_mark("1 vote waiting")
        kept = f"Object.keys(localStorage).join().includes('.outbox.{store.versions.identity()}.')"
        assert tab.evaluate(kept)
        screen.leave()
