"""Updates: DESIGN's invariants 3, 4 and 5, one test each."""

from dataclasses import replace

import pytest

from labeler.domain.states import UpdateState, VersionState
from labeler.store import Store
from labeler.store.learning.label_selection import MAX_TIMES_DUE
from labeler.store.learning.updates import (
    FIRST_BACKOFF_SECONDS,
    HEARTBEAT_TIMEOUT_SECONDS,
    MAX_ATTEMPTS,
)
from labeler.store.records import ClaimLostError
from tests.support.store import (
    RULES,
    N,
    claim,
    lease,
    open_update,
    promote,
    undo,
    version,
    vote,
    vote_on,
)
from tests.support.tiny import add_pairs, fill, made_up_pair


@pytest.fixture(autouse=True)
def filled(store: Store) -> None:
    fill(store, 40)


def test_an_update_opens_with_the_label_that_makes_it_due_and_only_one_is_open(
    store: Store,
) -> None:
    vote(store, N - 1)
    assert open_update(store) is None
    vote(store, 1)
    assert open_update(store) == 1
    vote(store, N)
    assert open_update(store) is None


def test_ties_skips_and_both_bad_do_not_make_an_update_due(store: Store) -> None:
    for choice in ("tie", "skip", "both_bad"):
        vote(store, N, choice)
    assert open_update(store) is None


def test_the_labels_of_an_update_are_fixed_when_it_opens(store: Store) -> None:
    listed = vote(store, N)
    open_update(store)
    vote(store, 2, now=1011.0)
    assert {label.vote_ids[0] for label in claim(store).labels} == set(listed)


def test_an_update_takes_the_oldest_labels_and_leaves_a_flood_to_the_next_one(
    store: Store,
) -> None:
    first = vote(store, MAX_TIMES_DUE * N)
    vote(store, N, now=1003.0)
    open_update(store)
    claimed = claim(store)
    assert {label.vote_ids[0] for label in claimed.labels} == set(first)
    promote(store, claimed, 1)
    assert open_update(store, now=1030.0) == 2


def test_the_target_says_which_response_was_preferred(store: Store) -> None:
    vote(store, N, "left")
    open_update(store)
    by_id = {row.vote.id: row.vote.choice for row in store.reports.votes()}
    for label in claim(store).labels:
        assert label.target == (1.0 if by_id[label.vote_ids[0]] == "a" else 0.0)
        assert label.tokens_a == [21, 22, 0]


def test_promotion_uses_the_labels_once_and_makes_one_version_live(store: Store) -> None:
    vote(store, N)
    open_update(store)
    promote(store, claim(store), 1)
    status = store.reports.status(max_staleness=2)
    assert status["labels"] == {"human": N, "judge": 0, "fresh": 0, "used": N}
    assert status["policy"]["live"] == 1
    states = [version.state for version in store.versions.all()]
    assert states == [VersionState.RETIRED, VersionState.LIVE]
    assert open_update(store) is None


def test_promotion_retires_old_pairs_that_nobody_holds_and_queues_the_first_new_ones(
    store: Store,
) -> None:
    vote(store, N)
    open_update(store)
    lease(store, 2, now=1011.0)
    claimed = claim(store)
    new = [made_up_pair(1, 1), made_up_pair(2, 1)]
    store.updates.promote(claimed, version(1), new, trained_on=[], now=1020.0)
    pairs = store.reports.status(max_staleness=2)["pairs"]
    assert pairs == {"ready": 2, "leased": 2, "labelled": N, "expired": 40 - N - 2}


def test_a_held_pair_of_an_old_version_still_counts_and_its_age_is_recorded(store: Store) -> None:
    vote(store, N)
    [held] = lease(store, holder="late", now=1003.0)
    open_update(store)
    promote(store, claim(store), 1)
    late = vote_on(store, held, now=1030.0)
    newest = store.reports.votes()[-1].vote
    assert (newest.id, newest.staleness) == (late, 1)
    assert store.reports.status(max_staleness=1)["labels"]["fresh"] == 1
    assert store.reports.status(max_staleness=0)["labels"]["fresh"] == 0


def test_a_label_undone_while_its_update_is_open_is_not_trained_on(store: Store) -> None:
    vote(store, N)
    open_update(store)
    undo(store, now=1011.0)
    assert len(claim(store).labels) == N - 1


def test_an_update_whose_labels_were_all_undone_ends_without_a_pause(store: Store) -> None:
    vote(store, N)
    open_update(store)
    for number in range(N):
        undo(store, f"u{number}", now=1011.0)
    assert store.updates.claim(worker="w", rules=RULES.votes, now=1012.0) is None
    assert store.reports.status(max_staleness=2)["updates"]["running"] == 0
    vote(store, N, now=1013.0)
    assert open_update(store, now=1014.0) == 2


def test_a_label_undone_after_it_was_used_stays_recorded_as_used(store: Store) -> None:
    vote(store, N)
    open_update(store)
    promote(store, claim(store), 1)
    undo(store, now=1030.0)
    undone = [row.vote for row in store.reports.votes() if row.vote.superseded_by]
    assert [vote.used_in_update for vote in undone] == [1]


def test_a_worker_that_starts_again_takes_up_its_update_and_the_dead_attempt_is_fenced_off(
    store: Store,
) -> None:
    vote(store, N)
    open_update(store)
    dead = claim(store)
    again = claim(store)
    assert again.attempt == 2
    with pytest.raises(ClaimLostError):
        promote(store, dead, 1)
    promote(store, again, 1)
    assert store.reports.status(max_staleness=2)["labels"]["used"] == N


