"""Unattended runs: when each began, how long it has worked, and why it ended.

A run that was killed or interrupted has no end; the next one goes on with it, so that its hours
count over restarts.
"""

from collections.abc import Mapping

from sqlmodel import Session, col, select

from labeler.store.database import Database
from labeler.store.tables import Run


class Runs:
    """The verbs on unattended runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, judge: str, *, now: float) -> Run:
        """The run that has not ended, or a new one."""
        with self._database.write() as session:
            run = _current(session) or Run(judge=judge, started_at=now)
            run.judge = judge
            session.add(run)
            session.flush()
            return run

    def work(self, seconds: float) -> None:
        """Add to how long the run has worked."""
        with self._database.write() as session:
            run = _current(session)
            if run is not None:
                run.seconds += seconds

    def spend(self, seconds: Mapping[str, float]) -> None:
        """Add to what the worker has spent its time on, by kind; nothing if no run is on."""
        with self._database.write() as session:
            run = _current(session)
            if run is not None:
                spent = dict(run.spent)
                for kind, some in seconds.items():
                    spent[kind] = spent.get(kind, 0.0) + some
                run.spent = spent

    def end(self, reason: str, *, now: float) -> None:
        """Close the run that is on."""
        with self._database.write() as session:
            run = _current(session)
            if run is not None:
                run.ended_at, run.reason = now, reason

    def last(self) -> Run | None:
        """The newest run, on or ended."""
        with self._database.read() as session:
            return session.exec(select(Run).order_by(col(Run.id).desc()).limit(1)).first()


def _current(session: Session) -> Run | None:
    return session.exec(select(Run).where(col(Run.ended_at).is_(None))).first()
