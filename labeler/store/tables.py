"""The database classes, and nothing else. Rules live in `labeler.store`.

Times are seconds since 1970 in UTC. States are `StrEnum`s stored by value. A vote is stored in the
pair's own order (`a`, `b`), never in the order it was shown. `labeler/store/migrations` creates
these tables; a test holds the two together.
"""

import uuid
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, Index, SQLModel

from labeler.domain.finding import NOTHING, Finding
from labeler.domain.states import (
    AskState,
    Choice,
    LabelRole,
    PairState,
    Purpose,
    RaterRole,
    Source,
    UpdateState,
    VersionState,
)
from labeler.store.columns import enum_column, finding_column, json_column, only_where


class Service(SQLModel, table=True):
    """One row: which base policy this database belongs to, and how its replies are drawn.

    `drawing` is what the worker said last; None before it has. `identity`: no other service's.
    """

    id: int = Field(default=1, primary_key=True)
    base: str
    fingerprint: str
    drawing: dict[str, Any] | None = Field(default=None, sa_column=json_column(nullable=True))
    identity: str = Field(default_factory=lambda: uuid.uuid4().hex)


class Prompt(SQLModel, table=True):
    """A conversation that waits for a reply. `digest` finds duplicates.

    The loop samples for `pooled` ones only, not for a rater's own or for those of gold pairs.
    """

    id: int | None = Field(default=None, primary_key=True)
    messages: list[dict[str, str]] = Field(sa_column=json_column())
    digest: str = Field(unique=True)
    pairs_sampled: int = Field(default=0, index=True)
    set_aside: str | None = None
    pooled: bool = Field(default=True, sa_column_kwargs={"server_default": sa.true()})
    created_at: float


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


class Pair(SQLModel, table=True):
    """Two responses of one version to one prompt, with all that training and provenance need.

    `logp_*` are summed log-probabilities (nats) under the version that said them. `double` pairs
    are judged and shown to people as well, to see how good the judge is. `for_rater_id`: nobody
    else gets it. `source_pair_id` is the pair that a repeat or an edit was made of,
    `source_vote_id` the vote that an edit came with, `answer` what is right of a gold pair.
    `needs_tokens`: response a was written by a person and not tokenised yet. A person may set a
    pair aside (`aside_*`): it is neither trained on nor exported as a preference. `worth` is what
    its vote would tell, where it was chosen for that.
    """

    __table_args__ = (Index("pairs_set_aside", "aside_at", **only_where("aside_at IS NOT NULL")),)

    id: int | None = Field(default=None, primary_key=True)
    prompt_id: int = Field(foreign_key="prompt.id", index=True)
    version_id: int = Field(foreign_key="policy_version.id", index=True)
    state: PairState = Field(sa_column=enum_column(PairState, index=True))
    votes_wanted: int = 1
    response_a: str
    response_b: str
    prompt_tokens: list[int] = Field(sa_column=json_column())
    tokens_a: list[int] = Field(sa_column=json_column())
    tokens_b: list[int] = Field(sa_column=json_column())
    finish_a: str
    finish_b: str
    reference_logp_a: float
    reference_logp_b: float
    logp_a: float | None = None
    logp_b: float | None = None
    double: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    purpose: Purpose = Field(
        default=Purpose.LOOP, sa_column=enum_column(Purpose, server_default=Purpose.LOOP.value)
    )
    for_rater_id: int | None = Field(default=None, foreign_key="rater.id")
    source_pair_id: int | None = Field(default=None, foreign_key="pair.id", index=True)
    source_vote_id: str | None = Field(default=None, index=True)
    answer: str | None = None
    needs_tokens: bool = Field(
        default=False, index=True, sa_column_kwargs={"server_default": sa.false()}
    )
    aside_at: float | None = None
    aside_by: int | None = Field(default=None, foreign_key="rater.id")
    aside_reason: str | None = None
    worth: float | None = None
    sampling: dict[str, Any] = Field(sa_column=json_column())
    created_at: float


