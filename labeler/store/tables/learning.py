"""Tables of learning: versions of the policy, and the updates that made them.

Pairs that were filled in or came from files stand apart from those of votes, as their rows do.
"""

import sqlalchemy as sa
from sqlmodel import Field, Index, SQLModel

from labeler.domain.finding import NOTHING, Finding
from labeler.domain.states import LabelRole, UpdateState, VersionState
from labeler.store.columns import enum_column, finding_column, json_column, only_where


class PolicyVersion(SQLModel, table=True):
    """A policy: version 0 is the base without an adapter, the others are adapter folders.

    `parent_id` is the version it was trained from, `live_at` when it last became live, `kept` that
    a person wants its folder to stay, and `pruned_at` when the folder was removed.
    """

    __tablename__ = "policy_version"
    __table_args__ = (
        Index("one_live_version", "state", unique=True, **only_where("state = 'live'")),
    )

    id: int = Field(primary_key=True)
    parent_id: int | None = Field(default=None, foreign_key="policy_version.id")
    state: VersionState = Field(sa_column=enum_column(VersionState))
    folder: str | None = None
    sha256: str | None = None
    finding: Finding = Field(default=NOTHING, sa_column=finding_column())
    created_at: float
    live_at: float | None = None
    kept: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    pruned_at: float | None = None


class LiveChange(SQLModel, table=True):
    """One row each time another version became live, in that order; rows are only added."""

    __tablename__ = "live_change"
    id: int | None = Field(default=None, primary_key=True)
    version_id: int = Field(foreign_key="policy_version.id")
    at: float


class Update(SQLModel, table=True):
    """One DPO update, from the moment it is due to its end."""

    __table_args__ = (
        # On what is true of every row in it, so that there is one row at most.
        Index(
            "one_open_update",
            sa.text("(finished_at IS NULL)"),
            unique=True,
            **only_where("finished_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    mode: str = "streaming"
    state: UpdateState = Field(sa_column=enum_column(UpdateState, index=True))
    opened_at: float
    worker: str | None = None
    attempt: int = 0
    heartbeat_at: float | None = None
    steps_done: int = 0
    steps_total: int = 0
    version_id: int | None = Field(default=None, foreign_key="policy_version.id")
    finding: Finding = Field(default=NOTHING, sa_column=finding_column())
    reason: str | None = None
    finished_at: float | None = None


class UpdateLabel(SQLModel, table=True):
    """A vote on the list of an update, and what for; fixed when the update opens."""

    __tablename__ = "update_label"
    update_id: int = Field(foreign_key="update.id", primary_key=True)
    vote_id: str = Field(foreign_key="vote.id", primary_key=True, index=True)
    role: LabelRole = Field(sa_column=enum_column(LabelRole, server_default=LabelRole.TRAIN.value))


class FilledPair(SQLModel, table=True):
    """A pair that an update was trained on and nobody rated. It is no vote, and counts as none.

    Two responses of version `version_id`; `target` is P(the first is better) as a reward model of
    the votes had it, and it weighed `weight` where a vote weighs 1.
    """

    __tablename__ = "filled_pair"
    id: int | None = Field(default=None, primary_key=True)
    update_id: int = Field(foreign_key="update.id", index=True)
    prompt_id: int = Field(foreign_key="prompt.id")
    version_id: int = Field(foreign_key="policy_version.id")
    first: str
    second: str
    target: float
    weight: float


class ImportedPair(SQLModel, table=True):
    """A pair of a file that teaches the learned judge. It is no vote of this service, and counts as
    none.

    P(the first is better) = `target`, P(tie) = `tie`; `digest` finds duplicates.
    """

    __tablename__ = "imported_pair"

    id: int | None = Field(default=None, primary_key=True)
    file: str = Field(index=True)
    digest: str = Field(unique=True)
    messages: list[dict[str, str]] = Field(sa_column=json_column())
    first: str
    second: str
    target: float
    tie: float
    weight: float
    created_at: float


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
