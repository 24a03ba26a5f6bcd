"""What ends the loop where nobody watches it."""

from pydantic import Field

from labeler.config.parts.part import Part


class Budgets(Part):
    """When the unattended loop ends"""

    max_updates: int | None = Field(
        None, ge=1, description="Stop after this many updates in the data dir; `judge` ends."
    )
    max_labels: int | None = Field(
        None, ge=1, description="Stop after this many labels by the judge; `judge` ends."
    )
    max_hours: float | None = Field(
        None, gt=0, description="Hours of work, over restarts, after which `judge` ends."
    )
    stop_rejected: int = Field(
        5, ge=1, description="Rejected updates in a row that end the unattended run."
    )
    stop_stalled_seconds: float = Field(
        600.0,
        ge=0,
        description="Seconds without progress, under an alarm, that end the unattended run: a "
        "judge that abstains, a worker that dies.",
    )
    stop_length_change: float = Field(
        2.0, gt=1, description="Largest factor by which responses may grow or shrink."
    )
    stop_unfinished_rise: float = Field(
        0.3, ge=0, le=1, description="Largest rise in the share of responses cut at the limit."
    )
    stop_entropy_share: float = Field(
        0.25, ge=0, le=1, description="Lowest entropy allowed, as a share of the first version's."
    )
    stop_distinct_share: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Lowest share of distinct four-token sequences, relative to the first version.",
    )
