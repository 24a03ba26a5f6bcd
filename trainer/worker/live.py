"""The live version: a pointer in the database that people move, and weights that follow it.

One that may `lag` goes on with the version that it has, and whose weights it has verified, until
the live one is there: a sampler whose folder of versions is behind. Others wait for it.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from labeler.config.hub import Say
from labeler.config.settings import Settings
from labeler.domain.adapter_folder import MANIFEST, DamagedCheckpointError
from labeler.domain.errors import LivedpoError
from labeler.domain.report_keys import LOST_FOLDER
from labeler.domain.sentences.alarm import lost_folder
from labeler.files.shelf import Shelf, shelf_of
from labeler.store import Store
from trainer.policy.adapters import read_adapter, remove_folders
from trainer.policy.load import load_policy
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.sampler import Version
from trainer.worker.life import ROLE

log = logging.getLogger(__name__)


def load_live_policy(store: Store, settings: Settings, say: Say = log.info) -> Policy:
    """The policy with adapters of the live version's shape. Raises LivedpoError."""
    live = store.versions.live()
    if live is None or live.folder is None:
        return load_policy(settings, say=say)
    # a damaged one is said before a large model is loaded
    folder = shelf_of(settings).fetch(live.folder, live.sha256)
    return load_policy(settings, folder, say)


def live_damage(store: Store, settings: Settings) -> DamagedCheckpointError | None:
    """What is wrong with the folder of the live version; None if it can be loaded."""
    live = store.versions.live()
    if live is None or live.folder is None:
        return None
    try:
        shelf_of(settings).fetch(live.folder, live.sha256)
    except DamagedCheckpointError as error:
        return error
    return None


class Live:
    """Keeps the weights of the live version in the policy's live adapter."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        shelf: Shelf,
        *,
        may_lag: int | None = None,
        name: str = ROLE,
    ) -> None:
        """The base is registered: there is a live version.

        `may_lag`: how many versions old the one in place may be while the live one is not there;
        None: it must be the live one. `name` is that of the process.
        """
        self._store = store
        self._may_lag = may_lag
        self._name = name
        self.lags: str | None = None  # why the version in place is not the live one, if it is not
        self._policy = policy
        self.shelf = shelf
        self._fetching: tuple[str, Future[Path]] | None = None
        self._untrained = policy.adapter_state(LIVE)
        self._version: Version | None = None
        self._lost: str | None = None

    @property
    def version(self) -> Version:
        """The version whose weights are in place."""
        assert self._version is not None  # nobody asks before it was followed
        return self._version

    def follow(self) -> bool:
        """Take up the version that is live now; false if its LoRA has another rank or scaling.

        Such a one needs the policy loaded anew. Raises DamagedCheckpointError.
        """
        live = self._store.versions.live()
        assert live is not None
        if self._version is not None and self._version.number == live.id:
            self.lags = None
            self._notice_loss()
            return True
        try:
            folder = None if live.folder is None else self._place_of(live.folder, live.sha256)
            weights = self._untrained if folder is None else read_adapter(folder, live.sha256)
        except DamagedCheckpointError as error:
            if self._goes_on():
                self.lags = str(error)
                return True
            self._lost = str(error)  # whoever turns the worker tells it
            raise
        if folder is not None and not self._policy.fits(folder):
            return False
        self.lags = None
        self._policy.set_adapter_state(LIVE, weights, version=live.id)
        self._version = Version(live.id, folder)
        self._notice_loss()
        self._tidy()
        return True

    def _place_of(self, name: str, sha256: str | None) -> Path:
        """The folder of this name. One that has another version to go on with does not wait for it.

        Raises DamagedCheckpointError.
        """
        goes_on = self._may_lag is not None and self._version is not None
        if not goes_on or self.shelf.url is None or self.shelf.has(name):
            return self.shelf.fetch(name, sha256)
        if self._fetching is None or self._fetching[0] != name:
            self._fetching = name, _begun(lambda: self.shelf.fetch(name, sha256))
        fetched = self._fetching[1]
        if not fetched.done():
            raise DamagedCheckpointError(f"Version folder {name} is being fetched.")
        self._fetching = None
        return fetched.result()

    def _tidy(self) -> None:
        """Remove what was fetched of versions that nobody needs any more."""
        if self.shelf.url is not None:
            pruned = self._store.versions.pruned_folders()
            remove_folders(self.shelf.folder, {name for name in pruned if self.shelf.has(name)})

    def _goes_on(self) -> bool:
        """Whether the version in place may be drawn from although it is not the live one."""
        if self._may_lag is None or self._version is None:
            return False
        return self._store.versions.goes_on(self._version.number, max_staleness=self._may_lag)

    def _notice_loss(self) -> None:
        """Say if the folder has gone since it was read, and if it is back."""
        folder = self.version.folder
        lost = None
        if folder is not None and not (folder / MANIFEST).is_file():
            lost = lost_folder(str(folder))
        if lost != self._lost:
            self._store.processes.alarm(LOST_FOLDER.format(self._name), lost)
            self._lost = lost

    def promoted(self, version: Version) -> None:
        """The version that stands in the candidate adapter has become the live one."""
        self._policy.copy_adapter(CANDIDATE, LIVE)
        self._version = version


def _begun(work: Callable[[], Path]) -> Future[Path]:
    """Work on a thread of its own, which keeps no process from ending."""
    future: Future[Path] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except (LivedpoError, OSError) as error:
            future.set_exception(error)
        finally:  # what it is else is in the log
            if not future.done():
                future.set_exception(DamagedCheckpointError("The version cannot be fetched."))

    threading.Thread(target=run, daemon=True).start()
    return future
