"""A rater's own prompt and what their votes changed: over HTTP, and on the page in Chromium.

The test plays the worker, through the store.
"""

import time
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from labeler.domain.finding import NOT_COMPARED
from labeler.store import Store
from labeler.store.rating.asks import Asked
from tests.labeler.web.rating.test_page import METRICS, make_version
from tests.support.patience import wait_until
from tests.support.store import live, vote
from tests.support.web import Screen, new_pair

BAD_TEXTS = ["", "  \n ", "x" * 8_001, "a\0b", 7]
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def ask(client: httpx.Client, name: str, text: Any = "Mine?", **more: Any) -> httpx.Response:
    return client.post("/rating/asks", json={"ask_id": name, "text": text, **more})


def take(store: Store) -> Asked:
    """The next ask of the page, as the worker gets it."""
    taken: list[Asked] = []
    wait_until(lambda: taken.extend(store.asks.take(1, now=time.time())) or taken)
    return taken[0]


def answer(store: Store, asked: Asked) -> None:
    is_taken = store.asks.answer(asked.id, new_pair(77, 0, live(store).id), now=time.time())
    assert is_taken


def test_the_pair_of_an_ask_comes_like_any_other(client: httpx.Client, store: Store) -> None:
    assert ask(client, "a").json()["state"] == "waiting"
    assert client.get("/rating/state").json()["asks"] == ["a"]
    answer(store, take(store))
    told = client.get("/rating/asks/a", params={"holder": "tab"}).json()
    assert (told["state"], told["text"]) == ("ready", "Mine?")
    body = {"holder": "other", "wanted": 1}
    [usual] = client.post("/rating/pairs", json=body).json()["pairs"]
    assert set(told["pair"]) == set(usual)
    assert "Mine?" in told["pair"]["prompt_html"]
    vote = {"vote_id": "v", "lease_id": told["pair"]["lease_id"], "choice": "left"}
    saved = client.post("/rating/votes", json={"votes": [vote]}).json()
    assert saved["receipts"][0]["saved"]
    assert saved["state"]["asks"] == []
    assert client.get("/rating/asks/a", params={"holder": "tab"}).json()["pair"] is None
    assert ask(client, "b", continues="v").status_code == 200


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_a_text_that_is_no_prompt_is_refused_in_one_sentence(
    client: httpx.Client, text: Any
) -> None:
    refused = ask(client, "a", text)
    assert refused.status_code == 422
    assert "\n" not in refused.json()["error"]


def test_asks_that_are_not_there_and_votes_that_do_not_go_on_are_refused(
    client: httpx.Client,
) -> None:
    assert client.get("/rating/asks/a", params={"holder": "tab"}).status_code == 404
    assert client.get("/rating/asks/a").status_code == 422
    refused = ask(client, "a", continues="nothing")
    assert refused.status_code == 422
    assert "is not known" in refused.json()["error"]


def update(store: Store, version: int, *, win_rate: dict[str, Any] | None = None) -> None:
    """A version of the fresh labels, whose examples say which is which."""
    examples = [
        {
            "prompt": [{"role": "user", "content": f"{HOSTILE} {number}"}],
            "before": f"kettle **first** {HOSTILE}",
            "after": f"kettle **then** {HOSTILE}",
        }
        for number in range(2)
    ]
    metrics = METRICS | {"examples": examples, "win_rate": win_rate, "labels": 1}
    make_version(store, version, metrics)


def test_changes_are_told_with_safe_html_and_without_a_judges_word_on_any_pair(
    client: httpx.Client, store: Store
) -> None:
    vote(store, 1, now=time.time())
    update(store, 1)
    told = client.get("/rating/changes").json()
    [change] = told["changes"]
    assert told["summary"] == "1 of your labels went into the last update."
    assert change["title"] == "Version 1 is live"
    assert change["lines"][0] == ["It was trained on 1 label, all of them yours.", None]
    assert change["lines"][1][0].startswith("It agrees with 75 %")
    assert (change["win_rate"], change["compared"]) == (None, f"No win rate: {NOT_COMPARED.why}.")
    [first, _] = change["examples"]
    assert "<strong>first</strong>" in first["before_html"]
    assert all("<img" not in html and "<script" not in html for html in first.values())
    result = client.get("/rating/state").json()["result"]
    assert result.keys() == {"id", "title", "lines", "details", "good"}


