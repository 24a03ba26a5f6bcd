"""Policy versions: exactly one is live."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from labeler.errors import BadInput
from labeler.store.database import Database
from labeler.store.records import NewVersion
from labeler.tables import PolicyVersion, Service, VersionState


class Versions:
    """The verbs on policy versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def adopt_base(self, *, base: str, fingerprint: str, now: float) -> None:
        """Make the base policy version 0 of a new database; check it against that of an old one.

        Raises BadInput if the database belongs to other weights: their reference log-probabilities
        and adapters would be wrong for these.
        """
        with self._database.write() as session:
            service = session.get(Service, 1)
            if service is None:
                session.add(Service(base=base, fingerprint=fingerprint))
                live = VersionState.LIVE
                session.add(PolicyVersion(id=0, state=live, created_at=now, live_at=now))
            elif service.fingerprint != fingerprint:
                raise BadInput(
                    f"This data dir belongs to the policy '{service.base}', not to '{base}'; "
                    "start with that one, or with another --data-dir."
                )

    def live(self) -> PolicyVersion | None:
        """The live version; None before the worker has loaded the base for the first time."""
        with self._database.read() as session:
            return session.exec(_live()).first()

    def next_id(self) -> int:
        """The number that the next version gets."""
        with self._database.read() as session:
            newest = session.exec(select(sa.func.max(PolicyVersion.id))).one()
            return 0 if newest is None else newest + 1

    def all(self) -> list[PolicyVersion]:
        """Every version, oldest first."""
        with self._database.read() as session:
            return list(session.exec(select(PolicyVersion).order_by(col(PolicyVersion.id))))


def live_id(session: Session) -> int | None:
    """The number of the live version."""
    version = session.exec(_live()).first()
    return version.id if version else None


def versions_since(session: Session, version_id: int) -> int:
    """How many versions went live after this one did: the staleness of its pairs."""
    went_live = session.get_one(PolicyVersion, version_id).live_at
    later = (
        select(sa.func.count())
        .select_from(PolicyVersion)
        .where(col(PolicyVersion.live_at) > went_live)
    )
    return session.exec(later).one()


def make_live(session: Session, version: NewVersion, *, now: float) -> None:
    """Insert a version as the live one, and retire its parent, in the caller's transaction."""
    parent = session.exec(_live()).one()
    parent.state = VersionState.RETIRED
    session.flush()
    session.add(_row(version, VersionState.LIVE, parent.id, now, live_at=now))
    session.flush()


def keep_rejected(session: Session, version: NewVersion, *, now: float) -> None:
    """Insert a version that the gate refused."""
    session.add(_row(version, VersionState.REJECTED, live_id(session), now))
    session.flush()


def _row(
    version: NewVersion, state: VersionState, parent: int | None, now: float, **more: Any
) -> PolicyVersion:
    return PolicyVersion(**vars(version), parent_id=parent, state=state, created_at=now, **more)


def _live() -> SelectOfScalar[PolicyVersion]:
    return select(PolicyVersion).where(col(PolicyVersion.state) == VersionState.LIVE)
