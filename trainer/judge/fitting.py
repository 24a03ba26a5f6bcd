"""From what people said to an ensemble of heads, and how good it is on labels it had not seen.

    examples  ->  Material: scaled features, labels, prompts  ->  fit  ->  Fit

Leaves out what a fit is good enough for: the judge that labels asks for more than pairs that are
filled in do.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from labeler.domain.estimate import Estimate
from labeler.domain.judging import Example
from labeler.domain.labels import Preference
from trainer.judge.features import Features
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
    def of(
        cls, features: Features, examples: Sequence[Example], *, trait_share: float
    ) -> "Material | None":
        """Those of the examples that can be read; None if there are none.

        A trait counts `trait_share`, where a block of hidden states counts 1.
        """
        found = features.of([example.question for example in examples])
        usable = [
            (example, both)
            for example, both in zip(examples, found, strict=True)
            if isinstance(both, Tensor)
        ]
        if not usable:
            return None
        both = torch.stack([read for _, read in usable])  # (N, 2, D)
        spread = both.flatten(0, 1).std(dim=0)
        scale = torch.where(spread > 1e-6, features.scale(trait_share) / spread, 0)
        columns = [
            (one.said.target, one.said.tie, one.said.weight, float(not one.imported))
            for one, _ in usable
        ]
        return cls(
            (both[:, 0] - both[:, 1]) * scale,
            scale,
            Labels(*torch.tensor(columns, dtype=torch.float64).T),
            [repr(example.question.messages) for example, _ in usable],
            [example.pair_id for example, _ in usable],
        )

    def without_newest(self, count: int) -> "Material":
        """The same but for so many of the last labels."""
        labels = Labels(*(column[:-count] for column in self.labels))
        prompts, pairs = self.prompts[:-count], self.pairs[:-count]
        return Material(self.differences[:-count], self.scale, labels, prompts, pairs)

    @property
    def own(self) -> int:
        """How many of them are votes of this service."""
        return int(self.labels.own.sum())

    def skill(self, seed: int) -> Skill | None:
        """How good heads on it are; None if nothing can be learned from it."""
        return cross_validate(Span.of(self.differences), self.labels, self.prompts, seed)


@dataclass(frozen=True)
class Fit:
    """An ensemble on features as they are, and its accuracy on own labels that it had not seen.

    `each` is that of every own pair whose label prefers one of the two, the newest last. `imported`
    is what an imported pair weighs beside a vote.
    """

    heads: Heads  # weights (D, M)
    imported: float
    right: Estimate
    each: Mapping[int, float]


def fit(material: Material, seed: int) -> Fit | None:
    """None if nothing can be learned from it."""
    skill = material.skill(seed)
    if skill is None:
        return None
    span = Span.of(material.differences)
    labels = material.labels.sharing(skill.imported)
    heads = ensemble(span, labels, material.prompts, skill.strength, seed)
    each = zip(material.pairs, skill.each.tolist(), strict=True)
    return Fit(
        Heads(material.scale[:, None] * heads.weights, heads.eta),
        skill.imported,
        skill.right,
        {pair: right for pair, right in each if not math.isnan(right)},
    )


def decided(said: Sequence[Preference]) -> int:
    """How many prefer one of the two."""
    return sum(one.target != 1 - one.target - one.tie for one in said)
