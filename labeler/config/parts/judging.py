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
        "version is better, and labels what --judge-after leaves to it. Default: none.",
    )
    judge_after: Annotated[float | None, Mark.SERVE_ONLY] = Field(
        None,
        ge=0,
        description="Seconds that a pair waits for a person before the judge labels it. "
        "Default: the judge labels nothing.",
    )
    judge_weight: float = Field(
        0.5, gt=0, description="Weight of a judge's label, in votes of a person."
    )
    judge_check_share: Annotated[float, Mark.SERVE_ONLY] = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of pairs that the judge and people both label, to measure the judge.",
    )
    judge_min_agreement: float = Field(
        0.55,
        ge=0,
        le=1,
        description="Lowest agreement with people's decided votes at which the judge may label.",
    )
    judge_max_abstain: float = Field(
        0.5, gt=0, le=1, description="Highest share of recent pairs a judge may abstain on."
    )
    judge_inconsistent: Inconsistent = Field(
        "tie",
        description="How to treat a judge that picks whichever reply comes first.",
    )
    judge_concurrency: int = Field(
        8, ge=1, le=256, description="Concurrent requests to an api: judge."
    )
    judge_timeout: float = Field(
        60.0, gt=0, description="Seconds to wait for one answer of an api: judge."
    )
    judge_max_requests: int = Field(
        0, ge=0, description="Total requests to an api: judge, failed ones included; 0: no limit."
    )
    candidates: int = Field(
        2, ge=2, le=32, description="Responses sampled per prompt; the judge picks two of them."
    )
    candidate_pair: CandidatePair = Field(
        "best_worst", description="Which two make the pair if there are more than two candidates."
    )

    @model_validator(mode="after")
    def _nobody_judges(self) -> Self:
        """Refuse what needs a judge where none is named."""
        if self.judge is None and self.judge_after is not None:
            raise ValueError("--judge-after needs a judge; name one with --judge.")
        if self.judge is None and self.candidates > 2:
            raise ValueError(
                "More than two --candidates need a judge to choose; name one with --judge."
            )
        return self
