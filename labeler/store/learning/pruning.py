"""What goes as time passes, so that disk and database stay bounded by versions kept and labels.

Folders of old versions: `prunable` says which; their rows stay, with what was found. Pairs that
nobody ever answered: their rows go, with their leases and with what a judge failed to say of them.
What is never deleted: a vote, whatever became of it, and all that it stands on.

The file does not shrink by this. SQLite takes the freed pages for the next rows, so it stays as
large as it once was. Each transaction here is small, so that the write-ahead log is folded back in
between and nobody waits long for the write lock. The newest pairs stay, so the number of a pair is
never given to another one.
"""

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.judging import PASSING
from labeler.domain.states import PairState, VersionState
from labeler.store.database import Database
from labeler.store.tables import (
    Ask,
    Lease,
    LiveChange,
    Pair,
    PolicyVersion,
    TidiedVerdicts,
    Update,
    Verdict,
    Vote,
)

MAX_EXPIRED = 1_000
BATCH_ROWS = 500
MAX_BATCHES = 20
# A page that was cut off may deliver a vote late, and it must find its pair.
LATE_VOTE_SECONDS = 7 * 86_400.0
# How often a judge fails is counted on its last answers.
VERDICT_SECONDS = 86_400.0


def prunable(session: Session, keep: int) -> list[PolicyVersion]:
    """Versions whose folders may go, oldest first: all but the newest `keep`.

    Never the live one, its parent, one that a person marked, a candidate (of `livedpo train`: a
    person decides what becomes of it), or one that an open update may have started from.
    """
    newest = select(PolicyVersion.id).order_by(col(PolicyVersion.id).desc()).limit(keep)
    parent = select(PolicyVersion.parent_id).where(
        col(PolicyVersion.state) == VersionState.LIVE, col(PolicyVersion.parent_id).is_not(None)
    )
    rows = (
        select(PolicyVersion)
        .where(
            col(PolicyVersion.folder).is_not(None),
            col(PolicyVersion.pruned_at).is_(None),
            col(PolicyVersion.kept).is_(False),
            col(PolicyVersion.state).in_([VersionState.RETIRED, VersionState.REJECTED]),
            col(PolicyVersion.id).not_in(newest),
            col(PolicyVersion.id).not_in(parent),
            col(PolicyVersion.id).not_in(_live_during_the_update(session)),
        )
        .order_by(col(PolicyVersion.id))
    )
    return list(session.exec(rows))


def tidy(database: Database, *, now: float, max_expired: int = MAX_EXPIRED) -> int:
    """Delete what nobody needs any more, in small transactions; returns how many pairs that were.

    Pairs that were retired without a vote, but for the newest `max_expired`; not while one is
    held, nor for a week after a person held it, nor for a day after a judge spoke of it. And
    answers that a judge owed us a day ago and more, for a cause that passes: it was asked again.
    """
    pairs = 0
    for _ in range(MAX_BATCHES):
        with database.read() as session:
            if not (
                _forgotten_pairs(session, now, max_expired, limit=1)
                or _passed_failures(session, now, limit=1)
            ):
                break
        with database.write() as session:
            found = _forgotten_pairs(session, now, max_expired, limit=BATCH_ROWS)
            _delete_verdicts(session, col(Verdict.pair_id).in_(found))
            _delete_verdicts(
                session, col(Verdict.id).in_(_passed_failures(session, now, limit=BATCH_ROWS))
            )
            session.execute(sa.delete(Lease).where(col(Lease.pair_id).in_(found)))
            session.execute(sa.delete(Ask).where(col(Ask.pair_id).in_(found)))
            session.execute(sa.delete(Pair).where(col(Pair.id).in_(found)))
        pairs += len(found)
    return pairs


def _live_during_the_update(session: Session) -> list[int]:
    """The versions that were live at some time since the open update opened; none if none is."""
    opened_at = session.exec(
        select(Update.opened_at).where(col(Update.finished_at).is_(None))
    ).first()
    if opened_at is None:
        return []
    before = select(sa.func.max(LiveChange.id)).where(col(LiveChange.at) <= opened_at)
    since = select(LiveChange.version_id).where(
        col(LiveChange.id) >= sa.func.coalesce(before.scalar_subquery(), 0)
    )
    return list(session.exec(since))


def _forgotten_pairs(session: Session, now: float, max_expired: int, *, limit: int) -> list[int]:
    """Numbers of up to `limit` pairs that may go, oldest first."""
    expired = col(Pair.state) == PairState.EXPIRED
    newest = (
        select(Pair.id).where(expired).order_by(col(Pair.id).desc()).offset(max_expired).limit(1)
    )
    last = session.exec(newest).first()
    if last is None:
        return []
    voted = select(Vote.id).where(col(Vote.pair_id) == col(Pair.id))
    held = select(Lease.id).where(
        col(Lease.pair_id) == col(Pair.id),
        sa.or_(col(Lease.ended_at).is_(None), col(Lease.ended_at) > now - LATE_VOTE_SECONDS),
    )
    judged = select(Verdict.id).where(
        col(Verdict.pair_id) == col(Pair.id),
        sa.or_(col(Verdict.vote_id).is_not(None), col(Verdict.created_at) > now - VERDICT_SECONDS),
    )
    rows = (
        select(Pair.id)
        .where(expired, col(Pair.id) <= last, ~voted.exists(), ~held.exists(), ~judged.exists())
        .order_by(col(Pair.id))
        .limit(limit)
    )
    return [number for number in session.exec(rows) if number is not None]


def _passed_failures(session: Session, now: float, *, limit: int) -> list[int]:
    """Numbers of up to `limit` verdicts that may go."""
    rows = (
        select(Verdict.id)
        .where(
            col(Verdict.probability).is_(None),
            col(Verdict.cause).in_(PASSING),
            col(Verdict.created_at) <= now - VERDICT_SECONDS,
        )
        .limit(limit)
    )
    return [number for number in session.exec(rows) if number is not None]


def _delete_verdicts(session: Session, which: sa.ColumnElement[bool]) -> None:
    """Delete verdicts, and add what they were and cost to the sums that stay."""
    cause = sa.func.coalesce(Verdict.cause, "")
    requests, tokens = sa.func.sum(Verdict.requests), sa.func.sum(Verdict.tokens)
    sums = (
        sa.select(col(Verdict.judge), cause, sa.func.count(), requests, tokens)
        .where(which)
        .group_by(col(Verdict.judge), cause)
    )
    for judge, why, verdicts, asked, read in session.execute(sums).all():
        row = session.get(TidiedVerdicts, (judge, why)) or TidiedVerdicts(judge=judge, cause=why)
        row.verdicts += verdicts
        row.requests += asked
        row.tokens += read
        session.add(row)
    session.execute(sa.delete(Verdict).where(which))
