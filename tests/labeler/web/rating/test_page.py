"""The rating page in a real Chromium."""

import re
import time
from typing import Any

from playwright.sync_api import expect

from labeler.domain.finding import Finding
from labeler.domain.states import Choice, UpdateState
from labeler.store import Store
from labeler.store.records import Claim
from tests.support.patience import wait_until
from tests.support.store import claim, lease, open_update, promote, version
from tests.support.web import Screen, WebServer, add_questions, new_pair, standing

KEYS = [
    ("1", "left", 1),
    ("2", "right", 1),
    ("Shift+Digit1", "left", 2),
    ("Shift+Digit2", "right", 2),
    ("t", "tie", 1),
    ("b", "both_bad", 1),
    ("S", "skip", 1),
]
BUTTONS = [
    ("vote-left", "left", 1),
    ("vote-right", "right", 1),
    ("vote-left-much", "left", 2),
    ("vote-right-much", "right", 2),
    ("vote-tie", "tie", 1),
    ("vote-both-bad", "both_bad", 1),
    ("vote-skip", "skip", 1),
]


def stored(choice: str, left: str) -> Choice:
    """What the database must hold, told from the text that was seen on the left."""
    sides = {"left": left, "right": "beta" if "alpha" in left else "alpha"}
    if choice in sides:
        return Choice.A if "alpha" in sides[choice] else Choice.B
    return Choice(choice)


def lease_all(store: Store) -> None:
    """Let another page hold every pair that waits."""
    lease(store, 99, holder="other", seconds=999, now=time.time())


METRICS = {
    "labels": 13,
    "held_out": 3,
    "agreement": {"live": 0.5, "candidate": 0.75, "labels": 20},
    "win_rate": {"rate": 0.61, "low": 0.52, "high": 0.7, "pairs": 110},
    "tokens_live": 50.0,
    "tokens_candidate": 40.0,
    "kl_live": 0.0512,
    "loss_first": 0.69,
    "loss_last": 0.51,
    "seconds": 3.2,
}


def claim_update(store: Store) -> Claim:
    """An update of the fresh labels, in the middle of its training."""
    now = time.time()
    assert open_update(store, now=now, labels_per_update=1)
    claimed = claim(store, now=now)
    store.updates.beat(claimed, UpdateState.TRAINING, done=3, total=8, now=now)
    return claimed


def make_version(store: Store, number: int, metrics: dict[str, Any] = METRICS) -> None:
    """Make a version live from the fresh labels, with pairs of its own."""
    pairs = [new_pair(90 + each, 1, number) for each in range(9)]
    finding = Finding.from_json(metrics)
    now = time.time()
    promote(store, claim_update(store), number, pairs=pairs, finding=finding, now=now)


def test_every_key_stores_what_was_seen(screen: Screen, store: Store) -> None:
    expected = []
    for number, (key, choice, strength) in enumerate(KEYS, start=1):
        screen.expect_prompt(f"Question {number}?")
        expected.append((stored(choice, screen.left()), strength))
        screen.vote(key)
    screen.wait_saved()
    wait_until(lambda: len(standing(store)) == len(KEYS))
    assert [(row.vote.choice, row.vote.strength) for row in standing(store)] == expected


def test_every_button_stores_what_was_seen(screen: Screen, store: Store) -> None:
    expected = []
    for number, (button, choice, strength) in enumerate(BUTTONS, start=1):
        screen.expect_prompt(f"Question {number}?")
        expected.append((stored(choice, screen.left()), strength))
        screen.wait_seen()
        screen.page.click(f"#{button}")
    screen.wait_saved()
    wait_until(lambda: len(standing(store)) == len(BUTTONS))
    assert [(row.vote.choice, row.vote.strength) for row in standing(store)] == expected
    assert all(row.vote.seconds > 0 for row in standing(store))


