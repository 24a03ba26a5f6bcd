"""Measures a candidate for the gate: what it says now, how far it moved, whom it still agrees with.

The responses it is measured on are the first pairs of its version, if it goes live: nothing is
sampled twice. KL is estimated from them, E[log candidate - log other] a token, which is the exact
divergence on average because they are the candidate's own (at temperature 1 and top-p 1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from labeler.labels import TrainingLabel
from trainer.gate import Agreement, Evidence, Style, WinRate, style
from trainer.packing import pair_logps
from trainer.policy import CANDIDATE, LIVE, Policy
from trainer.sampling import Response
from trainer.update import TrainingSettings, margins

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
    held_out: Sequence[TrainingLabel],
    remembered: Sequence[TrainingLabel],
    training: TrainingSettings,
    win_rate: WinRate | None = None,
) -> Evidence:
    """The evidence on the candidate.

    `samples` are its own, `live` is how the live version answers. `held_out` labels are ones that
    no version has trained on, `remembered` ones were used by earlier updates.
    """
    candidate_logps = torch.tensor([[r.logp for r in sample.responses] for sample in samples])
    tokens = sum(len(r.tokens) for sample in samples for r in sample.responses)
    return Evidence(
        live=live,
        candidate=style_of(samples),
        kl_live=_mean_gap(candidate_logps, logps(policy, samples, LIVE), tokens),
        kl_reference=_mean_gap(candidate_logps, logps(policy, samples, None), tokens),
        agreement=_agreement(policy, _decided(held_out), _decided(remembered), training),
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
    """An estimate below zero is chance, for no divergence is; NaN stays NaN."""
    gap: float = (candidate - other).sum().item() / max(tokens, 1)
    return 0.0 if gap < 0 else gap


def _decided(labels: Sequence[TrainingLabel]) -> list[TrainingLabel]:
    """The labels with a direction: ties and even splits rank nothing."""
    return [label for label in labels if label.target != 1 - label.target - label.tie]


def _agreement(
    policy: Policy,
    held_out: Sequence[TrainingLabel],
    remembered: Sequence[TrainingLabel],
    training: TrainingSettings,
) -> Agreement | None:
    labels = [*held_out, *remembered]
    if not labels:
        return None
    live, candidate = (_favour(policy, name, labels, training) for name in (LIVE, CANDIDATE))
    rounding = training.objective.rounding
    right = [[_right(favour, rounding) for favour in version] for version in (live, candidate)]
    changes = [after - before for before, after in zip(*right, strict=True)]
    return Agreement(
        live=sum(right[0]) / len(labels),
        candidate=sum(right[1]) / len(labels),
        lost=sum(change < 0 for change in changes),
        won=sum(change > 0 for change in changes),
        labels=len(labels),
        against=sum(
            after < before
            for before, after in zip(live[: len(held_out)], candidate[: len(held_out)], strict=True)
        ),
        held_out=len(held_out),
    )


def _favour(
    policy: Policy, adapter: str, labels: Sequence[TrainingLabel], training: TrainingSettings
) -> list[float]:
    """The adapter's margin for what people preferred, of each label, measured from the base.

    From the base whatever the update's reference is: from itself, live would have no margins.
    """
    from_base = replace(training, reference="base")
    found = margins(policy, adapter, labels, from_base).tolist()
    return [
        margin if label.target > 1 - label.target - label.tie else -margin
        for margin, label in zip(found, labels, strict=True)
    ]


def _right(favour: float, rounding: float) -> float:
    """1 if the pair is ranked as people did, 0 if not, 0.5 if it is undecided."""
    return 0.5 if abs(favour) < rounding else float(favour > 0)
