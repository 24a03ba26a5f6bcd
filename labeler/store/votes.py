"""Votes: recorded once, undone without a trace lost.

A vote that `record` calls saved is committed. The page makes the vote's id, so that the same vote
sent twice (a double click, a retry after a lost answer) counts once.
"""

import uuid

from sqlmodel import Session, col, select

from labeler import pairing
from labeler.store.database import Database
from labeler.store.live import versions_since
from labeler.store.queue import free_slot, leased_pair, settle, wait_again
from labeler.store.records import Ballot, LeasedPair, Receipt
from labeler.tables import Lease, Pair, Source, Vote

TAKEN = "this pair went to somebody else after it had waited too long"
UNKNOWN = "this pair was not handed to this page"
VOTED = "this pair has your vote already; undo that one first"


class Votes:
    """The verbs on votes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, ballot: Ballot, *, rater_id: int, now: float) -> Receipt:
        """Save a vote that stands on a lease of this rater. Saving it again changes nothing.

        A lease that ran out is taken up again if its slot is still free, so that a rater who
        thinks for long, or a service that was restarted, loses no vote.
        """
        with self._database.write() as session:
            if (known := session.get(Vote, ballot.vote_id)) is not None:
                mine = known.rater_id == rater_id and known.lease_id == ballot.lease_id
                return Receipt(ballot.vote_id, saved=mine, reason=None if mine else UNKNOWN)
            lease = session.get(Lease, ballot.lease_id)
            refusal = _refusal(session, lease, rater_id)
            if refusal is not None or lease is None:
                return Receipt(ballot.vote_id, saved=False, reason=refusal)
            pair = session.get_one(Pair, lease.pair_id)
            session.add(_vote(session, ballot, lease, pair, now))
            lease.ended_at = now
            session.flush()
            settle(session, pair)
        return Receipt(ballot.vote_id, saved=True)

    def undo(
        self, *, undo_id: str, rater_id: int, holder: str, seconds: float, now: float
    ) -> LeasedPair | None:
        """Take back the last vote of this page and hold its pair again; None if there is none.

        The vote stays, marked with `undo_id`. The same undo sent twice takes back one vote.
        """
        with self._database.write() as session:
            done = select(Vote).where(col(Vote.superseded_by) == undo_id)
            if (vote := session.exec(done).first()) is not None:
                return _lease_after(session, vote)
            last = (
                select(Vote, Lease)
                .join(Lease, col(Vote.lease_id) == col(Lease.id))
                .where(
                    col(Vote.rater_id) == rater_id,
                    col(Vote.superseded_by).is_(None),
                    col(Lease.holder) == holder,
                )
                .order_by(col(Vote.created_at).desc(), col(Lease.ended_at).desc())
                .limit(1)
            )
            if (row := session.exec(last).first()) is None:
                return None
            vote, lease = row
            vote.superseded_by = undo_id
            session.flush()
            pair = session.get_one(Pair, vote.pair_id)
            again = _hold_again(session, lease, pair, expires_at=now + seconds)
            wait_again(pair)
            session.flush()
            return leased_pair(session, again)


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


def _vote(session: Session, ballot: Ballot, lease: Lease, pair: Pair, now: float) -> Vote:
    return Vote(
        id=ballot.vote_id,
        pair_id=lease.pair_id,
        rater_id=lease.rater_id,
        lease_id=lease.id,
        choice=pairing.stored_choice(ballot.choice, lease.shown_left),
        strength=ballot.strength,
        shown_left=lease.shown_left,
        source=Source.HUMAN,
        staleness=versions_since(session, pair.version_id),
        seconds=ballot.seconds,
        reasons=ballot.reasons,
        created_at=now,
    )


def _hold_again(session: Session, lease: Lease, pair: Pair, *, expires_at: float) -> Lease:
    slot = free_slot(session, pair)
    assert slot is not None  # the vote that was just taken back held one
    again = Lease(
        id=uuid.uuid4().hex,
        pair_id=lease.pair_id,
        rater_id=lease.rater_id,
        holder=lease.holder,
        slot=slot,
        shown_left=lease.shown_left,
        leased_at=lease.leased_at,  # so that a reloaded page gets it first
        expires_at=expires_at,
    )
    session.add(again)
    return again


def _lease_after(session: Session, vote: Vote) -> LeasedPair | None:
    """The lease that an undo made, if it still stands."""
    made = select(Lease).where(
        col(Lease.pair_id) == vote.pair_id,
        col(Lease.rater_id) == vote.rater_id,
        col(Lease.ended_at).is_(None),
    )
    lease = session.exec(made).first()
    return leased_pair(session, lease) if lease else None
