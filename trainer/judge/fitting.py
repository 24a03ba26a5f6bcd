"""From what people said to an ensemble of heads, and how good it is on labels it had not seen.

    examples  ->  Material: differences, labels, prompts  ->  fit: which view, how strict  ->  Fit

Leaves out what a fit is good enough for: the judge that labels asks for more than pairs that are
filled in do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from labeler.domain.estimate import Estimate
from labeler.domain.judging import Example
from labeler.domain.labels import Preference
from trainer.judge.features import Features
from trainer.judge.heads import Heads, Labels, Skill, Span, cross_validate, ensemble

# A simple taste is among the traits, what makes a good answer is not; the votes tell which it is.
TRAIT_SHARES = (0.0, 16.0)  # of a trait, where a block of hidden states counts 1


@dataclass(frozen=True)
class Material:
    """N labels: by how much the features of their responses differ, in units of their spread.

    There is a scale a view: in one the traits count for nothing, in the other for nearly all.
    """

    differences: Tensor  # (N, D)
    spread: Tensor  # (D,)
    scales: Sequence[Tensor]  # (D,) each
    labels: Labels
    prompts: Sequence[str]  # N of them

    @classmethod
    def of(cls, features: Features, examples: Sequence[Example]) -> "Material | None":
        """Those of the examples that can be read; None if there are none."""
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
        spread = torch.where(spread > 1e-6, spread, torch.inf)
        columns = [(said.target, said.tie, said.weight) for (_, _, said), _ in usable]
        return cls(
            (both[:, 0] - both[:, 1]) / spread,
            spread,
            [features.scale(share) for share in TRAIT_SHARES],
            Labels(*torch.tensor(columns, dtype=torch.float64).T),
            [repr(example.question.messages) for example, _ in usable],
        )

    def without_newest(self, count: int) -> "Material":
        """The same but for so many of the last labels."""
        return replace(
            self,
            differences=self.differences[:-count],
            labels=Labels(*(column[:-count] for column in self.labels)),
            prompts=self.prompts[:-count],
        )

    def span(self, view: int) -> Span:
        """The differences as this view has them."""
        return Span.of(self.differences * self.scales[view])

    def skill(self, seed: int) -> Skill | None:
        """How good heads on it are; None if nothing can be learned from it."""
        spans = [self.span(view) for view in range(len(self.scales))]
        return cross_validate(spans, self.labels, self.prompts, seed)


@dataclass(frozen=True)
class Fit:
    """An ensemble on features as they are, and its accuracy on labels that it had not seen."""

    heads: Heads  # weights (D, M)
    right: Estimate


def fit(material: Material, seed: int) -> Fit | None:
    """None if nothing can be learned from it."""
    skill = material.skill(seed)
    if skill is None:
        return None
    span = material.span(skill.view)
    heads = ensemble(span, material.labels, material.prompts, skill.strength, seed)
    scale = material.scales[skill.view] / material.spread
    return Fit(Heads(scale[:, None] * heads.weights, heads.eta), skill.right)


def decided(said: Sequence[Preference]) -> int:
    """How many prefer one of the two."""
    return sum(one.target != 1 - one.target - one.tie for one in said)
