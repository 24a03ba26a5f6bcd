"""Votes: recorded once, undone without a trace lost.

A vote that `record` calls saved is committed. The page makes the vote's id, so that the same vote
sent twice (a double click, a retry after a lost answer) counts once. Sent with another choice it is
answered with the one that is stored.
"""

import math

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain import sides
from labeler.domain.labels import NO_TIES, VoteRules
from labeler.domain.states import Source
from labeler.store.database import Database
from labeler.store.live_version import versions_since
from labeler.store.rating.edits import add_edit, edited_text, take_edit_back
from labeler.store.rating.leases import leased_pair, new_lease
from labeler.store.rating.locks import is_disabled, lock_pairs, lock_rater
from labeler.store.rating.pairs import free_slot, settle, wait_again
from labeler.store.rating.used import trained_by
from labeler.store.records import Ballot, Receipt, Undone
from labeler.store.tables import Lease, Pair, Vote

TAKEN = "this pair went to someone else because it waited too long"
UNKNOWN = "this pair was not given to this page"
STORED = "it was stored before, with another choice"
VOTED = "you have already voted on this pair; undo that vote first"
NOT_YOURS = "there is no such vote of yours"
GONE = "this vote was undone"
EXPLAINED = "this vote already has its reasons"
DISABLED = "this account is disabled"
SHUT_OUT = "This account is disabled, so the vote stays."
NOTHING_LEFT = "This tab has no vote left to undo."
NO_SUCH_VOTE = "This vote was already undone."
ELSEWHERE = "The vote is undone. Its pair is no longer available and does not come back."