def test_undo_goes_back_vote_by_vote_on_the_same_sides(screen: Screen, store: Store) -> None:
    seen = []
    for number in (1, 2, 3):
        screen.expect_prompt(f"Question {number}?")
        seen.append((screen.prompt(), screen.left(), screen.right()))
        screen.vote("1")
        screen.wait_saved()
    for prompt, left, right in reversed(seen):
        screen.press("u")
        screen.expect_prompt(prompt)
        assert (screen.left(), screen.right()) == (left, right)
    wait_until(lambda: not standing(store))
    for number in (1, 2, 3, 4):
        screen.expect_prompt(f"Question {number}?")
        screen.vote("2")
    wait_until(lambda: len(standing(store)) == 4)
    assert len(store.reports.votes()) == 7


def test_undo_with_nothing_to_undo_says_so(screen: Screen) -> None:
    screen.page.click("#undo")
    expect(screen.page.locator("#saved .complaint")).to_contain_text("has no vote left")
    screen.expect_prompt("Question 1?")


def test_a_key_held_down_votes_once(screen: Screen, store: Store) -> None:
    screen.wait_seen()
    for _ in range(5):
        screen.page.keyboard.down("t")
    screen.page.keyboard.up("t")
    screen.page.focus("#vote-tie")
    screen.wait_seen()
    for _ in range(5):
        screen.page.keyboard.down("Enter")
    screen.page.keyboard.up("Enter")
    screen.expect_prompt("Question 3?")
    screen.wait_saved()
    assert len(standing(store)) == 2


def test_keys_are_ignored_in_fields_with_modifiers_and_under_the_help(
    screen: Screen, store: Store
) -> None:
    screen.wait_seen()
    screen.press("Control+1")
    screen.press("Alt+2")
    screen.press("Meta+t")
    screen.page.evaluate(
        """() => document.querySelector("main").append(
            Object.assign(document.createElement("textarea"), { id: "field" }))"""
    )
    screen.page.type("#field", "12tbsu")
    screen.page.locator("#field").blur()
    screen.press("?")
    expect(screen.page.locator("#help")).to_be_visible()
    screen.press("1")
    screen.press("e")
    screen.press("Escape")
    expect(screen.page.locator("#help")).to_be_hidden()
    screen.page.evaluate("new Promise((done) => setTimeout(done))")  # until it is told as closed
    screen.expect_prompt("Question 1?")
    assert standing(store) == []
    screen.vote("1")
    screen.expect_prompt("Question 2?")


def test_letters_go_by_their_place_where_the_layout_prints_no_latin_ones(
    screen: Screen, store: Store
) -> None:
    screen.wait_seen()
    screen.page.evaluate(
        """() => document.dispatchEvent(
            new KeyboardEvent("keydown", { key: "е", code: "KeyT", bubbles: true }))"""
    )
    wait_until(lambda: [row.vote.choice for row in standing(store)] == [Choice.TIE])


def test_the_number_pad_votes_but_not_as_cursor_keys(screen: Screen, store: Store) -> None:
    screen.wait_seen()
    for key in ("End", "1"):
        screen.page.evaluate(
            """(key) => document.dispatchEvent(
                new KeyboardEvent("keydown", { key, code: "Numpad1", bubbles: true }))""",
            key,
        )
    screen.wait_saved()
    assert len(standing(store)) == 1


def test_a_reload_shows_the_same_pair_and_another_tab_another(
    screen: Screen, service: WebServer
) -> None:
    before = (screen.prompt(), screen.left())
    screen.open()
    assert (screen.prompt(), screen.left()) == before
    other = Screen(screen.page.context.new_page(), service.url)
    other.open()
    assert other.prompt() == "Question 4?"
    other.assert_clean()


def test_a_tab_that_inherits_the_id_of_another_gets_pairs_of_its_own(
    screen: Screen, service: WebServer
) -> None:
    with screen.page.expect_popup() as popup:
        screen.page.evaluate("() => void window.open('/')")
    twin = popup.value
    twin.wait_for_selector("#reply-left .text")
    assert twin.inner_text("#prompt .text") == "Question 4?"


