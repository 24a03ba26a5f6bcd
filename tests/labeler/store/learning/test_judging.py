"""Which pairs a judge is asked about, when its word is a label, and who overrules it."""

from dataclasses import replace
from typing import Any

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.estimate import Estimate
from labeler.domain.judging import Cause, Judgement
from labeler.domain.labels import Preference
from labeler.domain.rules import JudgeRules
from labeler.domain.sentences.judge import in_a_terminal, lines
from labeler.domain.states import Source
from labeler.store import Store
from labeler.store.learning.judging import MAX_TRIES, RETRY_SECONDS
from labeler.store.records import Ballot
from tests.support.store import (
    RULES,
    claim,
    give_back,
    lease,
    open_update,
    promote,
    second_rater,
    undo,
    vote_on,
)
from tests.support.tiny import fill, made_up_pair

AFTER = 100.0
JUDGE = JudgeRules("starter", AFTER, max_staleness=2)
MADE_AT = 1000.0
LATER = MADE_AT + AFTER + 1
FIRST_IS_BETTER = Judgement(0.9)


def waiting(store: Store, now: float = LATER, rules: JudgeRules = JUDGE, **more: Any) -> list[int]:
    found = store.judging.waiting(rules, labels=True, limit=100, now=now, **more)
    return [each.pair_id for each in found]


def judge(
    store: Store,
    judgement: Judgement = FIRST_IS_BETTER,
    *,
    rules: JudgeRules = JUDGE,
    now: float = LATER,
    limit: int = 100,
) -> int:
    """Ask and write down, as the worker does; returns how many labels came of it."""
    asked = store.judging.waiting(rules, labels=True, limit=limit, now=now)
    store.judging.record(rules, [(each.pair_id, judgement) for each in asked], now=now)
    return store.judging.settle(rules, now=now)


def labels(store: Store) -> dict[str, int]:
    counts: dict[str, int] = store.reports.status(max_staleness=2)["labels"]
    return counts


def test_a_pair_is_judged_once_it_has_waited_and_not_before(store: Store) -> None:
    fill(store, 3, now=MADE_AT)
    assert waiting(store, now=MADE_AT + AFTER - 1) == []
    assert waiting(store, now=MADE_AT + AFTER) == [1, 2, 3]


def test_a_pair_that_somebody_holds_is_left_to_them_and_the_wait_begins_anew(
    store: Store,
) -> None:
    fill(store, 1, now=MADE_AT)
    held = lease(store, now=MADE_AT)[0].lease_id
    assert waiting(store) == []
    give_back(store, held, rater=1, now=LATER)
    assert waiting(store, now=LATER + AFTER - 1) == []
    assert waiting(store, now=LATER + AFTER + 1) == [1]


def test_a_pair_that_was_set_aside_is_neither_judged_nor_labelled(store: Store) -> None:
    fill(store, 3, now=MADE_AT)
    by = store.raters.local(now=1.0)
    store.labelled.set_aside(1, reason="A name.", by=by, now=MADE_AT)
    assert waiting(store) == [2, 3]
    verdicts = [(2, FIRST_IS_BETTER), (3, FIRST_IS_BETTER)]
    store.judging.record(JUDGE, verdicts, now=LATER)
    store.labelled.set_aside(2, reason="A name.", by=by, now=LATER)
    assert store.judging.settle(JUDGE, now=LATER) == 1
    assert labels(store)["judge"] == 1
    store.labelled.put_back(2)
    assert store.judging.settle(JUDGE, now=LATER) == 1


def test_without_a_time_to_wait_the_judge_labels_nothing(store: Store) -> None:
    fill(store, 1, now=MADE_AT)
    rules = replace(JUDGE, after_seconds=None)
    assert waiting(store, rules=rules, now=1e9) == []
    assert store.judging.settle(rules, now=1e9) == 0


def test_a_verdict_becomes_a_label_in_the_judges_name_and_ends_the_wait(store: Store) -> None:
    fill(store, 2, now=MADE_AT)
    assert judge(store) == 2
    assert labels(store)["judge"] == 2
    [first, _] = store.reports.votes(source=Source.JUDGE)
    assert (first.rater, first.vote.choice, first.vote.created_at) == ("starter", "a", LATER)
    status = store.reports.status(max_staleness=2)
    assert status["pairs"] == {"ready": 0, "leased": 0, "labelled": 2, "expired": 0}
    assert status["raters"] == 0, "a judge is no rater"


