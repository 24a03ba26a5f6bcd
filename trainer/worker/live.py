"""The live version: a pointer in the database that people move, and weights that follow it."""

import logging
from pathlib import Path

from labeler.config.hub import Say
from labeler.config.settings import Settings
from labeler.store import Store
from trainer.policy.adapters import read_adapter
from trainer.policy.load import load_policy
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.sampler import Version

log = logging.getLogger(__name__)


def load_live_policy(store: Store, settings: Settings, say: Say = log.info) -> Policy:
    """The policy with adapters of the live version's shape. Raises LivedpoError."""
    live = store.versions.live()
    if live is None or live.folder is None:
        return load_policy(settings, say=say)
    folder = settings.adapters_dir / live.folder
    read_adapter(folder, live.sha256)  # a damaged one is said before a large model is loaded
    return load_policy(settings, folder, say)


class Live:
    """Keeps the weights of the live version in the policy's live adapter."""

    def __init__(self, store: Store, policy: Policy, adapters_dir: Path) -> None:
        """The base is registered: there is a live version."""
        self._store = store
        self._policy = policy
        self._adapters_dir = adapters_dir
        self._untrained = policy.adapter_state(LIVE)
        self._version: Version | None = None

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
            return True
        folder = None if live.folder is None else self._adapters_dir / live.folder
        if folder is not None and not self._policy.fits(folder):
            return False
        weights = self._untrained if folder is None else read_adapter(folder, live.sha256)
        self._policy.set_adapter_state(LIVE, weights, version=live.id)
        self._version = Version(live.id, folder)
        return True

    def promoted(self, version: Version) -> None:
        """The version that stands in the candidate adapter has become the live one."""
        self._policy.copy_adapter(CANDIDATE, LIVE)
        self._version = version
