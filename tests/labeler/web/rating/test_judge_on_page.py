"""The section on the judge, in a real Chromium."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from labeler.domain.judging import Cause, Judgement
from labeler.store import Store
from tests.support.judged import JUDGE, people_say, say
from tests.support.web import Screen, add_questions, serving

OpenPage = Callable[..., contextlib.AbstractContextManager[tuple[Screen, Any]]]


@pytest.fixture
def page_of(tab: Page, store: Store, tmp_path: Path, port: int) -> OpenPage:
    """Opens the page of a service with these settings; gives it and its section on the judge."""

    @contextlib.contextmanager
    def opened(**settings: Any) -> Iterator[tuple[Screen, Any]]:
        add_questions(store, 6)
        with serving(store, tmp_path, port=port, **settings) as service:
            screen = Screen(tab, service.url)
            screen.open()
            screen.refresh()
            yield screen, screen.page.locator("#panel .judge")
            screen.leave()
            screen.assert_clean()

    return opened


def test_without_a_judge_there_is_no_section(page_of: OpenPage, store: Store) -> None:
    with page_of() as (screen, section):
        with screen.page.expect_response("**/rating/state"):
            screen.refresh()
        expect(section).to_be_hidden()
        expect(section).to_be_attached()


def test_the_section_tells_how_good_the_judge_is(page_of: OpenPage, store: Store) -> None:
    """Ten pairs, a the longer: people choose a, the judge chooses a in eight, being 90 % sure.

    So it agrees on 8 of 10, prefers the longer one in 8 of 10 (people: 10 of 10), and is off by
    90 - 80 = 10 points where it says how sure it is; its point is at (0.9, 0.8) of the plot.
    Wilson: 8 of 10 is [49, 94], 10 of 10 is [72, 100]. One more question had no answer.
    """
    said = [Judgement(0.9, orders=(0.9, 0.9), requests=2, tokens=600)] * 8
    said += [Judgement(0.1, orders=(0.1, 0.1), requests=2, tokens=600)] * 2
    say(store, *said)
    people_say(store, [True] * 10)
    say(store, Judgement(None, Cause.TIMEOUT, requests=3))
    with page_of(judge=JUDGE, judge_after=60.0) as (_, section):
        expect(section.locator(".lead")).to_have_text("api: small-judge")
        expect(section.locator("li")).to_have_text(
            [
                "It labels pairs that no one has taken for 60 seconds.",
                "It has given no labels yet.",
                "It agrees with people on 80 % [49, 94] of the 10 pairs that both decided.",
            ]
        )
        expect(section.locator("dl")).to_be_hidden()
        section.locator("summary").click()
        for figure in (
            "Agrees with people, ties counted80 % [49, 94] of 10",
            "Prefers the longer reply80 % [49, 94] of 10",
            "People prefer the longer reply100 % [72, 100] of 10",
            "Same answer in both orders100 % [72, 100] of 10",
            "Gave no verdict9 % [2, 38] of 11",
            "timed out1",
            "Requests23",
            "Tokens6,000",
        ):
            expect(section.locator("dl")).to_contain_text(figure)
        expect(section.locator("dl")).to_contain_text("Calibration error0.10 [0.00, ")
        expect(section.locator("dl")).to_contain_text("Difference, in points\u221220 [")
        plot = section.get_by_role("img")
        expect(plot).to_have_accessible_name(
            "How sure the judge was, and how often it was right: 90 % sure, 80 % right (10 pairs)."
        )
        axes = plot.locator(".ideal").evaluate(
            "line => ['x1', 'x2', 'y1', 'y2'].map((name) => Number(line.getAttribute(name)))"
        )
        x, y = (float(plot.locator("circle").get_attribute(name) or "") for name in ("cx", "cy"))
        left, right, half, top = axes  # from (50 % sure, 50 % right) to (100 %, 100 %)
        assert top < half
        assert (x - left) / (right - left) == pytest.approx(0.8)
        assert 0.5 + 0.5 * (y - half) / (top - half) == pytest.approx(0.8)


def test_what_is_not_known_of_the_judge_says_why(page_of: OpenPage, store: Store) -> None:
    say(store, *[Judgement(0.5)] * 5)
    people_say(store, [True] * 5)
    with page_of() as (_, section):
        expect(section).to_contain_text("It is not in use now.")
        expect(section).to_contain_text(
            "Its agreement with people is unknown: "
            "there are no pairs that both people and the judge decided."
        )
        section.locator("summary").click()
        expect(section).to_contain_text("unknown: the judge has decided no pairs")
        expect(section).to_contain_text("Gave no verdict0 % [0, 43] of 5")
        expect(section.locator("svg")).to_have_count(0)
        assert "NaN" not in section.inner_text()
        assert "null" not in section.inner_text()


def test_a_paused_judge_is_an_alarm_and_says_that_it_labels_nothing(
    page_of: OpenPage, store: Store
) -> None:
    say(store, Judgement(0.9))
    store.processes.alarm("judge", "The judge gives no labels for now. It agrees too little.")
    with page_of(judge=JUDGE, judge_after=5.0) as (screen, section):
        expect(screen.page.locator("#alarms")).to_contain_text("It agrees too little.")
        expect(section).to_contain_text("It is paused and gives no labels for now.")
        expect(section).not_to_contain_text("It labels pairs that no one")


def test_the_figures_of_an_earlier_judge_are_not_shown_as_those_of_the_new_one(
    page_of: OpenPage, store: Store
) -> None:
    say(store, *[Judgement(0.9)] * 5, judge="starter")
    people_say(store, [True] * 5)
    with page_of(judge=JUDGE) as (_, section):
        expect(section).to_contain_text("api: small-judge")
        expect(section).to_contain_text("It has not judged anything yet.")
        expect(section).not_to_contain_text("Agrees")
        expect(section.locator("details")).to_be_hidden()


def test_nothing_on_the_page_tells_what_the_judge_said_of_a_pair(
    page_of: OpenPage, store: Store
) -> None:
    """The first pair was judged, the others not: their markup differs in the texts alone."""
    say(store, Judgement(0.8731, orders=(0.8629, 0.8833), scores=(1.7113, -0.2159)))
    html = []
    with page_of(judge=JUDGE, judge_after=60.0) as (screen, section):
        expect(section).to_be_visible()
        for number in (1, 2):
            screen.expect_prompt(f"Question {number}?")
            whole = screen.page.content()
            digits = (".8731", ".8629", ".8833", ".7113", ".2159", "87 %", "87.31")
            assert not [one for one in digits if one in whole]
            pair = screen.page.inner_html("#prompt") + screen.page.inner_html("#replies")
            pair = pair.replace(screen.left(), "L").replace(screen.right(), "R")
            html.append(pair.replace(f"Question {number}?", "Q"))
            screen.vote("1")
        screen.wait_saved()
    assert html[0] == html[1]


def test_open_figures_stay_open_and_unbuilt_while_nothing_changes(
    page_of: OpenPage, store: Store
) -> None:
    say(store, *[Judgement(0.9)] * 5)
    people_say(store, [True] * 5)
    with page_of(judge=JUDGE) as (screen, section):
        section.locator("summary").click()
        section.locator("svg").evaluate("plot => { plot.dataset.mine = 'yes' }")
        with screen.page.expect_response("**/rating/state"):
            screen.refresh()
        screen.vote("1")
        screen.wait_saved()
        expect(section.locator("svg")).to_have_attribute("data-mine", "yes")
        expect(section.locator("dl")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_figures_fit_a_telephone_and_a_narrow_panel(
    page_of: OpenPage, store: Store, scheme: Any
) -> None:
    said = [Judgement(p, orders=(p, p)) for p in (0.55, 0.65, 0.75, 0.85, 0.95, 0.5)]
    say(store, *said * 4, Judgement(None, Cause.BAD_ANSWER))
    people_say(store, [True, False] * 12)
    with page_of(judge=JUDGE) as (screen, section):
        screen.page.emulate_media(color_scheme=scheme)
        section.locator("summary").click()
        for width in (390, 1280):
            screen.page.set_viewport_size({"width": width, "height": 844})
            assert screen.page.evaluate("document.documentElement.scrollWidth") <= width
            too_wide = """section => [...section.querySelectorAll("*")].filter((one) =>
                one.getBoundingClientRect().right > section.getBoundingClientRect().right)"""
            assert section.evaluate(f"section => ({too_wide})(section).length") == 0
        point = section.locator("circle").first.evaluate("dot => getComputedStyle(dot).fill")
        assert point == ("rgb(67, 56, 202)" if scheme == "light" else "rgb(179, 184, 255)")


def test_the_section_follows_the_judge_by_itself(
    page_of: OpenPage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labeler.web.rating.judge.LOOK_SECONDS", 0.0)
    with page_of(judge=JUDGE) as (_, section):
        expect(section).to_contain_text("It has not judged anything yet.")
        say(store, Judgement(0.9))
        expect(section).to_contain_text("It has given no labels yet.")
