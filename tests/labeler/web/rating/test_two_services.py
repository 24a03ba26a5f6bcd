"""Another data dir is served at the same address while votes wait for the first one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect

from labeler.store import Store
from tests.support.patience import wait_until
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
