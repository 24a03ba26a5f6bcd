"""What people do to versions: make one live, or refuse one, once the folder was looked at.

`repair` is for a live version whose folder is lost: it looks for the newest complete one among
those that the live one was trained from. Nothing does so by itself, for the folder may come back.

The command line and the dashboard both come here. A folder is checked before the live pointer
moves; the worker checks it once more when it loads it.
"""

from dataclasses import dataclass

from labeler.config.settings import Settings
from labeler.domain.adapter_folder import DamagedCheckpointError
from labeler.files.shelf import shelf_of
from labeler.store import Store
from labeler.store.tables import PolicyVersion

REMEDY = "`livedpo versions repair` makes the newest complete version live."


@dataclass(frozen=True)
class Changed:
    """The version that is live now, and the one that was before; the same if nothing moved."""

    live: int
    previous: int

    @property
    def told(self) -> str:
        """Of a version that was made live."""
        return f"Version {self.live} is live now, in place of version {self.previous}."


def make_live(
    settings: Settings,
    store: Store,
    version_id: int | None,
    *,
    now: float,
    by: str | None = None,
    live: int | None = None,
) -> Changed:
    """Make this version live, by default the parent of the live one.

    `by` is the name of who asks, `live` the version that they saw live. Raises BadInput, or
    DamagedCheckpointError if the folder is not whole.
    """
    version = store.versions.find(version_id)
    _check_folder(settings, version, live_one=store.versions.live())
    previous = store.versions.make_live_again(version.id, now=now, by=by, live=live)
    return Changed(version.id, previous)


def repair(settings: Settings, store: Store, *, now: float) -> str:
    """Make the newest complete version live if the live one's folder is lost; what came of it.

    Raises BadInput if there is no version yet.
    """
    older = store.versions.ancestors()
    live = store.versions.live()
    assert live is not None  # or `ancestors` had refused
    lost = _damage(settings, live)
    if lost is None:
        return f"Version {live.id} is live, and its folder is whole; nothing was changed."
    whole = next(version for version in older if _damage(settings, version) is None)
    changed = make_live(settings, store, whole.id, now=now, live=live.id)
    return f"{lost} {changed.told}"


def reject(
    settings: Settings, store: Store, version_id: int, *, now: float, by: str | None = None
) -> Changed:
    """Refuse a candidate, or the live version in favour of its parent. Raises as `make_live`."""
    live = store.versions.live()
    if live is not None and live.id == version_id:
        _check_folder(settings, store.versions.find(None), live_one=live)
    parent = store.versions.reject(version_id, now=now, by=by)
    if parent is not None:
        return Changed(parent, version_id)
    stays = live.id if live else version_id
    return Changed(stays, stays)


def _check_folder(
    settings: Settings, version: PolicyVersion, *, live_one: PolicyVersion | None
) -> None:
    """Raise DamagedCheckpointError if the folder is not whole; with a way out if `live_one`'s is
    not, either.
    """
    if (damage := _damage(settings, version)) is not None:
        is_lost = live_one is not None and _damage(settings, live_one) is not None
        raise DamagedCheckpointError(f"{damage} {REMEDY}" if is_lost else damage)


def _damage(settings: Settings, version: PolicyVersion) -> str | None:
    """What is wrong with the folder of a version, in a sentence; the base has none."""
    if version.folder is None:
        return None
    try:
        shelf_of(settings).fetch(version.folder, version.sha256)
    except DamagedCheckpointError as error:
        return str(error)
    return None
