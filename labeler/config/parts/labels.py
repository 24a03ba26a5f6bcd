"""Which votes teach, how much, and how often."""

from typing import Annotated, Literal

from pydantic import Field

from labeler.config.parts.part import Mark, Part


class Labels(Part):
    """What votes become"""

    ties: Literal["auto", "drop", "coin_flip", "learn"] = Field(
        "auto",
        description="What ties and 'both bad' teach: drop: nothing. coin_flip: that both are as "
        "likely to be preferred. learn: a tie, which only dpo_rk and dpo_d can. auto: learn with "
        "these two, else drop.",
    )
    strong_weight: float = Field(
        2.0, gt=0, description="How many votes a 'much better' counts for."
    )
    held_out_share: float = Field(
        0.2,
        ge=0,
        le=0.5,
        description="Share of the newest fresh labels that test an update and train the next one.",
    )
    replay_share: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        0.0, ge=0, le=0.9, description="Share of an update's labels that are used ones, once more."
    )
    replay_max_age: Annotated[int, Mark.POLICY_MAY_SET] = Field(
        8, ge=1, description="Versions after which a used label is not replayed any more."
    )
