"""Which processes of the service live: the state of each."""

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.clocks import SKEW_SECONDS
from labeler.domain.health import SILENT_SECONDS
from labeler.domain.process_names import IN_PLACE_OF, LEFT, ROLES, process_of, role_of
from labeler.store.database import Database
from labeler.store.tables import ProcessState

GONE_SECONDS = 600.0


class Processes:
    """What the processes say of themselves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def say(self, name: str, says: str, *, pid: int, now: float) -> None:
        """A sign of life, with a few words on what it does."""
        with self._database.write() as session:
            process = session.get(ProcessState, name) or ProcessState(name=name)
            process.says, process.pid, process.beat_at = says, pid, now
            session.add(process)

    def alarm(self, name: str, alarm: str | None) -> None:
        """Raise or clear the alarm of a process; it is shown on the page and in `status`."""
        with self._database.write() as session:
            process = session.get(ProcessState, name) or ProcessState(name=name)
            process.alarm = alarm
            session.add(process)

    def recovered(self, role: str) -> None:
        """Forget what an earlier process of this role reported: a new one is at work.

        Its deaths are the supervisor's to forget.
        """
        with self._database.write() as session:
            reported = col(ProcessState.name).startswith(f"{role}: ", autoescape=True)
            for process in session.exec(select(ProcessState).where(reported)):
                process.alarm = None

    def leave(self, name: str, *, now: float) -> None:
        """A process ends as it was told: nobody is to wait for it, and what it reported is over.

        One of several leaves no trace; of the others the last sign of life stays.
        """
        with self._database.write() as session:
            if role_of(name) == name:
                process = session.get(ProcessState, name) or ProcessState(name=name)
                process.says, process.beat_at = LEFT, now
                session.add(process)
                return
            key = col(ProcessState.name)
            own = sa.or_(key == name, key.startswith(f"{name}: ", autoescape=True))
            session.execute(sa.delete(ProcessState).where(own))

    def forget_gone(self, *, now: float) -> None:
        """Forget processes that have not been heard for ten minutes, where others do their work.

        Of several, one that reported trouble and was never heard ended at its start. Its next
        process has another name, and takes nothing back for it.
        """
        with self._database.read() as session:
            states = list(session.exec(select(ProcessState)))
            at_work = {role_of(name) for name in heard(session, now=now)}
        beats = {each.name: each.beat_at for each in states if each.beat_at is not None}
        silent = {name for name, at in beats.items() if now - at > GONE_SECONDS}
        unheard = {process_of(each.name) for each in states} - beats.keys()
        silent |= {name for name in unheard if name != role_of(name)}
        gone = {
            name
            for name in silent
            if role_of(name) in ROLES
            and any(others <= at_work for others in IN_PLACE_OF[role_of(name)])
        }
        keys = [each.name for each in states if process_of(each.name) in gone]
        if keys:
            with self._database.write() as session:
                session.execute(sa.delete(ProcessState).where(col(ProcessState.name).in_(keys)))

    def clear_alarms(self) -> None:
        """Forget the alarms of a service that has ended."""
        with self._database.write() as session:
            for process in session.exec(
                select(ProcessState).where(col(ProcessState.alarm).is_not(None))
            ):
                process.alarm = None

    def all(self) -> list[ProcessState]:
        """Every process that has ever said something."""
        with self._database.read() as session:
            return list(session.exec(select(ProcessState).order_by(col(ProcessState.name))))


def heard(session: Session, *, now: float) -> set[str]:
    """The processes of the service that live, by their last sign of it."""
    says, at = col(ProcessState.says), col(ProcessState.beat_at)
    lately = says != LEFT, at.between(now - SILENT_SECONDS, now + SKEW_SECONDS)
    names = session.exec(select(ProcessState.name).where(*lately))
    return {name for name in names if role_of(name) in ROLES}