@pytest.mark.parametrize(("probability", "choice"), [(0.6, "a"), (0.4, "b"), (0.5, "tie")])
def test_the_label_is_the_side_that_is_more_likely(
    store: Store, probability: float, choice: str
) -> None:
    fill(store, 1, now=MADE_AT)
    judge(store, Judgement(probability))
    assert store.reports.votes()[0].vote.choice == choice


def test_no_pair_is_judged_twice(store: Store) -> None:
    fill(store, 2, now=MADE_AT)
    asked = store.judging.waiting(JUDGE, labels=True, limit=9, now=LATER)
    for _ in range(2):  # as two answers to the same question would
        store.judging.record(JUDGE, [(each.pair_id, FIRST_IS_BETTER) for each in asked], now=LATER)
        store.judging.settle(JUDGE, now=LATER)
    assert labels(store)["judge"] == 2
    assert waiting(store) == []
    report = store.reports.status(max_staleness=2)["judge"]
    assert (report["verdicts"], report["labels"]) == (2, 2)


def test_the_judge_gives_no_more_labels_than_it_may(store: Store) -> None:
    fill(store, 8, now=MADE_AT)
    rules = replace(JUDGE, max_labels=5)
    assert judge(store, rules=rules, limit=3) == 3
    assert judge(store, rules=rules) == 2
    assert waiting(store, rules=rules) == []
    assert store.judging.labels_left(rules) == 0


def test_a_late_vote_of_a_person_overrules_the_judge(store: Store) -> None:
    fill(store, 4, now=MADE_AT)
    held = lease(store, now=MADE_AT)[0].lease_id
    store.queue.end_expired_leases(now=MADE_AT + 70)
    judge(store, now=LATER + 70)
    assert store.votes.record(Ballot("late", held, "tie"), rater_id=1, now=LATER + 80).saved
    open_update(store, now=LATER + 90, labels_per_update=3)
    trained = claim(store, now=LATER + 91)
    said = store.reports.votes(source=Source.JUDGE)
    overruled = next(row.vote.id for row in said if row.pair.id == 1)
    assert len(trained.labels) == 3, "the tie teaches nothing, and the judge is not heard"
    assert overruled not in [vote for label in trained.labels for vote in label.vote_ids]


def test_a_vote_after_the_judges_label_was_used_is_a_label_of_its_own(store: Store) -> None:
    fill(store, 4, now=MADE_AT)
    held = lease(store, now=MADE_AT)[0].lease_id
    store.queue.end_expired_leases(now=MADE_AT + 70)
    judge(store, now=LATER + 70)
    open_update(store, now=LATER + 71)
    promote(store, claim(store, now=LATER + 72), 1, now=LATER + 73)
    assert store.votes.record(Ballot("late", held, "left"), rater_id=1, now=LATER + 80).saved
    assert labels(store) == {"human": 1, "judge": 4, "fresh": 1, "used": 4}


def test_an_undone_vote_lets_the_judges_word_stand_again(store: Store) -> None:
    fill(store, 1, now=MADE_AT)
    held = lease(store, now=MADE_AT)[0].lease_id
    store.queue.end_expired_leases(now=MADE_AT + 70)
    judge(store, now=LATER + 70)
    store.votes.record(Ballot("late", held, "left"), rater_id=1, now=LATER + 80)
    assert labels(store)["fresh"] == 1
    undo(store, "undo", now=LATER + 81)
    store.queue.end_expired_leases(now=LATER + 200)
    counts = store.reports.status(max_staleness=2)
    assert counts["labels"] == {"human": 0, "judge": 1, "fresh": 1, "used": 0}
    assert counts["pairs"]["labelled"] == 1


def test_a_double_pair_is_judged_at_once_and_still_goes_to_people(store: Store) -> None:
    fill(store, 1, now=MADE_AT)
    store.queue.add([replace(made_up_pair(1, 0), double=True)], now=MADE_AT)
    asked = store.judging.waiting(JUDGE, labels=False, limit=9, now=MADE_AT)
    assert [each.pair_id for each in asked] == [2]
    assert judge(store, now=MADE_AT) == 0, "it is no label while people may still speak"
    assert len(lease(store, 2, now=MADE_AT)) == 2


def test_a_double_pair_that_people_leave_alone_is_labelled_by_what_was_said(store: Store) -> None:
    fill(store, 0, prompts=1, now=MADE_AT)
    store.queue.add([replace(made_up_pair(1, 0), double=True)], now=MADE_AT)
    assert judge(store, now=MADE_AT) == 0
    assert waiting(store) == [], "it was judged"
    assert store.judging.settle(JUDGE, now=LATER) == 1


