"""From looks to figures: means, wins, and how many labels another arm's best took. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeler.domain.estimate import Estimate
from tests.benchmarks.evidence.intervals import as_json, over_seeds_and_prompts
from tests.benchmarks.evidence.measure import Look

Scores = NDArray[np.float64]
DRAWS = 2000


@dataclass(frozen=True)
class Record:
    """Shares of wins, ties and losses, and the interval of wins with half of the ties."""

    win: float
    tie: float
    loss: float
    points: Estimate

    def as_json(self, labels: int, seeds: int) -> dict[str, Any]:
        """As `summary.json` has it."""
        found: dict[str, Any] = {
            name: round(getattr(self, name), 4) for name in ("win", "tie", "loss")
        }
        bounds = as_json(self.points)
        return (
            found
            | {"low": bounds["low"], "high": bounds["high"]}
            | {
                "labels": labels,
                "seeds": seeds,
            }
        )


def scores(looks: Sequence[Look]) -> Scores:
    """Of one look a seed: seeds by prompts by answers."""
    return np.array([look.scores for look in looks])


def record(ours: Scores, theirs: Scores) -> Record:
    """Each answer of ours against each of theirs to the same prompt at the same seed.

    The higher score wins, equal ones tie.
    """
    gaps = ours[:, :, :, None] - theirs[:, :, None, :]
    wins, ties = gaps > 0, gaps == 0
    points = (wins + ties / 2).mean(axis=(2, 3))
    return Record(
        float(wins.mean()),
        float(ties.mean()),
        float((gaps < 0).mean()),
        over_seeds_and_prompts(points),
    )


def mean(of: Scores) -> Estimate:
    """The mean score."""
    return over_seeds_and_prompts(of.mean(axis=2))


def difference(ours: Scores, theirs: Scores) -> Estimate:
    """By how much ours is higher, seed by seed and prompt by prompt."""
    return over_seeds_and_prompts(ours.mean(axis=2) - theirs.mean(axis=2))


def share_to_best(
    ours: Mapping[int, Scores], theirs: Mapping[int, Scores]
) -> tuple[float | None, float | None, float | None]:
    """The share of the labels of their best mean score that ours needed to reach it, low and high.

    Ours is read between two looks on a straight line over the logarithm of labels. The bounds are
    the 2.5 and 97.5 % quantiles over seeds drawn anew (bootstrap). None: ours never reaches it.
    """
    ours_LS, theirs_LS = (
        np.array([scores[count].mean(axis=(1, 2)) for count in sorted(scores)])
        for scores in (ours, theirs)
    )
    counts = sorted(ours), sorted(theirs)
    seeds = ours_LS.shape[1]
    rng = np.random.default_rng(0)
    drawn = [rng.integers(seeds, size=seeds) for _ in range(DRAWS)]
    found = [
        _share(*counts, ours_LS[:, d].mean(axis=1), theirs_LS[:, d].mean(axis=1)) for d in drawn
    ]
    shares = np.array([np.inf if share is None else share for share in found])
    low, high = np.quantile(shares, [0.025, 0.975], method="nearest")
    whole = _share(*counts, ours_LS.mean(axis=1), theirs_LS.mean(axis=1))
    return whole, _finite(low), _finite(high)


def _share(
    labels: Sequence[int], their_labels: Sequence[int], ours: Scores, theirs: Scores
) -> float | None:
    best = int(theirs.argmax())
    reached = np.flatnonzero(ours >= theirs[best])
    if not len(reached):
        return None
    place = int(reached[0])
    count = float(labels[place])
    if place > 0:
        part = (theirs[best] - ours[place - 1]) / (ours[place] - ours[place - 1])
        count = labels[place - 1] * (labels[place] / labels[place - 1]) ** float(part)
    return count / their_labels[best]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
