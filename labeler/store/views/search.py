"""Search and filter the pairs that have votes.

The list has the pair that was voted on last at the top, and is read in pages from a cursor that
names the last row of the page before, so that new votes do not shift it.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func

from labeler.domain.errors import BadInput
from labeler.domain.states import Choice, PairState, Purpose, Source
from labeler.store.tables import Pair, Prompt, Rater, Vote

PAGE_PAIRS = 50
MAX_SEARCH_CHARS = 200

Flag = Literal["too_fast", "set_aside", "disagree", "edited", "commented"]


@dataclass(frozen=True)
class Wanted:
    """Which pairs; None is any. Times are seconds since 1970, and of the last vote.

    `search` stands in the prompt, a response or a comment, in any case of ASCII letters. `rater` is
    an account's number. A vote faster than `fast_seconds` is flagged.
    """

    search: str | None = None
    source: Source | None = None
    choice: Choice | None = None
    state: PairState | None = None
    purpose: Purpose | None = None
    rater: int | None = None
    version: int | None = None
    flag: Flag | None = None
    since: float | None = None
    until: float | None = None
    fast_seconds: float = 0.0


@dataclass(frozen=True)
class VoteLine:
    """A vote in a list."""

    rater: str
    source: Source
    choice: Choice
    strength: int
    undone: bool


@dataclass(frozen=True)
class PairLine:
    """A pair in the list: its prompt's last message, and its votes, oldest first."""

    id: int
    text: str
    votes: tuple[VoteLine, ...]
    state: PairState
    purpose: Purpose
    version: int
    at: float
    is_aside: bool
    commented: bool
    too_fast: bool


@dataclass(frozen=True)
class Page:
    """Pairs, and the cursor of the next page, if there is one."""

    pairs: list[PairLine]
    cursor: str | None


def page(session: Session, wanted: Wanted, *, cursor: str | None, most: int) -> Page:
    """At most so many of the pairs that are wanted, from the cursor on. Raises BadInput."""
    rows = _newest_votes(wanted)
    if cursor is not None:
        at, vote_id = _parsed(cursor)
        rows = rows.where(
            col(Vote.created_at) <= at,
            sa.or_(col(Vote.created_at) < at, col(Vote.id) < vote_id),
        )
    found = list(session.execute(rows.limit(most + 1)))
    shown = found[:most]
    last = shown[-1] if len(found) > most else None
    return Page(
        _lines(session, shown, wanted.fast_seconds),
        json.dumps([last.created_at, last.vote_id]) if last else None,
    )


def facets(session: Session, fast_seconds: float) -> dict[str, list[dict[str, Any]]]:
    """How many pairs there are by source, choice, state, purpose, rater and flag."""
    return {
        "source": _counted(session, Vote.source),
        "choice": _counted(session, Vote.choice),
        "state": _counted(session, Pair.state),
        "purpose": _counted(session, Pair.purpose),
        "rater": _raters(session),
        "flag": _flags(session, fast_seconds),
    }


def _newest_votes(wanted: Wanted) -> sa.Select[Any]:
    """The last vote of each pair that is wanted, newest first."""
    later = aliased(Vote)
    is_last = ~(
        sa.select(col(later.id))
        .where(
            col(later.pair_id) == col(Vote.pair_id),
            col(later.created_at) >= col(Vote.created_at),
            sa.or_(
                col(later.created_at) > col(Vote.created_at),
                col(later.id) > col(Vote.id),
            ),
        )
        .exists()
    )
    columns: list[Any] = [
        col(Vote.id).label("vote_id"),
        col(Vote.created_at),
        col(Vote.pair_id),
        col(Pair.state),
        col(Pair.purpose),
        col(Pair.version_id),
        col(Pair.aside_at),
        col(Prompt.messages),
    ]
    return (
        sa.select(*columns)
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .join(Prompt, col(Prompt.id) == col(Pair.prompt_id))
        .where(is_last, *_conditions(wanted))
        .order_by(col(Vote.created_at).desc(), col(Vote.id).desc())
    )


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """What must hold of a pair and of its last vote."""
    found: list[sa.ColumnElement[bool]] = []
    if wanted.since is not None:
        found.append(col(Vote.created_at) >= wanted.since)
    if wanted.until is not None:
        found.append(col(Vote.created_at) < wanted.until)
    of_pair: list[tuple[Any, Any]] = [
        (Pair.state, wanted.state),
        (Pair.purpose, wanted.purpose),
        (Pair.version_id, wanted.version),
    ]
    of_vote: list[tuple[Any, Any]] = [
        (Vote.source, wanted.source),
        (Vote.choice, wanted.choice),
        (Vote.rater_id, wanted.rater),
    ]
    found += [col(column) == value for column, value in of_pair if value is not None]
    found += [_some_vote(column, value) for column, value in of_vote if value is not None]
    if wanted.flag is not None:
        found.append(_flagged(wanted.flag, wanted.fast_seconds))
    if wanted.search:
        found.append(_says(wanted.search))
    return found


