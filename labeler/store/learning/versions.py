"""Policy versions: exactly one is live, and any other whose folder stays can be made so again."""

from dataclasses import replace

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.drawing import Drawing
from labeler.domain.errors import BadInput
from labeler.domain.finding import Action, Finding
from labeler.domain.states import LabelRole, UpdateState, VersionState
from labeler.store.database import Database
from labeler.store.holders import TRAINER, refuse_other
from labeler.store.learning.pruning import prunable
from labeler.store.live_version import live_id, live_version, move_to, wanted_versions
from labeler.store.rating.pairs import retire_of
from labeler.store.records import NewVersion
from labeler.store.tables import PolicyVersion, Service, Update, UpdateLabel, Vote

NO_VERSION = "There is no version yet; `livedpo serve` makes the first one."


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
            if session.get(Service, 1) is None:
                session.add(Service(base=base, fingerprint=fingerprint))
                zero = PolicyVersion(id=0, state=VersionState.CANDIDATE, created_at=now)
                move_to(session, zero, now=now)
            _check_base(session, base, fingerprint)

    def note_drawing(self, drawing: Drawing) -> None:
        """Remember how replies are drawn now; the base is registered."""
        with self._database.write() as session:
            session.get_one(Service, 1).drawing = vars(drawing)

    def check_base(self, *, base: str, fingerprint: str) -> None:
        """Raise BadInput if the database belongs to other weights, or to none yet."""
        with self._database.read() as session:
            _check_base(session, base, fingerprint)

    def live(self) -> PolicyVersion | None:
        """The live version; None before the worker has loaded the base for the first time."""
        with self._database.read() as session:
            return live_version(session)

    def next_id(self) -> int:
        """The number that the next version gets."""
        with self._database.read() as session:
            return _next_id(session)

    def all(self) -> list[PolicyVersion]:
        """Every version, oldest first."""
        with self._database.read() as session:
            return list(session.exec(select(PolicyVersion).order_by(col(PolicyVersion.id))))

    def add_candidate(
        self, *, folder: str, sha256: str, finding: Finding, parent: int, now: float
    ) -> int:
        """Add a version that was trained apart from the loop, from `parent`; returns its number.

        The number is drawn here, so that it cannot be one that the worker's next version has taken.
        """
        with self._database.write() as session:
            version = NewVersion(_next_id(session), folder, sha256, finding)
            row = new_row(version, VersionState.CANDIDATE, parent=parent, now=now)
            session.add(row)
            return row.id

    def get(self, version_id: int) -> PolicyVersion:
        """The version of this number. Raises BadInput if there is none, or no folder any more."""
        with self._database.read() as session:
            return _get(session, version_id)

    def keep(self, version_id: int, *, kept: bool) -> None:
        """Mark that a version's folder stays, or take the mark back. Raises BadInput."""
        with self._database.write() as session:
            version = _get(session, version_id)
            if version.folder is None:
                raise BadInput(f"Version {version_id} is the base policy and has no folder.")
            version.kept = kept

    def prune(self, *, keep: int, now: float, worker: str | None = None) -> list[str]:
        """Mark all but the newest `keep` versions as pruned; returns their folders, to be deleted.

        `labeler.store.learning.pruning` says which ones stay anyway. None of these can be made live
        from now on, so the folders can go once this has returned; a crash before that leaves them
        to `folders`. Raises LeaseLostError if another process than `worker`, if given, is the
        trainer.
        """
        with self._database.read() as session:
            if not prunable(session, keep):
                return []
        with self._database.write() as session:
            if worker is not None:
                refuse_other(session, TRAINER, worker)
            pruned = prunable(session, keep)
            for version in pruned:
                version.pruned_at = now
            return [version.folder for version in pruned if version.folder is not None]

    def folders(self, worker: str | None = None) -> set[str]:
        """The folders that versions still need. Raises LeaseLostError as `prune` does.

        What is there and not among them nobody is writing: only the trainer does.
        """
        with self._database.read() as session:
            if worker is not None:
                refuse_other(session, TRAINER, worker)
            return _folders(session, col(PolicyVersion.pruned_at).is_(None))

    def pruned_folders(self) -> set[str]:
        """The folders that no version needs any more."""
        with self._database.read() as session:
            return _folders(session, col(PolicyVersion.pruned_at).is_not(None))

    def identity(self) -> str | None:
        """What tells this service from every other one; None before the base was adopted."""
        with self._database.read() as session:
            service = session.get(Service, 1)
            return service.identity if service else None

    def goes_on(self, version_id: int, *, max_staleness: int) -> bool:
        """Whether pairs of this version are still wanted: see `wanted_versions`."""
        with self._database.read() as session:
            return version_id in wanted_versions(session, max_staleness)

    def find(self, version_id: int | None) -> PolicyVersion:
        """The version that can be made live: this one, or by default the parent of the live one.

        Raises BadInput if there is no such version, if it is live already, or if it was pruned.
        Check its folder before `make_live_again`.
        """
        with self._database.read() as session:
            return _find(session, version_id)

    def ancestors(self) -> list[PolicyVersion]:
        """What the live version was trained from, the newest first, as far as it can be live again.

        Raises BadInput if there is no version yet.
        """
        with self._database.read() as session:
            version = live_version(session)
            if version is None:
                raise BadInput(NO_VERSION)
            found = []
            while version.parent_id is not None:
                version = session.get_one(PolicyVersion, version.parent_id)
                if version.pruned_at is None and not version.finding.broken:
                    found.append(version)
            return found

    def make_live_again(
        self, version_id: int, *, now: float, by: str | None = None, live: int | None = None
    ) -> int:
        """Make another version live: a retired one, a candidate, or one that the gate refused.

        Retires the live one, whose number is returned. Whoever goes back does away with it, so its
        pairs that nobody holds go too. Votes stay. The labels of a refused version were learnt by
        it, and count as used from now on. An update that trains meanwhile starts again from here.
        `by` is recorded as who did it; `live`, if given, is the version that must still be live.
        Raises BadInput.
        """
        with self._database.write() as session:
            _expect(session, live)
            version = _find(session, version_id)
            previous = live_id(session)
            assert previous is not None  # or _find had refused
            if version.state is VersionState.REJECTED:
                _use_labels_of(session, version.id)
            _note(version, "made live", by=by, now=now)
            move_to(session, version, now=now)
            if version.id < previous:
                retire_of(session, previous)
            return previous

    def reject(self, version_id: int, *, now: float, by: str | None = None) -> int | None:
        """Refuse a candidate, or the live version, whose parent is live from now on.

        Returns the parent that became live, if one did. Check its folder before. The labels of a
        version that was live stay used. Raises BadInput.
        """
        with self._database.write() as session:
            version = _get(session, version_id)
            parent = None
            if version.state is VersionState.LIVE:
                parent = _find(session, None)
                _note(parent, "made live", by=by, now=now)
                move_to(session, parent, now=now)
                retire_of(session, version.id)
            elif version.state is not VersionState.CANDIDATE:
                raise BadInput(
                    f"Version {version_id} is {version.state} already; only a candidate and the "
                    "live version can be rejected."
                )
            _note(version, "rejected", by=by, now=now)
            version.state = VersionState.REJECTED
            return parent.id if parent else None


