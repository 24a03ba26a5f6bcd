"""What a voter's prompts become under the version that they made: measured and answered anew."""

import math
from pathlib import Path

import pytest
import torch

from labeler.config.settings import Settings
from labeler.domain.states import Choice
from labeler.roles.scheduler import open_due_update
from labeler.store import Store
from tests.support.store import live, shown_to, vote
from tests.support.tiny import worker_settings
from tests.support.worker import HandTurned, vote_for_longer
from trainer.policy.logps import logps_under
from trainer.policy.policy import LIVE, Policy
from trainer.worker.jobs import follow_up
from trainer.worker.jobs.follow_up import MIN_GAIN


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(tiny_policy, tmp_path, queue_pairs=8)


@pytest.fixture
def worker(store: Store, policy: Policy, settings: Settings) -> HandTurned:
    return HandTurned(store, policy, settings)


def test_a_voter_sees_the_vote_with_which_the_new_version_moved_furthest(
    worker: HandTurned, store: Store, policy: Policy
) -> None:
    worker.update()
    me = store.raters.local(now=1.0)
    assert live(store).id == 1
    assert shown_to(store, me)["follow_up"] is None
    worker.work()
    shown = store.follow_ups.of(me)
    assert shown is not None
    assert shown_to(store, me)["follow_up"] == 1
    gains = {}
    for row in store.reports.votes():
        pair, sign = row.pair, 1 if row.vote.choice is Choice.A else -1
        tokens = [(pair.prompt_tokens, pair.tokens_a, pair.tokens_b)]
        [[a, b]] = logps_under(policy, LIVE, tokens).tolist()
        assert pair.logp_a is not None
        assert pair.logp_b is not None
        gains[row.vote.id] = sign * ((a - b) - (pair.logp_a - pair.logp_b))
    best = max(gains, key=gains.__getitem__)
    assert (shown.moved.vote_id, shown.moved.votes) == (best, 4)
    assert shown.moved.gain == pytest.approx(gains[best], abs=1e-3)
    assert len(shown.chosen) >= len(shown.other)  # the votes were for the longer reply
    assert (shown.before, shown.live) == (0, 1)


def test_nothing_is_kept_where_it_moved_with_no_vote(
    worker: HandTurned, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_up, "MIN_GAIN", math.inf)
    worker.update()
    worker.work()
    assert store.follow_ups.of(store.raters.local(now=1.0)) is None
    assert store.follow_ups.waiting(1, 9) == []
    assert math.exp(MIN_GAIN) == pytest.approx(1.1)


@pytest.mark.parametrize("left", [0, 2])
def test_pairs_come_first_where_people_would_soon_have_none(
    store: Store, policy: Policy, settings: Settings, left: int
) -> None:
    worker = HandTurned(store, policy, settings, clock=lambda: 3.0)
    worker.work()
    vote_for_longer(store, settings.labels_per_update)
    open_due_update(settings, store, worker.clock())
    assert worker.step()
    vote(store, store.queue.ready() - left, "skip")
    assert store.queue.ready() == left
    assert worker.step()
    assert store.queue.ready() > left
    assert store.follow_ups.waiting(1, 9)
    worker.work()
    assert not store.follow_ups.waiting(1, 9)


def test_a_prompt_that_memory_does_not_hold_is_left_out(
    worker: HandTurned,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    worker.update()
    monkeypatch.setattr(follow_up, "logps_under", full)
    worker.work()
    assert follow_up.NO_MEMORY in caplog.messages
    assert store.follow_ups.of(store.raters.local(now=1.0)) is None
    assert store.follow_ups.waiting(1, 9) == []
