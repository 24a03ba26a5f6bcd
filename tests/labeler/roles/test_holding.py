"""Waiting for a role, having it and losing it, each by the process's own clock."""

import threading

from labeler.roles.holding import BEAT_SECONDS, LEASE_SECONDS, Holding, Rival, StopOrLost
from labeler.store import Store
from labeler.store.holders import TRAINER


def holding(store: Store, name: str) -> Holding:
    return Holding(store, TRAINER, holder=name)


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
    first, stop = holding(store, "a"), threading.Event()
    first.turn(100.0)
    with first.kept_up(stop):
        assert first.is_held
    assert holding(store, "b").turn(100.1)


def test_samplers_stand_by_as_long_as_a_worker_beats(store: Store) -> None:
    rival, worker = Rival(store), holding(store, "worker")
    assert not rival.is_there(100.0)
    assert worker.turn(100.0)
    assert rival.is_there(101.0)
    assert worker.turn(101.0 + LEASE_SECONDS)
    assert rival.is_there(102.0 + LEASE_SECONDS)
    assert not rival.is_there(102.0 + 2 * LEASE_SECONDS), "it was killed"
    assert worker.turn(103.0 + 2 * LEASE_SECONDS)
    assert rival.is_there(104.0 + 2 * LEASE_SECONDS), "it stood still for a while"


def test_a_trainer_is_no_rival_of_samplers(store: Store) -> None:
    rival = Rival(store)
    assert holding(store, "trainer a:1").turn(100.0)
    assert not rival.is_there(101.0)
