"""The table of follow-ups: what a rater is shown of their votes. The verbs are in `learning`."""

from sqlmodel import Field, SQLModel


class FollowUp(SQLModel, table=True):
    """A rater's newest follow-up: what version `version_id` says to a prompt that they voted on.

    `vote_id` is the one of the `votes` it learned from them with which it moved furthest, by `gain`
    nats; None if it moved with none.
    """

    __tablename__ = "follow_up"

    rater_id: int = Field(primary_key=True, foreign_key="rater.id")
    version_id: int = Field(foreign_key="policy_version.id")
    vote_id: str | None = Field(default=None, foreign_key="vote.id")
    votes: int = 0
    gain: float = 0.0
    reply: str = ""
    created_at: float
    seen_at: float | None = None
