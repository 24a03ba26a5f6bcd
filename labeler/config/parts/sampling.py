"""How responses are drawn."""

from typing import Annotated

from pydantic import Field

from labeler.config.parts.part import Mark, Part


class Sampling(Part):
    """Sampling (a policy's own livedpo.toml may set these, as the starter's does)

    Nothing but these shapes the distribution: no top-k, no penalty. Where nobody sets temperature
    or top-p, what the model's makers recommend takes the place of the default.
    """

    temperature: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        1.0,
        gt=0,
        le=5,
        description="Sampling temperature. Default: that of the model's generation_config.json, "
        "else 1.",
    )
    top_p: Annotated[float, Mark.POLICY_MAY_SET] = Field(
        1.0,
        gt=0,
        le=1,
        description="Nucleus sampling: probability mass kept. Default: that of the model's "
        "generation_config.json, else 1.",
    )
    max_new_tokens: Annotated[int, Mark.POLICY_MAY_SET] = Field(
        256, ge=1, description="Longest response, in tokens."
    )
