"""What is said of updates, judges and the loop, word by word."""

from dataclasses import replace
from typing import Any

import pytest

from labeler.domain.estimate import Estimate
from labeler.domain.finding import Finding, Responses
from labeler.domain.judge_report import JudgeFigures, JudgeReport
from labeler.domain.judging import Cause
from labeler.domain.sentences import alarm, judge, loop, update
from labeler.domain.sentences.judge import CAUSES, Chosen
from labeler.domain.sentences.loop import Now
from labeler.domain.sentences.update import Left, Result
from labeler.domain.states import UpdateState

PROMOTED, REJECTED, FAILED = UpdateState.PROMOTED, UpdateState.REJECTED, UpdateState.FAILED
NONE = Estimate.none("nobody knows")
FIGURES = JudgeFigures(
    agreement=NONE, agreement_with_ties=NONE, kappa=NONE, brier=NONE, calibration_error=NONE,
    longer_judge=NONE, longer_people=NONE, longer_difference=NONE, bins=(), pairs=0,
)  # fmt: skip
REPORT = JudgeReport(
    judge="starter", says="", paused=None, verdicts=40, labels=12, abstained={},
    abstain_share=Estimate.share(0, 40, ""), consistent=None, first=None, requests=0, tokens=0,
    figures=FIGURES,
)  # fmt: skip
FOUND = Finding(
    labels=16,
    kl_live=0.3,
    live=Responses(tokens=50.0),
    candidate=Responses(tokens=60.0),
    agreement_live=Estimate(0.5, 0.22, 0.78, 8),
    agreement_candidate=Estimate(0.75, 0.41, 0.93, 8),
    win_rate=Estimate(0.61, 0.52, 0.7, 120),
)


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("known", "mine", "said"),
    [
        ({"labels": 16}, None, "Your 16 labels"),
        ({"labels": 1}, None, "Your 1 label"),
        ({"labels": 16, "judged": 12}, None, "16 labels, 12 of them the judge's,"),
        ({"labels": 16, "judged": 16}, None, "16 of the judge's labels"),
        ({"labels": 1, "judged": 1}, None, "One of the judge's labels"),
        ({}, None, "Your labels"),
        ({"labels": 16}, 16, "Your 16 labels"),
        ({"labels": 16}, 4, "16 labels, 4 of them yours,"),
        ({"labels": 16}, 0, "16 of other people's labels"),
        ({"labels": 16, "judged": 9}, 4, "16 labels, 4 of them yours and 9 the judge's,"),
    ],
)
def test_it_is_said_whose_labels_made_a_version(
    known: dict[str, Any], mine: int | None, said: str
) -> None:
    assert update.whose_labels(Finding(**known), mine) == said


def test_a_result_says_what_was_found_of_the_new_version() -> None:
    result = Result(PROMOTED, FOUND, 7, 6, mine=16, live=7)
    assert plain(update.title(result)) == (
        "Your 16 labels made version 7; it wins 61 % [52, 70] against version 6."
    )
    assert [plain(line) for line in update.lines(result)] == [
        "It agrees with 75 % [41, 93] of 8 held-out votes (version 6: 50 % [22, 78]).",
        "Its replies are 20 % longer and have changed a lot.",
    ]
    assert update.lines(replace(result, live=6))[0] == "Version 6 is live now."
    half = replace(result, finding=replace(FOUND, half_for="it repeats itself", held_out=1))
    assert update.lines(half)[:2] == [
        "It was taken half way back. The gate said of the whole way: it repeats itself.",
        "1 more label tested it, and teaches the next one.",
    ]


def test_a_win_rate_is_followed_by_what_is_left_of_it_at_equal_length() -> None:
    even = replace(FOUND, equal_length=Estimate(0.52, 0.4, 0.64, 120))
    assert plain(update.compared(Result(PROMOTED, even, 7, 6)) or "") == (
        "It wins 61 % [52, 70] of 120 comparisons with version 6, 52 % [40, 64] at equal length, "
        "says the judge."
    )


def test_a_version_that_was_held_back_says_why_and_what_becomes_of_its_labels() -> None:
    result = Result(REJECTED, Finding(labels=16), 7, 6, "it repeats itself.\nAnd more.", live=6)
    assert update.title(result) == "The new version was held back: it repeats itself."
    assert update.lines(result) == ["Your labels are kept."]
    assert update.lines(replace(result, live=7)) == ["It was made live by hand."]
    judged = replace(result, finding=Finding(labels=16, judged=16))
    assert update.lines(judged) == ["The labels are kept."]
    failed = replace(result, state=FAILED, version=None, reason="loss is NaN\nTraceback")
    assert update.title(failed) == "The last update failed: loss is NaN."


@pytest.mark.parametrize(
    ("result", "left", "was_live", "heading"),
    [
        (Result(PROMOTED, FOUND, 7, 6, live=7), None, True, "Version 7 is live"),
        (Result(PROMOTED, FOUND, 7, 6), Left(8, False), True, "Version 7 went live"),
        (Result(PROMOTED, FOUND, 7, 6), Left(6, True), True, "Version 7 was rolled back"),
        (Result(REJECTED, FOUND, 7, 6), None, False, "Version 7 was held back"),
        (Result(FAILED, FOUND), None, False, "No new version"),
    ],
)
def test_the_list_of_changes_says_what_became_of_a_version(
    result: Result, left: Left | None, was_live: bool, heading: str
) -> None:
    assert update.heading(result, left, was_live=was_live) == heading


