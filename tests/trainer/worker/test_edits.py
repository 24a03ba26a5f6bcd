"""An edit becomes a label: its tokens, their log-probabilities, and the update that learns it."""

import random
from pathlib import Path

import pytest
import torch

from labeler.config.settings import Settings
from labeler.domain.states import Purpose
from labeler.roles.scheduler import open_due_update
from labeler.store import Store
from labeler.store.records import Ballot
from tests.support.tiny import EASY
from tests.support.worker import HandTurned
from tests.trainer.worker.test_worker import PROMPTS
from trainer.policy.logps import pair_logps
from trainer.policy.policy import LIVE, Policy
from trainer.worker.jobs.edit import EditJob

BETTER = "You make good tea with hot water."


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return Settings(
        policy=str(tiny_policy),
        data_dir=tmp_path,
        labels_per_update=2,
        queue_pairs=4,
        max_new_tokens=12,
        lora_rank=4,
        **EASY,
    )


@pytest.fixture
def worker(store: Store, policy: Policy, settings: Settings) -> HandTurned:
    """A worker that has filled the queue."""
    store.prompts.add(PROMPTS[:6], now=1.0)
    made = HandTurned(store, policy, settings)
    while made.step():
        pass
    return made


def edit_one(store: Store, text: str) -> None:
    """Vote for the left response of one pair, with a better text."""
    rater = store.raters.local(now=1.0)
    (pair,) = store.queue.lease(
        rater_id=rater, holder="tab", wanted=1, seconds=60, now=1.0, rng=random.Random(0)
    )
    store.votes.record(Ballot("v", pair.lease_id, "left", edit=text), rater_id=rater, now=2.0)


def test_an_edit_gets_its_tokens_and_is_trained_on_like_any_label(
    worker: HandTurned, store: Store, policy: Policy, settings: Settings
) -> None:
    edit_one(store, BETTER)
    open_due_update(settings, store, now=3.0)
    assert store.updates.last() is None  # one label of two: the edit has no tokens yet
    assert worker.step()
    row = store.reports.votes()[-1]
    pair = row.pair
    assert pair.purpose is Purpose.EDIT
    assert policy.tokenizer.decode(pair.tokens_a[:-1]) == BETTER
    assert pair.tokens_a[-1] == policy.eos_token_ids[0]
    with torch.no_grad(), policy.reference():
        tokens = (pair.prompt_tokens, pair.tokens_a, pair.tokens_b)
        [expected] = pair_logps(policy, [tokens]).tolist()
    assert [pair.reference_logp_a, pair.reference_logp_b] == pytest.approx(expected, abs=1e-3)
    assert pair.logp_a == pytest.approx(pair.reference_logp_a, abs=1e-3)  # version 0 is the base
    open_due_update(settings, store, now=4.0)
    assert worker.step()
    live = store.versions.live()
    assert live is not None
    assert live.finding.labels == 2
    assert store.reports.votes()[-1].vote.used_in_update == 1


def set_aside(store: Store, worker: HandTurned) -> str:
    """Why the one edit is set aside, which then keeps nobody busy."""
    edits = worker.job(EditJob)
    assert edits.step(2.0)
    assert not edits.step(3.0)
    pair = store.reports.votes()[-1].pair
    assert pair.needs_tokens
    return str(pair.aside_reason)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tea " * 200, "and the policy takes 128"),
        ("tea " * 60, "and at most 48 can be learned from"),
    ],
)
def test_an_edit_that_is_too_long_is_set_aside_with_the_reason(
    worker: HandTurned, store: Store, policy: Policy, settings: Settings, text: str, says: str
) -> None:
    edit_one(store, text)
    assert set_aside(store, worker).endswith(says)


def test_an_edit_whose_log_probabilities_are_not_finite_is_set_aside(
    worker: HandTurned, store: Store, policy: Policy, settings: Settings
) -> None:
    edit_one(store, BETTER)
    with torch.no_grad():
        for weight in policy.parameters(LIVE):
            weight.fill_(float("nan"))
    assert "not finite" in set_aside(store, worker)


def test_an_edit_for_which_there_is_no_memory_is_set_aside(
    worker: HandTurned,
    store: Store,
    policy: Policy,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("trainer.worker.jobs.edit.logps_under", fail)
    edit_one(store, BETTER)
    assert "no memory" in set_aside(store, worker)
