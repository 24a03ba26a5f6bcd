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
class JudgeReport:
    """A judge and its figures; `labeler.stats.judge_quality` says what each is.

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
    agreement: Estimate
    agreement_with_ties: Estimate
    kappa: Estimate
    brier: Estimate
    calibration_error: Estimate
    longer_judge: Estimate
    longer_people: Estimate
    longer_difference: Estimate
    bins: tuple[Bin, ...]

    @classmethod
    def from_json(cls, report: Mapping[str, Any]) -> Self:
        """The report that `livedpo status --json` prints."""
        fields = {name: _typed(value) for name, value in report.items()}
        fields["abstained"] = report["abstained"]
        fields["bins"] = tuple(Bin(**each) for each in report["bins"])
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__})


def _typed(value: Any) -> Any:
    return Estimate(**value) if isinstance(value, dict) and "value" in value else value