def test_a_failure_that_may_pass_is_asked_again_later(store: Store) -> None:
    fill(store, 1, now=MADE_AT)
    assert judge(store, Judgement(None, Cause.TIMEOUT)) == 0
    assert waiting(store, now=LATER + RETRY_SECONDS - 1) == []
    assert waiting(store, now=LATER + RETRY_SECONDS) == [1]
    assert judge(store, now=LATER + RETRY_SECONDS) == 1
    report = store.reports.status(max_staleness=2)["judge"]
    assert (report["verdicts"], report["abstained"]) == (1, {"timeout": 1})


def test_a_pair_that_fails_again_and_again_is_given_up_and_makes_room(store: Store) -> None:
    fill(store, 1, now=MADE_AT)
    for attempt in range(MAX_TRIES):
        assert store.reports.status(max_staleness=2)["pairs"]["ready"] == 1
        judge(store, Judgement(None, Cause.SERVER_ERROR), now=LATER + attempt * RETRY_SECONDS)
    assert waiting(store, now=LATER + 1e6) == []
    assert store.reports.status(max_staleness=2)["pairs"]["expired"] == 1


def test_what_a_judge_was_asked_beside_the_queue_counts_towards_its_budget(store: Store) -> None:
    fill(store, 2, now=MADE_AT)
    judge(store, Judgement(0.9, requests=2))
    assert store.judging.spent("starter") == 4
    store.judging.add_requests("starter", 5)
    store.judging.add_requests("starter", 1)
    assert store.judging.spent("starter") == 10
    report = store.reports.judge()
    assert report is not None
    assert (report.requests, report.abstained) == (10, {})


def test_a_pair_that_a_person_has_spoken_of_is_not_labelled_by_the_judge(store: Store) -> None:
    fill(store, 1, now=MADE_AT)
    store.queue.add([made_up_pair(1, 0)], now=MADE_AT, votes_wanted=2)
    asked = store.judging.waiting(JUDGE, labels=True, limit=9, now=LATER)
    store.judging.record(JUDGE, [(each.pair_id, FIRST_IS_BETTER) for each in asked], now=LATER)
    for pair in lease(store, 2, now=MADE_AT):
        vote_on(store, pair, now=MADE_AT)
    assert store.judging.settle(JUDGE, now=LATER) == 0
    assert labels(store)["judge"] == 0


def test_a_pair_that_the_judge_cannot_decide_makes_room_for_another(store: Store) -> None:
    fill(store, 2, now=MADE_AT)
    judge(store, Judgement(None, Cause.INCONSISTENT, orders=(0.9, 0.2)), limit=1)
    counts = store.reports.status(max_staleness=2)
    assert counts["pairs"] == {"ready": 1, "leased": 0, "labelled": 0, "expired": 1}
    assert counts["labels"]["judge"] == 0
    assert counts["judge"]["consistent"]["value"] == 0.0


def test_some_pairs_that_the_judge_cannot_decide_are_left_to_people(store: Store) -> None:
    fill(store, 5, now=MADE_AT)
    rules = replace(JUDGE, left_to_people=2)
    judge(store, Judgement(None, Cause.UNSURE), rules=rules)
    assert [pair.left for pair in lease(store, 9, now=LATER)], "people get them"
    assert store.reports.status(max_staleness=2)["pairs"]["expired"] == 3
    assert store.judging.settle(rules, now=LATER) == 0


def test_a_judge_that_mostly_abstains_is_paused_until_a_few_answers_are_good(
    store: Store,
) -> None:
    fill(store, 40, now=MADE_AT)
    judge(store, limit=4)
    assert store.judging.pause(JUDGE) is None
    judge(store, Judgement(None, Cause.UNCLEAR), limit=8)
    pause = store.judging.pause(JUDGE)
    assert pause is not None
    assert "no verdict on 8 of its last 12 pairs (unclear answer: 8)" in pause.reason
    assert pause.probes
    judge(store, limit=3)
    assert store.judging.pause(JUDGE) is not None
    judge(store, limit=1)
    assert store.judging.pause(JUDGE) is None


