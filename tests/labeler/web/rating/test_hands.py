"""The rating page under real hands: in a real Chromium, with keys as keyboards really send them."""

from typing import Any

import pytest
from playwright.sync_api import Error, Locator, expect

from labeler.domain.states import Choice
from labeler.store import Store
from tests.support.patience import wait_until
from tests.support.web import Screen, WebServer, standing

TWICE = """() => {
    const left = document.querySelector("#vote-left");
    left.click();
    left.click();
}"""
PRESS_TWICE = """() => { for (let i = 0; i < 2; i++) document.dispatchEvent(
    new KeyboardEvent("keydown", { key: "t", code: "KeyT", bubbles: true })) }"""


@pytest.mark.parametrize("twice", [TWICE, PRESS_TWICE], ids=["click", "key"])
def test_a_double_click_and_a_bouncing_key_vote_once_and_the_page_says_so(
    screen: Screen, store: Store, twice: str
) -> None:
    complaint = screen.page.locator("#saved .complaint")
    screen.wait_seen()
    screen.page.evaluate(twice)
    expect(complaint).to_contain_text("Too soon to count.")
    screen.expect_prompt("Question 2?")
    screen.wait_saved()
    assert len(standing(store)) == 1
    screen.vote("1")
    screen.expect_prompt("Question 3?")
    expect(complaint).to_be_empty()


PRESSES = """(presses) => presses.map(([key, ms]) => {
    performance.now = () => ms;
    const event = new KeyboardEvent("keydown", { key, code: `Digit${key}`, bubbles: true });
    Object.defineProperty(event, "timeStamp", { value: ms });
    document.dispatchEvent(event);
    return document.querySelector("#prompt .text").innerText;
})"""


def test_a_pair_counts_as_seen_after_a_quarter_of_a_second_and_twice_that_for_the_same_key(
    screen: Screen,
) -> None:
    """By a clock that stands still between the presses."""
    now = screen.page.evaluate("performance.now()")
    presses = [("1", 1000), ("1", 1499), ("1", 1500), ("2", 1749), ("2", 1750)]
    prompts = screen.page.evaluate(PRESSES, [[key, now + ms] for key, ms in presses])
    assert prompts[:4] == ["Question 2?", "Question 2?", "Question 3?", "Question 3?"]
    screen.expect_prompt("Question 4?")


def test_a_pair_counts_as_seen_only_from_when_no_dialog_stands_before_it(
    screen: Screen, store: Store
) -> None:
    screen.wait_seen()
    screen.press("?")
    screen.page.evaluate(
        """() => {
            const vote = new KeyboardEvent("keydown", { key: "t", code: "KeyT", bubbles: true });
            const help = document.querySelector("#help");
            help.addEventListener("close", () => document.dispatchEvent(vote));
        }"""
    )
    screen.press("Escape")
    expect(screen.page.locator("#saved .complaint")).to_contain_text("Too soon to count")
    screen.expect_prompt("Question 1?")


def send_key(target: Locator, **key: Any) -> None:
    """A key as a keyboard or an input method sends it; Playwright knows one layout only."""
    target.dispatch_event("keydown", {"bubbles": True, "cancelable": True, **key})


CONFIRMS: dict[str, dict[str, Any]] = {
    "Chromium and Firefox": {"key": "Enter", "isComposing": True, "keyCode": 229},
    "Safari": {"key": "Enter", "isComposing": False, "keyCode": 229},
}
LEAVES = {"key": "Escape", "code": "Escape", "isComposing": True, "keyCode": 229}


@pytest.mark.parametrize("confirms", CONFIRMS.values(), ids=CONFIRMS)
def test_keys_of_an_input_method_neither_send_a_prompt_nor_close_its_form(
    screen: Screen, confirms: dict[str, Any]
) -> None:
    text = screen.page.locator("#ask-text")
    screen.press("o")
    screen.page.keyboard.type("にほん")
    send_key(text, **confirms)
    send_key(text, **LEAVES)
    expect(text).to_be_visible()
    expect(text).to_have_value("にほん")
    expect(screen.page.locator("#ask .asks li")).to_have_count(0)
    screen.press("Enter")
    expect(screen.page.locator("#ask .asks li")).to_have_count(1)


