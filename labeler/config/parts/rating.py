"""What people are shown and asked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from labeler.config.parts.part import Mark, Part


class Rating(Part):
    """What raters see"""

    votes_per_pair: Annotated[int, Mark.SERVE_ONLY] = Field(
        1,
        ge=1,
        le=100,
        description="People who rate each pair; two or more show how well they agree.",
    )
    gold_share: Annotated[float, Mark.SERVE_ONLY] = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Share of a person's pairs whose answer is known (`livedpo gold add FILE`), "
        "while there are any they have not seen.",
    )
    repeat_share: Annotated[float, Mark.SERVE_ONLY] = Field(
        0.02,
        ge=0,
        le=0.5,
        description="Share of a person's pairs that repeat earlier ones, to see whether they "
        "answer the same; from their 30th vote on.",
    )
    min_reading_seconds: Annotated[float, Mark.SERVE_ONLY] = Field(
        1.0, ge=0, description="Votes cast faster than this are flagged, but they count."
    )
    weigh_raters: Annotated[bool, Mark.SERVE_ONLY] = Field(
        False, description="Weigh votes by how reliable their raters are (Dawid and Skene)."
    )
    guidelines: Annotated[Path | None, Mark.SERVE_ONLY] = Field(
        None, description="Markdown file with your own guidelines for raters. Default: ours."
    )
    reason_tags: Annotated[str, Mark.SERVE_ONLY] = Field(
        "correct, complete, clear, concise, tone, safe",
        description="Reasons that raters can tick, separated by commas; empty: none.",
    )

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons that raters can tick, in order."""
        return tuple(
            dict.fromkeys(tag for part in self.reason_tags.split(",") if (tag := part.strip()))
        )
