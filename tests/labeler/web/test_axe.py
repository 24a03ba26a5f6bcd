"""Every view of every page, light and dark, wide and on a phone: axe-core finds no serious fault.

`VIEWS` is the table; who adds a page or a dialog adds a row.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.axe import faults, faults_by_scheme
from tests.support.page import cast
from tests.support.people import client_of
from tests.support.web import WebServer, add_questions, open_test_store, serving

SIZES = {"wide": (1280, 800), "phone": (390, 844)}


def _nothing(_page: Page) -> None:
    pass


@dataclass(frozen=True)
class View:
    """A page, what is there when it is ready, and what brings the view about.

    `pairs`: on a service that has pairs.
    """

    name: str
    path: str
    ready: str
    act: Callable[[Page], Any] = _nothing
    pairs: bool = True


def _press(*keys: str, then: str) -> Callable[[Page], Any]:
    """Press these keys one after the other, and wait for what they bring."""

    def act(page: Page) -> None:
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_selector(then)

    return act


def _vote(key: str, *keys: str, then: str) -> Callable[[Page], Any]:
    """Vote by a key and press others, and wait for what that brings."""

    def act(page: Page) -> None:
        cast(page, key)
        _press(*keys, then=then)(page)

    return act


def _click(button: str, then: str) -> Callable[[Page], Any]:
    """Click, and wait for what it brings."""

    def act(page: Page) -> None:
        page.click(button)
        page.wait_for_selector(then)

    return act


def _mark_differences(page: Page) -> None:
    """By its key, which switches: the browser remembers how it was left."""
    page.keyboard.press("d")
    if not page.locator("#replies mark").count():
        page.keyboard.press("d")
    page.wait_for_selector("#replies mark")


def _open_guidelines(page: Page) -> None:
    """Where there is no room for them beside the pair."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.keyboard.press("g")
    page.wait_for_selector("#guide[open]")


PAIR = "body:not(.is-waiting) #reply-left .text"
VIEWS = (
    View("a pair", "/", PAIR),
    View("a pair after a vote", "/", PAIR, _vote("t", then="#saved .mark[data-kind=saved]")),
    View("help", "/", PAIR, _press("?", then="#help[open]")),
    View("practice offered", "/", "#welcome", pairs=False),
    View(
        "practice", "/", "#welcome", _click("#welcome .main", then="#practice[open]"), pairs=False
    ),
    View("history", "/", PAIR, _vote("1", "h", then="#history[open] li")),
    View("guidelines", "/", PAIR, _open_guidelines),
    View("edit", "/", PAIR, _press("e", then="#edit[open]")),
    View("reasons", "/", PAIR, _vote("s", "r", then="#why[open]")),
    View("differences", "/", PAIR, _mark_differences),
    View("own prompt", "/", PAIR, _press("o", then="#ask textarea")),
    View("what changed", "/", PAIR, _press("c", then="#changes[open]")),
    View("waiting", "/", ".is-waiting #waiting", pairs=False),
    View("login", "/login", "#form"),
    View("dashboard", "/dashboard", "#tiles > *"),
    View("labels", "/labels", "#list li"),
    View("a pair opened", "/labels#pair=1", "#opened .text"),
)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, WebServer]]:
    """One service with pairs, and one without."""
    with contextlib.ExitStack() as stack:
        found = {}
        for has_pairs in (True, False):
            folder = tmp_path_factory.mktemp("axe")
            store = stack.enter_context(contextlib.closing(open_test_store(folder)))
            if has_pairs:
                add_questions(store, 40)
            found[has_pairs] = stack.enter_context(serving(store, folder))
        _vote(found[True], pairs=8)
        yield found


@pytest.fixture(scope="module")
def pages(browser: Browser, services: dict[bool, WebServer]) -> Iterator[dict[bool, Page]]:
    """One tab for each service: a tab that is opened again gets the same pairs."""
    with contextlib.closing(browser.new_context(reduced_motion="reduce")) as context:
        yield {
            has_pairs: _tab(context.new_page(), service) for has_pairs, service in services.items()
        }


def _vote(service: WebServer, pairs: int) -> None:
    """So that there is something in lists and plots."""
    with client_of(service) as client:
        body = {"holder": "before", "wanted": pairs}
        found = client.post("/rating/pairs", json=body).json()["pairs"]
        leases = [pair["lease_id"] for pair in found]
        votes = [
            {"vote_id": lease_id, "lease_id": lease_id, "choice": choice, "seconds": 3.0}
            for lease_id, choice in zip(leases, 2 * ("left", "right", "tie", "skip"), strict=True)
        ]
        assert client.post("/rating/votes", json={"votes": votes}).is_success


def _tab(page: Page, service: WebServer) -> Page:
    page.goto(service.url)
    return page


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_axe_finds_no_serious_fault(
    view: View, pages: dict[bool, Page], services: dict[bool, WebServer]
) -> None:
    page = pages[view.pairs]
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(services[view.pairs].url + view.path)
    page.wait_for_selector(view.ready)
    view.act(page)
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert faults_by_scheme(page) == {}, name


def test_a_fault_would_be_found(pages: dict[bool, Page], services: dict[bool, WebServer]) -> None:
    page = pages[True]
    page.goto(services[True].url)
    page.wait_for_selector(PAIR)
    page.evaluate("document.body.append(document.createElement('button'))")
    assert any("button-name" in fault for fault in faults(page))
