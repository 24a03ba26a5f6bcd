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
from typing import Literal

import torch
from torch import Tensor, nn

from labeler.config.parts.training import Training
from labeler.domain.errors import LivedpoError
from labeler.domain.labels import TrainingLabel
from trainer.fast.checkpoints import compute_twice
from trainer.fast.layout import TokenPair
from trainer.fast.memory import fits_at_once, is_out_of_memory, row_tokens, training_tokens
from trainer.learning.objective import Objective, PairLogps
from trainer.learning.steps import FIRST_RATE, PROBE_PAIRS, GivenRate, MeasuredSteps
from trainer.learning.team import ALONE, Team
from trainer.policy.logps import logps_under, pair_logps, parts_of
from trainer.policy.policy import CANDIDATE, LIVE, Policy

log = logging.getLogger(__name__)

MAX_SHARE = 4.0
MAX_PASSES = 4  # for each that is set


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


@dataclass(frozen=True)
class Examples:
    """L labels with their log-probabilities under the reference, (L, 2), nats."""

    labels: Sequence[TrainingLabel]
    reference: Tensor  # (L, 2)

    def __getitem__(self, places: Sequence[int]) -> "Examples":
        return Examples([self.labels[place] for place in places], self.reference[list(places)])

    @property
    def pairs(self) -> list[TokenPair]:
        """The tokens of each."""
        return [label.tokens for label in self.labels]

    def column(self, name: Literal["target", "tie", "weight"]) -> Tensor:
        """One property of the labels, (L,)."""
        values = [vars(label)[name] for label in self.labels]
        return torch.tensor(values, dtype=torch.float32, device=self.reference.device)

    def logps(self, policy_L2: Tensor) -> PairLogps:
        """Everything that a loss reads, given the policy's log-probabilities (L, 2)."""
        tokens = [(float(len(label.tokens_a)), float(len(label.tokens_b))) for label in self.labels]
        tokens_L2 = torch.tensor(tokens, device=policy_L2.device)
        return PairLogps(*policy_L2.unbind(1), *self.reference.unbind(1), *tokens_L2.unbind(1))


@dataclass(frozen=True)
class _Outcome:
    """Of an optimiser batch: its loss, and the share of its pairs that is ranked right."""

    loss: float
    accuracy: float


def train(
    policy: Policy,
    labels: Sequence[TrainingLabel],
    settings: Training,
    *,
    seed: int,
    probe: Sequence[TokenPair] = (),
    filled: Sequence[TrainingLabel] = (),
    go_on: Callable[[], None] | None = None,
    team: Team = ALONE,
) -> Generator[Step, None, None]:
    """Train the candidate, from the live adapter on, over `passes` shuffles of the labels.

    AdamW starts afresh; how large its steps are is told in `trainer.learning.steps`, which measures
    them on the pairs of the `probe` as far as it goes. Pairs that nobody rated, `filled`, are
    shuffled in among the labels, so they make steps of their own: dealt out to the steps of the
    labels they taught the starter half as much. The `seed` orders the labels. `go_on` is
    called between passes, and may raise to end it all. Everyone in the `team` calls this with the
    same arguments and gets the same steps and the same candidate. Raises LivedpoError if a label
    cannot be trained on, or if not even a single pair fits into memory.
    """
    labels = [*labels, *filled]
    check(policy, labels)
    batches = _batches(len(labels), settings, seed)
    policy.copy_adapter(LIVE, CANDIDATE)
    weights = policy.parameters(CANDIDATE)
    examples = _examples(policy, labels, settings, team)
    # At random, for replies that are sampled together come in the order of their length.
    some = random.Random(seed).sample(list(probe), min(len(probe), PROBE_PAIRS))
    steps = _steps(policy, weights, [*some, *examples.pairs], settings, go_on, team)
    mean_weight = sum(label.weight for label in labels) / len(labels)
    micro = _MicroBatches(policy, settings, mean_weight, go_on, team)
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


def decayed(settings: Training, used: int) -> Training:
    """The same with the steps of an update that comes after `used` labels.

    They fall as 1 / (1 + used / decay_labels): inverse-time decay, whose steps add up without bound
    while their squares do not (Robbins and Monro 1951).
    """
    if not settings.decay_labels:
        return settings
    return slowed(settings, 1 / (1 + used / settings.decay_labels))