def test_votes_outlive_a_dead_server_and_a_reload_and_count_once(
    screen: Screen, service: WebServer, store: Store
) -> None:
    screen.may_lose_connection = True
    service.stop()
    screen.vote("1")
    screen.vote("2")
    screen.expect_mark("Connection lost. 2 votes waiting here. No more pairs at hand.")
    service.start()
    wait_until(lambda: len(standing(store)) == 2)
    screen.wait_saved()
    service.stop()
    screen.vote("t")
    screen.expect_mark("1 vote waiting")
    service.start()
    screen.open()
    wait_until(lambda: len(standing(store)) == 3)
    screen.expect_prompt("Question 4?")
    assert len(store.reports.votes()) == 3


def test_votes_of_a_closed_tab_are_delivered_by_the_next_one(
    unopened: Screen, service: WebServer, store: Store
) -> None:
    first = Screen(unopened.page.context.new_page(), service.url)
    first.open()
    service.stop()
    first.vote("1")
    first.expect_mark("1 vote waiting")
    first.page.close()
    service.start()
    unopened.open()
    wait_until(lambda: len(standing(store)) == 1)


def test_an_answer_that_got_lost_does_not_double_the_vote(screen: Screen, store: Store) -> None:
    screen.may_lose_connection = True
    losing = [True]

    def lose(route: Any) -> None:
        if losing:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    screen.page.route("**/rating/votes", lose)
    screen.vote("1")
    screen.expect_mark("1 vote waiting")  # the route above answers only while the page is asked
    assert len(standing(store)) == 1
    losing.clear()
    screen.wait_saved()
    assert len(store.reports.votes()) == 1


def test_a_vote_that_was_stored_with_another_choice_is_shown_as_it_is_stored(
    screen: Screen, store: Store
) -> None:
    def arrive_as_a_tie(route: Any) -> None:
        """First a ballot of the same id, then the one that the page has sent."""
        body = route.request.post_data_json
        first = {**body, "votes": [{**body["votes"][0], "choice": "tie"}]}
        route.fetch(post_data=first)
        route.continue_()

    screen.page.route("**/rating/votes", arrive_as_a_tie)
    screen.vote("1")
    screen.expect_mark("Saved: tie")
    expect(screen.page.locator("#saved .complaint")).to_contain_text("stored before, as “tie”")
    expect(screen.page.locator("#saved .mark")).not_to_contain_text("Reply 1")
    assert [row.vote.choice for row in standing(store)] == [Choice.TIE]


def test_an_undo_whose_answer_got_lost_is_shown_to_wait_and_takes_back_one_vote(
    screen: Screen, store: Store
) -> None:
    for number in (1, 2):
        screen.expect_prompt(f"Question {number}?")
        screen.vote("12"[number % 2])
        screen.wait_saved()
    screen.may_lose_connection = True
    losing = [True]

    def lose(route: Any) -> None:
        """The first undo arrives without an answer; then the connection is down for a while."""
        if losing and len(standing(store)) == 2:
            route.fetch()
        if losing:
            route.abort()
        else:
            route.continue_()

    screen.page.route("**/rating/undo", lose)
    screen.press("u")
    expect(screen.page.locator(".mark")).to_contain_text("The undo is waiting for the server.")
    screen.press("u")  # changes nothing: one waits, and may have arrived
    expect(screen.page.locator("#saved .complaint")).to_contain_text("The undo is on its way.")
    losing.clear()
    screen.expect_prompt("Question 2?")
    expect(screen.page.locator(".mark")).not_to_contain_text("undo")
    assert len(standing(store)) == 1


