"""The live pointer: which version is live, and how often that has changed.

Every change is a row that stays, so that the age of a pair is right after a rollback too.
"""

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.states import VersionState
from labeler.store.tables import LiveChange, PolicyVersion


def live_version(session: Session) -> PolicyVersion | None:
    """The live version; None before the base was adopted."""
    live = select(PolicyVersion).where(col(PolicyVersion.state) == VersionState.LIVE)
    return session.exec(live).first()


def live_id(session: Session) -> int | None:
    """The number of the live version."""
    version = live_version(session)
    return version.id if version else None


def move_to(session: Session, version: PolicyVersion, *, now: float) -> None:
    """Make a version live and retire the one that was, in the caller's transaction."""
    previous = live_version(session)
    if previous is not None:
        previous.state = VersionState.RETIRED
        session.flush()
    version.state, version.live_at = VersionState.LIVE, now
    session.add(version)
    session.flush()
    session.add(LiveChange(version_id=version.id, at=now))
    session.flush()


def last_move(session: Session) -> int:
    """The number of the last change of the live version; it grows with each."""
    return session.exec(select(sa.func.max(LiveChange.id))).one() or 0


def live_at(session: Session, at: float) -> int | None:
    """The number of the version that was live at a moment; of the first one if it was before."""
    changes = select(LiveChange.version_id)
    then = changes.where(col(LiveChange.at) <= at).order_by(col(LiveChange.id).desc()).limit(1)
    first = changes.order_by(col(LiveChange.id)).limit(1)
    found = session.exec(then).first()
    return session.exec(first).first() if found is None else found


def versions_since(session: Session, version_id: int) -> int:
    """How often the live pointer has moved since this version was last live: its pairs' staleness.

    After the versions 1, 2, 3 a rollback to 1 leaves the pairs of 1 at age 0, for they come from
    the live version again; those of 3 at age 1, those of 2 at 2. Each move counts one, however many
    versions it skips.
    """
    last = select(sa.func.max(LiveChange.id)).where(col(LiveChange.version_id) == version_id)
    later = (
        select(sa.func.count())
        .select_from(LiveChange)
        .where(col(LiveChange.id) > last.scalar_subquery())
    )
    return session.exec(later).one()


def ages(session: Session, most: int) -> dict[int, int]:
    """The versions for which `versions_since` is at most `most`, each with it."""
    newest = select(LiveChange.version_id).order_by(col(LiveChange.id).desc()).limit(most + 1)
    found = list(enumerate(session.exec(newest)))
    return {version: age for age, version in reversed(found)}


def wanted_versions(session: Session, max_staleness: int) -> set[int]:
    """The live version, and those it came of that are at most so many versions old.

    A sampler that has not got the live one yet may draw from these: nobody has done away with them.
    """
    live = live_version(session)
    if live is None:
        return set()
    young, found, version = ages(session, max_staleness), {live.id}, live
    while version.parent_id is not None and version.parent_id in young:
        version = session.get_one(PolicyVersion, version.parent_id)
        found.add(version.id)
    return found
