"""Roles that one process at a time has: a row says who, and each of its writes looks there first.

    take  ->  beat, beat, …  ->  give_up, or another one takes it once the beats have ended

A row holds behind any pooler and on any database, where a lock of a session does not. Whoever waits
looks at whether the beats go on by its own clock (`labeler.roles.holding`), so clocks of machines
need not agree. A holder that was overtaken finds out in the transaction in which it would write
(`refuse_other`): the token there is not its own.
"""

from dataclasses import dataclass

from sqlmodel import Session

from labeler.store.database import Database
from labeler.store.records import ClaimLostError
from labeler.store.tables import RoleLease

TRAINER = "trainer"
SAMPLER = "sampler"  # of all samplers, the one that does what only one may


class LeaseLostError(ClaimLostError):
    """Another process has the role by now."""


@dataclass(frozen=True)
class Held:
    """Who has a role: a token of the process, its name, and its heartbeats so far."""

    token: str
    holder: str
    beats: int


class Holders:
    """The verbs on roles that one process at a time has."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(self, role: str) -> Held | None:
        """Who has the role; None if nobody has."""
        with self._database.read() as session:
            return _held(session.get(RoleLease, role))

    def take(
        self, role: str, token: str, *, holder: str, instead_of: Held | None, now: float
    ) -> bool:
        """Take the role, if the one whose beats have ended still has it, or nobody."""
        with self._database.write() as session:
            row = session.get(RoleLease, role)
            if _held(row) != instead_of:
                return False
            row = row or RoleLease(role=role)
            row.token, row.holder, row.beats, row.beat_at = token, holder, 0, now
            session.add(row)
            return True

    def beat(self, role: str, token: str, *, now: float) -> bool:
        """Say that the holder lives; false if it is another one by now."""
        with self._database.write() as session:
            row = session.get(RoleLease, role)
            if row is None or row.token != token:
                return False
            row.beats, row.beat_at = row.beats + 1, now
            return True

    def give_up(self, role: str, token: str) -> None:
        """Let another one have it at once."""
        with self._database.write() as session:
            row = session.get(RoleLease, role)
            if row is not None and row.token == token:
                row.token = None


def refuse_other(session: Session, role: str, token: str) -> None:
    """Raise LeaseLostError if the role is another process's, or was given up.

    In the transaction of what is to be written. A role that nobody ever took is not held to this.
    """
    row = session.get(RoleLease, role)
    if row is not None and row.token != token:
        raise LeaseLostError(
            f"This process is the {role} no longer: {row.holder} took its place. What it was doing "
            "counts for nothing."
        )


def _held(row: RoleLease | None) -> Held | None:
    return None if row is None or row.token is None else Held(row.token, row.holder, row.beats)
