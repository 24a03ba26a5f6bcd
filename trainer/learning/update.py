"""One DPO update: labels in, a trained candidate adapter out. No database, no files.

`train` is a generator: after every optimiser step it says how far it is and lets its caller do
something else (a sign of life, a few fresh pairs) before it goes on. A step's pairs are computed in
micro-batches of so many tokens that they fit into memory; their gradients add up to exactly that of
the whole batch: the mean of its weighted losses, a weight being relative to the mean weight of all
labels of the update. A team of processes (`trainer.learning.team`) shares the pairs of each step.
"""

import logging
import math
import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from trainer.fast.layout import TokenPair
from trainer.learning.batches import MicroBatches
from trainer.learning.examples import check, examples_of
from trainer.learning.steps import FIRST_RATE, PROBE_PAIRS, GivenRate, MeasuredSteps
from trainer.learning.team import ALONE, Team
from trainer.policy.policy import CANDIDATE, LIVE, Policy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """One optimiser step of `total`: mean loss of its pairs, and share of them ranked right.

    The loss is NaN if the loss or its gradient was not finite: nothing was changed then, and it is
    the last step.
    """

    done: int
    total: int
    loss: float
    accuracy: float
    gradient_norm: float
    learning_rate: float


def train(
    policy: Policy,
    labels: Sequence[TrainingLabel],
    settings: Training,
    *,
    seed: int,
    probe: Sequence[TokenPair] = (),
    filled: Sequence[TrainingLabel] = (),
    pause: Callable[[], None] | None = None,
    go_on: Callable[[], None] | None = None,
    team: Team = ALONE,
) -> Generator[Step, None, None]:
    """Train the candidate, from the live adapter on, over `passes` shuffles of the labels.

    AdamW starts afresh; how large its steps are is told in `trainer.learning.steps`, which measures
    them on the pairs of the `probe` as far as it goes. Pairs that nobody rated, `filled`, are
    shuffled in among the labels, so they make steps of their own: dealt out to the steps of the
    labels they taught the starter half as much. The `seed` orders the labels. `pause` is called
    between passes that prepare the first step, and `go_on` between all others; both may switch
    adapters, and may raise to end it all. Everyone in the `team` calls this with the
    same arguments and gets the same steps and the same candidate. Raises LivedpoError if a label
    cannot be trained on, or if not even a single pair fits into memory.
    """
    labels = [*labels, *filled]
    check(policy, labels)
    batches = _batches(len(labels), settings, seed)
    policy.copy_adapter(LIVE, CANDIDATE)
    weights = policy.parameters(CANDIDATE)
    examples = examples_of(policy, labels, settings, pause, team)
    # At random, for replies that are sampled together come in the order of their length.
    some = random.Random(seed).sample(list(probe), min(len(probe), PROBE_PAIRS))
    steps = _steps(policy, weights, [*some, *examples.pairs], settings, go_on, team)
    mean_weight = sum(label.weight for label in labels) / len(labels)
    micro = MicroBatches(policy, settings, mean_weight, go_on, team)
    for done, places in enumerate(batches, start=1):
        outcome = micro.accumulate(examples[places])
        norm = torch.nn.utils.clip_grad_norm_(weights, settings.max_grad_norm).item()
        finite = math.isfinite(outcome.loss) and math.isfinite(norm)
        rate = steps.step(left=len(batches) - done + 1) if finite else 0.0
        for weight in weights:
            weight.grad = None
        loss = outcome.loss if finite else math.nan
        yield Step(done, len(batches), loss, outcome.accuracy, norm, rate)
        if not finite:
            log.warning(
                "Training stopped at step %s: the loss or its gradient is not finite.", done
            )
            return


def _steps(
    policy: Policy,
    weights: list[nn.Parameter],
    probe: Sequence[TokenPair],
    settings: Training,
    go_on: Callable[[], None] | None,
    team: Team,
) -> GivenRate | MeasuredSteps:
    """AdamW, afresh, at the rate that is set or in steps of measured size."""
    rate = settings.learning_rate
    optimizer = torch.optim.AdamW(weights, lr=rate or FIRST_RATE, weight_decay=0.0, fused=True)
    if rate is not None:
        return GivenRate(optimizer)
    some = probe[:PROBE_PAIRS]
    return MeasuredSteps(policy, optimizer, some, kl=settings.update_kl, go_on=go_on, team=team)


def _batches(labels: int, settings: Training, seed: int) -> list[list[int]]:
    """Which labels make each optimiser step: the passes, shuffled each by itself."""
    order = torch.Generator().manual_seed(seed)
    shuffles = [torch.randperm(labels, generator=order).tolist() for _ in range(settings.passes)]
    size = settings.batch_pairs
    return [
        shuffled[first : first + size] for shuffled in shuffles for first in range(0, labels, size)
    ]
