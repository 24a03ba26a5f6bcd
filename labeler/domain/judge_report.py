"""What is known of a judge, as the store reports it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

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

    def as_dict(self) -> dict[str, Any]:
        """For JSON: four digits, and None where there is no figure."""
        found = {
            name: one.to_json() for name, one in vars(self).items() if isinstance(one, Estimate)
        }
        bins = [{name: round(value, 4) for name, value in vars(each).items()} for each in self.bins]
        return {"pairs": self.pairs, **found, "bins": bins}


@dataclass(frozen=True)
class JudgeReport(JudgeFigures):
    """A judge with its figures, from `pairs` that people labelled too.

    `judge` is its spec, `says` what one that learns says of itself, `paused` the alarm while it
    gives no labels. `abstained` counts by cause. `consistent` is None for a judge that is asked in
    one order only.
    """

    judge: str
    says: str
    paused: str | None
    verdicts: int
    labels: int
    abstained: Mapping[str, int]
    abstain_share: Estimate
    consistent: Estimate | None
    requests: int
    tokens: int

    @classmethod
    def from_json(cls, report: Mapping[str, Any]) -> Self:
        """The report that `livedpo status --json` prints."""
        fields = {name: _typed(value) for name, value in report.items()}
        fields["abstained"] = report["abstained"]
        fields["bins"] = tuple(Bin(**each) for each in report["bins"])
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__})


def _typed(value: Any) -> Any:
    return Estimate(**value) if isinstance(value, dict) and "value" in value else value
