"""The section on the judge, and whose labels made a version, in a real Chromium."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from labeler.domain.judging import Cause, Judgement
from labeler.store import Store
from tests.support.judged import JUDGE, people_say, say
from tests.support.web import Screen, add_pairs, open_test_store, serving

NAMES = {
    "starter": "The reward model starter",
    "learned": "Learned from your votes",
    "rm:/models/Skywork-0.6B/": "The reward model Skywork-0.6B",
    "rm:Skywork/Skywork-Reward": "The reward model Skywork-Reward",
    "api:org/model:free@https://host:8000/v1": "api: org/model:free",
    "py:my.judges:shorter": "The function my.judges:shorter",
}
RULES = [
    (None, "It labels nothing; it compares each new version with the live one."),
    (0.0, "It labels every pair that nobody holds."),
    (1.0, "It labels what nobody took for 1 second."),
    (90.0, "It labels what nobody took for 90 seconds."),
    (300.0, "It labels what nobody took for 5 minutes."),
    (9000.0, "It labels what nobody took for 2.5 hours."),
]
LABELS = [
    ({"labels": 16}, "Your 16 labels made version 3."),
    ({"labels": 16, "judged": 0}, "Your 16 labels made version 3."),
    ({"labels": 1, "judged": 0}, "Your 1 label made version 3."),
    ({"labels": 16, "judged": 12}, "16 labels, 12 of them the judge's, made version 3."),
    ({"labels": 16, "judged": 16}, "16 labels of the judge made version 3."),
    ({"labels": 1, "judged": 1}, "1 label of the judge made version 3."),
    ({}, "Your labels made version 3."),
    ({"labels": 16, "mine": 16}, "Your 16 labels made version 3."),
    ({"labels": 16, "mine": 4}, "16 labels, 4 of them yours, made version 3."),
    ({"labels": 16, "mine": 0}, "16 labels of other people made version 3."),
    (
        {"labels": 16, "judged": 9, "mine": 4},
        "16 labels, 4 of them yours and 9 of them the judge's, made version 3.",
    ),
]


OpenPage = Callable[..., contextlib.AbstractContextManager[tuple[Screen, Any]]]


@pytest.fixture
def page_of(profile: BrowserContext, store: Store, tmp_path: Path, port: int) -> OpenPage:
    """Opens the page of a service with these settings; gives it and its section on the judge."""

    @contextlib.contextmanager
    def opened(**settings: Any) -> Iterator[tuple[Screen, Any]]:
        add_pairs(store, 6)
        with serving(store, tmp_path, port=port, **settings) as service:
            screen = Screen(profile.new_page(), service.url)
            screen.open()
            screen.refresh()
            yield screen, screen.page.locator("#panel .judge")
            screen.assert_clean()
            screen.page.close()

    return opened


@pytest.fixture(scope="session")
def words(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Calls a function of the page's modules: words(module, name, *arguments)."""
    folder = tmp_path_factory.mktemp("words")
    script = "async ([module, name, args]) => (await import(`/page/${module}`))[name](...args)"
    with contextlib.closing(open_test_store(folder)) as store, serving(store, folder) as service:
        page = browser.new_page()
        page.goto(service.url)
        yield lambda module, name, *args: page.evaluate(script, [module, name, args])
        page.close()


def told_of_set(words: Any, spec: str, after_seconds: float | None, **state: Any) -> Any:
    """What the page says of a judge that has not spoken yet."""
    judge_set = {"spec": spec, "after_seconds": after_seconds}
    return words("shared/judge_words.js", "judge", {"judge": None, "judge_set": judge_set, **state})


@pytest.mark.parametrize(("spec", "name"), NAMES.items())
def test_a_judge_is_named_in_plain_words(words: Any, spec: str, name: str) -> None:
    assert told_of_set(words, spec, None, roles={})["name"] == name


@pytest.mark.parametrize(("after_seconds", "rule"), RULES)
def test_the_page_says_when_the_judge_labels(
    words: Any, after_seconds: float | None, rule: str
) -> None:
    told = told_of_set(words, "starter", after_seconds, roles={})
    assert told["lines"] == [rule, "It has not said anything yet."]


def test_a_judge_that_learns_says_how_far_it_is(words: Any) -> None:
    says = {"judge": "not used yet: it needs 40 decided labels, and has 7"}
    told = told_of_set(words, "learned", 0.0, roles=says)
    assert told["lines"][0] == "Not used yet: it needs 40 decided labels, and has 7."
    assert told_of_set(words, "starter", 0.0, roles=says)["lines"] == [
        "It labels every pair that nobody holds.",
        "It has not said anything yet.",
    ]


