"""Versions made live again: rollback, promotion by hand, and what they do to the loop."""

from collections.abc import Callable

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.finding import Finding
from labeler.domain.states import UpdateState, VersionState
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.live_version import ages, versions_since
from labeler.store.records import Claim, ClaimLostError
from labeler.store.tables import LiveChange
from tests.support.store import (
    N,
    claim,
    lease,
    live,
    make_version,
    open_update,
    promote,
    rows,
    states,
    version,
    vote,
    vote_on,
)
from tests.support.tiny import add_pairs, fill


@pytest.fixture(autouse=True)
def filled(store: Store) -> None:
    fill(store, 40)


def reject(store: Store, number: int, now: float = 1010.0) -> None:
    """An update of N votes that the gate refused."""
    vote(store, N, now=now)
    open_update(store, now + 1)
    store.updates.reject(claim(store, now=now + 2), version(number), reason="worse", now=now + 3)


def rollback(store: Store, version_id: int | None = None, now: float = 2000.0) -> int:
    return store.versions.make_live_again(store.versions.find(version_id).id, now=now)


def test_a_rollback_makes_the_parent_live_and_retires_the_live_one(store: Store) -> None:
    make_version(store, 1)
    make_version(store, 2, now=1030.0)
    assert rollback(store) == 2
    assert states(store) == ["retired", "live", "retired"]


def test_two_rollbacks_go_two_versions_back(store: Store) -> None:
    make_version(store, 1)
    make_version(store, 2, now=1030.0)
    rollback(store)
    rollback(store, now=2001.0)
    assert states(store) == ["live", "retired", "retired"]


def test_a_version_rolled_back_can_be_made_live_again(store: Store) -> None:
    make_version(store, 1)
    rollback(store)
    rollback(store, 1, now=2001.0)
    assert states(store) == ["retired", "live"]


def test_a_rollback_retires_pairs_that_nobody_holds_and_keeps_every_vote(store: Store) -> None:
    make_version(store, 1, pairs=6)
    vote(store, 1, now=1020.0)
    [held] = lease(store, holder="late", seconds=9999, now=1021.0)
    before = store.reports.status(max_staleness=2)
    rollback(store)
    after = store.reports.status(max_staleness=2)
    assert after["labels"] == before["labels"]
    assert (after["pairs"]["ready"], after["pairs"]["leased"]) == (0, 1)
    vote_on(store, held, now=2001.0)


def test_the_next_version_after_a_rollback_has_a_new_number_and_the_right_parent(
    store: Store,
) -> None:
    make_version(store, 1)
    rollback(store)
    assert store.versions.next_id() == 2
    add_pairs(store, 10)
    make_version(store, 2, now=2010.0)
    assert [row.parent_id for row in store.versions.all()] == [None, 0, 0]


