"""The pages in windows as people have them: narrow, at 400 %, under fingers, without motion, on
paper, and as a screen reader's tree.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from labeler.store import Store
from tests.labeler.web.rating.test_hands import PRESS_TWICE
from tests.support.store import lease
from tests.support.web import Screen, WebServer, add_questions

LONG = "Tea is **hot**, and water boils. " * 60
WORD = "x" * 400
OVERHANG = "document.documentElement.scrollWidth - innerWidth"
MIN_TARGET = 44  # CSS pixels of a finger's tip
SMALL_TARGETS = """(least) => [...document.querySelectorAll("button, summary, a")]
    .filter((one) => one.checkVisibility({ contentVisibilityAuto: true }))
    .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
    .filter(([, { width, height }]) => width < least || height < least)
    .map(([name, { width, height }]) => `${name} ${width} x ${height}`)"""
COVERED = """() => [...document.querySelectorAll("#replies .text > :last-child")].map((last) => {
    last.scrollIntoView({ block: "end" });
    const bar = document.querySelector("#choices").getBoundingClientRect();
    return Math.max(0, Math.floor(last.getBoundingClientRect().bottom - bar.top));
})"""
# A page of 1280 x 1024 at 400 % is 320 x 256 CSS pixels.
SMALL_WINDOWS = [(320, 560), (320, 256)]

TREE = """
- banner:
  - heading "livedpo" [level=1]
  - button "Your last votes"
  - button "Help and keys"
  - navigation "Pages"
- main:
  - button "Try your own prompt"
  - region "Prompt":
    - heading "Prompt" [level=2]
    - paragraph: Question 2?
  - group "How the replies are shown":
    - button "Differences"
    - button "Plain text"
    - button "Scroll together"
  - region "Reply 1":
    - heading "Reply 1" [level=2]
  - region "Reply 2":
    - heading "Reply 2" [level=2]
  - group "Your vote":
    - button "Reply 1 is better"
    - button "Reply 2 is better"
    - button "Reply 1 is much better"
    - button "Reply 2 is much better"
    - button "Tie"
    - button "Both bad"
    - button "Skip this pair"
    - button "Edit the better reply"
    - button "Undo the last vote"
    - status: /Saved. Reply 1/
    - button "Why?"
    - status: "Pair 2: Question 2?"
  - complementary "Progress":
    - heading "Next update" [level=2]
    - progressbar "Labels to the next update"
"""


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A tab under fingers."""
    size: Any = {"width": 390, "height": 844}
    with closing(browser.new_context(viewport=size, has_touch=True, is_mobile=True)) as context:
        yield context.new_page()


def add_long_pairs(store: Store) -> None:
    """Long pairs in place of the others, which another page holds."""
    lease(store, 99, holder="other", seconds=999, now=time.time())
    add_questions(store, 9, response_a=LONG + WORD, response_b=WORD + LONG)


@pytest.mark.parametrize("size", SMALL_WINDOWS, ids=lambda size: f"{size[0]} x {size[1]}")
def test_no_page_scrolls_sideways_in_a_small_window(
    unopened: Screen, service: WebServer, store: Store, size: tuple[int, int]
) -> None:
    screen, page = unopened, unopened.page
    add_long_pairs(store)
    store.processes.alarm("worker", f"The worker died of {WORD}.")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    screen.open(is_new=True)
    assert page.evaluate(OVERHANG) <= 0
    screen.vote("1")
    screen.press("1")  # swallowed
    screen.wait_saved()
    for key in ("o", "?", "h", "r", "e", "c", "g"):
        screen.press(key)
        assert page.evaluate(OVERHANG) <= 0, key
        screen.press("Escape")
    for path, ready in (("/login", "#form"), ("/dashboard", "#tiles > *"), ("/labels", "#list li")):
        page.goto(service.url + path)
        page.wait_for_selector(ready)
        assert page.evaluate(OVERHANG) <= 0, path


def test_at_400_percent_nothing_stays_before_what_is_read(screen: Screen) -> None:
    page = screen.page
    page.set_viewport_size({"width": 320, "height": 256})
    for part in ("#prompt", "#choices"):
        expect(page.locator(part)).to_have_css("position", "static")


def test_a_screen_reader_meets_prompt_replies_and_choices_in_this_order_and_hears_what_is_new(
    screen: Screen,
) -> None:
    screen.vote("1")
    screen.wait_saved()
    expect(screen.page.locator("body")).to_match_aria_snapshot(TREE)
    screen.wait_seen()
    screen.page.evaluate(PRESS_TWICE)
    expect(screen.page.get_by_role("alert").filter(has_text="Too soon")).to_have_count(1)


def test_what_a_finger_presses_is_large_and_covers_no_reply(
    phone: Page, service: WebServer, store: Store
) -> None:
    add_long_pairs(store)
    screen = Screen(phone, service.url)
    screen.open()
    for width, height in ((390, 844), (320, 560)):
        phone.set_viewport_size({"width": width, "height": height})
        screen.vote("1")
        screen.wait_saved()
        assert phone.evaluate(SMALL_TARGETS, MIN_TARGET) == []
        assert phone.evaluate(COVERED) == [0, 0]
        for button in ("left", "right", "tie", "both-bad", "skip"):
            expect(phone.locator(f"#vote-{button}")).to_be_in_viewport(ratio=1)


def test_nothing_moves_for_those_who_want_no_motion(screen: Screen) -> None:
    page = screen.page
    page.emulate_media(reduced_motion="reduce")
    screen.vote("1")
    moving = """() => [...document.querySelectorAll("body *")].filter((one) => {
        const { animationName, transitionDuration } = getComputedStyle(one);
        return animationName !== "none" || transitionDuration !== "0s";
    }).length"""
    assert page.evaluate(moving) == 0
    page.emulate_media(reduced_motion="null")


def test_on_paper_stands_the_whole_pair_in_dark_ink_and_nothing_to_press(
    unopened: Screen, store: Store
) -> None:
    screen, page = unopened, unopened.page
    add_long_pairs(store)
    screen.open()
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("#replies .text").first).to_have_css("color", "rgb(30, 41, 59)")
    for part in ("#choices", "#toggles", "#ask", "#open-help"):
        expect(page.locator(part)).to_be_hidden()
    hidden = """() => [...document.querySelectorAll("#pair .body")].map(
        (body) => body.scrollHeight - body.clientHeight)"""
    assert page.evaluate(hidden) == [0, 0, 0]
    page.emulate_media(media="null")
