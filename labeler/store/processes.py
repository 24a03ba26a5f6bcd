"""Which processes of the service live: the state of each."""

from sqlmodel import col, select

from labeler.store.database import Database
from labeler.store.tables import ProcessState


class Processes:
    """What web, scheduler and worker say of themselves."""

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
