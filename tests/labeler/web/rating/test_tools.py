"""What the page offers besides voting: edit, reasons, history, ways to look, practice; by keys."""

from playwright.sync_api import Browser, expect

from labeler.domain.states import Purpose
from labeler.store import Store
from tests.labeler.web.rating.test_page import lease_all
from tests.support.patience import wait_until
from tests.support.web import Screen, WebServer, add_questions, standing

LONG = "\n\n".join(f"Paragraph {n} is about tea, and it goes on for a while." for n in range(60))


def edits(store: Store) -> list[str]:
    return [row.pair.response_a for row in standing(store) if row.pair.purpose is Purpose.EDIT]


def test_an_edit_survives_a_wrong_key_a_reload_and_a_dead_server(
    unopened: Screen, service: WebServer, store: Store
) -> None:
    screen = unopened
    screen.may_lose_connection = True
    screen.open()
    left, right = screen.left(), screen.right()
    screen.press("e")
    expect(screen.page.locator("#edit .asked")).to_have_text("Question 1?")
    expect(screen.page.locator("#edit .both .text")).to_have_text([left, right])
    screen.press("2")
    screen.page.keyboard.type("Better. ")
    screen.press("Escape")
    expect(screen.page.locator("#edit .leave")).to_contain_text("not been saved")
    screen.press("Escape")
    expect(screen.page.locator("#edit")).to_be_visible()
    screen.open()
    screen.press("e")
    expect(screen.page.locator("#edit-text")).to_have_value(f"Better. {right}")
    service.stop()
    screen.press("Control+Enter")
    screen.expect_mark("1 vote waiting")
    screen.expect_prompt("Question 2?")
    screen.press("r")
    screen.press("1")
    screen.page.fill("#why-comment", "More to the point.")
    screen.press("Control+Enter")
    service.start()
    screen.open()
    wait_until(lambda: edits(store) == [f"Better. {right}"])
    wait_until(lambda: standing(store)[0].vote.comment == "More to the point.")
    assert standing(store)[0].vote.reasons == ["correct"]
    assert len(store.reports.votes()) == 2
    screen.press("h")
    item = screen.page.locator("#history li")
    expect(item).to_contain_text("Reply 2")
    expect(item).to_contain_text("More to the point.")
    item.get_by_text("Take back").click()
    screen.expect_prompt("Question 1?")
    assert screen.right() == right
    wait_until(lambda: not standing(store))
    screen.press("e")
    expect(screen.page.locator("#edit-text")).to_have_value(f"Better. {right}")


def test_reasons_come_late_and_a_skip_has_its_own(screen: Screen, store: Store) -> None:
    screen.press("r")
    expect(screen.page.locator("#saved .complaint")).to_contain_text("no recent vote to explain")
    screen.vote("s")
    screen.wait_saved()
    screen.press("r")
    expect(screen.page.locator("#why legend")).to_have_text("Why did you skip it?")
    screen.press("2")
    screen.press("Enter")
    wait_until(lambda: standing(store)[0].vote.reasons == ["I don't understand it"])
    screen.expect_mark("with your reasons")
    screen.expect_prompt("Question 2?")
    screen.vote("1")
    screen.expect_prompt("Question 3?")
    wait_until(lambda: len(standing(store)) == 2)


def test_an_older_vote_comes_back_from_the_history_and_u_still_takes_the_last_one(
    screen: Screen, store: Store
) -> None:
    for key in ("1", "Shift+Digit2", "t"):
        screen.vote(key)
    screen.expect_prompt("Question 4?")
    screen.wait_saved()
    screen.press("h")
    said = screen.page.locator("#history .said strong")
    expect(said).to_have_text(["Tie", "Reply 2, much better", "Reply 1"])
    screen.page.locator("#history li").nth(1).get_by_text("Take back").click()
    screen.expect_prompt("Question 2?")
    screen.press("u")
    screen.expect_prompt("Question 3?")
    wait_until(lambda: len(standing(store)) == 1)


