"""The rating page under real hands: in a real Chromium, with keys as keyboards really send them."""

import pytest
from playwright.sync_api import expect

from labeler.store import Store
from tests.support.web import Screen, standing

TWICE = """() => {
    const left = document.querySelector("#vote-left");
    left.click();
    left.click();
}"""
PRESS_TWICE = """() => { for (let i = 0; i < 2; i++) document.dispatchEvent(
    new KeyboardEvent("keydown", { key: "t", code: "KeyT", bubbles: true })) }"""


@pytest.mark.parametrize("twice", [TWICE, PRESS_TWICE])
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
