"""Waiting for a role, having it and losing it, each by the process's own clock."""

import threading

from labeler.roles.holding import BEAT_SECONDS, LEASE_SECONDS, Holding, Rival, StopOrLost
from labeler.store import Store
from labeler.store.holders import TRAINER
from tests.support.tiny import Clock

HOUR = 3600.0


class HoldingAt(Holding):
    """A hold on the role of the trainer; each turn is at a time by its process's steady clock."""

    def __init__(self, store: Store, name: str) -> None:
        self.steady = Clock(0.0, step=0.0)
        super().__init__(store, TRAINER, holder=name, steady=self.steady)

    def turn(self, now: float, *, alone: bool = False, wall: float = 1e9) -> bool:
        """A turn at this steady time, whatever the clock on the wall says."""
        self.steady.now = now
        return super().turn(wall, alone=alone)


def holding(store: Store, name: str) -> HoldingAt:
    return HoldingAt(store, name)


def test_a_clock_that_is_set_takes_the_role_from_nobody_and_keeps_it_from_nobody(
    store: Store,
) -> None:
    first, second = holding(store, "trainer a:1"), holding(store, "trainer b:2")
    assert first.turn(100.0)
    assert not second.turn(100.0)
    assert not second.turn(101.0, wall=1e9 + HOUR), "it was set ahead, and the trainer lives"
    assert first.turn(100.0 + BEAT_SECONDS, wall=1e9 - HOUR)
    assert not second.turn(100.0 + BEAT_SECONDS)
    later = 100.0 + BEAT_SECONDS + LEASE_SECONDS
    assert second.turn(later, wall=1e9 - HOUR), "it was set back, and the trainer is dead"


def test_a_standby_takes_over_once_the_beats_have_stood_still(store: Store) -> None:
    first, second = holding(store, "trainer a:1"), holding(store, "trainer b:2")
    assert first.turn(100.0)
    assert not second.turn(101.0)
    assert second.elsewhere == "trainer a:1"
    assert first.turn(100.0 + BEAT_SECONDS)
    assert not second.turn(101.0 + BEAT_SECONDS), "a beat was seen"
    assert not second.turn(100.9 + BEAT_SECONDS + LEASE_SECONDS)
    assert second.turn(101.1 + BEAT_SECONDS + LEASE_SECONDS)
    assert not first.turn(200.0)
    assert second.turn(200.0)


def test_clocks_of_two_machines_need_not_agree(store: Store) -> None:
    first, ahead = holding(store, "trainer a:1"), holding(store, "trainer b:2")
    assert first.turn(100.0)
    for beat in range(1, 20):
        assert not ahead.turn(1e6 + beat * BEAT_SECONDS)
        assert first.turn(100.0 + beat * BEAT_SECONDS)


def test_one_that_has_just_come_waits_as_long_as_the_others(store: Store) -> None:
    assert holding(store, "trainer a:1").turn(100.0)
    late = holding(store, "trainer b:2")
    assert not late.turn(5000.0)
    assert late.turn(5000.0 + LEASE_SECONDS)


def test_a_worker_that_holds_the_lock_waits_for_no_dead_worker_but_for_a_trainer(
    store: Store,
) -> None:
    assert holding(store, "worker").turn(100.0)
    again = holding(store, "worker")
    assert again.turn(101.0, alone=True)
    other = holding(store, "trainer a:1")
    other.turn(102.0)
    assert other.turn(102.0 + LEASE_SECONDS)
    assert not holding(store, "worker").turn(118.0, alone=True)


def test_work_ends_at_the_stop_and_when_the_role_is_lost(store: Store) -> None:
    first, second, stop = holding(store, "a"), holding(store, "b"), threading.Event()
    assert StopOrLost(stop, first).is_set(), "it never had it"
    first.turn(100.0)
    over = StopOrLost(stop, first)
    assert not over.is_set()
    second.turn(100.0)
    second.turn(100.0 + LEASE_SECONDS)
    first.turn(116.0)
    assert over.is_set()
    first.turn(117.0)
    assert first.turn(117.0 + LEASE_SECONDS)
    assert over.is_set(), "what was begun under the lost one is over all the same"
    stop.set()
    assert StopOrLost(stop, first).wait(0.0)


def test_who_ends_lets_the_next_one_have_it_at_once(store: Store) -> None:
    first, stop = Holding(store, TRAINER, holder="a"), threading.Event()
    first.turn(100.0)
    with first.kept_up(stop):
        assert first.is_held
    assert holding(store, "b").turn(100.1)


def test_samplers_stand_by_as_long_as_a_worker_beats(store: Store) -> None:
    steady, worker = Clock(100.0, step=0.0), holding(store, "worker")
    rival = Rival(store, steady=steady)

    def is_there(now: float) -> bool:
        steady.now = now
        return rival.is_there()

    assert not is_there(100.0)
    assert worker.turn(100.0)
    assert is_there(101.0)
    assert worker.turn(101.0 + LEASE_SECONDS)
    assert is_there(102.0 + LEASE_SECONDS)
    assert not is_there(102.0 + 2 * LEASE_SECONDS), "it was killed"
    assert worker.turn(103.0 + 2 * LEASE_SECONDS)
    assert is_there(104.0 + 2 * LEASE_SECONDS), "it stood still for a while"


def test_a_trainer_is_no_rival_of_samplers(store: Store) -> None:
    assert holding(store, "trainer a:1").turn(100.0)
    assert not Rival(store).is_there()
