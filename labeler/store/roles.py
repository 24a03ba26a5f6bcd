"""Who uses the service and which of its processes live: raters, and the state of each role."""

from sqlmodel import Session, col, select

from labeler.store.database import Database
from labeler.tables import Rater, RaterRole, RoleState

LOCAL_RATER = "local"


class Raters:
    """The verbs on accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def local(self, *, now: float) -> int:
        """The id of the one rater of a service on loopback, which has no login."""
        with self._database.write() as session:
            return account(session, LOCAL_RATER, RaterRole.ADMIN, now=now)


def account(session: Session, name: str, role: RaterRole, *, now: float) -> int:
    """The id of the account of this name, which is made if there is none."""
    found = session.exec(select(Rater).where(col(Rater.name) == name)).first()
    if found is None:
        found = Rater(name=name, role=role, created_at=now)
        session.add(found)
        session.flush()
    assert found.id is not None
    return found.id


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
