"""The pages in a browser that keeps nothing: its storage is blocked, or full."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from labeler.store import Store
from tests.support.patience import wait_until
from tests.support.web import Screen, WebServer, standing

BLOCKED = """for (const name of ["localStorage", "sessionStorage"]) {
    const get = () => { throw new DOMException("denied", "SecurityError"); };
    Object.defineProperty(window, name, { get });
}"""
FILL = """() => {
    for (const storage of [localStorage, sessionStorage]) {
        for (let size = 1 << 20, number = 0; size; number++) {
            try {
                storage.setItem(`filler ${number}`, "x".repeat(size));
            } catch {
                size >>= 1;
            }
        }
    }
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a profile of its own, whose storage can be spoilt."""
    with closing(browser.new_context()) as context:
        yield context.new_page()


@pytest.mark.parametrize(
    ("path", "ready"),
    [
        ("/", "#reply-left .text"),
        ("/dashboard", "body[data-ready]"),
        ("/labels", "#count:not(:empty)"),
        ("/login", "#go:enabled"),
    ],
)
def test_a_page_works_where_all_storage_is_blocked(
    page: Page, service: WebServer, path: str, ready: str
) -> None:
    screen = Screen(page, service.url)
    page.add_init_script(BLOCKED)
    page.goto(service.url + path)
    page.wait_for_selector(ready)
    screen.assert_clean()


def test_the_range_of_the_dashboard_changes_where_all_storage_is_blocked(
    page: Page, service: WebServer
) -> None:
    page.add_init_script(BLOCKED)
    page.goto(service.url + "/dashboard")
    page.click("[data-range=week]")
    expect(page.locator("[data-range=week]")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("spoilt", ["blocked", "full"])
def test_a_vote_is_sent_and_counted_without_storage(
    page: Page, service: WebServer, store: Store, spoilt: str
) -> None:
    screen = Screen(page, service.url)
    if spoilt == "blocked":
        page.add_init_script(BLOCKED)
    page.goto(service.url)
    page.wait_for_selector("#reply-left .text")
    if spoilt == "full":
        page.evaluate(FILL)
    screen.vote("1")
    wait_until(lambda: len(standing(store)) == 1, "the vote")
    screen.wait_saved()
    expect(page.locator("#panel dd").first).to_have_text("1")
    assert [text for text in screen.complaints if "kept in memory" not in text] == []
