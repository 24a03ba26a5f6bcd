"""Which processes of the service live: the state of each role."""

from sqlmodel import col, select

from labeler.store.database import Database
from labeler.store.tables import RoleState


class Roles:
    """What web, scheduler and worker say of themselves."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def say(self, name: str, says: str, *, pid: int, now: float) -> None:
        """A sign of life, with a few words on what the role does."""
        with self._database.write() as session:
            role = session.get(RoleState, name) or RoleState(name=name)
            role.says, role.pid, role.beat_at = says, pid, now
            session.add(role)

    def alarm(self, name: str, alarm: str | None) -> None:
        """Raise or clear the alarm of a role; it is shown on the page and in `status`."""
        with self._database.write() as session:
            role = session.get(RoleState, name) or RoleState(name=name)
            role.alarm = alarm
            session.add(role)

    def clear_alarms(self) -> None:
        """Forget the alarms of a service that has ended."""
        with self._database.write() as session:
            for role in session.exec(select(RoleState).where(col(RoleState.alarm).is_not(None))):
                role.alarm = None

    def all(self) -> list[RoleState]:
        """Every role that has ever said something."""
        with self._database.read() as session:
            return list(session.exec(select(RoleState).order_by(col(RoleState.name))))
