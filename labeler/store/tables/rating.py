"""Tables of rating: prompts, the pairs drawn for them, and what people said of those."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, Index, SQLModel

from labeler.domain.states import AskState, Choice, PairState, Purpose, Source
from labeler.store.columns import enum_column, json_column, only_where


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