def slowed(settings: Training, factor: float) -> Training:
    """The same with steps of `factor` times the length. KL goes by the square of a length."""
    if settings.learning_rate is not None:
        return settings.model_copy(update={"learning_rate": settings.learning_rate * factor})
    return settings.model_copy(update={"update_kl": settings.update_kl * factor**2})


def weighted(settings: Training, share: float) -> Training:
    """The same for labels that weigh `share` of what they usually do, however many they are.

    Weighing four times as much they go twice as far, and no further. At a given rate the pairs that
    make the difference have steps of their own, so none becomes longer.
    """
    most = MAX_SHARE if settings.learning_rate is None else 1.0
    return slowed(settings, math.sqrt(min(share, most)))


def made_up(settings: Training, pairs: int, usual: int) -> Training:
    """The same with more passes where there are fewer pairs than usual, at most MAX_PASSES as many.

    At a given rate an update goes as far as it has steps. Where steps are measured they are longer
    if they are few, so nothing is to be made up for.
    """
    if settings.learning_rate is None:
        return settings
    times = min(max(1, round(usual / pairs)), MAX_PASSES)
    return settings.model_copy(update={"passes": times * settings.passes})


def margins(
    policy: Policy,
    adapter: str,
    labels: Sequence[TrainingLabel],
    settings: Training,
    pause: Callable[[], None] | None = None,
) -> Tensor:
    """What this adapter ranks a over b by, for each label (L,), as the objective measures it.

    `pause` as in `logps_under`.
    """
    examples = _examples(policy, labels, settings)
    logps_L2 = logps_under(policy, adapter, examples.pairs, pause).to(policy.device)
    return Objective(settings).margin(examples.logps(logps_L2))


def check(policy: Policy, labels: Sequence[TrainingLabel]) -> None:
    """Raise LivedpoError, in one sentence, if there is a label that cannot be trained on."""
    if not labels:
        raise LivedpoError("There are no labels to train on.")
    for label in labels:
        name = f"The label of the votes {', '.join(label.vote_ids)}"
        longest = len(label.prompt_tokens) + max(len(label.tokens_a), len(label.tokens_b))
        if not (label.prompt_tokens and label.tokens_a and label.tokens_b):
            raise LivedpoError(f"{name} cannot be trained on: a response has no tokens.")
        if longest > policy.context_tokens:
            raise LivedpoError(
                f"{name} cannot be trained on: prompt and response have {longest} tokens, and the "
                f"context of the policy '{policy.name}' is {policy.context_tokens}."
            )


def _batches(labels: int, settings: Training, seed: int) -> list[list[int]]:
    """Which labels make each optimiser step: the passes, shuffled each by itself."""
    order = torch.Generator().manual_seed(seed)
    shuffles = [torch.randperm(labels, generator=order).tolist() for _ in range(settings.passes)]
    size = settings.batch_pairs
    return [
        shuffled[first : first + size] for shuffled in shuffles for first in range(0, labels, size)
    ]


def _examples(
    policy: Policy, labels: Sequence[TrainingLabel], settings: Training, team: Team = ALONE
) -> Examples:
    """The labels with the reference log-probabilities that the settings ask for.

    Those of labels from another temperature are computed anew.
    """
    known = [(label.reference_logp_a, label.reference_logp_b) for label in labels]
    examples = Examples(labels, torch.tensor(known, device=policy.device))
    if not settings.loss.traits.needs_reference:
        return examples
    if settings.reference == "previous":
        return Examples(labels, _shared_logps(policy, LIVE, examples.pairs, team))
    others = [n for n, label in enumerate(labels) if label.temperature != policy.temperature]
    if others:
        logps = _shared_logps(policy, None, examples[others].pairs, team)
        examples.reference[others] = logps
    return examples


def _shared_logps(
    policy: Policy, adapter: str | None, pairs: Sequence[TokenPair], team: Team
) -> Tensor:
    """As `logps_under`, on the policy's device, with everyone in the team computing some.

    In step everyone computes all.
    """
    if team.in_step:
        return logps_under(policy, adapter, pairs).to(policy.device)
    logps_B2 = torch.zeros(len(pairs), 2)
    mine = team.share(list(map(_size, pairs)))
    logps_B2[mine] = logps_under(policy, adapter, [pairs[place] for place in mine])
    return team.summed(logps_B2).to(policy.device)


def _size(pair: TokenPair) -> int:
    """Tokens of a pair."""
    return sum(map(len, pair))