def test_the_list_of_changes_says_what_a_version_learned_from() -> None:
    result = Result(REJECTED, Finding(labels=16), 7, 6, "it is worse", mine=4)
    assert update.fate(result, was_live=False) == [
        "It was trained on 16 labels, 4 of them yours.",
        "It was held back: it is worse.",
        "Its labels are kept.",
    ]
    assert update.fate(result, was_live=True)[-1] == "Someone made it live anyway."
    found = replace(result, finding=FOUND)
    assert plain(update.fate(found, was_live=False)[-1]) == (
        "It agrees with 75 % [41, 93] of 8 held-out votes (version 6: 50 % [22, 78])."
    )
    failed = Result(FAILED, Finding(), mine=3)
    assert update.fate(failed, was_live=False) == [
        "It was to learn from 3 of your labels.",
        "The update failed.",
        "All labels are kept.",
    ]
    assert update.compared(failed) is None
    assert plain(update.compared(replace(result, finding=FOUND)) or "") == (
        "It wins 61 % [52, 70] of 120 comparisons with version 6, says the judge."
    )
    assert update.followed(Left(6, True)) == "Version 6 is live again since"


@pytest.mark.parametrize(
    ("spec", "name"),
    {
        "starter": "The reward model starter",
        "learned": "Learned from your votes",
        "rm:/models/Skywork-0.6B/": "The reward model Skywork-0.6B",
        "rm:Skywork/Skywork-Reward": "The reward model Skywork-Reward",
        "api:org/model:free@https://host:8000/v1": "api: org/model:free",
        "py:my.judges:shorter": "The function my.judges:shorter",
    }.items(),
)
def test_a_judge_is_named_in_plain_words(spec: str, name: str) -> None:
    assert judge.name(spec) == name


@pytest.mark.parametrize(
    ("after_seconds", "rule"),
    [
        (None, "It gives no labels. It compares each new version with the live one."),
        (0.0, "It labels every pair that no one is rating."),
        (1.0, "It labels pairs that no one has taken for 1 second."),
        (90.0, "It labels pairs that no one has taken for 90 seconds."),
        (300.0, "It labels pairs that no one has taken for 5 minutes."),
        (9000.0, "It labels pairs that no one has taken for 2.5 hours."),
    ],
)
def test_it_is_said_when_the_judge_labels(after_seconds: float | None, rule: str) -> None:
    assert judge.lines(Chosen("starter", after_seconds), None) == [
        rule,
        "It has not judged anything yet.",
    ]


def test_a_judge_that_learns_says_how_far_it_is() -> None:
    told = judge.lines(Chosen("learned", 0.0), None, judge.untrained(40, 7))
    assert told[0] == "Not in use yet: it needs 40 decided labels and has 7."


def test_what_is_unknown_of_a_judge_says_why_once() -> None:
    assert judge.lines(None, REPORT) == [
        "It is not in use now.",
        "It has given 12 labels.",
        "Its agreement with people is unknown: nobody knows.",
    ]
    assert [row.name for row in judge.rows(REPORT)] == [
        "Agrees with people",
        "Gave no verdict",
    ]


def test_a_terminal_gets_the_same_sentences() -> None:
    agreed = Estimate(0.8, 0.49, 0.94, 10)
    figures = replace(FIGURES, agreement=agreed, longer_difference=Estimate(-0.2, -0.4, 0.1, 10))
    known = replace(REPORT, figures=figures)
    known = replace(known, abstained={"timeout": 3}, requests=1200, paused="It is paused.")
    assert [plain(line) for line in judge.in_a_terminal(known)] == [
        "starter: 12 labels from 40 verdicts",
        "It is paused.",
        "It agrees with people on 80 % [49, 94] of the 10 pairs that both decided.",
        "Agrees with people, ties counted: unknown: nobody knows",
        "Difference, in points: −20 [−40, +10]",
        "Gave no verdict: 0 % [0, 9] of 40",
        "– timed out: 3",
        "Requests: 1,200",
    ]
    assert list(judge.in_a_terminal(None)) == ["none has judged anything yet"]


def test_every_cause_has_its_words() -> None:
    assert CAUSES.keys() == {cause.value for cause in Cause}
    assert len(set(CAUSES.values())) == len(Cause)


def test_the_loop_says_what_it_is_doing() -> None:
    assert loop.activity(Now(None)) == "The model is loading"
    assert loop.activity(Now(1, says="Sampling pairs.")) == "Sampling pairs"
    assert loop.activity(Now(1)) == "Waiting for the worker"
    assert loop.activity(Now(1, UpdateState.CLAIMED)) == "Preparing the update"
    assert (
        loop.waiting(Now(None, says="Loading the model."))[1] == "The first pair will appear here."
    )
    read = "Loading the model: 40 % of tiny.gguf is read."
    assert loop.waiting(Now(None, says=read)) == ("The model is loading", read)
    for state in (None, UpdateState.OPEN):
        lost = Now(1, state, says=loop.WAITING_FOR_FOLDER)
        assert loop.waiting(lost)[0] == "There are no pairs for now"
        assert loop.activity(lost) == "Waiting for the folder of the live version"
    assert loop.waiting(Now(1, UpdateState.GATING)) == (
        "Training on new labels",
        "Checking the new version. The next pairs come soon.",
    )


def test_an_alarm_of_a_process_is_a_whole_sentence() -> None:
    assert alarm.of_process("judge", "it is paused") == "judge: It is paused."
