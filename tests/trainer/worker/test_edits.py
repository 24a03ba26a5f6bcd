"""An edit becomes a label: its tokens, their log-probabilities, and the update that learns it."""

from pathlib import Path

import pytest

from labeler.config.settings import Settings
from labeler.domain.states import Purpose
from labeler.roles.scheduler import open_due_update
from labeler.store import Store
from tests.support.store import live, vote
from tests.support.tiny import worker_settings
from tests.support.worker import HandTurned
from tests.trainer.conftest import assert_measured, disturb
from trainer.policy.policy import LIVE, Policy
from trainer.worker.jobs.edit import EditJob

BETTER = "You make good tea with hot water."


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(tiny_policy, tmp_path, labels_per_update=2, queue_pairs=4)


@pytest.fixture
def worker(store: Store, policy: Policy, settings: Settings) -> HandTurned:
    """A worker that has filled the queue."""
    made = HandTurned(store, policy, settings)
    made.work()
    return made


def edit_one(store: Store, text: str) -> None:
    """Vote for the left response of one pair, with a better text."""
    vote(store, 1, now=1.0, edit=text)


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
    assert_measured(policy, pair)
    open_due_update(settings, store, now=4.0)
    assert worker.step()
    assert live(store).finding.labels == 2
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
    disturb(policy, LIVE, scale=float("nan"))
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