def _folders(session: Session, *which: sa.ColumnElement[bool]) -> set[str]:
    rows = select(PolicyVersion.folder).where(col(PolicyVersion.folder).is_not(None), *which)
    return {name for name in session.exec(rows) if name}


def new_row(
    version: NewVersion, state: VersionState, *, parent: int | None, now: float
) -> PolicyVersion:
    """The row of a version, not yet in any session."""
    return PolicyVersion(**vars(version), parent_id=parent, state=state, created_at=now)


def _expect(session: Session, live: int | None) -> None:
    """Raise BadInput if another version is live than the person saw who asks for a change."""
    now_live = live_id(session)
    if live is not None and live != now_live:
        raise BadInput(f"Version {now_live} went live meanwhile, in place of {live}; look again.")


def _note(version: PolicyVersion, what: str, *, by: str | None, now: float) -> None:
    """Record with the version what a person did to it."""
    actions = (*version.finding.actions, Action(what, by, now))
    version.finding = replace(version.finding, actions=actions)


def _next_id(session: Session) -> int:
    newest = session.exec(select(sa.func.max(PolicyVersion.id))).one()
    return 0 if newest is None else newest + 1


def _check_base(session: Session, base: str, fingerprint: str) -> None:
    service = session.get(Service, 1)
    if service is None:
        raise BadInput(NO_VERSION)
    if service.fingerprint != fingerprint and service.base == base:
        raise BadInput(
            f"The weights of the policy '{base}' are not those that this data dir was started "
            "with: its files have changed, or another --dtype packs them."
        )
    if service.fingerprint != fingerprint:
        raise BadInput(
            f"This data dir belongs to the policy '{service.base}', not to '{base}'; "
            "start with that one, or with another --data-dir."
        )


def _get(session: Session, version_id: int) -> PolicyVersion:
    version = session.get(PolicyVersion, version_id)
    if version is None:
        raise BadInput(f"There is no version {version_id}; `livedpo versions list` shows them.")
    if version.pruned_at is not None:
        raise BadInput(
            f"Version {version_id} was pruned; its folder is gone. "
            "`livedpo versions keep V` keeps a folder."
        )
    return version


def _find(session: Session, version_id: int | None) -> PolicyVersion:
    live = live_version(session)
    if live is None:
        raise BadInput(NO_VERSION)
    if version_id is None and live.parent_id is None:
        raise BadInput(f"Version {live.id} is live and has no parent; name a version.")
    wanted = live.parent_id if version_id is None else version_id
    assert wanted is not None
    if wanted == live.id:
        raise BadInput(f"Version {wanted} is live already.")
    version = _get(session, wanted)
    if version.finding.broken:
        raise BadInput(f"Version {wanted} cannot generate; its weights or its loss are not finite.")
    return version


def _use_labels_of(session: Session, version_id: int) -> None:
    """Mark what a refused version was trained on as used by its update, so that it counts once."""
    trained_on = (
        select(Vote, Update)
        .join(UpdateLabel, col(UpdateLabel.vote_id) == col(Vote.id))
        .join(Update, col(Update.id) == col(UpdateLabel.update_id))
        .where(
            col(Update.version_id) == version_id,
            col(Update.state) == UpdateState.REJECTED,
            col(UpdateLabel.role) == LabelRole.TRAIN,
            col(Vote.used_in_update).is_(None),
            col(Vote.superseded_by).is_(None),
        )
    )
    for vote, update in session.exec(trained_on):
        vote.used_in_update = update.id
