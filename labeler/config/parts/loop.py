"""When pairs are made, and when they are learned from."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from labeler.config.parts.part import Mark, Part, Unattended
from labeler.domain.rules import Acquisition, Mode


class Loop(Part):
    """The loop"""

    mode: Mode = Field(
        "streaming",
        description="streaming: an update whenever there are enough fresh labels. iterative: "
        "rounds of --labels-per-update pairs, all of one version, all labelled before the update.",
    )
    # A judge's labels are many where people's are few.
    labels_per_update: Annotated[int, Mark.POLICY_MAY_SET, Unattended(64)] = Field(
        16, ge=1, description="Fresh labels that start an update; in rounds, pairs of a round."
    )
    cooldown_seconds: float = Field(
        0.0, ge=0, description="Shortest time between two updates, in seconds."
    )
    queue_pairs: Annotated[int, Mark.SERVE_ONLY] = Field(
        24,
        ge=2,
        description="Pairs kept ready for raters: fewer if they take fewer in two minutes, more if "
        "they take more in twenty seconds.",
    )
    acquisition: Annotated[Acquisition, Mark.POLICY_MAY_SET, Mark.SERVE_ONLY] = Field(
        "d_optimal",
        description="Which of the ready pairs people get first. d_optimal: three in four are those "
        "that tell most about length, form and tone. random: all as they come.",
    )
    hint_share: Annotated[float, Mark.POLICY_MAY_SET, Mark.SERVE_ONLY] = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the prompts to which half of the replies are drawn under a hint that "
        'they do not hold, such as "Answer in one or two sentences.": people choose between kinds '
        "of replies, and the policy takes up a kind without being told.",
    )
    hints: Annotated[Path | None, Mark.SERVE_ONLY] = Field(
        None, description="File with your own hints, one a line. Default: those in data/hints.txt."
    )
    lease_seconds: Annotated[float, Mark.SERVE_ONLY] = Field(
        1800.0, gt=0, description="Seconds a rater may hold a pair before others get it."
    )
    max_staleness: int = Field(
        2, ge=0, description="How many versions old a pair may be and still count."
    )
