"""What the state of the page tells of the judge, when it is worked out, and what it keeps back."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from labeler.config.settings import Settings
from labeler.domain.judge_report import Bin
from labeler.domain.judging import Cause, Judgement
from labeler.store import Store
from labeler.web.rating.judge import LOOK_SECONDS, STEP_PAIRS, TOO_FEW, JudgeView
from tests.support.judged import JUDGE, people_say, say, vote
from tests.support.people import client_of
from tests.support.store import undo
from tests.support.web import add_questions, serving

FOR_A = Judgement(0.9)


class Look:
    """A view that is looked at every ten seconds; `count` says how often it was worked out."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 0.0
        self._view = JudgeView(Settings(judge=JUDGE), store, lambda: self._now)
        self.count = 0
        real = store.reports.judge

        def counted() -> Any:
            self.count += 1
            return real()

        monkeypatch.setattr(store.reports, "judge", counted)

    def __call__(self, seconds: float = LOOK_SECONDS) -> Any:
        self._now += seconds
        return self._view.report()


@pytest.fixture
def look(store: Store, monkeypatch: pytest.MonkeyPatch) -> Look:
    return Look(store, monkeypatch)


def test_the_report_is_worked_out_at_most_every_ten_seconds(store: Store, look: Look) -> None:
    assert look() is None
    say(store, FOR_A)
    assert look(LOOK_SECONDS - 0.1) is None
    assert look(0.1).verdicts == 1


def test_it_is_worked_out_anew_only_if_something_has_changed(store: Store, look: Look) -> None:
    changes: list[Callable[[], object]] = [
        lambda: say(store, FOR_A, FOR_A),
        lambda: vote(store, True),
        lambda: undo(store, now=time.time()),
        lambda: store.processes.alarm("judge", "It is paused."),
        lambda: store.processes.say("judge", "not used yet", pid=1, now=1.0),
    ]
    look()
    for number, change in enumerate(changes, start=2):
        change()
        look()
        look()
        assert look.count == number


def test_a_report_that_tells_nothing_new_is_the_same_to_the_last_digit(
    store: Store, look: Look
) -> None:
    say(store, *[FOR_A] * 6)
    people_say(store, [True, True, True, False, False, True])
    before = look()
    store.processes.alarm("judge", "It is paused.")
    assert look() == replace(before, paused="It is paused.")


def test_what_one_vote_does_to_the_figures_is_not_told(store: Store, look: Look) -> None:
    say(store, *[FOR_A] * 12)
    seen = []
    for _ in range(2 * STEP_PAIRS):
        people_say(store, [True])
        figures = look().figures
        seen.append((figures.pairs, figures.agreement.value))
    assert seen == [(0, None)] * 4 + [(5, 1.0)] * 5 + [(10, 1.0)]
    assert look().figures.bins == (Bin(pytest.approx(0.9), 1.0, 10),)


def test_nor_by_taking_it_back_and_voting_again(store: Store, look: Look) -> None:
    say(store, *[FOR_A] * 7)
    people_say(store, [True] * 4)
    assert look().figures.agreement.why == TOO_FEW
    vote(store, True)
    agreed = look().figures.agreement
    undone = undo(store, now=time.time())
    assert undone.choice is not None
    assert look().figures.agreement == agreed
    vote(store, False)
    assert look().figures.agreement == agreed


def test_another_judge_does_not_inherit_the_figures_of_the_last(store: Store, look: Look) -> None:
    say(store, *[FOR_A] * 5)
    people_say(store, [True] * 5)
    assert look().figures.pairs == 5
    say(store, *[FOR_A] * 3, judge="starter")
    people_say(store, [True] * 3)
    report = look()
    assert (report.judge, report.figures.pairs) == ("starter", 0)
    assert report.figures.agreement.value is None


def test_the_state_tells_of_the_judge_in_sentences_and_figures(
    store: Store, tmp_path: Path
) -> None:
    say(store, FOR_A, Judgement(None, Cause.UNCLEAR))
    settings = {"judge": JUDGE, "judge_after": 30.0}
    with serving(store, tmp_path, **settings) as service:
        state = httpx.get(f"{service.url}/rating/state").json()
    told = state["judge"]
    assert told["name"] == "api: small-judge"
    assert told["lines"][0] == "It labels pairs that no one has taken for 30 seconds."
    assert ["\u2013 unclear answer", "1"] in told["figures"]


@pytest.mark.parametrize(("judge", "first"), [("learned", "Not in use yet."), (JUDGE, "It gives")])
def test_only_a_judge_that_learns_is_heard_of_itself(store: Store, judge: str, first: str) -> None:
    """What another one said stays in the database when the service starts with a new judge."""
    told = JudgeView(Settings(judge=judge), store).page("not in use yet")["judge"]
    assert told["lines"][0].startswith(first)


def test_without_a_judge_the_state_says_that_there_is_none(shared: httpx.Client) -> None:
    state = shared.get("/rating/state").json()
    assert state["judge"] is None


def test_no_pair_no_vote_and_no_undo_waits_for_the_report(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(store, FOR_A)
    monkeypatch.setattr(store.reports, "judge", lambda: 1 / 0)
    monkeypatch.setattr(store.reports, "judge_mark", lambda: 1 / 0)
    with serving(store, tmp_path) as service, client_of(service) as client:
        [pair] = client.post("/rating/pairs", json={"holder": "tab", "wanted": 1}).json()["pairs"]
        ballot = {"vote_id": "v", "lease_id": pair["lease_id"], "choice": "left"}
        voted = client.post("/rating/votes", json={"votes": [ballot]})
        undone = client.post("/rating/undo", json={"undo_id": "u", "holder": "tab"})
    assert voted.json()["receipts"][0]["saved"]
    assert undone.json()["pair"] is not None


def test_a_pair_that_was_judged_reaches_the_page_as_any_other(store: Store, tmp_path: Path) -> None:
    add_questions(store, 1)
    said = Judgement(0.8731, orders=(0.8629, 0.8833), scores=(1.7113, -0.2159))
    with serving(store, tmp_path, judge=JUDGE) as service:
        say(store, said)
        with client_of(service) as client:
            body = {"holder": uuid.uuid4().hex, "wanted": 2}
            answers = [client.post("/rating/pairs", json=body), client.get("/rating/state")]
            plain, judged = answers[0].json()["pairs"]
            ballot = {"vote_id": "v", "lease_id": judged["lease_id"], "choice": "left"}
            answers.append(client.post("/rating/votes", json={"votes": [ballot]}))
            answers.append(client.get("/rating/state"))
    assert set(plain) == set(judged)
    assert plain["lease_id"] != judged["lease_id"]
    told = "".join(answer.text for answer in answers)
    assert not [digits for digits in ("8731", "8629", "8833", "7113", "2159") if digits in told]