@pytest.mark.parametrize(("says", "paused"), [("left", False), ("right", True)])
def test_a_judge_that_contradicts_people_is_paused_with_the_share_in_the_reason(
    store: Store, says: str, paused: bool
) -> None:
    fill(store, 0, prompts=1, now=MADE_AT)
    store.queue.add([replace(made_up_pair(1, 0), double=True)] * 24, now=MADE_AT)
    asked = store.judging.waiting(JUDGE, labels=True, limit=99, now=MADE_AT)
    store.judging.record(JUDGE, [(each.pair_id, Judgement(0.8)) for each in asked], now=MADE_AT)
    for pair in lease(store, 24, now=MADE_AT):
        good, bad = ("left", "right") if pair.left.startswith("good") else ("right", "left")
        vote_on(store, pair, good if says == "left" else bad, now=MADE_AT + 1)
    pause = store.judging.pause(replace(JUDGE, min_agreement=0.55))
    assert (pause is not None) is paused
    report = store.reports.status(max_staleness=2)["judge"]
    assert report["agreement"]["value"] == (0.0 if paused else 1.0)
    assert report["agreement"]["count"] == 24
    if pause is not None:
        assert "on 0 % [0, 14] of the 24 pairs" in pause.reason
        assert not pause.probes


def test_examples_are_what_people_said_with_ties_and_without_skips(store: Store) -> None:
    fill(store, 3, now=MADE_AT)
    mark = store.judging.have_said()
    for choice, pair in zip(("left", "tie", "skip"), lease(store, 3), strict=True):
        vote_on(store, pair, choice)
    examples = store.judging.examples()
    assert [example.pair_id for example in examples] == [1, 2]
    assert examples[0].said.target in (0.0, 1.0)
    assert examples[1].said.tie == 1.0
    assert examples[0].question.first.startswith("good answer")
    assert store.judging.have_said() != mark


def test_examples_weigh_what_their_votes_weigh(store: Store) -> None:
    """On pair 1 a "much better" (3) for the good one meets a vote for the other one that weighs
    half, so P(good) = 3 / 3.5. On pair 2 that vote is alone; with a weight of 0 it is none.
    """
    fill(store, 2, now=MADE_AT, votes_wanted=2)
    first, second = store.raters.local(now=1.0), second_rater(store)
    for rater, count, is_good in ((first, 1, True), (second, 2, False)):
        for pair in lease(store, count, rater=rater, holder=str(rater)):
            left = pair.left.startswith("good") == is_good
            strength = 2 if is_good else 1
            vote_on(store, pair, "left" if left else "right", rater=rater, strength=strength)
    weighed = store.judging.examples(strong_weight=3.0, reliability={second: 0.5})
    assert [(one.pair_id, one.said.weight) for one in weighed] == [(1, 3.5), (2, 0.5)]
    assert weighed[0].question.first.startswith("good")
    assert weighed[0].said.target == pytest.approx(3 / 3.5)
    left_out = store.judging.examples(strong_weight=3.0, reliability={second: 0.0})
    assert [(one.pair_id, one.said) for one in left_out] == [(1, Preference(1.0, 0.0, 3.0))]


def test_a_judges_labels_make_an_update_due_like_any(store: Store) -> None:
    fill(store, 8, now=MADE_AT)
    assert open_update(store, now=LATER) is None
    judge(store)
    assert store.updates.labels_missing(RULES) == 0
    assert open_update(store, now=LATER) == 1
    with pytest.raises(BadInput):
        store.versions.find(None)


def test_a_judge_that_reads_a_pair_once_and_goes_by_the_place_is_told(store: Store) -> None:
    fill(store, 20, now=MADE_AT)
    judge(store, Judgement(1.0), limit=19)
    judge(store, Judgement(0.5))
    report = store.reports.judge()
    assert report is not None
    assert report.first == Estimate.share(19, 19, "")
    said = [line for line in in_a_terminal(report) if "goes by the place" in line]
    assert said == [
        "It goes by the place: of 19 pairs it prefers what stands first in 100 % [83, 100]."
    ]
    assert said[0] in lines(None, report)
    assert store.reports.status(max_staleness=2)["judge"]["first"]["value"] == 1.0


@pytest.mark.parametrize(
    "judgement", [Judgement(0.9, scores=(2.0, 1.0)), Judgement(0.9, orders=(0.9, 0.9))]
)
def test_one_that_reads_both_orders_or_each_reply_by_itself_is_not_asked_for_its_place(
    store: Store, judgement: Judgement
) -> None:
    fill(store, 20, now=MADE_AT)
    judge(store, judgement)
    report = store.reports.judge()
    assert report is not None
    assert report.first is None


def test_a_pair_does_not_wait_for_a_clock_that_was_set_back(store: Store) -> None:
    fill(store, 2, now=MADE_AT)
    held = lease(store, now=MADE_AT)[0].lease_id
    give_back(store, held, rater=1, now=MADE_AT + 1)
    assert waiting(store, now=MADE_AT - 30) == []  # a clock that is put right
    assert waiting(store, now=MADE_AT - 3600) == [1, 2]