def test_ways_to_look_are_kept_and_change_no_text(unopened: Screen, store: Store) -> None:
    lease_all(store)
    add_questions(
        store, 1, response_a="Tea is **hot**.\n\n" + LONG, response_b="Tea is cold.\n\n" + LONG
    )
    screen = unopened
    screen.open()
    rendered = screen.left()
    expect(screen.page.locator("#replies strong")).to_have_text("hot")
    screen.press("d")
    expect(screen.page.locator("#replies mark")).to_have_count(2)
    assert sorted(screen.page.locator("#replies mark").all_inner_texts()) == ["cold", "hot"]
    assert screen.left() == rendered
    screen.press("p")
    expect(screen.page.locator("#replies strong")).to_have_count(0)
    assert "**hot**" in screen.left() + screen.right()
    screen.press("y")
    for name in ("differences", "plain", "together"):
        expect(screen.page.locator(f"#toggle-{name}")).to_have_attribute("aria-pressed", "true")
    tops = "[...document.querySelectorAll('#replies .body')].map((body) => body.scrollTop)"
    screen.page.locator("#reply-left .body").evaluate("(body) => { body.scrollTop = 300; }")
    wait_until(lambda: min(screen.page.evaluate(tops)) > 250)
    screen.open()
    expect(screen.page.locator("#replies mark")).not_to_have_count(0)
    expect(screen.page.locator("#vote-left")).to_be_in_viewport(ratio=1)
    screen.press("y")
    screen.press("End")
    wait_until(lambda: min(screen.page.evaluate(tops)) > 300)


def test_a_thought_is_folded_and_neither_compared_nor_edited(
    unopened: Screen, store: Store
) -> None:
    lease_all(store)
    replies = ("<think>is it hot?</think>Tea is **hot**.", "<think>or not</think>Tea is cold.")
    add_questions(store, 1, response_a=replies[0], response_b=replies[1])
    screen = unopened
    screen.open()
    thoughts = screen.page.locator("#replies details")
    for _ in range(2):  # rendered, then plain
        assert sorted(thoughts.locator("summary").all_inner_texts()) == [
            "Thought for 2 words",
            "Thought for 3 words",
        ]
        expect(thoughts.locator("pre").first).not_to_be_visible()
        screen.press("p")
    screen.press("d")
    assert sorted(screen.page.locator("#replies mark").all_inner_texts()) == ["cold", "hot"]
    thoughts.locator("summary").first.click()
    expect(thoughts.locator("pre").first).to_be_visible()
    screen.press("e")
    screen.press("1")
    assert "think" not in screen.page.locator("#edit-text").input_value()


def test_differences_of_very_long_replies_are_marked_or_given_up(
    unopened: Screen, store: Store
) -> None:
    """Of 20,000 words, forty changed ones are found; where all differ, the page says so."""
    lease_all(store)
    words = [f"w{number % 3000}" for number in range(20_000)]
    changed = ["other" if number % 500 == 250 else word for number, word in enumerate(words)]
    add_questions(store, 1, response_a=" ".join(words), response_b=" ".join(changed))
    screen = unopened
    screen.open()
    screen.press("d")
    expect(screen.page.locator("#replies mark")).to_have_count(80)
    add_questions(store, 1, response_a=" ".join(words), response_b=" ".join(words[::-1]))
    screen.vote("t")
    expect(screen.page.locator("#toggles .remark")).to_contain_text("too long to compare")
    expect(screen.page.locator("#replies mark")).to_have_count(0)
    screen.press("d")
    expect(screen.page.locator("#toggles .remark")).to_be_empty()


def test_practice_teaches_the_keys_and_stores_nothing(
    browser: Browser, service: WebServer, store: Store
) -> None:
    screen = Screen(browser.new_page(), service.url)
    screen.open(is_new=True)
    screen.page.locator("#welcome .main").click()
    task = screen.page.locator("#practice .task")
    expect(task).to_contain_text("Press 1 or 2")
    screen.press("2")
    expect(task).to_contain_text("Reply 1 answers the question")
    screen.press("Shift+Digit1")
    expect(task).to_contain_text("it is much better")
    for key in ("Enter", "t", "Enter", "b", "u"):
        screen.press(key)
    expect(task).to_contain_text("is undone")
    screen.press("Enter")
    expect(screen.page.locator("#practice")).to_be_hidden()
    screen.expect_prompt("Question 1?")
    assert store.reports.votes() == []
    screen.page.reload()
    screen.page.wait_for_selector("#reply-left .text")
    screen.vote("1")
    screen.wait_saved()
    expect(screen.page.locator("#welcome")).to_have_count(0)
    screen.page.close()