@pytest.mark.parametrize(
    ("version_id", "says"),
    [
        (7, "no version 7"),
        (0, "Version 0 is live already"),
        (None, "Version 0 is live and has no parent"),
    ],
)
def test_what_cannot_be_made_live_is_one_sentence(
    store: Store, version_id: int | None, says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        store.versions.find(version_id)
    assert states(store) == ["live"]


def test_the_base_of_another_database_is_refused(store: Store) -> None:
    store.versions.check_base(base="elsewhere", fingerprint="test")
    with pytest.raises(BadInput, match="belongs to the policy 'test', not to 'other'"):
        store.versions.check_base(base="other", fingerprint="other")


def test_a_version_is_found_by_its_number(store: Store) -> None:
    assert store.versions.get(0).state is VersionState.LIVE
    with pytest.raises(BadInput, match="no version 1"):
        store.versions.get(1)


def test_a_version_that_became_live_meanwhile_is_refused(store: Store) -> None:
    make_version(store, 1)
    with pytest.raises(BadInput, match="live already"):
        store.versions.make_live_again(1, now=2000.0)


def test_the_age_of_a_pair_is_the_moves_of_the_live_pointer_since_its_version_was_live(
    store: Store,
    database: Database,
) -> None:
    """Live were 0, 1, 2, 3 and then 1 again: since 3 was live it moved once, since 2 twice, since
    0 four times; 1 is live.
    """
    for number in (1, 2, 3):
        make_version(store, number, now=1000.0 + 10 * number)
    rollback(store, 1)
    with database.read() as session:
        assert [versions_since(session, number) for number in range(4)] == [4, 0, 2, 1]
        assert ages(session, 1) == {1: 0, 3: 1}
        assert ages(session, 9) == {0: 4, 1: 0, 2: 2, 3: 1}


def test_a_vote_on_a_pair_of_a_version_that_is_live_again_is_not_stale(store: Store) -> None:
    [held] = lease(store, holder="late", seconds=9999)
    make_version(store, 1)
    rollback(store)
    vote_on(store, held, now=2001.0)
    assert store.reports.votes()[-1].vote.staleness == 0


def test_every_move_of_the_live_pointer_is_kept(store: Store, database: Database) -> None:
    make_version(store, 1)
    rollback(store)
    assert [move.version_id for move in rows(database, LiveChange)] == [0, 1, 0]


def test_an_update_that_trains_while_its_version_is_rolled_back_starts_again(store: Store) -> None:
    make_version(store, 1)
    listed = vote(store, N, now=1030.0)
    open_update(store, 1031.0)
    lost = claim(store)
    assert lost.parent == 1
    rollback(store)
    with pytest.raises(ClaimLostError, match="starts again"):
        store.updates.beat(lost, UpdateState.TRAINING, done=1, total=2, now=2001.0)
    again = claim(store, now=2002.0)
    assert (again.parent, again.attempt) == (0, lost.attempt)
    promote(store, again, 2, now=2003.0)
    used = {row.vote.id for row in store.reports.votes() if row.vote.used_in_update == 2}
    assert used == set(listed)
    assert store.versions.all()[2].parent_id == 0


def refuse(store: Store, claimed: Claim, number: int, *, now: float) -> None:
    store.updates.reject(claimed, version(number), reason="worse", now=now)


@pytest.mark.parametrize("end", [promote, refuse])
def test_a_candidate_of_a_version_that_was_rolled_back_goes_nowhere(
    store: Store, end: Callable[..., None]
) -> None:
    make_version(store, 1)
    vote(store, N, now=1030.0)
    open_update(store, 1031.0)
    lost = claim(store)
    rollback(store)
    with pytest.raises(ClaimLostError):
        end(store, lost, 2, now=2001.0)
    assert states(store) == ["live", "retired"]
    status = store.reports.status(max_staleness=2)
    assert status["updates"] == {"done": 1, "rejected": 0, "failed": 0, "running": 1}
    assert claim(store, now=2002.0).parent == 0


def test_any_number_of_rollbacks_during_an_update_does_not_fail_it(store: Store) -> None:
    make_version(store, 1)
    vote(store, N, now=1030.0)
    open_update(store, 1031.0)
    for number in range(6):
        claimed = claim(store, now=2000.0 + number)
        rollback(store, 1 if claimed.parent == 0 else 0, now=2000.5 + number)
        with pytest.raises(ClaimLostError):
            store.updates.beat(claimed, UpdateState.TRAINING, done=1, total=2, now=2000.6 + number)
    promote(store, claim(store, now=2010.0), 2, now=2011.0)
    assert store.reports.status(max_staleness=2)["updates"]["done"] == 2


def test_a_refused_version_made_live_by_hand_has_learnt_its_labels(store: Store) -> None:
    reject(store, 1)
    assert store.reports.status(max_staleness=2)["labels"]["fresh"] == N
    assert rollback(store, 1) == 0
    assert store.reports.status(max_staleness=2)["labels"]["fresh"] == 0
    assert [row.vote.used_in_update for row in store.reports.votes()] == [1] * N


def test_labels_learnt_by_a_version_made_live_by_hand_are_not_trained_on_again(
    store: Store,
) -> None:
    reject(store, 1)
    newer = vote(store, N, now=1030.0)
    open_update(store, 1031.0)
    lost = claim(store)
    assert len(lost.labels) == 2 * N
    rollback(store, 1)
    with pytest.raises(ClaimLostError):
        promote(store, lost, 2, now=2001.0)
    again = claim(store, now=2002.0)
    assert {vote_id for label in again.labels for vote_id in label.vote_ids} == set(newer)


def test_a_candidate_trained_apart_gets_a_number_of_its_own_and_can_be_made_live(
    store: Store,
) -> None:
    number = store.versions.add_candidate(
        folder="offline", sha256="y", finding=Finding(labels=9), parent=0, now=1500.0
    )
    assert number == 1
    assert states(store) == ["live", VersionState.CANDIDATE]
    rollback(store, number)
    row = live(store)
    assert (row.id, row.folder, row.parent_id, row.live_at) == (1, "offline", 0, 2000.0)


def test_a_number_taken_while_an_update_trained_makes_it_start_again(store: Store) -> None:
    vote(store, N)
    open_update(store)
    claimed = claim(store)
    store.versions.add_candidate(folder="x", sha256="y", finding=Finding(), parent=0, now=1012.0)
    with pytest.raises(ClaimLostError):
        promote(store, claimed, 1)
    promote(store, claim(store, now=1021.0), store.versions.next_id(), now=1022.0)
    assert states(store) == ["retired", "candidate", "live"]


def test_the_list_of_versions_says_why_one_was_kept_back(store: Store) -> None:
    reject(store, 1)
    rows = store.reports.versions()
    assert [(row.version.id, row.reason) for row in rows] == [(0, None), (1, "worse")]
