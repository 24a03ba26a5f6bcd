"""Several tabs of one rater, and what closed ones leave behind; on plain http, too, where browsers
have no Web Locks.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from labeler.store import Store
from tests.support.patience import wait_until
from tests.support.web import Screen, WebServer, standing

PLAIN_HTTP = "Object.defineProperty(Navigator.prototype, 'locks', { get() {} })"
NO_GOODBYE = "addEventListener('pagehide', (event) => event.stopImmediatePropagation())"
TWO_MINUTES_LATER = """() => {
    for (const key of Object.keys(localStorage).filter((key) => key.includes(".alive.")))
        localStorage.setItem(key, String(Number(localStorage.getItem(key)) - 121_000));
}"""

WAITING = "Object.keys(localStorage).filter((key) => key.includes('.outbox.')).join()"
LEFT = "dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))"
CAME_BACK = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"


@pytest.fixture(params=["https", "plain http"])
def tabs(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    with closing(browser.new_context()) as context:
        if request.param == "plain http":
            context.add_init_script(PLAIN_HTTP)
        yield context


@pytest.fixture
def plain(browser: Browser) -> Iterator[BrowserContext]:
    with closing(browser.new_context()) as context:
        context.add_init_script(PLAIN_HTTP)
        yield context


def opened(tabs: BrowserContext, service: WebServer) -> Screen:
    screen = Screen(tabs.new_page(), service.url)
    screen.open()
    return screen


def lose(route: Route) -> None:
    route.abort()


def vote_offline(screen: Screen) -> None:
    screen.page.route("**/rating/votes", lose)
    screen.vote("1")
    screen.expect_mark("1 vote waiting")


def all_in_the_store(store: Store, tab: Page) -> None:
    """The vote has come, and nothing waits for anybody."""
    wait_until(lambda: len(standing(store)) == 1 and not tab.evaluate(WAITING), "the vote")


def test_a_vote_of_a_closed_tab_is_delivered_by_the_next_one(
    tabs: BrowserContext, service: WebServer, store: Store
) -> None:
    first = opened(tabs, service)
    vote_offline(first)
    first.page.close()
    all_in_the_store(store, opened(tabs, service).page)


def test_a_vote_of_a_closed_tab_is_delivered_by_one_that_is_open(
    tabs: BrowserContext, service: WebServer, store: Store
) -> None:
    other, first = opened(tabs, service), opened(tabs, service)
    vote_offline(first)
    first.page.close()
    other.refresh()
    all_in_the_store(store, other.page)


def test_a_vote_of_a_tab_that_died_is_delivered_once_it_has_been_silent(
    plain: BrowserContext, service: WebServer, store: Store
) -> None:
    plain.add_init_script(NO_GOODBYE)
    first = opened(plain, service)
    vote_offline(first)
    first.page.close()
    other = opened(plain, service)
    waiting = other.page.evaluate(WAITING)
    with other.page.expect_response("**/rating/state"):
        other.refresh()
    assert other.page.evaluate(WAITING) == waiting != ""
    assert standing(store) == []
    other.page.evaluate(TWO_MINUTES_LATER)
    other.refresh()
    all_in_the_store(store, other.page)


def test_a_tab_that_inherits_the_id_of_another_has_pairs_and_votes_of_its_own(
    tabs: BrowserContext, service: WebServer, store: Store
) -> None:
    first = opened(tabs, service)
    with first.page.expect_popup() as popup:
        first.page.evaluate("() => void window.open('/')")
    twin = Screen(popup.value, service.url)
    twin.page.wait_for_selector("#reply-left .text")
    assert {first.prompt(), twin.prompt()} == {"Question 1?", "Question 4?"}
    for screen in (first, twin):
        vote_offline(screen)
    for screen in (first, twin):
        screen.page.close()
    opened(tabs, service)
    wait_until(lambda: len(standing(store)) == 2, "both votes")


def test_a_reload_keeps_the_pairs_of_the_tab(tabs: BrowserContext, service: WebServer) -> None:
    screen = opened(tabs, service)
    before = (screen.prompt(), screen.left())
    screen.open()
    assert (screen.prompt(), screen.left()) == before


def test_the_votes_of_an_open_tab_are_left_to_it(
    tabs: BrowserContext, service: WebServer, store: Store
) -> None:
    first = opened(tabs, service)
    vote_offline(first)
    other = opened(tabs, service)
    other.vote("1")
    other.wait_saved()
    assert len(standing(store)) == 1
    first.page.unroute("**/rating/votes", lose)
    wait_until(lambda: len(standing(store)) == 2, "the vote of the first tab")


def test_a_page_that_comes_back_begins_anew(
    plain: BrowserContext, service: WebServer, store: Store
) -> None:
    """Its votes may be those of another tab by now, and it would send them again."""
    first = opened(plain, service)
    vote_offline(first)
    first.page.evaluate(LEFT)
    other = opened(plain, service)
    all_in_the_store(store, other.page)
    with first.page.expect_navigation():
        first.page.evaluate(CAME_BACK)
    first.page.wait_for_selector("#reply-left .text")
