"""From what people said to an ensemble of heads, and how good it is on labels it had not seen.

    examples  ->  Material: scaled features, labels, prompts  ->  fit  ->  Fit
                  OneTrait, of the same (`trainer.judge.single`)

Leaves out what a fit is good enough for: the judge that labels asks for more than pairs that are
filled in do.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from labeler.domain.estimate import Estimate
from labeler.domain.judging import Example
from labeler.domain.labels import Preference
from trainer.judge.features import Features, Pause
from trainer.judge.heads import Heads, Labels, Skill, Span, cross_validate, ensemble


@dataclass(frozen=True)
class Material:
    """N labels: by how much the features of their responses differ, each feature scaled."""

    differences: Tensor  # (N, D)
    scale: Tensor  # (D,)
    labels: Labels
    prompts: Sequence[str]  # N of them
    pairs: Sequence[int]  # N of them

    @classmethod
    def each(
        cls,
        features: Features,
        examples: Sequence[Example],
        trait_shares: Sequence[float],
        pause: Pause | None = None,
    ) -> list["Material"]:
        """Those of the examples that can be read, in each of several scales; none if none can.

        A trait counts so much, where a block of hidden states counts 1. `pause` as in
        `Features.of_each`.
        """
        found = features.of([example.question for example in examples], pause)
        usable = [
            (example, both)
            for example, both in zip(examples, found, strict=True)
            if isinstance(both, Tensor)
        ]
        if not usable:
            return []
        both = torch.stack([read for _, read in usable])  # (N, 2, D)
        spread = both.flatten(0, 1).std(dim=0)
        columns = [
            (one.said.target, one.said.tie, one.said.weight, float(not one.imported))
            for one, _ in usable
        ]
        labels = Labels(*torch.tensor(columns, dtype=torch.float64).T)
        prompts = [repr(example.question.messages) for example, _ in usable]
        pairs = [example.pair_id for example, _ in usable]
        scales = [
            torch.where(spread > 1e-6, features.scale(share) / spread, 0) for share in trait_shares
        ]
        differences = both[:, 0] - both[:, 1]
        return [cls(differences * scale, scale, labels, prompts, pairs) for scale in scales]

    def without_newest(self, count: int) -> "Material":
        """The same but for so many of the last labels."""
        labels = Labels(*(column[:-count] for column in self.labels))
        prompts, pairs = self.prompts[:-count], self.pairs[:-count]
        return Material(self.differences[:-count], self.scale, labels, prompts, pairs)

    @property
    def own(self) -> int:
        """How many of them are votes of this service."""
        return int(self.labels.own.sum())

    def skill(self, seed: int, pause: Callable[[], None] | None = None) -> Skill | None:
        """How good heads on it are; None if nothing can be learned from it."""
        return cross_validate(self._span, self.labels, self.prompts, seed, pause)

    def heads(self, skill: Skill, seed: int) -> Heads:
        """An ensemble (D, M) on features as they are, of the strength that showed this skill."""
        labels = self.labels.sharing(skill.imported)
        found = ensemble(self._span, labels, self.prompts, skill.strength, seed)
        return Heads(self.scale[:, None] * found.weights, found.eta)

    @cached_property
    def _span(self) -> Span:
        return Span.of(self.differences)


@dataclass(frozen=True)
class Fit:
    """An ensemble on features as they are, and its accuracy on own labels that it had not seen.

    `each` is that of every own pair whose label prefers one of the two, the newest last, and
    `margins` (L,) are by how much one of the two is ahead, in the size of the ensemble's own.
    `imported` is what an imported pair weighs beside a vote.
    """

    heads: Heads  # weights (D, M)
    imported: float
    right: Estimate
    each: Mapping[int, float]
    margins: Tensor


class Learner(Protocol):
    """What heads are fitted to."""

    @property
    def pairs(self) -> Sequence[int]:
        """Those that the labels are of, (N,)."""

    def skill(self, seed: int, pause: Callable[[], None] | None = None) -> Skill | None:
        """How good heads on it are; None if nothing can be learned from it."""

    def heads(self, skill: Skill, seed: int) -> Heads:
        """An ensemble (D, M) on features as they are."""


def fit(
    learners: Sequence[Learner], seed: int, pause: Callable[[], None] | None = None
) -> Fit | None:
    """Heads of several learners on the same labels, averaged; None if nothing can be learned.

    On a thousand labels each takes seconds. There is a `pause` before each, and every second.

    Each weighs exp(-loss), where the loss is that of cross-validation ("pseudo-BMA", Yao et al.
    2018, arXiv 1704.02030). To take the best one instead is to go by luck on few labels.
    """
    found = []
    for one in learners:
        if pause is not None:
            pause()
        if (skill := one.skill(seed, pause)) is not None:
            found.append((one, skill))
    if not found:
        return None
    losses = torch.tensor([skill.loss for _, skill in found], dtype=torch.float64)
    shares = torch.softmax(-losses, dim=0).tolist()
    heads = [one.heads(skill, seed) for one, skill in found]
    both = Heads(
        _mean([one.weights for one in heads], shares), _mean([one.eta for one in heads], shares)
    )
    _, best = found[int(losses.argmin())]
    margins, sized = (
        _mean([vars(one)[name] for _, one in found], shares) for name in ("margins", "sized")
    )
    skill = replace(best, margins=margins, sized=sized)
    each = zip(learners[0].pairs, skill.each.tolist(), strict=True)
    known = {pair: right for pair, right in each if not math.isnan(right)}
    return Fit(both, best.imported, skill.right, known, sized[skill.sides != 0].abs())


def _mean(parts: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    return torch.stack([share * part for share, part in zip(shares, parts, strict=True)]).sum(dim=0)


def decided(said: Sequence[Preference]) -> int:
    """How many prefer one of the two."""
    return sum(one.target != 1 - one.target - one.tie for one in said)