def test_an_undo_during_an_outage_can_be_given_up_and_rating_goes_on(
    screen: Screen, store: Store
) -> None:
    page, said = screen.page, screen.page.locator("#saved .complaint")
    screen.may_lose_connection = True
    screen.vote("1")
    screen.wait_saved()

    def lose(route: Any) -> None:
        route.abort()

    page.route("**/rating/**", lose)
    screen.wait_seen()
    screen.press("u")
    screen.expect_mark("The undo is waiting for the server.")
    expect(page.locator("#vote-left")).to_have_attribute("aria-disabled", "true")
    page.locator("#vote-tie").click(force=True)
    expect(said).to_contain_text("Press U again to give it up")
    screen.press("2")
    screen.press("u")
    expect(said).to_contain_text("given up: your vote stays")
    expect(page.locator("#vote-left")).to_have_attribute("aria-disabled", "false")
    screen.vote("2")
    screen.expect_mark("1 vote waiting here")
    page.unroute("**/rating/**", lose)
    screen.wait_saved()
    assert len(store.reports.votes()) == len(standing(store)) == 2


def test_the_page_says_saved_only_after_the_server_did(screen: Screen, store: Store) -> None:
    let_go = screen.hold("**/rating/votes")
    screen.vote("1")
    screen.expect_mark("Saving…")
    screen.expect_prompt("Question 2?")
    assert standing(store) == []
    let_go()
    screen.wait_saved()
    assert len(standing(store)) == 1


def test_a_vote_that_was_never_sent_is_withdrawn_without_a_trace(
    screen: Screen, store: Store
) -> None:
    let_go = screen.hold("**/rating/votes")
    screen.vote("1")
    screen.expect_mark("Saving…")
    screen.vote("2")
    screen.expect_prompt("Question 3?")
    screen.press("u")
    screen.expect_prompt("Question 2?")
    let_go()
    screen.vote("t")
    screen.wait_saved()
    assert len(store.reports.votes()) == len(standing(store)) == 2


def test_a_refused_vote_is_told_and_dropped(screen: Screen, store: Store) -> None:
    store.queue.end_all_leases(now=1.0)
    lease_all(store)
    screen.vote("1")
    expect(screen.page.locator("#refusals")).to_contain_text("A vote was not saved: this")
    screen.press("u")
    assert standing(store) == []


def test_refused_votes_are_counted_and_told_until_that_is_dismissed(
    screen: Screen, store: Store
) -> None:
    told = screen.page.locator("#refusals")
    store.queue.end_all_leases(now=1.0)
    lease_all(store)
    screen.vote("1")
    expect(told).to_contain_text("A vote was not saved")
    screen.vote("2")
    screen.vote("t")
    expect(told).to_contain_text("3 votes were not saved: this pair")
    screen.press("1")  # too soon, or there is no pair: neither takes the notice away
    screen.press("u")
    expect(screen.page.locator("#saved .complaint")).to_contain_text("has no vote left")
    expect(told).to_contain_text("3 votes were not saved: this pair")
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_be_hidden()
    expect(screen.page.locator("#choices :focus")).to_have_count(0)


def test_an_empty_queue_says_so_and_picks_up_by_itself(screen: Screen, store: Store) -> None:
    for number in range(1, 13):
        screen.expect_prompt(f"Question {number}?")
        screen.vote("12"[number % 2])
    expect(screen.page.locator("#waiting")).to_contain_text("Sampling the next pairs")
    screen.press("2")
    expect(screen.page.locator("#vote-left")).to_have_attribute("aria-disabled", "true")
    add_questions(store, 1)
    screen.expect_prompt("Question 13?")
    expect(screen.page.locator("#waiting")).to_be_hidden()
    screen.wait_saved()
    assert len(standing(store)) == 12


