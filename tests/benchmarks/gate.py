"""How often the gate keeps back good updates, and how often bad ones: `make bench-gate`.

The starter runs its loop in one process with a simulated rater, who prefers by the grammar's score
with human-like noise (Bradley-Terry, slope 1). Every update of the loop counts as a good one. Then
planted updates are trained on the labels that would be next, each spoilt in one way, and shown to
the same gate. Printed per seed and in total, with 95 % intervals (Wilson).
"""

import argparse
import json
import math
import random
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sqlmodel import select
from tqdm import tqdm

from labeler.config import load_settings
from labeler.labels import TrainingLabel
from labeler.prompts import add_first_prompts
from labeler.schedule import open_due_update
from labeler.settings import Settings
from labeler.store import Store, open_store
from labeler.store.records import Ballot
from labeler.tables import Update, UpdateState
from trainer.candidate import Candidates, Verdict
from trainer.examine import wilson
from trainer.policy import CANDIDATE, Policy, load_policy
from trainer.setup import policy_settings, training_settings
from trainer.starter.grammar import score
from trainer.supply import Supply
from trainer.update import TrainingSettings, train
from trainer.worker import Worker


@dataclass(frozen=True)
class Plant:
    """One way to spoil an update: its labels, its settings, or its weights afterwards."""

    name: str
    labels: Callable[[Sequence[TrainingLabel]], list[TrainingLabel]] = list
    training: Callable[[TrainingSettings], TrainingSettings] = lambda training: training
    nan: bool = False


def flipped(labels: Sequence[TrainingLabel]) -> list[TrainingLabel]:
    """Every label says the opposite."""
    return [replace(label, target=1 - label.target - label.tie) for label in labels]


def faster(factor: float) -> Callable[[TrainingSettings], TrainingSettings]:
    """The learning rate times `factor`."""
    return lambda training: replace(training, learning_rate=training.learning_rate * factor)


PLANTS = (
    Plant("learning rate x 100", training=faster(100)),
    Plant("learning rate x 10", training=faster(10)),
    Plant("labels flipped", labels=flipped),
    Plant("labels flipped, 4x passes", labels=flipped, training=lambda t: replace(t, passes=16)),
    Plant("NaN in a weight", nan=True),
)


class Loop:
    """The service's loop in one process, with a simulated rater in place of people."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = open_store(settings.database_url)
        add_first_prompts(settings, self.store, lambda _: None)
        self.policy: Policy = load_policy(policy_settings(settings))
        self.rng = random.Random(settings.seed)
        self.now = 1e9
        self.worker = Worker(
            self.store,
            self.policy,
            settings,
            name="bench",
            stop=threading.Event(),
            clock=lambda: self.now,
        )
        self.worker.start()

    def update(self) -> None:
        """Label until an update is due, and run it."""
        self.label()
        self.worker.step()

    def label(self) -> None:
        """Vote until an update is open."""
        rater = self.store.raters.local(now=self.now)
        while True:
            self.now += 60
            open_due_update(self.settings, self.store, self.now)
            if open_update(self.store):
                return
            while self.store.queue.ready() < 4:
                self.worker.step()
            for pair in self.store.queue.lease(
                rater_id=rater,
                holder="bench",
                wanted=1,
                seconds=1e6,
                now=self.now,
                rng=self.rng,
            ):
                question = pair.messages[-1]["content"]
                margin = score(question, pair.left) - score(question, pair.right)
                left = self.rng.random() < 1 / (1 + math.exp(-margin))
                ballot = Ballot(pair.lease_id, pair.lease_id, "left" if left else "right")
                self.store.votes.record(ballot, rater_id=rater, now=self.now)


def open_update(store: Store) -> bool:
    """Whether an update waits for the worker."""
    newest = store.updates.last()
    return newest is not None and newest.finished_at is None


def planted(loop: Loop, plant: Plant) -> Verdict:
    """What the gate says of the next update, spoilt; the update itself is given back."""
    loop.label()
    settings, store = loop.settings, loop.store
    claim = store.updates.claim(worker="bench", rules=settings.vote_rules, now=loop.now)
    assert claim is not None
    training = training_settings(settings, claim.update_id)
    steps = list(train(loop.policy, plant.labels(claim.labels), plant.training(training)))
    if plant.nan:
        with torch.no_grad():
            loop.policy.parameters(CANDIDATE)[0][0, 0] = math.nan
    candidates = Candidates(loop.policy, Supply(store, loop.policy, settings), settings, None)
    verdict = candidates.examine(
        store.versions.next_id(),
        steps,
        labels=claim.held_out + claim.remembered,
        training=training,
        live_responses=store.queue.responses(claim.parent),
    )
    store.updates.release(claim)
    return verdict


def of_seed(seed: int, updates: int, flags: dict[str, Any]) -> dict[str, Any]:
    """The loop's updates and the planted ones, of one seed."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"seed": seed, "data_dir": Path(folder), **flags}, {})
        loop = Loop(settings)
        for _ in tqdm(range(updates), desc=f"seed {seed}", leave=False):
            loop.update()
        with loop.store._database.read() as session:
            rows = list(session.exec(select(Update).order_by(Update.id)))  # type: ignore[arg-type]
        good = [
            {"state": str(row.state), "reason": row.reason, "metrics": row.metrics} for row in rows
        ]
        bad = []
        for plant in PLANTS:
            verdict = planted(loop, plant)
            bad.append(
                {
                    "plant": plant.name,
                    "refused": bool(verdict.objections),
                    "reason": "; ".join(verdict.objections),
                    "metrics": verdict.metrics,
                }
            )
        loop.store.close()
        return {"seed": seed, "good": good, "bad": bad}


def share(hits: int, of: int) -> str:
    """A share with its interval."""
    found = wilson(hits, of)
    return f"{hits}/{of} = {found.rate:.0%} [{found.low:.0%}, {found.high:.0%}]"


def print_table(results: Sequence[dict[str, Any]]) -> None:
    """Both rates over all seeds."""
    good = [update for result in results for update in result["good"]]
    kept_back = sum(update["state"] == UpdateState.REJECTED for update in good)
    print(f"{'updates of the loop kept back':<34}{share(kept_back, len(good))}")
    for plant in PLANTS:
        bad = [one for result in results for one in result["bad"] if one["plant"] == plant.name]
        refused = sum(one["refused"] for one in bad)
        print(f"{'planted: ' + plant.name:<34}{share(refused, len(bad))} kept back")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=10, help="updates of the loop, a seed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    torch.set_num_threads(2)
    results = [of_seed(seed, options.updates, {}) for seed in range(options.seeds)]
    if options.json:
        print(json.dumps(results))
    else:
        print_table(results)


if __name__ == "__main__":
    main()