class _MicroBatches:
    """Computes optimiser batches in parts that fit into memory."""

    def __init__(
        self,
        policy: Policy,
        settings: Training,
        mean_weight: float,
        go_on: Callable[[], None] | None,
        team: Team,
    ) -> None:
        self._policy = policy
        self._go_on = go_on
        self._team = team
        self._mean_weight = max(mean_weight, torch.finfo(torch.float32).tiny)
        self._objective = Objective(settings)
        self._base = policy.model.get_base_model()
        self._tokens = settings.micro_tokens or training_tokens(self._base)

    def accumulate(self, examples: Examples) -> _Outcome:
        """Add up the gradients of a batch, each of the team those of its share."""
        mine = examples[self._team.share(list(map(_size, examples.pairs)))]
        total = self._mean_weight * len(examples.labels)
        if self._team.in_step:
            loss, right = self._in_step(mine, examples[[0]], total)
        else:
            loss, right = self._share(mine, total) if mine.labels else (0.0, 0.0)
        weights = self._policy.parameters(CANDIDATE)
        loss, right = self._team.sum_gradients(weights, [loss, right])
        return _Outcome(loss, right / len(examples.labels))

    def _share(self, examples: Examples, total_weight: float) -> tuple[float, float]:
        """Loss and right ones of this process's pairs, in smaller parts if memory runs out."""
        longest = max(map(_size, examples.pairs))
        if not (self._policy.computes_twice or fits_at_once(self._base, longest)):
            self._compute_twice(f"{longest} tokens at once would not fit into the memory")
        while True:
            parts = parts_of(examples.pairs, self._tokens)
            outcome = self._try(examples, parts, total_weight)
            if outcome is not None:
                return outcome
            if all(len(part) == 1 for part in parts):
                if self._compute_twice("memory ran out"):
                    continue
                raise LivedpoError(
                    f"The update ran out of memory on a single pair of up to {longest} tokens; "
                    "give it a machine with more memory, or a smaller policy."
                )
            self._tokens //= 2
            log.warning("Out of memory; going on with %s tokens at once.", self._tokens)

    def _in_step(
        self, examples: Examples, another: Examples, total_weight: float
    ) -> tuple[float, float]:
        """As `_share`, in as many passes as everyone makes. Those that are left count nothing.

        They are passes over `another` example. Less cannot be computed at once by one alone.
        """
        parts = parts_of(examples.pairs, self._tokens)
        passes = [(examples[part], total_weight) for part in parts]
        idle = self._team.most(len(parts)) - len(parts)
        loss = right = 0.0
        try:
            with torch.enable_grad(), self._policy.adapter(CANDIDATE, trains=True):
                for some, weight in [*passes, *[(another, math.inf)] * idle]:
                    share, several = self._backward(some, weight)
                    loss += share
                    right += several if math.isfinite(weight) else 0.0
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise LivedpoError(
                f"The update ran out of memory on {self._tokens} tokens at once; set "
                "--micro-tokens to fewer, or share the base among more processes (--nproc)."
            ) from error
        return loss, right

    def _compute_twice(self, reason: str) -> bool:
        """From now on keep less and compute more. False if the policy does already, or cannot."""
        if self._policy.computes_twice or not compute_twice(self._base):
            return False
        self._policy.computes_twice = True
        log.warning("Training computes each layer twice, which is slower: %s.", reason)
        return True

    def _try(
        self, examples: Examples, parts: Sequence[Sequence[int]], total_weight: float
    ) -> tuple[float, float] | None:
        """One attempt; None, with no gradient left behind, if memory ran out."""
        loss = right = 0.0
        try:
            with torch.enable_grad(), self._policy.adapter(CANDIDATE, trains=True):
                for part in parts:
                    if self._go_on is not None:
                        self._go_on()
                    some, several = self._backward(examples[part], total_weight)
                    loss += some
                    right += several
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return loss, right
        for weight in self._policy.parameters(CANDIDATE):
            weight.grad = None
        return None

    def _backward(self, examples: Examples, total_weight: float) -> tuple[float, float]:
        """The part's share of the batch's loss, and how many of its pairs are ranked right."""
        target, tie = examples.column("target"), examples.column("tie")
        tokens = sum(sum(map(len, pair)) for pair in examples.pairs)
        fill = row_tokens(tokens, self._tokens)
        logps = examples.logps(pair_logps(self._policy, examples.pairs, fill=fill))
        losses = self._objective.losses(logps, target, tie)
        loss = (losses * examples.column("weight")).sum() / total_weight
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            right = self._objective.accuracy(logps, target, tie).sum()
        return loss.item(), right.item()
