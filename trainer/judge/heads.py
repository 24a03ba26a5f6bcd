"""Linear heads on the features of responses: Bradley-Terry with ties, and how good it is.

With s = w . (x of first - x of second), and eta >= 0 (Rao and Kupper 1967, eta = log theta):

    P(first) = sigmoid(s - eta)    P(second) = sigmoid(-s - eta)
    P(tie)   = (e^(2 eta) - 1) P(first) P(second)

Nothing but the difference enters, so swapping the responses swaps the answer. Ridge (L2) heads lie
in the span of the differences they were fitted to; there, a fit has as many dimensions as labels.

`N` labels, `D` features, `R` dimensions of the span, `M` heads, `G` strengths of the ridge. All of
it in float64. Leaves out where features come from, and who is asked.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from labeler.domain.estimate import Estimate

MEMBERS = 8
FOLDS = 8
STRENGTHS = tuple(10 ** (half / 2) for half in range(-4, 7))  # of features in blocks of length 1
# What an imported pair may weigh: nothing, where it does not help to tell what people say here.
IMPORTED_SHARES = (0.0, 0.5)
STEPS = 80
PAUSE_SECONDS = 1.0
SPARED = 1e-3
NONE_DECIDED = "no label prefers one of the two"
PSEUDO_TIES = 0.5  # labels of either kind, at s = 0, that keep eta off its bounds


class Labels(NamedTuple):
    """What was said of N pairs: P(first), P(tie) and P(second) sum to 1.

    `own` is 1 for a vote of this service, and 0 for an imported pair, which tests no head.
    """

    first: Tensor  # (N,)
    tie: Tensor  # (N,)
    weight: Tensor  # (N,)
    own: Tensor  # (N,)

    def sharing(self, imported: float) -> "Labels":
        """The same with what each imported pair weighs, where it stands for a vote at 1."""
        return self._replace(weight=self.weight * torch.where(self.own > 0, 1.0, imported))

    @property
    def sides(self) -> Tensor:
        """1 where the first is preferred, -1 where the second is, 0 where neither, (N,)."""
        return (2 * self.first + self.tie - 1).sign()


@dataclass(frozen=True)
class Span:
    """The differences of N labels in dimensions of their own: differences = inside @ basis.T.

    The smallest dimensions, which hold SPARED of the variance together, are left out.
    """

    inside: Tensor  # (N, R)
    basis: Tensor  # (D, R), orthonormal
    sizes: Tensor  # (R,): squared length of each column of `inside`

    @classmethod
    def of(cls, differences: Tensor) -> "Span":
        """The span of (N, D) differences."""
        values, vectors = torch.linalg.eigh(differences @ differences.T)
        kept = values.cumsum(dim=0) > SPARED * values.sum().clamp(min=1e-300)
        sizes, sides = values[kept], vectors[:, kept]
        inside = sides * sizes.sqrt()
        return cls(inside, differences.T @ (sides / sizes.sqrt()), sizes)


@dataclass(frozen=True)
class Heads:
    """M heads: directions in the span (R, M), or in the features (D, M), and eta of each (M,)."""

    weights: Tensor
    eta: Tensor

    def probabilities(self, margins: Tensor) -> Tensor:
        """P(first) + P(tie) / 2 of each head, of margins s (N, M)."""
        first, second = torch.sigmoid(margins - self.eta), torch.sigmoid(-margins - self.eta)
        return 0.5 + (first - second) / 2


@dataclass(frozen=True)
class Skill:
    """What heads made of N labels, each of which they had not seen.

    `strength` is that of the ridge, 0 without one. It is chosen for each fold on the others, and
    `margins` are by heads so chosen: they say how often heads are right. `sized` are all by heads
    of this strength, as an ensemble has it: they say how large margins are. `imported` is what an
    imported pair weighs, and `loss` by how much the own labels that are no ties surprised the
    heads, in nats.
    """

    strength: float
    imported: float
    loss: float
    margins: Tensor  # (N,)
    sized: Tensor  # (N,)
    sides: Tensor  # (N,), as of the labels, but 0 for those that were imported

    @property
    def each(self) -> Tensor:
        """1 where it was right, 0 where it was not, 1/2 where it could not tell, and NaN where the
        label prefers neither, or was imported, (N,).
        """
        return torch.where(self.sides != 0, 0.5 + self.margins.sign() * self.sides / 2, torch.nan)

    @property
    def right(self) -> Estimate:
        """How often it was right, of the labels that were decided."""
        wins, decided = self.each.nansum().item(), int((self.sides != 0).sum())
        return Estimate.share(wins, decided, NONE_DECIDED)


def fit(
    span: Span,
    labels: Labels,
    weights: Tensor,
    strengths: Tensor,
    pause: Callable[[], None] | None = None,
) -> Heads:
    """M heads at once: labels weighted by `weights` (N, M), ridge by `strengths` (M,).

    One convex problem each (an ordinal logistic regression), all by one run of L-BFGS. Steps are
    taken in directions scaled by the curvature at zero, so that they are equally long in all.
    There is a `pause` between them every PAUSE_SECONDS.
    """
    inside, ties = span.inside, bool(labels.tie.any())
    scale = (span.sizes[:, None] / 4 * weights.mean(dim=0) + strengths).rsqrt()
    steps = torch.zeros(inside.shape[1], len(strengths), dtype=torch.float64, requires_grad=True)
    raw = torch.full((len(strengths),), -1.0, dtype=torch.float64, requires_grad=ties)
    optimizer = torch.optim.LBFGS(
        [steps, raw] if ties else [steps],
        max_iter=STEPS,
        history_size=10,
        tolerance_grad=1e-3,
        line_search_fn="strong_wolfe",
    )

    paused_at = time.monotonic()

    def loss() -> Tensor:
        nonlocal paused_at
        if pause is not None and time.monotonic() - paused_at >= PAUSE_SECONDS:
            pause()
            paused_at = time.monotonic()
        optimizer.zero_grad()
        heads = steps * scale
        eta = softplus(raw) if ties else torch.zeros_like(raw)
        misfit = (weights * surprise(inside @ heads, eta, labels)).sum()
        total = misfit + (strengths * heads**2).sum() / 2
        if ties:
            total = total + PSEUDO_TIES * _surprise_of_even(eta).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    eta = softplus(raw) if ties else torch.zeros_like(raw)
    return Heads((steps * scale).detach(), eta.detach())


def surprise(margins: Tensor, eta: Tensor, labels: Labels) -> Tensor:
    """-log likelihood of each label under each of M heads with margins (N, M), in nats, (N, M)."""
    first, second = logsigmoid(margins - eta), logsigmoid(-margins - eta)
    said_first, said_tie = labels.first[:, None], labels.tie[:, None]
    found = said_first * first + (1 - said_first - said_tie) * second
    if labels.tie.any():
        found = found + said_tie * (first + second + torch.expm1(2 * eta).log())
    return -found


def surprise_of_decided(first: Tensor, labels: Labels) -> Tensor:
    """-log likelihood of each own label that is no tie, in nats, else 0: P(first) (N,) where nobody
    ties.
    """
    says, told = labels.first + labels.tie / 2, first.clamp(1e-12, 1 - 1e-12)
    each = says * told.log() + (1 - says) * (1 - told).log()
    return -each * labels.weight * labels.own * (labels.sides != 0)


def _surprise_of_even(eta: Tensor) -> Tensor:
    """-log P(tie) - log P(no tie) at s = 0, where P(tie) is tanh(eta / 2)."""
    tie = torch.tanh(eta / 2)
    return -tie.log() - (1 - tie).log()


def cross_validate(
    span: Span,
    labels: Labels,
    groups: Sequence[str],
    seed: int,
    pause: Callable[[], None] | None = None,
) -> Skill | None:
    """Which strength to take, and how often it is right on own labels that it did not see.

    Labels of one group (a prompt) are left out together, imported ones too. The strength by which
    the labels of a fold are predicted, and what imported pairs weigh, is what did best on the other
    folds. None if nothing differs. `pause` as in `fit`.
    """
    fold_N = folds_of(groups, seed)
    folds = int(fold_N.max()) + 1
    sides = labels.sides * labels.own
    if folds < 2 or not sides.any() or not len(span.sizes):
        return None
    shares = (1.0,) if labels.own.all() else IMPORTED_SHARES
    grid = [(strength, share) for share in shares for strength in STRENGTHS]  # G of them
    strengths = torch.tensor([strength for strength, _ in grid], dtype=torch.float64)
    counts = torch.stack([labels.sharing(share).weight for _, share in grid], dim=1)  # (N, G)
    sees = (fold_N[:, None] != torch.arange(folds)).double()  # (N, F)
    weights = (sees[:, :, None] * counts[:, None, :]).flatten(1)  # (N, F * G)
    heads = fit(span, labels, weights, strengths.repeat(folds), pause)
    places = fold_N[:, None] * len(grid) + torch.arange(len(grid))  # (N, G): heads that saw it not
    margins = (span.inside @ heads.weights).gather(1, places)
    tests = labels.weight * labels.own
    losses = tests[:, None] * surprise(margins, heads.eta[places], labels)
    by_fold = torch.zeros(folds, len(grid), dtype=torch.float64).index_add_(0, fold_N, losses)
    elsewhere = (by_fold.sum(dim=0) - by_fold).argmin(dim=1)  # (F,)
    unseen = margins.gather(1, elsewhere[fold_N][:, None])[:, 0]
    best = int(by_fold.sum(dim=0).argmin())
    eta = heads.eta[places.gather(1, elsewhere[fold_N][:, None])[:, 0]]
    first, second = torch.sigmoid(unseen - eta), torch.sigmoid(-unseen - eta)
    loss = surprise_of_decided(first / (first + second), labels).sum().item()
    return Skill(*grid[best], loss, unseen, margins[:, best], sides)


def ensemble(
    span: Span, labels: Labels, groups: Sequence[str], strength: float, seed: int
) -> Heads:
    """Members of one strength, on labels `bootstrapped`; (D, M)."""
    strengths = torch.full((MEMBERS,), strength, dtype=torch.float64)
    heads = fit(span, labels, bootstrapped(labels, groups, seed), strengths)
    return Heads(span.basis @ heads.weights, heads.eta)


def bootstrapped(labels: Labels, groups: Sequence[str], seed: int) -> Tensor:
    """What each of N labels weighs for each of M members, which weigh the groups anew (N, M).

    The Bayesian bootstrap (Rubin 1981).
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    draws = torch.Generator().manual_seed(seed)
    shares = torch.empty(len(numbers), MEMBERS, dtype=torch.float64).exponential_(generator=draws)
    drawn = shares[[numbers[group] for group in groups]]
    return labels.weight[:, None] * drawn / drawn.mean(dim=0)


def folds_of(groups: Sequence[str], seed: int) -> Tensor:
    """The fold of each label, (N,): the groups in random order, dealt out one by one."""
    names = sorted(set(groups))
    random.Random(seed).shuffle(names)
    numbers = {name: number % FOLDS for number, name in enumerate(names)}
    return torch.tensor([numbers[group] for group in groups])
