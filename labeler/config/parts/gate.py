"""What a candidate must pass before people see it."""

from typing import Annotated

from pydantic import Field

from labeler.config.parts.part import Mark, Part


class Gate(Part):
    """The gate: what keeps a new version back"""

    gate_prompts: int = Field(
        16, ge=1, le=512, description="Prompts that a candidate answers for the gate, twice each."
    )
    gate_max_kl_live: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        0.3, gt=0, description="Largest KL from the live version, in nats a token."
    )
    gate_max_kl_reference: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        1.5, gt=0, description="Largest KL from the base, in nats a token."
    )
    gate_max_length_change: float = Field(
        2.0,
        gt=1,
        description="Largest factor by which an update may lengthen or shorten responses; up to "
        "its square where the votes prove that people like it so.",
    )
    gate_max_unfinished_rise: float = Field(
        0.15, ge=0, le=1, description="Largest rise in the share of responses cut at the limit."
    )
    gate_max_repetition_rise: float = Field(
        0.1, ge=0, le=1, description="Largest rise in the share of repeated four-token sequences."
    )
    gate_max_agreement_drop: float = Field(
        0.15,
        ge=0,
        le=1,
        description="Largest drop in agreement with held-out votes.",
    )
