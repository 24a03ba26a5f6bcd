"""Before and after a rater's votes: over HTTP, and beside the pair in Chromium.

The test plays the worker, through the store.
"""

import time

import httpx
from playwright.sync_api import expect

from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.store.learning.follow_ups import Moved
from tests.labeler.web.rating.test_page import make_version
from tests.support.people import client_of, member
from tests.support.store import vote
from tests.support.web import Screen, WebServer, standing

HOSTILE = "<img src=x onerror=alert(1)> and <script>alert(2)</script>"


def follow(store: Store, version: int, reply: str) -> None:
    """What the worker finds for the local rater, of their newest vote."""
    vote_id = standing(store)[-1].vote.id
    moved = Moved(vote_id, len(standing(store)), 1.2, reply)
    store.follow_ups.add(store.raters.local(now=1.0), version, moved, now=time.time())


def test_a_rater_gets_their_own_prompt_with_all_replies_as_safe_html(
    service: WebServer, store: Store, client: httpx.Client
) -> None:
    assert client.get("/rating/follow-up").json() == {"follow_up": None}
    vote(store, 2, now=time.time())
    make_version(store, 1)
    follow(store, 1, HOSTILE)
    assert client.get("/rating/state").json()["follow_up"] == 1
    told = client.get("/rating/follow-up").json()["follow_up"]
    assert told["text"].startswith("Of your 2 votes that made version 1, it moved furthest")
    assert "Question" in told["prompt_html"]
    names = [name for name, _ in told["replies"]]
    assert names == ["Version 0, your choice", "Version 0, the other reply", "Version 1 says now"]
    assert "<img" not in told["replies"][2][1]
    assert "<script" not in told["replies"][2][1]
    client.post("/rating/follow-up/seen", json={"version": 1})
    assert client.get("/rating/state").json()["follow_up"] is None
    assert client.get("/rating/follow-up").json()["follow_up"] == told
    with client_of(service, member(store, "Ann", RaterRole.ADMIN)) as other:
        assert other.get("/rating/follow-up").json() == {"follow_up": None}
        assert other.get("/rating/state").json()["follow_up"] is None


def test_it_stands_beside_the_pair_until_the_keyboard_dismisses_it(
    screen: Screen, store: Store
) -> None:
    screen.vote("1")
    screen.wait_saved()
    make_version(store, 1)
    follow(store, 1, "What it says now.")
    card = screen.page.locator("#follow-up")
    expect(card).to_contain_text("Version 1 says now")
    expect(card.get_by_role("status")).to_contain_text("now 3.3 times as likely")
    expect(card.get_by_role("group")).to_have_count(4)
    before = screen.prompt()
    screen.vote("2")  # the queue goes on
    wait_for_another(screen, before)
    expect(card).to_be_visible()
    card.get_by_role("group").last.focus()
    screen.press("Tab")
    screen.press("Enter")
    expect(card).to_be_hidden()
    expect(screen.page.locator("#open-changes")).to_be_focused()
    screen.wait_saved()
    assert len(standing(store)) == 2
    screen.page.reload()
    screen.page.wait_for_selector("#reply-left .text")
    expect(card).to_be_hidden()
    screen.press("c")
    expect(screen.page.locator("#changes .own")).to_contain_text("What it says now.")


def test_whoever_opens_what_changed_has_seen_it(screen: Screen, store: Store) -> None:
    screen.vote("1")
    screen.wait_saved()
    make_version(store, 1)
    follow(store, 1, "What it says now.")
    expect(screen.page.locator("#follow-up")).to_be_visible()
    screen.press("c")
    expect(screen.page.locator("#changes .own")).to_contain_text("Before and after version 1")
    expect(screen.page.locator("#follow-up")).to_be_hidden()
    screen.press("Escape")


def wait_for_another(screen: Screen, prompt: str) -> None:
    expect(screen.page.locator("#prompt .text")).not_to_have_text(prompt)