def test_another_worker_gets_a_held_update_only_when_its_heart_has_stopped(store: Store) -> None:
    vote(store, N)
    open_update(store)
    held = claim(store, "first", now=1011.0)
    store.updates.beat(held, UpdateState.TRAINING, done=1, total=2, now=1012.0)
    late = 1012.0 + HEARTBEAT_TIMEOUT_SECONDS
    assert store.updates.claim(worker="second", rules=RULES.votes, now=late) is None
    assert store.updates.claim(worker="second", rules=RULES.votes, now=late + 1) is not None


def test_an_update_that_kills_its_worker_every_time_fails_and_gives_its_labels_back(
    store: Store,
) -> None:
    vote(store, N)
    open_update(store)
    for _ in range(MAX_ATTEMPTS):
        claim(store)
    assert store.updates.claim(worker="w", rules=RULES.votes, now=1012.0) is None
    status = store.reports.status(max_staleness=2)
    assert status["updates"] == {"done": 0, "rejected": 0, "failed": 1, "running": 0}
    assert status["labels"]["fresh"] == N


def test_a_worker_that_is_alone_takes_over_at_once_and_the_dead_attempt_is_fenced_off(
    store: Store,
) -> None:
    vote(store, N)
    open_update(store)
    dead = claim(store, "first", now=1011.0)
    store.updates.beat(dead, UpdateState.TRAINING, done=1, total=2, now=1012.0)
    assert store.updates.claim(worker="second", rules=RULES.votes, now=1013.0) is None
    assert store.updates.take_over(worker="second") == dead.update_id
    assert store.updates.take_over(worker="second") is None, "nobody holds it"
    again = claim(store, "second", now=1013.0)
    assert again.attempt == 2
    assert store.updates.take_over(worker="second") is None, "it is one's own"
    with pytest.raises(ClaimLostError):
        promote(store, dead, 1)
    promote(store, again, 1)
    assert store.reports.status(max_staleness=2)["labels"]["used"] == N


def test_an_update_that_kills_a_new_process_every_time_fails(store: Store) -> None:
    vote(store, N)
    open_update(store)
    for number in range(MAX_ATTEMPTS):
        store.updates.take_over(worker=f"process {number}")
        claim(store, f"process {number}", now=1011.0)
    store.updates.take_over(worker="the last one")
    assert store.updates.claim(worker="the last one", rules=RULES.votes, now=1012.0) is None
    status = store.reports.status(max_staleness=2)
    assert status["updates"] == {"done": 0, "rejected": 0, "failed": 1, "running": 0}
    assert status["labels"]["fresh"] == N


def test_a_released_update_is_open_again_and_loses_no_attempt(store: Store) -> None:
    vote(store, N)
    open_update(store)
    for _ in range(MAX_ATTEMPTS + 1):
        store.updates.release(claim(store))
    assert claim(store).attempt == 1


def test_labels_that_a_refused_version_used_up_meanwhile_are_not_used_a_second_time(
    store: Store,
) -> None:
    """The refused one is made live by hand and left again, while the next update trains."""
    tried = vote(store, N)
    open_update(store)
    store.updates.reject(claim(store), version(1), reason="worse", now=1012.0)
    vote(store, N, now=1013.0)
    open_update(store, now=1014.0)
    training = claim(store, now=1015.0)
    assert {vote_id for label in training.labels for vote_id in label.vote_ids} > set(tried)
    store.versions.make_live_again(1, now=1016.0)
    store.versions.make_live_again(0, now=1017.0)
    with pytest.raises(ClaimLostError):
        promote(store, training, 2, now=1018.0)
    again = claim(store, now=1019.0)
    assert {vote_id for label in again.labels for vote_id in label.vote_ids}.isdisjoint(tried)
    promote(store, again, 2, now=1020.0)
    used = {row.vote.id: row.vote.used_in_update for row in store.reports.votes()}
    assert {used.pop(vote_id) for vote_id in tried} == {1}
    assert set(used.values()) == {2}


def test_a_failed_update_is_tried_again_after_a_back_off_that_doubles(store: Store) -> None:
    vote(store, N)
    now = 1010.0
    for failures in range(3):
        assert open_update(store, now) is not None
        store.updates.fail(claim(store, now=now), reason="the disk is full", now=now)
        wait = FIRST_BACKOFF_SECONDS * 2**failures
        assert open_update(store, now + wait - 1) is None
        now += wait


def test_a_rejected_update_waits_for_as_many_labels_that_it_had_not_seen(store: Store) -> None:
    vote(store, N)
    open_update(store)
    store.updates.reject(claim(store), version(1), reason="too long", now=1020.0)
    assert open_update(store, 5000.0) is None
    vote(store, N, now=1021.0)
    assert open_update(store, 1030.0) == 2
    assert len(claim(store).labels) == 2 * N
    assert store.versions.all()[1].state is VersionState.REJECTED


def make_next_due(store: Store, at: float) -> None:
    """An update ends at this time, and a second later there are enough votes for the next one."""
    vote(store, N)
    open_update(store)
    promote(store, claim(store), 1, now=at)
    add_pairs(store, N, version=1)
    vote(store, N, now=at + 1)


def test_a_cool_down_keeps_updates_apart(store: Store) -> None:
    make_next_due(store, 1020.0)
    assert open_update(store, 1049.0, cooldown_seconds=30.0) is None
    assert open_update(store, 1050.0, cooldown_seconds=30.0) == 2


def test_an_update_does_not_wait_for_a_clock_that_was_set_back(store: Store) -> None:
    make_next_due(store, 5000.0)
    hour_before = 5001.0 - 3600.0
    standstill = store.reports.standstill(replace(RULES, cooldown_seconds=30.0), now=hour_before)
    assert standstill is not None
    assert standstill.seconds_left == 0.0
    assert open_update(store, hour_before, cooldown_seconds=30.0) == 2
