"""Which votes teach, how much, and how often."""

from typing import Annotated, Literal

from pydantic import Field

from labeler.config.parts.part import Mark, Part


class Labels(Part):
    """What votes become"""

    ties: Literal["auto", "drop", "coin_flip", "learn"] = Field(
        "auto",
        description="What ties and 'both bad' teach. drop: nothing. coin_flip: that both are "
        "equally likely to be preferred. learn: a tie (dpo_rk and dpo_d only). auto: learn with "
        "these two losses, else drop.",
    )
    strong_weight: float = Field(2.0, gt=0, description="Weight of a 'much better', in votes.")
    held_out_share: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="Share of the newest labels that test this update and train the next one.",
    )
    replay_share: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        0.0, ge=0, le=0.9, description="Share of an update's labels that are replayed old ones."
    )
    replay_max_age: Annotated[int, Mark.POLICY_MAY_SET] = Field(
        8, ge=1, description="Versions after which a used label is no longer replayed."
    )
