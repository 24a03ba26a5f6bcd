"""The worker with several votes a pair, and with votes weighed by their raters' reliability."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col

from labeler.config.settings import Settings
from labeler.domain.judging import Example
from labeler.domain.rules import CheckRules
from labeler.domain.states import PairState, Purpose, UpdateState
from labeler.roles.scheduler import open_due_update
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Gold
from labeler.store.tables import Pair, Vote
from tests.support.store import last_update, lease, rows, second_rater, vote_on
from tests.support.tiny import Clock, worker_settings
from tests.support.worker import HandTurned
from trainer.judge.filling import FillModel
from trainer.judge.learned import LearnedJudge
from trainer.policy.policy import Policy

N = 8


@pytest.fixture
def settings(tiny_policy: Path, tmp_path: Path) -> Settings:
    return worker_settings(
        tiny_policy,
        tmp_path,
        labels_per_update=N,
        queue_pairs=12,
        max_new_tokens=8,
        votes_per_pair=2,
        weigh_raters=True,
    )


@pytest.fixture
def clock() -> Clock:
    """The votes came long ago: nobody is known to be quick."""
    return Clock(now=2e4)


@pytest.fixture
def worker(store: Store, policy: Policy, settings: Settings, clock: Clock) -> Iterator[HandTurned]:
    made = HandTurned(store, policy, settings, clock=clock)
    yield made
    made.close()


def rate(
    store: Store, rater: int, count: int, checks: CheckRules | None = None, strength: int = 1
) -> None:
    """Prefer what is called good, else the longer reply; the second rater always the opposite."""
    for pair in lease(store, count, rater=rater, now=1e4, checks=checks):
        by_length = len(pair.left) > len(pair.right)
        left = pair.left == "good" if "good" in (pair.left, pair.right) else by_length
        choice = "left" if left is (rater == 1) else "right"
        vote_on(store, pair, choice, rater=rater, now=1e4, strength=strength)


def two_raters(store: Store) -> tuple[int, int]:
    """One who is right on 24 gold pairs, and one who is always wrong."""
    first, second = store.raters.local(now=1.0), second_rater(store)
    golds = [Gold([{"role": "user", "content": f"G{n}"}], "good", "poor") for n in range(24)]
    store.gold.add(golds, now=1.0, rng=random.Random(0))
    for rater in (first, second):
        for _ in range(3):
            rate(store, rater, 8, CheckRules(gold_share=1.0))
    return first, second


def test_pairs_want_two_votes_and_a_rater_who_is_always_wrong_moves_no_label(
    store: Store, database: Database, worker: HandTurned, settings: Settings, clock: Clock
) -> None:
    worker.work()
    first, second = two_raters(store)
    rate(store, first, 4)
    assert not worker.step()
    rate(store, second, 4)
    open_due_update(settings, store, clock())
    weights = store.trust.weights().by_rater
    assert weights[first] == pytest.approx(1.0)
    assert weights[second] == 0.0
    claim = store.updates.claim(
        worker="w", rules=settings.vote_rules, now=clock(), reliability=weights
    )
    assert claim is not None
    assert {label.target for label in claim.labels} <= {0.0, 1.0}  # with both it would be 0.5
    assert {label.weight for label in claim.labels} == {1.0}
    store.updates.release(claim)
    worker.work()
    last = last_update(store)
    assert last.state is UpdateState.PROMOTED
    new = rows(database, Pair, col(Pair.version_id) == 1)
    used = rows(database, Vote, col(Vote.used_in_update) == last.id)
    gold = rows(database, Pair, col(Pair.purpose) == Purpose.GOLD)
    assert {pair.votes_wanted for pair in new} == {2}
    assert len(used) == N
    assert {pair.state for pair in gold} == {PairState.CHECK}


def test_models_that_learn_from_votes_weigh_them_as_labels_do(
    store: Store, policy: Policy, settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reward model that fills up, and the judge that learns. "Much better" counts three times,
    and the opposite by somebody who is always wrong not at all: with both P(a) is 3 / 4 or 1 / 4.
    """
    changed = {"fill": 1.0, "judge": "learned", "judge_after": 1e6, "strong_weight": 3.0}
    heard: dict[type, list[Example]] = {}
    for model, name in ((FillModel, "learn_part"), (LearnedJudge, "learn")):
        monkeypatch.setattr(model, name, watched(model, name, heard))
    worker = HandTurned(store, policy, settings.model_copy(update=changed), clock=clock)
    with closing(worker):
        worker.work()
        first, second = two_raters(store)
        rate(store, first, 4, strength=2)
        rate(store, second, 4)
        worker.work()
    assert {model: len(said) for model, said in heard.items()} == {FillModel: 4, LearnedJudge: 4}
    for said in heard.values():
        assert {one.said.target for one in said} <= {0.0, 1.0}
        assert {one.said.weight for one in said} == {3.0}


def watched(model: Any, name: str, heard: dict[type, list[Example]]) -> Any:
    """The method of this name, which also keeps what the model learned from last."""
    learn = getattr(model, name)

    def watching(self: Any, examples: list[Example], *more: Any) -> bool:
        heard[model] = examples
        learned: bool = learn(self, examples, *more)
        return learned

    return watching
