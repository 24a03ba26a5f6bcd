"""Measures a candidate for the gate: what it says now, how far it moved, whom it still agrees with.

The responses it is measured on are the first pairs of its version, if it goes live: nothing is
sampled twice. KL is estimated from them, E[log candidate - log other] a token, which is the exact
divergence on average because they are the candidate's own (at temperature 1 and top-p 1).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labeler.labels import TrainingLabel
from trainer.gate import Agreement, Evidence, Style, WinRate, style
from trainer.packing import pair_logps
from trainer.policy import CANDIDATE, LIVE, Policy
from trainer.sampling import Response
from trainer.update import TrainingSettings, margins

# Prefers the first (prompt, first, second): 1, 0, 0.5 for a tie, None where it cannot say.
Judge = Callable[[Sequence[tuple[str, str, str]]], list[float | None]]
UNDECIDED = 1e-3
Z_95 = 1.96


@dataclass(frozen=True)
class Sample:
    """A prompt, and what one version answers to it, twice."""

    prompt_tokens: list[int]
    responses: tuple[Response, Response]


def examine(
    policy: Policy,
    samples: Sequence[Sample],
    *,
    live: Style,
    labels: Sequence[TrainingLabel],
    training: TrainingSettings,
    win_rate: WinRate | None = None,
) -> Evidence:
    """The evidence on the candidate, given its samples and labels it has not trained on."""
    candidate_logps = torch.tensor([[r.logp for r in sample.responses] for sample in samples])
    tokens = sum(len(r.tokens) for sample in samples for r in sample.responses)
    return Evidence(
        live=live,
        candidate=style_of(samples),
        kl_live=_mean_gap(candidate_logps, logps(policy, samples, LIVE), tokens),
        kl_reference=_mean_gap(candidate_logps, logps(policy, samples, None), tokens),
        agreement=_agreement(policy, labels, training),
        win_rate=win_rate,
    )


def logps(policy: Policy, samples: Sequence[Sample], adapter: str | None) -> Tensor:
    """Summed log-probabilities (S, 2) in nats under an adapter, or None for the reference."""
    pairs = [
        (sample.prompt_tokens, sample.responses[0].tokens, sample.responses[1].tokens)
        for sample in samples
    ]
    switched = policy.reference() if adapter is None else policy.adapter(adapter)
    with torch.no_grad(), switched:
        return pair_logps(policy, pairs).cpu()


def style_of(samples: Sequence[Sample]) -> Style:
    """How these responses look."""
    return style([(r.tokens, r.finish) for sample in samples for r in sample.responses])


def wilson(wins: float, pairs: int) -> WinRate:
    """A share with its 95 % interval (Wilson 1927); half-wins count half. None of 0 pairs."""
    rate = wins / pairs
    centre = (rate + Z_95**2 / (2 * pairs)) / (1 + Z_95**2 / pairs)
    spread = math.sqrt(rate * (1 - rate) / pairs + Z_95**2 / (4 * pairs**2))
    half = Z_95 * spread / (1 + Z_95**2 / pairs)
    return WinRate(
        rate=rate, low=max(0.0, centre - half), high=min(1.0, centre + half), pairs=pairs
    )


def _mean_gap(candidate: Tensor, other: Tensor, tokens: int) -> float:
    return (candidate - other).sum().item() / max(tokens, 1)


def _agreement(
    policy: Policy, labels: Sequence[TrainingLabel], training: TrainingSettings
) -> Agreement | None:
    """Over the labels with a direction: ties and even splits rank nothing."""
    decided = [label for label in labels if label.target != 1 - label.target - label.tie]
    if not decided:
        return None
    live, candidate = (_right(policy, name, decided, training) for name in (LIVE, CANDIDATE))
    return Agreement(
        live=sum(live) / len(live),
        candidate=sum(candidate) / len(candidate),
        lost=sum(before > after for before, after in zip(live, candidate, strict=True)),
        won=sum(after > before for before, after in zip(live, candidate, strict=True)),
        labels=len(decided),
    )


def _right(
    policy: Policy, adapter: str, labels: Sequence[TrainingLabel], training: TrainingSettings
) -> list[float]:
    """1 where the adapter ranks the pair as people did, 0 where not, 0.5 where it is undecided."""
    found = []
    for margin, label in zip(
        margins(policy, adapter, labels, training).tolist(), labels, strict=True
    ):
        a_preferred = label.target > 1 - label.target - label.tie
        right = 1.0 if (margin > 0) == a_preferred else 0.0
        found.append(0.5 if abs(margin) < UNDECIDED else right)
    return found
