"""What is known of a judge, as the store reports it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labeler.domain.estimate import Estimate


@dataclass(frozen=True)
class Bin:
    """Pairs on which the judge was about as sure: how sure on average, and how right.

    `right` is the share of people who chose what the judge chose, ties counting half.
    """

    confidence: float
    right: float
    count: int


@dataclass(frozen=True)
class JudgeFigures:
    """How good a judge is; `labeler.stats.judge_quality` measures it.

    `agreement`: same side, of pairs that both decided. `agreement_with_ties`: same one of a, b and
    tie, of all pairs; `kappa` the same beyond chance (Cohen 1960). `brier`: mean squared distance
    of its probability from people's share, ties counting half (0.25 is a judge who always says
    0.5). `calibration_error`: mean distance of how sure it was from how right it was, over `bins`,
    of pairs that it decided (Guo et al. 2017). `longer_judge`, `longer_people`: share in which the
    longer response is preferred, of pairs that both decided and whose lengths differ;
    `longer_difference`: the judge's share minus people's.
    """

    pairs: int
    agreement: Estimate
    agreement_with_ties: Estimate
    kappa: Estimate
    brier: Estimate
    calibration_error: Estimate
    bins: tuple[Bin, ...]
    longer_judge: Estimate
    longer_people: Estimate
    longer_difference: Estimate


@dataclass(frozen=True)
class JudgeReport:
    """A judge, and its `figures` on the pairs that people labelled too.

    `judge` is its spec, `says` what one that learns says of itself, `paused` the alarm while it
    gives no labels. `abstained` counts by cause. `consistent` is None for a judge that is asked in
    one order only, and `first`, how often it prefers the response that stands first, for others.
    """

    judge: str
    says: str
    paused: str | None
    verdicts: int
    labels: int
    abstained: Mapping[str, int]
    abstain_share: Estimate
    consistent: Estimate | None
    first: Estimate | None
    requests: int
    tokens: int
    figures: JudgeFigures

    def estimates(self) -> dict[str, Estimate]:
        """What is known to an interval, by name."""
        every = {**vars(self), **vars(self.figures)}
        return {name: each for name, each in every.items() if isinstance(each, Estimate)}

    def to_json(self) -> dict[str, Any]:
        """As `livedpo status --json` prints it: the figures stand among the rest."""
        bins = [
            {name: round(value, 4) for name, value in vars(each).items()}
            for each in self.figures.bins
        ]
        found = {name: each.to_json() for name, each in self.estimates().items()}
        every = {**vars(self), "pairs": self.figures.pairs, **found, "bins": bins}
        return {name: value for name, value in every.items() if name != "figures"}
