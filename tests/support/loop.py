"""The loop in one process, with a simulated rater: for benchmarks, and for the test of the gate.

Updates can be spoilt on purpose, and shown to the gate without being promoted.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from labeler.config.parts.training import Training
from labeler.config.settings import Settings
from labeler.domain.finding import Finding
from labeler.domain.labels import TrainingLabel
from labeler.files.prompts import add_first_prompts
from labeler.roles.scheduler import open_due_update
from labeler.store import open_store
from labeler.store.records import Ballot, LeasedPair
from tests.support.worker import HandTurned
from trainer.gate.examine import Candidate, Examiner
from trainer.judge.load import load_judge
from trainer.learning.reach import decayed, slowed
from trainer.learning.update import train
from trainer.policy.load import load_policy
from trainer.policy.policy import CANDIDATE, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.recommended import as_recommended
from trainer.sampling.sampler import Version
from trainer.starter.grammar import score
from trainer.worker.candidate import examine_candidate, write_candidate
from trainer.worker.supply import Supply

Taste = Callable[[str, str], float]
SECONDS_A_VOTE = 5.0  # a quick rater, for whom pairs are drawn in batches


def sure(prompt: str, response: str) -> float:
    """The grammar's score, without a doubt."""
    return 20 * score(prompt, response)


@dataclass(frozen=True)
class Plant:
    """One way to spoil an update: its labels, its settings, or its weights afterwards."""

    name: str
    labels: Callable[[Sequence[TrainingLabel]], list[TrainingLabel]] = list
    training: Callable[[Training], Training] = lambda training: training
    nan: bool = False


def flipped(labels: Sequence[TrainingLabel]) -> list[TrainingLabel]:
    """Every label says the opposite."""
    return [replace(label, target=1 - label.target - label.tie) for label in labels]


def faster(factor: float) -> Callable[[Training], Training]:
    """Steps of `factor` times the size."""
    return lambda training: slowed(training, factor)


def longer(training: Training) -> Training:
    """Sixteen passes over the labels."""
    return training.model_copy(update={"passes": 16})


PLANTS = (
    Plant("learning rate x 100", training=faster(100)),
    Plant("learning rate x 10", training=faster(10)),
    Plant("labels flipped", labels=flipped),
    Plant("labels flipped, 4x passes", labels=flipped, training=longer),
    Plant("NaN in a weight", nan=True),
)


class Loop:
    """The service's loop in one process, with a simulated rater in place of people."""

    def __init__(self, settings: Settings, taste: Taste = score) -> None:
        self._taste = taste
        self.store = open_store(settings.database_url)
        add_first_prompts(settings, self.store, lambda _: None)
        self.policy: Policy = load_policy(settings)
        self.settings, _ = as_recommended(settings, self.policy.shipped_generation_config)
        self.rng = random.Random(settings.seed)
        self.now = 1e9
        self.worker = HandTurned(
            self.store, self.policy, self.settings, clock=lambda: self.now, prompts=()
        )

    def update(self) -> None:
        """Label until an update is due, and run it."""
        self.label()
        self.worker.step()

    def next_pair(self, rater: int) -> list[LeasedPair]:
        """What this rater is handed now; none if there is none."""
        return self.store.queue.lease(
            rater_id=rater,
            holder="bench",
            wanted=1,
            seconds=1e6,
            now=self.now,
            rng=self.rng,
            max_staleness=self.settings.served_staleness,
        )

    def label(self) -> None:
        """Vote until an update is open."""
        rater = self.store.raters.local(now=self.now)
        while True:
            self.now += SECONDS_A_VOTE
            open_due_update(self.settings, self.store, self.now)
            newest = self.store.updates.last()
            if newest is not None and newest.finished_at is None:
                return
            while self.store.queue.ready() == 0:
                self.worker.step()
            for pair in self.next_pair(rater):
                question = pair.messages[-1]["content"]
                margin = self._taste(question, pair.left) - self._taste(question, pair.right)
                left = self.rng.random() < 1 / (1 + math.exp(-max(-50.0, min(50.0, margin))))
                ballot = Ballot(pair.lease_id, pair.lease_id, "left" if left else "right")
                self.store.votes.record(ballot, rater_id=rater, now=self.now)


def planted(loop: Loop, plant: Plant, *, prompts: int | None = None) -> Finding:
    """What the gate says of the next update, spoilt; the update itself is given back.

    The candidate answers so many `prompts`, or as many as the settings say.
    """
    loop.label()
    settings, store = loop.settings, loop.store
    limits = settings.model_copy(update={"gate_prompts": prompts or settings.gate_prompts})
    claim = store.updates.claim(worker="bench", rules=settings.vote_rules, now=loop.now)
    assert claim is not None
    training = plant.training(decayed(settings, claim.used))
    labels = plant.labels(claim.labels)
    probe = [label.tokens for label in (*claim.held_out, *claim.remembered)]
    steps = list(train(loop.policy, labels, training, seed=claim.update_id, probe=probe))
    if plant.nan:
        with torch.no_grad():
            loop.policy.parameters(CANDIDATE)[0][0, 0] = math.nan
    number = store.versions.next_id()
    folder = settings.adapters_dir / "planted"
    version, _ = write_candidate(loop.policy, number, folder)
    finding, _ = examine_candidate(
        Candidate(number, claim.parent, steps, training, labels, claim.held_out, claim.remembered),
        version,
        live=Version(claim.parent, None),  # its weights are in memory
        said=store.queue.answers(claim.parent),
        examiner=Examiner(loop.policy, limits, load_judge(settings, loop.policy)),
        supply=Supply(store, loop.policy, LocalSampler(loop.policy), settings),
    )
    store.updates.release(claim)
    return finding
