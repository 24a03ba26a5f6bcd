"""One DPO update: labels in, a trained candidate adapter out. No database, no files.

`train` is a generator: after every optimiser step it says how far it is and lets its caller do
something else (a sign of life, a few fresh pairs) before it goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labeler.labels import TrainingLabel
from trainer.batch import Batch, make_batch
from trainer.dpo import preference_accuracy, reward_margin, sigmoid_loss
from trainer.policy import CANDIDATE, LIVE, Policy


@dataclass(frozen=True)
class TrainingSettings:
    """How an update learns. `batch_pairs` pairs make one AdamW step; `passes` over the labels."""

    beta: float
    learning_rate: float
    passes: int
    batch_pairs: int
    max_grad_norm: float
    seed: int


@dataclass(frozen=True)
class Step:
    """One optimiser step of `total`: mean loss of its pairs, and share of them ranked right."""

    done: int
    total: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class PairBatch:
    """B pairs as 2B rows: all first responses, then all second ones."""

    rows: Batch
    target: Tensor  # (B,)
    weight: Tensor  # (B,)
    reference_margin: Tensor  # (B,), log-prob of a minus that of b under the reference


def train(
    policy: Policy, labels: Sequence[TrainingLabel], settings: TrainingSettings
) -> Iterator[Step]:
    """Train the candidate, from the live adapter on, over `passes` shuffles of the labels."""
    policy.copy_adapter(LIVE, CANDIDATE)
    optimizer = torch.optim.AdamW(
        policy.parameters(CANDIDATE), lr=settings.learning_rate, weight_decay=0.0
    )
    order = torch.Generator().manual_seed(settings.seed)
    batches_a_pass = -(-len(labels) // settings.batch_pairs)
    total = batches_a_pass * settings.passes
    for done in range(total):
        if done % batches_a_pass == 0:
            shuffled = torch.randperm(len(labels), generator=order).tolist()
        first = done % batches_a_pass * settings.batch_pairs
        chosen = [labels[place] for place in shuffled[first : first + settings.batch_pairs]]
        loss, accuracy = _step(policy, optimizer, collate(policy, chosen), settings)
        yield Step(done=done + 1, total=total, loss=loss, accuracy=accuracy)


def evaluate(
    policy: Policy, adapter: str, labels: Sequence[TrainingLabel], *, batch_pairs: int
) -> float:
    """Share of the labels that this adapter's implicit reward ranks as the rater did."""
    right = 0.0
    with torch.no_grad(), policy.adapter(adapter):
        for first in range(0, len(labels), batch_pairs):
            pairs = collate(policy, labels[first : first + batch_pairs])
            right += preference_accuracy(_margin(policy, pairs), pairs.target).sum().item()
    return right / len(labels)


def collate(policy: Policy, labels: Sequence[TrainingLabel]) -> PairBatch:
    """Labels to tensors on the policy's device."""
    first = [(label.prompt_tokens, label.tokens_a) for label in labels]
    second = [(label.prompt_tokens, label.tokens_b) for label in labels]
    device = policy.device
    margins = [label.reference_logp_a - label.reference_logp_b for label in labels]
    return PairBatch(
        rows=make_batch(first + second, pad=policy.pad_token_id, device=device),
        target=torch.tensor([label.target for label in labels], device=device),
        weight=torch.tensor([label.weight for label in labels], device=device),
        reference_margin=torch.tensor(margins, device=device),
    )


def _step(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    pairs: PairBatch,
    settings: TrainingSettings,
) -> tuple[float, float]:
    with torch.enable_grad(), policy.adapter(CANDIDATE, trains=True):
        margin = _margin(policy, pairs)
        losses = sigmoid_loss(margin, pairs.target, beta=settings.beta)
        loss = (losses * pairs.weight).sum() / pairs.weight.sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(policy.parameters(CANDIDATE), settings.max_grad_norm)
    optimizer.step()
    accuracy = preference_accuracy(margin.detach(), pairs.target).mean()
    return loss.item(), accuracy.item()


def _margin(policy: Policy, pairs: PairBatch) -> Tensor:
    logps_a, logps_b = policy.logps(pairs.rows).chunk(2)
    return reward_margin(logps_a, logps_b, pairs.reference_margin)
