"""What a candidate must pass before people see it."""

from typing import Annotated

from pydantic import Field

from labeler.config.parts.part import Mark, Part


class Gate(Part):
    """The gate: what keeps a new version back"""

    gate_prompts: int = Field(
        16, ge=1, le=512, description="Prompts that a candidate answers, twice each, for the gate."
    )
    gate_max_kl_live: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        0.3, gt=0, description="Nats a token that an update may move away from the live version."
    )
    gate_max_kl_reference: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        1.5, gt=0, description="Nats a token that a version may be away from the base."
    )
    gate_max_length_change: float = Field(
        2.0, gt=1, description="Factor by which an update may lengthen or shorten the responses."
    )
    gate_max_unfinished_rise: float = Field(
        0.15, ge=0, le=1, description="Rise of the share of responses cut at the limit."
    )
    gate_max_repetition_rise: float = Field(
        0.1, ge=0, le=1, description="Rise of the share of repeated four-token sequences."
    )
    gate_max_agreement_drop: float = Field(
        0.15,
        ge=0,
        le=1,
        description="Fall of the share of votes kept aside that the policy agrees with.",
    )
