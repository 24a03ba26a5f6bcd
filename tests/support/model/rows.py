"""The rows of a store as plain values: what the model expects, and what is there."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from labeler.domain.states import (
    Choice,
    LabelRole,
    PairState,
    Purpose,
    Source,
    UpdateState,
    VersionState,
)
from labeler.store.database import Database


@dataclass
class Pair:
    """A pair; its responses say which one it is."""

    id: int
    version: int
    state: PairState
    purpose: Purpose
    wanted: int
    for_rater: int | None
    source: int | None
    needs_tokens: bool
    aside_at: float | None
    created_at: float


@dataclass
class Lease:
    """A hold on a pair, which ends."""

    id: str
    pair: int
    rater: int
    holder: str
    shown_left: str
    leased_at: float
    expires_at: float
    ended_at: float | None = None


@dataclass
class Vote:
    """A vote: `undone` and `used` are all that ever changes of it."""

    id: str
    pair: int
    rater: int
    lease: str | None
    choice: Choice
    source: Source
    staleness: int
    created_at: float
    undone: str | None = None
    used: int | None = None


@dataclass
class Verdict:
    """What a judge said of a pair, and the label that it became."""

    id: int
    pair: int
    probability: float | None
    cause: str | None
    created_at: float
    vote: str | None = None


@dataclass
class Update:
    """An update, from its opening to its end."""

    id: int
    state: UpdateState
    opened_at: float
    worker: str | None = None
    attempt: int = 0
    heartbeat_at: float | None = None
    version: int | None = None
    finished_at: float | None = None


@dataclass
class Version:
    """A version of the policy."""

    id: int
    parent: int | None
    state: VersionState
    kept: bool = False
    pruned_at: float | None = None


@dataclass
class Rows:
    """All that is compared. `lists` says what each update does with each vote on its list, `moves`
    which versions became live, in that order, and `moved_at` when.
    """

    pairs: dict[int, Pair] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    votes: dict[str, Vote] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    updates: dict[int, Update] = field(default_factory=dict)
    versions: dict[int, Version] = field(default_factory=dict)
    lists: dict[tuple[int, str], LabelRole] = field(default_factory=dict)
    moves: list[int] = field(default_factory=list)
    moved_at: list[float] = field(default_factory=list)


def rows_of(database: Database) -> Rows:
    """What is in the database, past all verbs."""
    with database.read() as session:
        connection = session.connection()
        pairs, leases, votes, verdicts, updates, versions, lists, moves = (
            connection.execute(wanted).all() for wanted in _ALL
        )
    return Rows(
        pairs={row[0]: Pair(*row) for row in pairs},
        leases={row[0]: Lease(*row) for row in leases},
        votes={row[0]: Vote(*row) for row in votes},
        verdicts={row[0]: Verdict(*row) for row in verdicts},
        updates={row[0]: Update(*row) for row in updates},
        versions={row[0]: Version(*row) for row in versions},
        lists={(update, vote): role for update, vote, role in lists},
        moves=[version for version, _ in moves],
        moved_at=[at for _, at in moves],
    )


def empty(database: Database) -> None:
    """Delete every row."""
    with database.write() as session:
        for table in reversed(SQLModel.metadata.sorted_tables):
            session.execute(sa.delete(table))


def _columns(table: str, names: str, order: str) -> sa.Select[Any]:
    """The columns of one of the dataclasses above, in its order."""
    columns = SQLModel.metadata.tables[table].c
    by = [columns[name] for name in order.split()]
    return sa.select(*(columns[name] for name in names.split())).order_by(*by)


_ALL = (
    _columns(
        "pair",
        "id version_id state purpose votes_wanted for_rater_id source_pair_id needs_tokens "
        "aside_at created_at",
        "id",
    ),
    _columns(
        "lease",
        "id pair_id rater_id holder shown_left leased_at expires_at ended_at",
        "leased_at pair_id slot",
    ),
    _columns(
        "vote",
        "id pair_id rater_id lease_id choice source staleness created_at superseded_by "
        "used_in_update",
        "created_at pair_id",
    ),
    _columns("verdict", "id pair_id probability cause created_at vote_id", "id"),
    _columns(
        "update",
        "id state opened_at worker attempt heartbeat_at version_id finished_at",
        "id",
    ),
    _columns("policy_version", "id parent_id state kept pruned_at", "id"),
    _columns("update_label", "update_id vote_id role", "update_id vote_id"),
    _columns("live_change", "version_id at", "id"),
)