def test_a_rater_asks_goes_on_voting_reads_the_replies_and_continues(
    screen: Screen, store: Store
) -> None:
    page = screen.page
    rows = page.locator("#ask .asks li")
    screen.press("o")
    page.keyboard.type("1 tie?")  # these keys vote elsewhere
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("Mine")
    page.keyboard.press("Enter")
    asked = take(store)
    assert asked.messages[-1]["content"] == "1 tie?\nMine"
    screen.expect_prompt("Question 1?")
    store.asks.progress({asked.id: 30}, most=120, now=time.time())
    expect(rows).to_contain_text("30 of at most 120 tokens")
    expect(rows.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "30")
    screen.vote("1")
    screen.expect_prompt("Question 2?")
    answer(store, asked)
    expect(page.locator("#ask [role=status]")).to_contain_text("are ready")
    screen.expect_prompt("Question 2?")  # what is being read stays
    screen.vote("1")
    screen.expect_prompt("1 tie?\nMine")
    expect(rows).to_have_count(0)
    chosen = screen.left()
    screen.vote("1")
    screen.expect_prompt("Question 3?")

    screen.press("o")
    page.get_by_role("button", name="Continue with Reply 1").click()
    expect(page.locator("#ask .before")).to_contain_text(chosen)
    page.keyboard.type("And then?")
    page.keyboard.press("Enter")
    asked = take(store)
    contents = [message["content"] for message in asked.messages]
    assert contents == ["1 tie?\nMine", chosen, "And then?"]
    page.reload()
    expect(rows).to_have_count(1)  # found again
    answer(store, asked)
    expect(rows).to_contain_text("Ready")
    screen.press("o")
    expect(page.locator("#prompt .text")).to_contain_text("And then?")

    screen.press("o")
    page.keyboard.type("No")
    page.keyboard.press("Enter")
    store.asks.refuse(take(store).id, "It is too long.", now=time.time())
    expect(rows).to_contain_text("It is too long.")
    rows.get_by_role("button", name="Change it").click()
    expect(page.locator("#ask-text")).to_have_value("No")
    page.keyboard.press("Escape")
    expect(page.locator("#ask-text")).to_be_hidden()


def test_a_new_version_does_not_take_the_reply_from_the_page_that_waits_for_it(
    screen: Screen, store: Store
) -> None:
    screen.vote("1")
    screen.wait_saved()
    screen.press("o")
    screen.page.keyboard.type("Mine?")
    screen.page.keyboard.press("Enter")
    answer(store, take(store))
    expect(screen.page.locator("#ask .asks li")).to_contain_text("Ready")
    update(store, 1)
    screen.refresh()
    expect(screen.page.locator(".version")).to_have_text("Version 1")
    wait_until(lambda: store.queue.ready_of_live() < 9)
    screen.press("o")
    screen.expect_prompt("Mine?")
    expect(screen.page.locator("#prompt .note")).to_have_text("from version 0")


def test_the_page_shows_what_the_votes_changed(screen: Screen, store: Store) -> None:
    screen.vote("1")
    screen.wait_saved()
    update(store, 1, win_rate=METRICS["win_rate"])  # type: ignore[arg-type]
    expect(screen.page.locator(".result .lead")).to_have_text(
        "Your 1 label made version 1; it wins 61 % [52, 70] against version 0."
    )
    screen.press("c")
    dialog = screen.page.locator("#changes")
    expect(dialog.locator("h3")).to_have_text("Version 1 is live")
    expect(dialog.locator(".figures li").first).to_have_text(
        "It was trained on 1 label, all of them yours."
    )
    expect(dialog.get_by_role("img")).to_have_accessible_name(
        "61 %, 95 % interval [52, 70]; at 50 % it is neither better nor worse"
    )
    expect(dialog.locator(".side mark")).to_have_text(["first", "then"] * 2)
    screen.press("1")  # keys rest while the dialog is open
    screen.press("Escape")
    expect(dialog).to_be_hidden()
    assert len(store.reports.votes()) == 1
