"""Measures a candidate for the gate: what it says now, how far it moved, whom it still agrees with.

The responses it is measured on are the first pairs of its version, if it goes live: nothing is
sampled twice. KL is estimated from them, E[log candidate - log other] a token, which is the exact
divergence on average because they are the candidate's own (at temperature 1 and top-p 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labeler.config.parts.training import Training
from labeler.domain.estimate import Estimate
from labeler.domain.finding import NOT_COMPARED
from labeler.domain.labels import TrainingLabel
from labeler.domain.response_stats import Said, Style, style
from trainer.gate.gate import Agreement, Evidence
from trainer.learning.objective import Objective
from trainer.learning.update import margins
from trainer.policy.logps import pair_logps
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.local import Response

Label = tuple[tuple[str, ...], float, float]


@dataclass(frozen=True)
class Sample:
    """A prompt, and what one version answers to it, twice."""

    prompt_tokens: list[int]
    responses: tuple[Response, Response]


class MarginCache:
    """Each version's margins for what people preferred, measured from the base.

    Most labels are asked about twice: first of a candidate, then of what it has become. A version's
    weights never change, so what is known of the live one is kept.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._known: dict[int, dict[Label, float]] = {}

    def of_live(
        self, version: int, labels: Sequence[TrainingLabel], training: Training
    ) -> list[float]:
        """The margins of the live version, of each label."""
        known = self._known.get(version, {})
        new = [label for label in labels if _key(label) not in known]
        known |= self._measured(LIVE, new, training)
        self._known = {version: known}
        return [known[_key(label)] for label in labels]

    def of_candidate(
        self, version: int, labels: Sequence[TrainingLabel], training: Training
    ) -> list[float]:
        """The margins of the candidate, which is to be this version."""
        found = self._known[version] = self._measured(CANDIDATE, labels, training)
        return [found[_key(label)] for label in labels]

    def _measured(
        self, adapter: str, labels: Sequence[TrainingLabel], training: Training
    ) -> dict[Label, float]:
        """From the base whatever the update's reference is: from itself, live would have none."""
        if not labels:
            return {}
        from_base = training.model_copy(update={"reference": "base"})
        found = margins(self._policy, adapter, labels, from_base).tolist()
        return {
            _key(label): margin if label.target > 1 - label.target - label.tie else -margin
            for margin, label in zip(found, labels, strict=True)
        }


def examine(
    policy: Policy,
    samples: Sequence[Sample],
    *,
    margin_cache: MarginCache,
    versions: tuple[int, int],
    reference: Tensor,
    live: Style,
    held_out: Sequence[TrainingLabel],
    remembered: Sequence[TrainingLabel],
    training: Training,
    win_rate: Estimate = NOT_COMPARED,
) -> Evidence:
    """The evidence on the candidate.

    `samples` (S) are its own, `reference` (S, 2) their log-probabilities under the reference in
    nats, `live` is how the live version answers. `versions` are the numbers of the live one and of
    the candidate. `held_out` labels are ones that no version has trained on, `remembered` ones were
    used by earlier updates.
    """
    decided = _decided(held_out), _decided(remembered)
    candidate_logps = torch.tensor([[r.logp for r in sample.responses] for sample in samples])
    tokens = sum(len(r.tokens) for sample in samples for r in sample.responses)
    return Evidence(
        live=live,
        candidate=style_of(samples),
        kl_live=_mean_gap(candidate_logps, logps(policy, samples, LIVE), tokens),
        kl_reference=_mean_gap(candidate_logps, reference, tokens),
        agreement=_agreement(margin_cache, versions, *decided, training),
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
    return style([Said(r.tokens, r.finish, r.logp) for sample in samples for r in sample.responses])


def _mean_gap(candidate: Tensor, other: Tensor, tokens: int) -> float:
    """An estimate below zero is chance, for no divergence is; NaN stays NaN."""
    gap: float = (candidate - other).sum().item() / max(tokens, 1)
    return 0.0 if gap < 0 else gap


def _decided(labels: Sequence[TrainingLabel]) -> list[TrainingLabel]:
    """The labels with a direction: ties and even splits rank nothing."""
    return [label for label in labels if label.target != 1 - label.target - label.tie]


def _agreement(
    margin_cache: MarginCache,
    versions: tuple[int, int],
    held_out: Sequence[TrainingLabel],
    remembered: Sequence[TrainingLabel],
    training: Training,
) -> Agreement | None:
    labels = [*held_out, *remembered]
    if not labels:
        return None
    live = margin_cache.of_live(versions[0], labels, training)
    candidate = margin_cache.of_candidate(versions[1], labels, training)
    rounding = Objective(training).rounding
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


def _key(label: TrainingLabel) -> Label:
    return label.vote_ids, label.target, label.tie


def _right(favour: float, rounding: float) -> float:
    """1 if the pair is ranked as people did, 0 if not, 0.5 if it is undecided."""
    return 0.5 if abs(favour) < rounding else float(favour > 0)