def _some_vote(column: Any, value: Any) -> sa.ColumnElement[bool]:
    """Whether a standing vote on the pair has this value."""
    vote = aliased(Vote)
    of_pair = col(vote.pair_id) == col(Pair.id), col(vote.superseded_by).is_(None)
    return sa.select(col(vote.id)).where(*of_pair, getattr(vote, column.key) == value).exists()


def _flagged(flag: Flag, fast_seconds: float) -> sa.ColumnElement[bool]:
    vote, other = aliased(Vote), aliased(Vote)
    standing = col(vote.pair_id) == col(Pair.id), col(vote.superseded_by).is_(None)
    if flag == "set_aside":
        return col(Pair.aside_at).is_not(None)
    if flag == "edited":
        edit = aliased(Pair)
        made = col(edit.source_pair_id) == col(Pair.id), col(edit.purpose) == Purpose.EDIT
        return sa.select(col(edit.id)).where(*made).exists()
    if flag == "commented":
        return sa.select(col(vote.id)).where(*standing, col(vote.comment).is_not(None)).exists()
    if flag == "too_fast":
        return sa.select(col(vote.id)).where(*standing, *_too_fast(vote, fast_seconds)).exists()
    differs = (
        sa.select(col(vote.id))
        .where(*standing, *_opinion(vote))
        .join(
            other,
            sa.and_(
                col(other.pair_id) == col(vote.pair_id),
                col(other.superseded_by).is_(None),
                col(other.choice) != col(vote.choice),
                *_opinion(other),
            ),
        )
    )
    return differs.exists()


def _opinion(vote: Any) -> tuple[sa.ColumnElement[bool], ...]:
    return col(vote.source) == Source.HUMAN, col(vote.choice) != Choice.SKIP


def _too_fast(vote: Any, fast_seconds: float) -> tuple[sa.ColumnElement[bool], ...]:
    return col(vote.source) == Source.HUMAN, col(vote.seconds) < fast_seconds


def _says(search: str) -> sa.ColumnElement[bool]:
    """Whether prompt, responses or a comment contain the text, in capitals or not.

    Messages are stored as JSON, where what is not ASCII stands as escapes.
    """
    vote = aliased(Vote)
    text = search[:MAX_SEARCH_CHARS]
    plain, in_json = _like(text), _like(json.dumps(text)[1:-1])
    comment = col(vote.pair_id) == col(Pair.id), col(vote.comment).ilike(plain, escape="!")
    return sa.or_(
        col(Pair.response_a).ilike(plain, escape="!"),
        col(Pair.response_b).ilike(plain, escape="!"),
        sa.cast(col(Prompt.messages), sa.String).ilike(in_json, escape="!"),
        sa.select(col(vote.id)).where(*comment).exists(),
    )


def _like(text: str) -> str:
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text}%"


def _lines(session: Session, rows: list[Any], fast_seconds: float) -> list[PairLine]:
    pair_ids = [row.pair_id for row in rows]
    votes: dict[int, list[tuple[Vote, str]]] = {pair_id: [] for pair_id in pair_ids}
    found = (
        sa.select(Vote, col(Rater.name))
        .join(Rater, col(Rater.id) == col(Vote.rater_id))
        .where(col(Vote.pair_id).in_(pair_ids))
        .order_by(col(Vote.created_at), col(Vote.id))
    )
    for vote, name in session.execute(found):
        votes[vote.pair_id].append((vote, name))
    return [_line(row, votes[row.pair_id], fast_seconds) for row in rows]


