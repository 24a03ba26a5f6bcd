"""A role that one process at a time has: who was overtaken can write nothing any more."""

from collections.abc import Callable

import pytest

from labeler.domain.states import UpdateState
from labeler.store import Store
from labeler.store.holders import TRAINER, Held, LeaseLostError
from labeler.store.records import Claim
from tests.support.store import (
    RULES,
    N,
    claim,
    make_version,
    open_update,
    promote,
    states,
    version,
    vote,
)
from tests.support.tiny import fill

WRITES: dict[str, Callable[[Store, Claim], object]] = {
    "claim": lambda s, c: s.updates.claim(worker=c.worker, rules=RULES.votes, now=1100.0),
    "take over": lambda s, c: s.updates.take_over(worker=c.worker),
    "beat": lambda s, c: s.updates.beat(c, UpdateState.TRAINING, done=1, total=2, now=1100.0),
    "release": lambda s, c: s.updates.release(c),
    "promote": lambda s, c: promote(s, c, 1),
    "reject": lambda s, c: s.updates.reject(c, version(1), reason="worse", now=1100.0),
    "decline": lambda s, c: s.updates.decline(c, reason="all ties", now=1100.0),
    "fail": lambda s, c: s.updates.fail(c, reason="broken", now=1100.0),
    "clean up": lambda s, c: s.versions.folders(c.worker),
}


def take(store: Store, token: str, instead_of: Held | None = None) -> bool:
    name = f"trainer {token}:1"
    return store.holders.take(TRAINER, token, holder=name, instead_of=instead_of, now=1000.0)


def test_one_of_two_takes_a_free_role(store: Store) -> None:
    assert take(store, "first")
    assert not take(store, "second")
    assert store.holders.look(TRAINER) == Held("first", "trainer first:1", 0)
    assert store.holders.beat(TRAINER, "first", now=1001.0)
    assert not store.holders.beat(TRAINER, "second", now=1001.0)
    store.holders.give_up(TRAINER, "second")
    assert store.holders.look(TRAINER) == Held("first", "trainer first:1", 1)
    store.holders.give_up(TRAINER, "first")
    assert store.holders.look(TRAINER) is None
    assert take(store, "second")


def test_a_role_is_taken_from_one_whose_beats_have_ended_and_from_no_other(store: Store) -> None:
    take(store, "first")
    seen = store.holders.look(TRAINER)
    store.holders.beat(TRAINER, "first", now=1001.0)
    assert not take(store, "second", instead_of=seen), "it has beaten since"
    assert take(store, "second", instead_of=store.holders.look(TRAINER))
    assert not store.holders.beat(TRAINER, "first", now=1002.0)


@pytest.mark.parametrize("write", WRITES)
def test_a_trainer_that_wakes_up_after_it_was_overtaken_writes_nothing(
    store: Store, write: str
) -> None:
    fill(store, 12)
    take(store, "first")
    vote(store, N)
    open_update(store)
    stale = claim(store, "first")
    assert take(store, "second", instead_of=store.holders.look(TRAINER))
    before = store.reports.status(max_staleness=2), states(store), store.updates.last()
    with pytest.raises(LeaseLostError, match="trainer second:1 took its place"):
        WRITES[write](store, stale)
    assert (store.reports.status(max_staleness=2), states(store), store.updates.last()) == before


def test_whoever_took_over_goes_on_with_the_update_and_each_label_counts_once(store: Store) -> None:
    fill(store, 12)
    take(store, "first")
    vote(store, N)
    open_update(store)
    stale = claim(store, "first")
    take(store, "second", instead_of=store.holders.look(TRAINER))
    assert store.updates.take_over(worker="second") == stale.update_id
    promote(store, claim(store, "second", now=1012.0), 1)
    with pytest.raises(LeaseLostError):
        promote(store, stale, 2)
    assert states(store) == ["retired", "live"]
    assert store.reports.status(max_staleness=2)["labels"]["used"] == N


def test_a_trainer_that_gave_its_role_up_writes_nothing_either(store: Store) -> None:
    fill(store, 12)
    take(store, "first")
    vote(store, N)
    open_update(store)
    stale = claim(store, "first")
    store.holders.give_up(TRAINER, "first")
    with pytest.raises(LeaseLostError):
        promote(store, stale, 1)


def test_one_that_was_overtaken_marks_no_version_as_pruned(store: Store) -> None:
    fill(store, 40)
    for number in range(1, 5):
        make_version(store, number, now=1000.0 + 10 * number)
    take(store, "first")
    take(store, "second", instead_of=store.holders.look(TRAINER))
    with pytest.raises(LeaseLostError):
        store.versions.prune(keep=1, now=1100.0, worker="first")
    assert store.versions.pruned_folders() == set()
    store.versions.prune(keep=1, now=1100.0, worker="second")
    assert store.versions.pruned_folders() == {"v1", "v2"}