def test_keys_of_an_input_method_neither_save_nor_close_a_dialog_nor_vote(
    screen: Screen, store: Store
) -> None:
    screen.vote("1")
    screen.wait_saved()
    screen.press("r")
    comment = screen.page.locator("#why-comment")
    comment.fill("にほん")
    send_key(comment, ctrlKey=True, **CONFIRMS["Safari"])
    send_key(comment, **LEAVES)
    expect(comment).to_be_visible()
    screen.press("Escape")
    expect(comment).to_be_hidden()
    screen.wait_seen()
    send_key(screen.page.locator("body"), key="Process", code="Digit1", keyCode=229)
    screen.expect_prompt("Question 2?")
    screen.wait_saved()
    assert len(standing(store)) == 1


def test_what_was_typed_is_there_again_after_escape_and_after_a_tab_that_died(
    unopened: Screen, service: WebServer, store: Store
) -> None:
    dying = Screen(unopened.page.context.new_page(), service.url)
    dying.open()
    dying.vote("1")
    dying.wait_saved()
    dying.press("r")
    dying.press("2")
    dying.page.fill("#why-comment", "More to the")
    dying.press("Escape")
    dying.press("r")
    expect(dying.page.locator("#why-comment")).to_have_value("More to the")
    dying.press("Escape")
    dying.press("o")
    dying.page.keyboard.type("What is")
    dying.press("Escape")
    with pytest.raises(Error, match="crash"):
        dying.page.goto("chrome://crash")

    screen = unopened
    screen.open()
    expect(screen.page.locator("#saved .complaint")).to_contain_text("Reasons that you began")
    screen.press("o")
    expect(screen.page.locator("#ask-text")).to_have_value("What is")
    screen.press("Enter")
    screen.press("o")
    expect(screen.page.locator("#ask-text")).to_have_value("")
    screen.press("Escape")
    screen.page.click("#open-why")
    expect(screen.page.locator("#why .lead")).to_have_text("You chose: Reply 1.")
    comment = screen.page.locator("#why-comment")
    expect(comment).to_have_value("More to the")
    comment.press("End")
    comment.press_sequentially(" point")
    comment.press("Control+Enter")
    wait_until(lambda: standing(store)[0].vote.comment == "More to the point")
    assert len(standing(store)[0].vote.reasons) == 1
    screen.open()
    expect(screen.page.locator("#open-why")).to_be_hidden()


AZERTY_1 = {"key": "&", "code": "Digit1"}
AZERTY_SHIFT_1 = {"key": "1", "code": "Digit1", "shiftKey": True}


def test_a_digit_that_needs_shift_is_no_more_than_a_digit(screen: Screen, store: Store) -> None:
    """AZERTY types & in the place of 1, and 1 with Shift."""
    body = screen.page.locator("body")
    screen.wait_seen()
    send_key(body, **AZERTY_1)
    screen.wait_seen()
    send_key(body, **AZERTY_SHIFT_1)
    screen.wait_seen()
    send_key(body, key="!", code="Digit1", shiftKey=True)
    screen.wait_saved()
    wait_until(lambda: len(standing(store)) == 3)
    assert [row.vote.strength for row in standing(store)] == [1, 1, 2]
    assert Choice.TIE not in [row.vote.choice for row in standing(store)]


def test_reasons_go_by_the_place_of_the_digit_as_votes_do(screen: Screen) -> None:
    screen.vote("1")
    screen.press("r")
    dialog = screen.page.locator("#why")
    expect(dialog).to_be_visible()
    boxes = dialog.get_by_role("checkbox")
    send_key(dialog, **AZERTY_1)
    send_key(dialog, key="é", code="Digit2")
    send_key(dialog, key="2", code="Digit2", shiftKey=True)
    send_key(dialog, key="3", code="Numpad3")
    send_key(dialog, key="ArrowLeft", code="Numpad4")
    checked = boxes.evaluate_all("boxes => boxes.map((box) => box.checked)")
    assert checked[:4] == [True, False, True, False]
