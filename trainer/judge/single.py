"""Heads that go by one trait: which it is, which way, and how strongly, by Bayes' rule.

A simple taste is one thing that people notice of a response, or nearly (`trainer.judge.traits`). A
ridge spreads what few votes show over all of them, and where a quarter of the votes are slips it
takes hundreds to find the one. Here each trait by itself is a model, and each says how likely it
makes the votes; a head is their mean, each weighted by that (Bayesian model averaging, Hoeting et
al. 1999). After a few dozen votes one or two of them have all the weight.

    P(first) = e + (1 - 2 e) sigmoid(w d)    w ~ N(0, SPREAD^2)    e one of LAPSES

d is by how much the responses differ in the trait, in units of how much pairs do (the root of the
mean square), and e is the share of votes that say the opposite. A tie is half a vote for each side.

`N` labels, `D` features, the last `T` of which are traits, `F` heads at once, `W` weights and `E`
lapses that are tried. All of it in float64. Leaves out tastes of several traits: see the ridge.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from trainer.judge.fitting import Material
from trainer.judge.heads import (
    IMPORTED_SHARES,
    Heads,
    Skill,
    bootstrapped,
    folds_of,
    surprise,
    surprise_of_decided,
)
from trainer.judge.traits import TRAITS

SPREAD = 2.0
LAPSES = torch.tensor([0.0, 0.15, 0.3], dtype=torch.float64)  # (E,)
WEIGHTS = torch.linspace(-3 * SPREAD, 3 * SPREAD, 31, dtype=torch.float64)  # (W,)
PRIOR = -((WEIGHTS / SPREAD) ** 2) / 2  # (W,), in nats, but for a constant
ETAS = torch.linspace(0.1, 6, 60, dtype=torch.float64)


@dataclass(frozen=True)
class OneTrait:
    """The labels of a material in which traits count something."""

    material: Material

    @property
    def pairs(self) -> Sequence[int]:
        """Those that the labels are of, (N,)."""
        return self.material.pairs

    def skill(self, seed: int, pause: Callable[[], None] | None = None) -> Skill | None:
        """How good heads on it are; None if nothing can be learned from it. It takes no pause.

        What imported pairs weigh as a fold is told is what did best on the others.
        """
        del pause
        labels, fold_N = self.material.labels, folds_of(self.material.prompts, seed)
        if not (fold_N.any() and (labels.sides * labels.own).any() and self._scale.any()):
            return None
        shares = (1.0,) if labels.own.all() else IMPORTED_SHARES
        tried = [self._unseen(fold_N, one) for one in shares]
        margins, losses = (torch.stack(each, dim=1) for each in zip(*tried, strict=True))  # (N, S)
        by_fold = losses.new_zeros(int(fold_N.max()) + 1, len(shares)).index_add_(0, fold_N, losses)
        elsewhere = (by_fold.sum(dim=0) - by_fold).argmin(dim=1)[fold_N][:, None]
        unseen, loss = margins.gather(1, elsewhere)[:, 0], losses.gather(1, elsewhere).sum().item()
        best = int(by_fold.sum(dim=0).argmin())
        sides = labels.sides * labels.own
        return Skill(0.0, shares[best], loss, unseen, margins[:, best], sides)

    def heads(self, skill: Skill, seed: int) -> Heads:
        """An ensemble (D, M) on features as they are, with imported pairs as in the skill."""
        labels, scale = self.material.labels, self.material.scale
        counts = bootstrapped(labels.sharing(skill.imported), self.material.prompts, seed)
        found = self._mean(self._likely(counts))
        weights = found.new_zeros(len(scale), found.shape[1])
        weights[-len(found) :] = found
        return Heads(scale[:, None] * weights, self._eta(self._seen @ found, counts))

    def _unseen(self, fold_N: Tensor, imported: float) -> tuple[Tensor, Tensor]:
        """On each fold, margins of heads that see the others, and how it surprised them, (N,)."""
        labels = self.material.labels
        counts = labels.sharing(imported).weight[:, None]
        likely = self._likely(counts * (fold_N[:, None] != torch.arange(int(fold_N.max()) + 1)))
        first = torch.einsum("ntwe,ftwe->nf", self._first, likely)
        margins = self._seen @ self._mean(likely)
        [told, unseen] = (each.gather(1, fold_N[:, None])[:, 0] for each in (first, margins))
        return unseen, surprise_of_decided(told, labels)

    def _mean(self, likely: Tensor) -> Tensor:
        """The mean head (T, F) of the weights that are so likely, on scaled differences."""
        return self._scale[:, None] * torch.einsum("ftwe,w->tf", likely, WEIGHTS)

    def _likely(self, counts: Tensor) -> Tensor:
        """How likely each trait, weight and lapse is, given labels that count (N, F): (F, T, W, E).

        A label that prefers the second is one that prefers the first of the pair turned round.
        """
        labels, first = self.material.labels, self._first.clamp(min=1e-12)
        says = (labels.first + labels.tie / 2)[:, None]
        for_first = torch.einsum("nf,ntwe->ftwe", counts * says, first.log())
        for_second = torch.einsum("nf,ntwe->ftwe", counts * (1 - says), first.flip(2).log())
        said = for_first + for_second + PRIOR[:, None]
        return said.flatten(1).softmax(dim=1).view_as(said)

    def _eta(self, margins: Tensor, counts: Tensor) -> Tensor:
        """Of F heads with these margins (N, F): the one of ETAS that makes labels likeliest."""
        labels = self.material.labels
        if not labels.tie.any():
            return margins.new_zeros(margins.shape[1])
        tried = [(counts * surprise(margins, eta, labels)).sum(dim=0) for eta in ETAS]
        return ETAS[torch.stack(tried).argmin(dim=0)]

    @property
    def _seen(self) -> Tensor:
        """By how much pairs differ in each trait, scaled, (N, T)."""
        return self.material.differences[:, -len(TRAITS) :]

    @cached_property
    def _scale(self) -> Tensor:
        """One over the root mean square of the differences in each trait (T,), or 0."""
        sizes = self._seen.square().mean(dim=0).sqrt()
        return torch.where(sizes > 0, 1 / sizes, 0.0)

    @cached_property
    def _first(self) -> Tensor:
        """P(first) of each pair under each trait, weight and lapse, (N, T, W, E)."""
        margins = (self._seen * self._scale)[:, :, None, None] * WEIGHTS[:, None]
        return LAPSES + (1 - 2 * LAPSES) * torch.sigmoid(margins)
