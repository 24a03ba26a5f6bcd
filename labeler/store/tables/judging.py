"""Tables of judging: what judges said, what it has cost, and runs that nobody watches."""

from sqlmodel import Field, Index, SQLModel

from labeler.store.columns import json_column, only_where


class Verdict(SQLModel, table=True):
    """What a judge (`judge` is its spec) said of a pair, in stored order; None if it abstained.

    `vote_id` is the label that it became, if it did. Failures are rows too, until they are tidied.
    """

    __table_args__ = (
        Index(
            "one_verdict_a_judge",
            "pair_id",
            "judge",
            unique=True,
            **only_where("probability IS NOT NULL"),
        ),
        Index("failed_verdicts", "cause", "created_at", **only_where("probability IS NULL")),
    )

    id: int | None = Field(default=None, primary_key=True)
    pair_id: int = Field(foreign_key="pair.id", index=True)
    judge: str
    probability: float | None = None
    cause: str | None = None
    forward: float | None = None
    backward: float | None = None
    score_a: float | None = None
    score_b: float | None = None
    requests: int = 0
    tokens: int = 0
    vote_id: str | None = Field(default=None, foreign_key="vote.id", index=True)
    created_at: float = Field(index=True)


class TidiedVerdicts(SQLModel, table=True):
    """How many verdicts of a judge were deleted, and what they had cost.

    Each cause has its row; those that decided have the cause "".
    """

    __tablename__ = "tidied_verdicts"
    judge: str = Field(primary_key=True)
    cause: str = Field(primary_key=True)
    verdicts: int = 0
    requests: int = 0
    tokens: int = 0


class Run(SQLModel, table=True):
    """One unattended run. `seconds` is how long it has worked, over restarts; `spent` has the
    worker's share of it by kind of work.
    """

    id: int | None = Field(default=None, primary_key=True)
    judge: str
    started_at: float
    seconds: float = 0.0
    spent: dict[str, float] = Field(default_factory=dict, sa_column=json_column())
    ended_at: float | None = None
    reason: str | None = None