def test_a_new_version_replaces_the_prefetched_pairs_and_is_told(
    screen: Screen, store: Store
) -> None:
    screen.vote("1")
    screen.wait_saved()
    expect(screen.page.locator("#panel")).to_contain_text("1 of 4 labels for the next update")
    make_version(store, 1)
    expect(screen.page.locator(".version")).to_have_text("Version 1")
    expect(screen.page.locator(".result .lead")).to_have_text(
        "13 labels, 1 of them yours, made version 1; it wins 61 % [52, 70] against version 0."
    )
    wait_until(lambda: store.queue.ready_of_live() == 9 - 2)
    expect(screen.page.locator("#prompt .note")).to_have_text("from version 0")
    screen.vote("1")
    expect(screen.page.locator("#prompt .note")).to_have_text("from version 1")


def test_training_and_alarms_are_shown(screen: Screen, store: Store) -> None:
    screen.vote("1")
    screen.wait_saved()
    claim = claim_update(store)
    screen.refresh()
    expect(screen.page.locator(".activity")).to_have_text("Training, step 3 of 8")
    expect(screen.page.locator("#panel")).to_contain_text("0 of 4 labels for the update after this")
    store.updates.fail(claim, reason="loss is NaN\nTraceback", now=time.time())
    screen.refresh()
    expect(screen.page.locator(".result .lead")).to_have_text(
        "The last update failed: loss is NaN."
    )
    store.processes.alarm("worker", "The worker died.")
    screen.refresh()
    expect(screen.page.locator("#alarms")).to_contain_text("worker: The worker died. It is")
    store.processes.alarm("worker", None)
    screen.refresh()
    expect(screen.page.locator("#alarms p")).to_have_count(0)


def test_the_page_says_in_one_line_why_no_update_comes(screen: Screen) -> None:
    why = screen.page.locator("#panel .why")
    for number, key in enumerate("tbtb", start=1):
        screen.expect_prompt(f"Question {number}?")
        expect(why).to_be_empty()
        screen.vote(key)
    expect(why).to_have_text("4 of 4 labels were ties or both bad and taught nothing (--ties).")


def test_a_new_version_is_told_with_the_verdict_of_the_gate_and_its_figures_are_folded(
    screen: Screen, store: Store
) -> None:
    screen.vote("1")
    screen.wait_saved()
    make_version(store, 1)
    screen.refresh()
    expect(screen.page.locator(".result li")).to_have_text(
        [
            "3 more labels tested it, and teach the next one.",
            "It agrees with 75 % [53, 89] of 20 held-out votes (version 0: 50 % [30, 70]; earlier "
            "updates had learned from most of them).",
            "Its replies are 20 % shorter and have changed a little.",
        ]
    )
    figures = screen.page.locator(".result dl")
    expect(figures).to_be_hidden()
    screen.page.locator(".result summary").click()
    expect(figures).to_be_visible()
    expect(figures).to_contain_text("Loss0.69 → 0.51")
    expect(figures).to_contain_text("nats per token0.051")


def test_a_version_that_was_kept_back_is_told_with_its_reasons(
    screen: Screen, store: Store
) -> None:
    screen.vote("1")
    screen.wait_saved()
    made = version(1, Finding(labels=1))
    reason = "9 % of its responses do not end; it agrees with fewer votes"
    store.updates.reject(claim_update(store), made, reason=reason, now=time.time())
    screen.refresh()
    expect(screen.page.locator(".result .lead")).to_have_text(
        f"The new version was held back: {reason}."
    )
    expect(screen.page.locator(".result li")).to_have_text(["Your labels are kept."])
    expect(screen.page.locator(".result details")).to_be_hidden()
    store.versions.make_live_again(1, now=time.time())
    screen.refresh()
    expect(screen.page.locator(".result li")).to_have_text(["It was made live by hand."])


def test_a_rollback_is_told(screen: Screen, store: Store) -> None:
    screen.vote("1")
    screen.wait_saved()
    make_version(store, 1)
    screen.refresh()
    expect(screen.page.locator(".version")).to_have_text("Version 1")
    store.versions.make_live_again(0, now=time.time())
    screen.refresh()
    expect(screen.page.locator(".version")).to_have_text("Version 0")
    expect(screen.page.locator(".result li").first).to_have_text("Version 0 is live now.")


