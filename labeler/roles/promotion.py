"""What people do to versions: make one live, or refuse one, once the folder was looked at.

The command line and the dashboard both come here. A folder is checked before the live pointer
moves; the worker checks it once more when it loads it.
"""

from dataclasses import dataclass

from labeler.config.settings import Settings
from labeler.domain.adapter_folder import verify
from labeler.store import Store
from labeler.store.tables import PolicyVersion


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
    _check_folder(settings, version)
    previous = store.versions.make_live_again(version.id, now=now, by=by, live=live)
    return Changed(version.id, previous)


def reject(
    settings: Settings, store: Store, version_id: int, *, now: float, by: str | None = None
) -> Changed:
    """Refuse a candidate, or the live version in favour of its parent. Raises as `make_live`."""
    live = store.versions.live()
    if live is not None and live.id == version_id:
        _check_folder(settings, store.versions.find(None))
    parent = store.versions.reject(version_id, now=now, by=by)
    if parent is not None:
        return Changed(parent, version_id)
    stays = live.id if live else version_id
    return Changed(stays, stays)


def _check_folder(settings: Settings, version: PolicyVersion) -> None:
    if version.folder is not None and version.sha256 is not None:
        verify(settings.adapters_dir / version.folder, version.sha256)