def _line(row: Any, votes: list[tuple[Vote, str]], fast_seconds: float) -> PairLine:
    standing = [vote for vote, _ in votes if vote.superseded_by is None]
    return PairLine(
        id=row.pair_id,
        text=row.messages[-1]["content"],
        votes=tuple(
            VoteLine(name, vote.source, vote.choice, vote.strength, vote.superseded_by is not None)
            for vote, name in votes
        ),
        state=row.state,
        purpose=row.purpose,
        version=row.version_id,
        at=row.created_at,
        is_aside=row.aside_at is not None,
        commented=any(vote.comment for vote in standing),
        too_fast=any(is_too_fast(vote, fast_seconds) for vote in standing),
    )


def is_too_fast(vote: Vote, fast_seconds: float) -> bool:
    """Whether a person took less time than it takes to read; not known of a vote without a time."""
    return vote.source is Source.HUMAN and vote.seconds is not None and vote.seconds < fast_seconds


def _parsed(cursor: str) -> tuple[float, str]:
    try:
        at, vote_id = json.loads(cursor)
        str(vote_id).encode()  # or the database would refuse it
        return float(at), str(vote_id)
    except (ValueError, TypeError) as error:
        raise BadInput(f"'{cursor}' is not a place in the list; start at its top.") from error


def _counted(session: Session, column: Any) -> list[dict[str, Any]]:
    """Pairs by a column of theirs, or by one of their standing votes."""
    pairs = func.count(sa.distinct(col(Vote.pair_id)))
    rows = sa.select(column, pairs).select_from(Vote)
    if column.class_ is Pair:
        rows = rows.join(Pair, col(Pair.id) == col(Vote.pair_id))
    else:
        rows = rows.where(col(Vote.superseded_by).is_(None))
    found = session.execute(rows.group_by(column).order_by(pairs.desc()))
    return [{"value": str(value), "pairs": count} for value, count in found]


def _raters(session: Session) -> list[dict[str, Any]]:
    votes = (
        sa.select(col(Vote.rater_id), func.count().label("votes"))
        .where(col(Vote.superseded_by).is_(None))
        .group_by(col(Vote.rater_id))
        .subquery()
    )
    rows = (
        sa.select(col(Rater.id), col(Rater.name), votes.c.votes)
        .join(votes, votes.c.rater_id == col(Rater.id))
        .order_by(votes.c.votes.desc())
    )
    return [
        {"value": str(rater), "name": name, "pairs": count}
        for rater, name, count in session.execute(rows)
    ]


def _flags(session: Session, fast_seconds: float) -> list[dict[str, Any]]:
    def count(*conditions: sa.ColumnElement[bool]) -> int:
        rows = sa.select(func.count(sa.distinct(col(Vote.pair_id)))).where(
            col(Vote.superseded_by).is_(None), *conditions
        )
        return int(session.execute(rows).scalar_one())

    edits = sa.select(func.count(sa.distinct(col(Pair.source_pair_id)))).where(
        col(Pair.source_pair_id).is_not(None), col(Pair.purpose) == Purpose.EDIT
    )
    voted = sa.select(col(Vote.id)).where(col(Vote.pair_id) == col(Pair.id)).exists()
    aside = sa.select(func.count()).select_from(Pair).where(col(Pair.aside_at).is_not(None), voted)
    split = (
        sa.select(col(Vote.pair_id))
        .where(col(Vote.superseded_by).is_(None), *_opinion(Vote))
        .group_by(col(Vote.pair_id))
        .having(func.min(Vote.choice) != func.max(Vote.choice))
        .subquery()
    )
    found: dict[Flag, int] = {
        "too_fast": count(*_too_fast(Vote, fast_seconds)),
        "set_aside": int(session.execute(aside).scalar_one()),
        "disagree": int(session.execute(sa.select(func.count()).select_from(split)).scalar_one()),
        "edited": int(session.execute(edits).scalar_one()),
        "commented": count(col(Vote.comment).is_not(None)),
    }
    return [{"value": flag, "pairs": pairs} for flag, pairs in found.items()]