class Votes:
    """The verbs on votes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, ballot: Ballot, *, rater_id: int, now: float) -> Receipt:
        """Save a vote that stands on a lease of this rater. Saving it again changes nothing.

        A lease that ran out is taken up again if its slot is still free, so that a rater who
        thinks for long, or a service that was restarted, loses no vote. An edit of the chosen
        response is saved with it, as a pair of its own.
        """
        with self._database.write(alone=False, first=True) as session:
            rater = lock_rater(session, rater_id)
            if (known := session.get(Vote, ballot.vote_id)) is not None:
                return _known(ballot, known, rater_id)
            if is_disabled(rater):
                return Receipt(ballot.vote_id, saved=False, reason=DISABLED)
            lease = session.get(Lease, ballot.lease_id)
            lock_pairs(session, [lease.pair_id] if lease else [])
            refusal = _refusal(session, lease, rater_id)
            if refusal is not None or lease is None:
                return Receipt(ballot.vote_id, saved=False, reason=refusal)
            pair = session.get_one(Pair, lease.pair_id)
            vote = _vote(session, ballot, lease, pair, _after_the_last(session, lease, now))
            session.add(vote)
            lease.ended_at = now
            session.flush()
            if (text := edited_text(ballot, pair, vote)) is not None:
                add_edit(session, text, pair, vote, now=now)
            settle(session, pair)
        return Receipt(ballot.vote_id, saved=True)

    def explain(
        self, vote_id: str, *, reasons: list[str], comment: str | None, rater_id: int
    ) -> Receipt:
        """Add reasons and a comment to a vote that was cast without; once, while it stands.

        A vote does not change in what it says: reasons that are there stay. The same ones sent
        twice are saved once.
        """
        with self._database.write(alone=False, first=True) as session:
            lock_rater(session, rater_id)
            vote = session.get(Vote, vote_id)
            if vote is None or vote.rater_id != rater_id or vote.lease_id is None:
                return Receipt(vote_id, saved=False, reason=NOT_YOURS)
            if (vote.reasons, vote.comment) == (reasons, comment):
                return Receipt(vote_id, saved=True)
            if vote.superseded_by is not None:
                return Receipt(vote_id, saved=False, reason=GONE)
            if vote.reasons or vote.comment:
                return Receipt(vote_id, saved=False, reason=EXPLAINED)
            vote.reasons, vote.comment = reasons, comment
        return Receipt(vote_id, saved=True)

    def undo(
        self,
        *,
        undo_id: str,
        rater_id: int,
        holder: str,
        seconds: float,
        now: float,
        vote_id: str | None = None,
        rules: VoteRules = NO_TIES,
    ) -> Undone:
        """Take back a vote and hold its pair again, on the same sides.

        It is the vote named, or else the last one of this page. The vote stays, marked with
        `undo_id`, and so does the edit that came with it. The same undo sent twice takes back one
        vote. A used vote is left out of every later update and export. `rules` say which votes
        updates learn from.
        """
        with self._database.write(alone=False, first=True) as session:
            rater = lock_rater(session, rater_id)
            done = select(Vote).where(
                col(Vote.superseded_by) == undo_id,
                col(Vote.rater_id) == rater_id,
                col(Vote.lease_id).is_not(None),
            )
            if (vote := session.exec(done).first()) is not None:
                return _undone(session, vote, _lease_after(session, vote), rules)
            if is_disabled(rater):
                return Undone(None, reason=SHUT_OUT)
            row = _to_undo(session, rater_id=rater_id, holder=holder, vote_id=vote_id)
            if row is None:
                return Undone(None, reason=NOTHING_LEFT if vote_id is None else NO_SUCH_VOTE)
            vote, lease = row
            lock_pairs(session, [vote.pair_id])
            vote.superseded_by = undo_id
            session.flush()
            pair = session.get_one(Pair, vote.pair_id)
            again = _hold_again(session, lease, pair, holder=holder, expires_at=now + seconds)
            if again is not None:
                wait_again(pair)
                session.flush()
            return _undone(session, vote, again, rules)


def _known(ballot: Ballot, vote: Vote, rater_id: int) -> Receipt:
    """The answer to a ballot whose id is that of a stored vote."""
    if vote.rater_id != rater_id or vote.lease_id != ballot.lease_id:
        return Receipt(ballot.vote_id, saved=False, reason=UNKNOWN)
    choice = sides.screen_choice(vote.choice, vote.shown_left)
    if (choice, vote.strength) == (ballot.choice, ballot.strength):
        return Receipt(ballot.vote_id, saved=True)
    return Receipt(
        ballot.vote_id, saved=False, reason=STORED, choice=choice, strength=vote.strength
    )


def _undone(session: Session, vote: Vote, lease: Lease | None, rules: VoteRules) -> Undone:
    """What the rater is told of an undone vote."""
    assert vote.superseded_by is not None
    return Undone(
        pair=leased_pair(session, lease) if lease else None,
        reason=None if lease else ELSEWHERE,
        choice=sides.screen_choice(vote.choice, vote.shown_left),
        edit=take_edit_back(session, vote, vote.superseded_by),
        trained=trained_by(session, vote, rules),
    )


def _to_undo(
    session: Session, *, rater_id: int, holder: str, vote_id: str | None
) -> tuple[Vote, Lease] | None:
    """The standing vote that is named, or else the last one of this page, with its lease."""
    which = col(Lease.holder) == holder if vote_id is None else col(Vote.id) == vote_id
    rows = (
        select(Vote, Lease)
        .join(Lease, col(Vote.lease_id) == col(Lease.id))
        .where(col(Vote.rater_id) == rater_id, col(Vote.superseded_by).is_(None), which)
        .order_by(col(Vote.created_at).desc(), col(Lease.ended_at).desc())
        .limit(1)
    )
    return session.exec(rows).first()


def _refusal(session: Session, lease: Lease | None, rater_id: int) -> str | None:
    """Why this lease takes no vote; None if it does. An ended lease is revived if it can be."""
    if lease is None or lease.rater_id != rater_id:
        return UNKNOWN
    standing = select(Vote.id).where(
        col(Vote.pair_id) == lease.pair_id,
        col(Vote.rater_id) == rater_id,
        col(Vote.superseded_by).is_(None),
    )
    if session.exec(standing).first() is not None:
        return VOTED
    if lease.ended_at is None:
        return None
    slot = free_slot(session, session.get_one(Pair, lease.pair_id))
    if slot is None:
        return TAKEN
    lease.slot, lease.ended_at = slot, None
    return None


def _after_the_last(session: Session, lease: Lease, now: float) -> float:
    """Now, or just after the last vote of this page where the clock was set back since.

    An undo takes back the last vote, and goes by this time.
    """
    times = select(sa.func.max(Vote.created_at)).join(Lease, col(Lease.id) == col(Vote.lease_id))
    last = session.exec(times.where(col(Lease.holder) == lease.holder)).one()
    return now if last is None or last <= now else math.nextafter(last, math.inf)


def _vote(session: Session, ballot: Ballot, lease: Lease, pair: Pair, now: float) -> Vote:
    return Vote(
        id=ballot.vote_id,
        pair_id=lease.pair_id,
        rater_id=lease.rater_id,
        lease_id=lease.id,
        choice=sides.stored_choice(ballot.choice, lease.shown_left),
        strength=ballot.strength,
        shown_left=lease.shown_left,
        source=Source.HUMAN,
        staleness=versions_since(session, pair.version_id),
        seconds=ballot.seconds,
        reasons=ballot.reasons,
        comment=ballot.comment,
        created_at=now,
    )


def _hold_again(
    session: Session, lease: Lease, pair: Pair, *, holder: str, expires_at: float
) -> Lease | None:
    """A new lease like the old one, for this page; None if others have taken every slot."""
    slot = free_slot(session, pair)
    if slot is None:
        return None
    return new_lease(
        session,
        pair,
        slot,
        rater_id=lease.rater_id,
        holder=holder,
        shown_left=lease.shown_left,
        leased_at=lease.leased_at,  # so that a reloaded page gets it first
        expires_at=expires_at,
    )


def _lease_after(session: Session, vote: Vote) -> Lease | None:
    """The lease that an undo made, if it still stands."""
    made = select(Lease).where(
        col(Lease.pair_id) == vote.pair_id,
        col(Lease.rater_id) == vote.rater_id,
        col(Lease.ended_at).is_(None),
    )
    return session.exec(made).first()
