"""What ends the loop where nobody watches it."""

from pydantic import Field

from labeler.config.parts.part import Part


class Budgets(Part):
    """When the unattended loop ends"""

    max_updates: int | None = Field(
        None, ge=1, description="Updates of the data dir after which none is made; `judge` ends."
    )
    max_labels: int | None = Field(
        None, ge=1, description="Labels of the judge after which it gives none; `judge` ends."
    )
    max_hours: float | None = Field(
        None, gt=0, description="Hours of work after which `judge` ends, over restarts."
    )
    stop_rejected: int = Field(
        5, ge=1, description="Rejected updates in a row that end the unattended run."
    )
    stop_stalled_seconds: float = Field(
        600.0,
        ge=0,
        description="Seconds without any progress, under an alarm, that end the unattended run: a "
        "judge that abstains, a worker that dies.",
    )
    stop_length_change: float = Field(
        2.0, gt=1, description="Factor by which responses may have become longer or shorter."
    )
    stop_unfinished_rise: float = Field(
        0.3, ge=0, le=1, description="Rise of the share of responses cut at the limit."
    )
    stop_entropy_share: float = Field(
        0.25, ge=0, le=1, description="Share of the first version's entropy that must be left."
    )
    stop_distinct_share: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Share of the first version's distinct four-token sequences that must be left.",
    )
