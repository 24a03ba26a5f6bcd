"""Why no update comes: each cause, from what people did to the line on the page."""

from dataclasses import replace

import pytest

from labeler.domain.rules import DueRules
from labeler.domain.sentences.standstill import why_none
from labeler.domain.standstill import Standstill
from labeler.store import Store
from tests.support.store import (
    RULES,
    N,
    claim,
    lease,
    make_version,
    open_update,
    second_rater,
    version,
    vote,
    vote_on,
)
from tests.support.tiny import fill

NOW = 2000.0


def line(store: Store, rules: DueRules = RULES, now: float = NOW) -> str:
    still = store.reports.standstill(rules, now=now)
    return why_none(still) if still else ""


def test_nothing_is_said_while_only_labels_are_missing_or_an_update_is_open(store: Store) -> None:
    fill(store, 3 * N)
    vote(store, N - 2)
    vote(store, 1, "tie")
    assert line(store) == ""
    vote(store, 2)
    open_update(store)
    assert store.reports.standstill(RULES, now=NOW) is None


def test_ties_that_teach_nothing_are_named(store: Store) -> None:
    fill(store, 3 * N)
    vote(store, N - 1)
    vote(store, 1, "tie")
    vote(store, 1, "both_bad")
    vote(store, 1, "skip")
    assert line(store) == "2 of 5 labels were ties or both bad and taught nothing (--ties)."
    teaching = replace(RULES, votes=replace(RULES.votes, ties="coin_flip"))
    assert line(store, teaching) == ""


def test_ties_before_the_last_update_are_past(store: Store) -> None:
    fill(store, 3 * N)
    vote(store, 2, "tie")
    make_version(store, 1)
    vote(store, N - 1, now=1030.0)
    assert line(store) == ""


def test_labels_that_wait_for_the_votes_of_others_are_named(store: Store) -> None:
    second_rater(store)
    fill(store, N, votes_wanted=2)
    vote(store, N)
    assert line(store) == "4 of 4 labels wait for the votes of others (--votes-per-pair)."


def test_labels_that_came_too_late_are_named(store: Store) -> None:
    fill(store, 2 * N)
    leased = lease(store, N, holder="slow")
    make_version(store, 1)
    for pair in leased:
        vote_on(store, pair, now=1030.0)
    strict = replace(RULES, max_staleness=0)
    assert line(store, strict) == (
        "4 of 4 labels came too late, on replies of older versions (--max-staleness)."
    )


def test_labels_that_somebody_set_aside_are_named(store: Store) -> None:
    fill(store, 2 * N)
    vote(store, N)
    rater = store.raters.local(now=1.0)
    for row in store.reports.votes()[:2]:
        assert row.pair.id
        store.labelled.set_aside(row.pair.id, reason="odd", by=rater, now=NOW)
    assert line(store) == "2 of 4 labels were set aside by whoever looks after them."


@pytest.mark.parametrize("times", [1, 2])
def test_updates_that_were_kept_back_are_named_with_the_newest_reason(
    store: Store, times: int
) -> None:
    fill(store, 4 * N)
    for number in range(1, times + 1):
        vote(store, N, now=1000.0 + 100 * number)
        assert open_update(store, 1010.0 + 100 * number)
        claimed = claim(store, now=1011.0 + 100 * number)
        reason = f"its replies are {number}0 % longer"
        store.updates.reject(claimed, version(number), reason=reason, now=1012.0 + 100 * number)
    said = {
        1: "The last update was kept back because its replies are 10 % longer.",
        2: "The last 2 updates were kept back, the newest because its replies are 20 % longer.",
    }
    assert line(store) == said[times]


def test_a_judge_that_is_paused_is_named(store: Store) -> None:
    fill(store, N)
    vote(store, 1)
    store.processes.alarm("judge", "The judge gives no labels for now. It abstains too often.")
    assert line(store) == "The judge is paused, so only people's labels count."
    store.processes.alarm("judge", None)
    assert line(store) == ""


def test_the_wait_between_two_updates_and_after_a_failed_one_is_named(store: Store) -> None:
    fill(store, 4 * N)
    vote(store, N)
    slow = replace(RULES, cooldown_seconds=90.0)
    assert open_update(store, 1010.0)
    store.updates.fail(claim(store), reason="the disk is full", now=1020.0)
    assert line(store, now=1030.0) == "The last update failed, and is tried again in 20 seconds."
    assert line(store, now=1060.0) == ""
    make_version(store, 1, now=1100.0)
    vote(store, N, now=1110.0)
    assert line(store, slow, now=1133.0) == (
        "The next update waits another 60 seconds (--cooldown-seconds)."
    )


def test_several_causes_stand_in_one_line() -> None:
    still = Standstill(wanted=16, due=12, labels=16, ties=3, alone=1, is_judge_paused=True)
    assert why_none(still) == (
        "3 of 16 labels were ties or both bad and taught nothing (--ties); 1 of 16 labels waits "
        "for the votes of others (--votes-per-pair); the judge is paused, so only people's labels "
        "count."
    )