@pytest.mark.parametrize(("metrics", "title"), LABELS)
def test_the_page_says_whose_labels_made_the_version(
    words: Any, metrics: dict[str, int], title: str
) -> None:
    known = {name: value for name, value in metrics.items() if name != "mine"}
    update = {"state": "promoted", "version_id": 3, "metrics": known}
    if "mine" in metrics:
        update["my_labels"] = metrics["mine"]
    assert words("rating/words.js", "result", update, 3)["title"] == title


def test_labels_of_the_judge_are_not_called_yours_when_they_are_kept(words: Any) -> None:
    update = {"state": "rejected", "version_id": 3, "metrics": {"labels": 16, "judged": 16}}
    assert words("rating/words.js", "result", update, 2)["lines"] == ["The labels are kept."]


def test_every_cause_has_its_words(words: Any) -> None:
    figure = {"value": None, "low": None, "high": None, "count": 0, "why": "w"}
    names = ["agreement", "agreement_with_ties", "kappa", "brier", "calibration_error"]
    names += ["longer_judge", "longer_people", "longer_difference"]
    report = {
        "judge": "starter", "paused": None, "labels": 0, "verdicts": 0, "bins": [],
        "abstained": dict.fromkeys(Cause, 1), "consistent": None,
        "abstain_share": {"value": 1, "low": 0.8, "high": 1, "count": len(Cause)},
        "requests": 0, "tokens": 0, **dict.fromkeys(names, figure),
    }  # fmt: skip
    state = {"judge": report, "judge_set": None, "roles": {}}
    told = words("shared/judge_words.js", "judge", state)
    causes = [name for name, _ in told["figures"] if name.startswith("\u2013")]
    assert len(set(causes)) == len(Cause)
    assert not [cause for cause in Cause if "_" in cause and f"\u2013 {cause}" in causes]


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
                "It labels what nobody took for 60 seconds.",
                "It has given no label yet.",
                "Agrees with people on 80 % [49, 94] of 10 pairs that both decided.",
            ]
        )
        expect(section.locator("dl")).to_be_hidden()
        section.locator("summary").click()
        for figure in (
            "Agreement, ties counted80 % [49, 94] of 10",
            "Prefers the longer reply in80 % [49, 94] of 10",
            "People do in100 % [72, 100] of 10",
            "Says the same in both orders100 % [72, 100] of 10",
            "Gave no verdict9 % [2, 38] of 11",
            "no answer in time1",
            "Requests23",
            "Tokens6,000",
        ):
            expect(section.locator("dl")).to_contain_text(figure)
        expect(section.locator("dl")).to_contain_text("Calibration error0.10 [0.00, ")
        expect(section.locator("dl")).to_contain_text("Difference, points\u221220 [")
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
        expect(section).to_contain_text("The service runs without it now.")
        expect(section).to_contain_text(
            "Whether it agrees with people is not known: "
            "there is no pair on which both people and the judge decided."
        )
        section.locator("summary").click()
        expect(section).to_contain_text("not known: the judge decided no pair")
        expect(section).to_contain_text("Gave no verdictnever, of 5 pairs")
        expect(section.locator("svg")).to_have_count(0)
        assert "NaN" not in section.inner_text()
        assert "null" not in section.inner_text()


def test_a_paused_judge_is_an_alarm_and_says_that_it_labels_nothing(
    page_of: OpenPage, store: Store
) -> None:
    say(store, Judgement(0.9))
    store.roles.alarm("judge", "The judge labels nothing for now. It agrees too little.")
    with page_of(judge=JUDGE, judge_after=5.0) as (screen, section):
        expect(screen.page.locator("#alarms")).to_contain_text("It agrees too little.")
        expect(section).to_contain_text("It labels nothing for now.")
        expect(section).not_to_contain_text("It labels what nobody took")


def test_the_figures_of_an_earlier_judge_are_not_shown_as_those_of_the_new_one(
    page_of: OpenPage, store: Store
) -> None:
    say(store, *[Judgement(0.9)] * 5, judge="starter")
    people_say(store, [True] * 5)
    with page_of(judge=JUDGE) as (_, section):
        expect(section).to_contain_text("api: small-judge")
        expect(section).to_contain_text("It has not said anything yet.")
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
            digits = ("8731", "8629", "8833", "7113", "2159", "87 %")
            assert not [one for one in digits if one in whole]
            pair = screen.page.inner_html("#prompt") + screen.page.inner_html("#replies")
            pair = pair.replace(screen.left(), "L").replace(screen.right(), "R")
            html.append(pair.replace(f"Question {number}?", "Q"))
            screen.press("1")
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
        screen.press("1")
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
        expect(section).to_contain_text("It has not said anything yet.")
        say(store, Judgement(0.9))
        expect(section).to_contain_text("It has given no label yet.")
