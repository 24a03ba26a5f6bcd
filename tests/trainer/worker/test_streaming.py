"""Pairs are handed over while their batch is still sampled, and a stop ends it in the middle."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from labeler.config.parts.training import Training
from labeler.config.settings import Settings
from labeler.domain.labels import TrainingLabel
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Pair
from tests.support.store import rows
from tests.support.tiny import worker_settings
from tests.support.worker import HandTurned, lease_all
from tests.trainer.conftest import assert_measured
from trainer.learning.update import train
from trainer.policy.policy import Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Progress, Response
from trainer.worker.jobs.sample import SampleJob
from trainer.worker.life import SAY_SECONDS, SignOfLife, Stopped
from trainer.worker.main import _turn
from trainer.worker.pace import MIN_BATCH_PAIRS


class Watched:
    """A sampler that lets a test look on after each token."""

    def __init__(self, policy: Policy, look: Callable[[Version], None]) -> None:
        self._sampler = LocalSampler(policy)
        self._look = look

    def sample(
        self,
        version: Version,
        *prompts: Any,
        progress: Progress | None = None,
        **how: Any,
    ) -> Iterator[tuple[int, tuple[Response, ...]]]:
        def hear(drawn: Mapping[int, int]) -> None:
            self._look(version)
            assert progress is not None
            progress(drawn)

        return self._sampler.sample(version, *prompts, progress=hear, **how)


@pytest.fixture
def policy(policy: Policy) -> Policy:
    """Replies end at all times: one token in sixteen is an end."""
    policy.eos_token_ids = list(range(0, 320, 16))
    return policy


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(tiny_policy, tmp_path, queue_pairs=12, max_new_tokens=24)


def test_the_first_pair_of_a_cold_service_waits_for_no_other(
    store: Store, database: Database, policy: Policy, settings: Settings
) -> None:
    """And what is handed over early is measured like the rest."""
    ready: list[int] = []
    sampler = Watched(policy, lambda _: ready.append(store.queue.ready()))
    assert HandTurned(store, policy, settings, sampler=sampler).step()
    assert ready[0] == 0
    assert 1 in ready, "while the others were drawn"
    assert ready[-1] < store.queue.ready() == MIN_BATCH_PAIRS
    for pair in rows(database, Pair):
        assert_measured(policy, pair)


def test_pairs_that_come_in_quick_succession_are_handed_over_together(
    store: Store, policy: Policy, settings: Settings
) -> None:
    """Each by itself would be a pass of the model and a turn at the database. Until a batch has
    told how quick they are, nobody waits for the next one.
    """
    ready: list[int] = []
    sampler = Watched(policy, lambda _: ready.append(store.queue.ready()))
    worker = HandTurned(store, policy, settings, sampler=sampler, clock=lambda: 5.0)
    assert worker.step()
    assert 1 in ready
    lease_all(store)
    ready.clear()
    assert worker.step()
    assert set(ready) == {0}
    assert store.queue.ready() > 1


def test_while_a_batch_is_sampled_the_worker_gives_signs_of_life(
    store: Store, policy: Policy, settings: Settings
) -> None:
    """The clock moves a second with every look, and the worker looks at least once a token."""
    worker: HandTurned | None = None
    silences: list[float] = []

    def look(_: Version) -> None:
        assert worker is not None
        [role] = [role for role in store.processes.all() if role.name == "worker"]
        assert role.beat_at is not None
        silences.append(worker.clock() - role.beat_at)

    worker = HandTurned(store, policy, settings, sampler=Watched(policy, look))
    worker.step()
    assert len(silences) > 2 * SAY_SECONDS
    assert max(silences) <= 2 * SAY_SECONDS


def test_a_stop_ends_a_batch_at_the_next_token_and_what_was_handed_over_stays(
    store: Store, policy: Policy, settings: Settings
) -> None:
    stop, after = threading.Event(), []

    def look(_: Version) -> None:
        after.append(stop.is_set())
        if store.queue.ready():
            stop.set()

    worker = HandTurned(store, policy, settings, sampler=Watched(policy, look), stop=stop)
    _turn(worker.worker, store, stop)
    assert store.queue.ready() == 1
    assert after.count(True) == 0


def test_a_stop_in_the_middle_of_the_gate_leaves_the_update_to_the_next_worker(
    store: Store, policy: Policy, settings: Settings
) -> None:
    stop = threading.Event()

    def look(version: Version) -> None:
        if version.number == 1:
            stop.set()

    worker = HandTurned(store, policy, settings, sampler=Watched(policy, look), stop=stop)
    worker.make_due()
    with pytest.raises(Stopped):
        worker.step()
    status = store.reports.status(max_staleness=2)
    assert status["updates"] == {"done": 0, "rejected": 0, "failed": 0, "running": 1}
    HandTurned(store, policy, settings).work()
    used = store.reports.status(max_staleness=2)["labels"]["used"]
    assert used == settings.labels_per_update


def test_an_update_can_be_ended_before_each_pair_that_is_computed(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    pauses: list[int] = []

    def go_on() -> None:
        pauses.append(len(pauses))
        if len(pauses) == 3:
            raise Stopped

    one_by_one = Training(micro_tokens=1, batch_pairs=len(labels))
    with pytest.raises(Stopped):
        list(train(policy, labels, one_by_one, seed=0, go_on=go_on))
    assert len(labels) > 3, "or a whole step was done"


def test_work_without_parts_is_given_signs_of_life_from_a_thread(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.worker.life.SAY_SECONDS", 0.001)
    said, again = [], threading.Event()

    def clock() -> float:
        said.append(len(said))
        if len(said) > 3:
            again.set()
        return float(len(said))

    life = SignOfLife(store, clock, threading.Event())
    life.say("Loading the model.")
    with life.kept_up():
        assert again.wait(60)
    [role] = store.processes.all()
    assert role.says == "Loading the model."
    assert role.beat_at is not None
    assert role.beat_at > 1.0


def test_between_the_steps_of_an_update_pairs_come_before_people_run_out(
    store: Store, policy: Policy, settings: Settings
) -> None:
    """Nobody has voted yet, so a pair in ten seconds is what is expected."""
    worker = HandTurned(store, policy, settings)
    job = worker.job(SampleJob)
    job.top_up(3)
    ready = store.queue.ready()
    job.refill(10.0 * ready)
    assert store.queue.ready() == ready
    began = worker.clock()
    job.refill(10.0 * ready + 1)
    assert store.queue.ready() > ready
    took = worker.clock() - began
    lease_all(store)
    job.refill(took / 4)
    assert store.queue.ready() == 0, "the update goes on for a third as long as the batch took"
    job.refill(took)
    assert store.queue.ready() > 0