class Rater(SQLModel, table=True):
    """An account. `invite` is the hash of a one-time link that is still open."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    role: RaterRole = Field(sa_column=enum_column(RaterRole))
    created_at: float
    disabled_at: float | None = None
    password: str | None = None  # argon2id, in its own notation
    invite: str | None = None
    invite_expires_at: float | None = None


class Login(SQLModel, table=True):
    """A browser that is logged in. `id` is the hash of what its cookie holds."""

    id: str = Field(primary_key=True)
    rater_id: int = Field(foreign_key="rater.id", index=True)
    created_at: float
    expires_at: float = Field(index=True)
    ended_at: float | None = None


class FailedLogin(SQLModel, table=True):
    """A wrong password or invite: `key` tells whose, by name or by address."""

    __tablename__ = "failed_login"
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(index=True)
    at: float = Field(index=True)


class Ask(SQLModel, table=True):
    """A rater's own prompt on its way to a pair. The page makes its id.

    `done_tokens` of at most `max_tokens` are sampled; `pair_id` is set when both responses are.
    `tries` counts the times that a worker took it up: last this one, last heard at `beat_at`.
    """

    id: str = Field(primary_key=True)
    rater_id: int = Field(foreign_key="rater.id", index=True)
    messages: list[dict[str, str]] = Field(sa_column=json_column())
    state: AskState = Field(sa_column=enum_column(AskState, index=True))
    done_tokens: int = 0
    max_tokens: int = 0
    tries: int = 0
    worker: str | None = None
    beat_at: float | None = None
    pair_id: int | None = Field(default=None, foreign_key="pair.id", index=True)
    reason: str | None = None
    created_at: float
    finished_at: float | None = None


class Lease(SQLModel, table=True):
    """A rater's hold on one slot of a pair. `holder` is the page (browser tab) that shows it."""

    __table_args__ = (
        Index("one_lease_a_slot", "pair_id", "slot", unique=True, **only_where("ended_at IS NULL")),
        Index("active_leases", "rater_id", **only_where("ended_at IS NULL")),
    )

    id: str = Field(primary_key=True)
    pair_id: int = Field(foreign_key="pair.id", index=True)
    rater_id: int = Field(foreign_key="rater.id")
    holder: str = Field(index=True)
    slot: int
    shown_left: str
    leased_at: float
    expires_at: float
    ended_at: float | None = None


class Vote(SQLModel, table=True):
    """A label. Rows are added and marked, never changed in what they say and never deleted.

    A judge holds no lease. It sees both orders or neither; `shown_left` is then `a`.
    """

    __table_args__ = (
        Index(
            "one_vote_a_rater",
            "rater_id",
            "pair_id",
            unique=True,
            **only_where("superseded_by IS NULL"),
        ),
        # So that asking for fresh labels, twice a second, does not pass by all the used ones.
        Index(
            "unused_votes",
            "choice",
            "staleness",
            **only_where("used_in_update IS NULL AND superseded_by IS NULL"),
        ),
        # What the dashboard counts over time, read without the rows themselves.
        Index(
            "standing_votes",
            "source",
            "created_at",
            "choice",
            "seconds",
            "used_in_update",
            **only_where("superseded_by IS NULL"),
        ),
        Index("undone_votes", "superseded_by", **only_where("superseded_by IS NOT NULL")),
    )

    id: str = Field(primary_key=True)
    pair_id: int = Field(foreign_key="pair.id", index=True)
    rater_id: int = Field(foreign_key="rater.id", index=True)
    lease_id: str | None = Field(default=None, foreign_key="lease.id", index=True)
    choice: Choice = Field(sa_column=enum_column(Choice))
    strength: int = 1
    shown_left: str
    source: Source = Field(sa_column=enum_column(Source))
    staleness: int
    seconds: float | None = None
    reasons: list[str] = Field(default_factory=list, sa_column=json_column())
    comment: str | None = None
    created_at: float = Field(index=True)
    superseded_by: str | None = None
    used_in_update: int | None = Field(default=None, foreign_key="update.id", index=True)


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


class ProcessState(SQLModel, table=True):
    """What a process of the service last said of itself, and its alarm if it has one."""

    __tablename__ = "role_state"
    name: str = Field(primary_key=True)
    pid: int | None = None
    says: str = ""
    beat_at: float | None = None
    alarm: str | None = None


class RoleLease(SQLModel, table=True):
    """Which process has a role that one at a time may have; `token` is None if nobody has."""

    __tablename__ = "role_lease"
    role: str = Field(primary_key=True)
    token: str | None = None
    holder: str = ""
    beats: int = 0
    beat_at: float = 0.0