SIDES = ("left", "right")
SCHEMES: dict[Any, str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 29, 43)"}

HOSTILE = """<script>window.pwned = 1</script><img src=x onerror="window.pwned = 1">

<form action="/rating/votes"><button id="vote-left">x</button></form>

![a](http://evil.example/a.png) [b](javascript:window.pwned=1) <http://evil.example>

<style>* { display: none }</style> \u202e\x01 &lt;script&gt;window.pwned=1&lt;/script&gt;

| <svg/onload=window.pwned=1> |
|---|
| a |

```"><script>window.pwned=1</script>
code
```
"""


def test_a_hostile_reply_runs_and_fetches_nothing(unopened: Screen, store: Store) -> None:
    lease_all(store)
    add_questions(store, 1, response_a=HOSTILE, response_b="e\u0301\u0301" * 3000)
    screen = unopened
    screen.open()
    shown = screen.left() + screen.right()
    assert "<script>window.pwned = 1</script>" in shown
    assert "![a](http://evil.example/a.png)" in shown
    inside = "#replies .text :is(script, img, form, a, style, button, svg, iframe, [id])"
    assert screen.page.locator(inside).count() == 0
    assert screen.page.evaluate("window.pwned") is None


def test_nothing_on_the_page_tells_which_response_is_which(screen: Screen) -> None:
    bodies = [response for response in screen.requests if "/rating/" in response]
    assert bodies
    html = screen.page.inner_html("#pair")
    left, right = ("alpha", "beta") if "alpha" in screen.left() else ("beta", "alpha")
    mirrored = html.replace(left, "\0").replace(right, left).replace("\0", right)
    assert re.findall(r"(alpha|beta)", html) == [left, right]
    assert re.findall(r"(alpha|beta)", mirrored) == [right, left]
    assert not re.findall(r"shown_left|response_[ab]|pair_id", html)


def test_it_fits_the_window_in_light_and_dark(screen: Screen) -> None:
    page = screen.page
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for scheme, colour in SCHEMES.items():
            page.emulate_media(color_scheme=scheme)
            expect(page.locator("#prompt")).to_have_css("background-color", colour)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            left, right = (page.locator(f"#reply-{side}").bounding_box() for side in SIDES)
            assert left is not None
            assert right is not None
            stacked = right["y"] >= left["y"] + left["height"]
            assert stacked == (width == 390)
            assert stacked or left["height"] == right["height"]
            for button, _, _ in BUTTONS:
                expect(page.locator(f"#{button}")).to_be_in_viewport(ratio=1)


def test_the_prompt_stays_in_sight_above_long_replies(unopened: Screen, store: Store) -> None:
    add_questions(store, 1, response_a="long line\n" * 200, response_b="short")
    screen = unopened
    screen.page.set_viewport_size({"width": 390, "height": 844})
    screen.open()
    for number in range(1, 13):
        screen.expect_prompt(f"Question {number}?")
        screen.vote("st"[number % 2])
    screen.expect_prompt("Question 13?")
    screen.page.mouse.wheel(0, 2000)
    wait_until(lambda: screen.page.evaluate("window.scrollY > 1000"))
    expect(screen.page.locator("#prompt .text")).to_be_in_viewport(ratio=1)
    expect(screen.page.locator("#vote-left")).to_be_in_viewport(ratio=1)


def test_every_vote_leaves_its_time_to_the_next_pair_for_the_benchmark(screen: Screen) -> None:
    for number in range(1, 11):
        screen.expect_prompt(f"Question {number}?")
        screen.vote("12"[number % 2])
    screen.expect_prompt("Question 11?")
    script = "performance.getEntriesByName('vote-to-paint').map((entry) => entry.duration)"
    wait_until(lambda: len(screen.page.evaluate(script)) == 10)
    assert all(duration > 0 for duration in screen.page.evaluate(script))
