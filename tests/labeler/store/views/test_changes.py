"""What the store tells a rater of the updates that their votes went into."""

from dataclasses import replace
from typing import Any

import pytest

from labeler.domain.estimate import Estimate, wilson
from labeler.domain.finding import NOT_COMPARED, Example, Finding
from labeler.domain.states import UpdateState
from labeler.store import Store
from labeler.store.records import Claim
from labeler.store.views.changes import Change
from tests.support.store import (
    N,
    claim,
    make_version,
    open_update,
    promote,
    second_rater,
    shown_to,
    version,
    vote,
)
from tests.support.tiny import add_pairs, fill

FINDING = Finding(
    labels=N,
    agreement_live=Estimate.rate(0.5, 20),
    agreement_candidate=Estimate.rate(0.75, 20),
    win_rate=Estimate(0.61, 0.52, 0.7, 110),
    examples=(Example([{"role": "user", "content": "q"}], "b", "a"),),
)


@pytest.fixture
def me(store: Store) -> int:
    fill(store, 12)
    return store.raters.local(now=1.0)


def end(store: Store, claimed: Claim, number: int, *, promoted: bool, **changed: Any) -> None:
    finding = replace(FINDING, **changed)
    if promoted:
        promote(store, claimed, number, finding=finding)
    else:
        made = version(number, finding)
        store.updates.reject(claimed, made, reason="it is worse", now=1020.0)


def last(store: Store, rater: int) -> Change:
    return store.changes.of(rater, last=10)[0]


def test_an_update_tells_each_rater_their_part_in_it(store: Store, me: int) -> None:
    ada = second_rater(store)
    vote(store, N - 1)
    vote(store, 1, rater=ada)
    open_update(store)
    end(store, claim(store), 1, promoted=True)
    mine, hers = last(store, me), last(store, ada)
    assert (mine.finding.labels, mine.my_labels, hers.my_labels) == (N, N - 1, 1)
    assert (mine.state, mine.version_id, mine.parent) == (UpdateState.PROMOTED, 1, 0)
    assert mine.ended_at == 1020.0
    result = shown_to(store, ada)["result"]
    assert (result["my_labels"], result["parent"]) == (1, 0)


def test_figures_come_with_their_intervals_and_examples_stay_out_of_the_state(
    store: Store, me: int
) -> None:
    vote(store, N)
    open_update(store)
    end(store, claim(store), 1, promoted=True)
    change = last(store, me)
    found = change.finding
    assert found.win_rate == Estimate(0.61, 0.52, 0.7, 110)
    assert (found.agreement_live.low, found.agreement_live.high) == wilson(10, 20)
    assert (found.agreement_candidate.low, found.agreement_candidate.high) == wilson(15, 20)
    assert found.examples == FINDING.examples
    result = shown_to(store, me)["result"]
    assert result["finding"] == replace(FINDING, examples=())


def test_without_a_win_rate_it_says_why(store: Store, me: int) -> None:
    vote(store, N)
    open_update(store)
    end(store, claim(store), 1, promoted=True, win_rate=Estimate.none("no judge is set"))
    assert last(store, me).finding.win_rate == Estimate.none("no judge is set")
    add_pairs(store, N, version=1)
    vote(store, N, now=1030.0)
    open_update(store, 1040.0)
    end(store, claim(store, now=1041.0), 2, promoted=True, win_rate=NOT_COMPARED)
    assert last(store, me).finding.win_rate == NOT_COMPARED


def test_a_version_tells_whether_it_is_live_still_and_who_took_its_place(
    store: Store, me: int
) -> None:
    make_version(store, 1)
    make_version(store, 2, now=1100.0)
    store.versions.make_live_again(1, now=1200.0)
    second, first = store.changes.of(me, last=10)
    assert first.live is not None
    assert (first.live.now, first.live.until) == (True, None)
    assert second.live is not None
    assert (second.live.now, second.live.then, second.live.until) == (False, 1, 1200.0)
    assert second.live.taken_back
    add_pairs(store, N, version=1)
    make_version(store, 3, now=1300.0)
    first = store.changes.of(me, last=10)[-1]
    assert first.live is not None
    assert (first.live.then, first.live.taken_back) == (3, False)


def test_an_update_that_was_kept_back_tells_why_what_it_learned_from_and_what_it_would_have_said(
    store: Store, me: int
) -> None:
    vote(store, N)
    open_update(store)
    end(store, claim(store), 1, promoted=False)
    change = last(store, me)
    assert (change.state, change.reason, change.live) == (
        UpdateState.REJECTED,
        "it is worse",
        None,
    )
    assert change.my_labels == N
    assert change.finding.examples
    store.versions.make_live_again(1, now=1300.0)
    made_live = last(store, me).live
    assert made_live is not None
    assert made_live.now


def test_an_update_that_failed_has_no_version_and_the_last_ten_come_newest_first(
    store: Store, me: int
) -> None:
    assert store.changes.of(me, last=10) == []
    vote(store, N)
    for number in range(12):
        at = 1e4 * (number + 1)
        open_update(store, at)
        store.updates.fail(claim(store, now=at), reason="loss is NaN", now=at)
    found = store.changes.of(me, last=10)
    assert [change.update_id for change in found] == list(range(12, 2, -1))
    assert (found[0].version_id, found[0].live, found[0].finding.examples) == (None, None, ())
    assert found[0].reason == "loss is NaN"
