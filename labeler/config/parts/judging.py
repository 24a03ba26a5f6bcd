"""A judge beside people, or in their place."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from labeler.config.parts.part import Mark, Part
from labeler.domain.judging import Inconsistent

CandidatePair = Literal["best_worst", "random"]


class Judging(Part):
    """Labels without people"""

    judge: str | None = Field(
        None,
        pattern=r"^(starter|learned|rm:.+|api:.+@https?://.+|py:[\w.]+:\w+)$",
        description="A model that compares responses: starter, rm:DIR_OR_HUB_ID (a reward model), "
        "api:MODEL@BASE_URL (an OpenAI-compatible server; its key from OPENAI_API_KEY), "
        "py:module:function, or learned (from this service's own votes). It says whether a new "
        "version is better, and labels what --judge-after leaves to it. Default: nobody.",
    )
    judge_after: Annotated[float | None, Mark.SERVE_ONLY] = Field(
        None,
        ge=0,
        description="Seconds that a pair waits for a person before the judge labels it. "
        "Default: the judge labels nothing.",
    )
    judge_weight: float = Field(
        0.5, gt=0, description="How many votes of a person a judge's label counts for."
    )
    judge_check_share: Annotated[float, Mark.SERVE_ONLY] = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of pairs that are judged and shown to people too, to see how good the "
        "judge is.",
    )
    judge_min_agreement: float = Field(
        0.55,
        ge=0,
        le=1,
        description="Share of people's decided votes that the judge must agree with, or it labels "
        "nothing.",
    )
    judge_max_abstain: float = Field(
        0.5, gt=0, le=1, description="Share of its last answers that a judge may owe us."
    )
    judge_inconsistent: Inconsistent = Field(
        "tie",
        description="What a judge has said that prefers the first of the two in either order.",
    )
    judge_concurrency: int = Field(
        8, ge=1, le=256, description="Requests to an api: judge at the same time."
    )
    judge_timeout: float = Field(
        60.0, gt=0, description="Seconds that an api: judge may take for one answer."
    )
    judge_max_requests: int = Field(
        0, ge=0, description="Requests to an api: judge in all, failed ones too; 0: no limit."
    )
    candidates: int = Field(
        2, ge=2, le=32, description="Responses sampled for a prompt, of which the judge picks two."
    )
    candidate_pair: CandidatePair = Field(
        "best_worst", description="Which two of more than two candidates make the pair."
    )

    @model_validator(mode="after")
    def _nobody_judges(self) -> Self:
        """Refuse what needs a judge where none is named."""
        if self.judge is None and self.judge_after is not None:
            raise ValueError(
                "Nobody can label pairs after a while; name a --judge beside --judge-after."
            )
        if self.judge is None and self.candidates > 2:
            raise ValueError("Nobody can choose among more than two candidates; name a --judge.")
        return self
