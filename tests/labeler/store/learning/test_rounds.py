"""Mode iterative: rounds of N pairs of one version, all answered before the update."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from labeler.store import Store, open_store
from tests.support.store import RULES, N, claim, lease, promote, shown_to, version, vote, vote_on
from tests.support.tiny import add_pairs, fill

ROUNDS = replace(RULES, mode="iterative")


@pytest.fixture(autouse=True)
def empty(store: Store) -> None:
    fill(store, 0, prompts=40)


def left(store: Store) -> int:
    return store.updates.round_left(ROUNDS)


def open_update(store: Store, now: float = 1010.0) -> int | None:
    return store.updates.open_if_due(ROUNDS, now=now)


def test_a_round_takes_n_pairs_and_no_more(store: Store) -> None:
    assert left(store) == N
    add_pairs(store, N - 1)
    assert left(store) == 1
    add_pairs(store, 1)
    assert left(store) == 0
    vote(store, 2)
    assert left(store) == 0


def test_an_update_opens_when_the_last_pair_of_the_round_is_answered(store: Store) -> None:
    add_pairs(store, N)
    vote(store, N - 1)
    assert open_update(store) is None
    vote(store, 1)
    assert open_update(store) == 1
    assert store.updates.last().mode == "iterative"  # type: ignore[union-attr]


def test_an_update_waits_for_a_pair_in_somebodys_hands_until_the_lease_runs_out(
    store: Store,
) -> None:
    add_pairs(store, N + 1)
    lease(store, holder="slow")
    vote(store, N)
    assert open_update(store) is None
    store.queue.end_expired_leases(now=1062.0)
    assert open_update(store) is None, "the pair waits for somebody else"
    vote(store, 1, now=1063.0)
    assert open_update(store, 1064.0) == 1


def test_a_skipped_pair_is_replaced(store: Store) -> None:
    add_pairs(store, N)
    vote(store, 1, "skip")
    vote(store, N - 1)
    assert open_update(store) is None
    assert left(store) == 1
    add_pairs(store, 1)
    vote(store, 1)
    assert open_update(store) == 1


def test_a_pair_that_is_set_aside_before_anybody_voted_is_replaced(store: Store) -> None:
    add_pairs(store, N)
    store.labelled.set_aside(1, reason="odd", by=store.raters.local(now=1.0), now=1001.0)
    assert left(store) == 1
    add_pairs(store, 1)
    vote(store, N)
    assert open_update(store) == 1


def test_a_tie_that_teaches_nothing_is_replaced_and_one_that_does_is_not(store: Store) -> None:
    add_pairs(store, N)
    vote(store, N, "tie")
    assert left(store) == N
    learn = replace(ROUNDS, votes=replace(ROUNDS.votes, ties="learn"))
    assert store.updates.round_left(learn) == 0
    assert open_update(store) is None
    assert store.updates.open_if_due(learn, now=1010.0) == 1


def test_no_pair_is_sampled_while_an_update_runs_and_a_new_round_follows_it(store: Store) -> None:
    add_pairs(store, N)
    vote(store, N)
    open_update(store)
    assert left(store) == 0
    promote(store, claim(store, rules=ROUNDS), 1)
    assert left(store) == N
    add_pairs(store, N, version=1)
    vote(store, N, now=1021.0)
    assert open_update(store, 1030.0) == 2


def test_a_rejected_round_is_followed_by_a_new_one_of_the_same_version(store: Store) -> None:
    add_pairs(store, N)
    vote(store, N)
    open_update(store)
    store.updates.reject(claim(store, rules=ROUNDS), version(1), reason="worse", now=1020.0)
    assert open_update(store, 1030.0) is None
    assert left(store) == N


def test_a_failed_round_is_tried_again_without_new_pairs(store: Store) -> None:
    add_pairs(store, N)
    vote(store, N)
    open_update(store)
    store.updates.fail(claim(store, rules=ROUNDS), reason="the disk is full", now=1020.0)
    assert left(store) == 0
    assert open_update(store, 5000.0) == 2


def test_votes_on_an_older_version_train_with_the_round_but_do_not_fill_it(store: Store) -> None:
    add_pairs(store, N)
    [held] = lease(store, holder="slow", seconds=9e9)
    vote(store, N - 1)
    add_pairs(store, 1)
    vote(store, 1)
    store.updates.open_if_due(RULES, now=1010.0)
    promote(store, claim(store), 1)
    vote_on(store, held, now=1021.0)
    assert left(store) == N
    add_pairs(store, N, version=1)
    vote(store, N, now=1022.0)
    open_update(store, 1030.0)
    assert len(claim(store, rules=ROUNDS).labels) == N + 1


def test_an_update_left_open_by_the_other_mode_is_finished_first(store: Store) -> None:
    add_pairs(store, 2 * N)
    vote(store, N)
    assert store.updates.open_if_due(RULES, now=1010.0) == 1
    vote(store, N, now=1011.0)
    assert open_update(store, 1012.0) is None
    assert left(store) == 0


def test_the_page_counts_the_pairs_of_the_round(store: Store) -> None:
    add_pairs(store, N)
    vote(store, 1, "skip")
    vote(store, 2)
    assert shown_to(store, 1, ROUNDS)["fresh"] == 2


def test_before_the_base_is_adopted_there_is_no_round(tmp_path: Path) -> None:
    with contextlib.closing(open_store(f"sqlite:///{tmp_path / 'new.sqlite'}")) as new:
        assert new.updates.round_left(ROUNDS) == 0
