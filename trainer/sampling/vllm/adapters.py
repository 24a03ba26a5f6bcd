"""The adapter of a version as vLLM takes it: a folder of its own for each load, and its name.

vLLM keys its prefix cache by the name of an adapter, and loading a name again while it is busy ends
its engine. So a name is used for one load: it says which start of the service it was, how many
loads came before, the version, and the checksum of its weights. The folder has the same name, and
names the base to the letter as the server does, so that the filesystem resolver of vLLM takes it,
too. It stays until the adapter is unloaded, whatever becomes of the version meanwhile.
"""

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from labeler.domain.adapter_folder import MANIFEST, WEIGHTS, DamagedCheckpointError, verify
from labeler.domain.errors import LivedpoError
from trainer.policy.folders import written_whole
from trainer.sampling.sampler import Version

CONFIG = "adapter_config.json"
PREFIX = "livedpo-"
# What an adapter may have that vLLM does not compute.
REFUSED = {
    "use_dora": "DoRA",
    "modules_to_save": "modules saved in full",
    "lora_bias": "biases",
    "target_parameters": "stacked experts",
    "trainable_token_indices": "trained tokens",
    "rank_pattern": "layers of different ranks",
    "alpha_pattern": "layers of different scales",
}


@dataclass(frozen=True)
class Weights:
    """Which weights a version has: its number, and their checksum. None of it is the base's."""

    number: int
    sha256: str


def weights_of(version: Version) -> Weights | None:
    """Those of a version; None for the base. Raises DamagedCheckpointError."""
    if version.folder is None:
        return None
    try:
        manifest = json.loads((version.folder / MANIFEST).read_text())
        return Weights(version.number, str(manifest["files"][WEIGHTS]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpointError(
            f"The adapter folder {version.folder} is incomplete: {error}."
        ) from error


class Staging:
    """The folder of the adapters that servers load. They must see it at the same path.

    Processes that share the folder tell each other by a lock, that of their start.
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError if the folder cannot be made."""
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start = secrets.token_hex(4)
        self._loads = 0
        self._lock = FileLock(self.folder / f"{self._start}.lock")
        self._lock.acquire()

    def stage(self, version: Version, weights: Weights, base: str) -> str:
        """Lay a version's adapter out under a new name, which is returned.

        Raises LivedpoError for one that vLLM cannot compute, DamagedCheckpointError, OSError.
        """
        assert version.folder is not None
        verify(version.folder, weights.sha256)
        config = json.loads((version.folder / CONFIG).read_text())
        refuse(version, config)
        self._loads += 1
        sha = weights.sha256[:12]
        name = f"{PREFIX}{self._start}-{self._loads}-v{weights.number}-{sha}"
        with written_whole(self.path(name)) as temporary:
            _link(version.folder / WEIGHTS, temporary / WEIGHTS)
            config["base_model_name_or_path"] = base
            (temporary / CONFIG).write_text(json.dumps(config, indent=1))
        return name

    def path(self, name: str) -> Path:
        """Where the adapter of this name lies."""
        return self.folder / name

    def is_ours(self, name: str, root: str) -> bool:
        """Whether a server has this adapter from this process, or from one that has ended."""
        return Path(root) == self.path(name) and not self._is_anothers(name)

    def remove(self, name: str) -> None:
        """Delete the folder of an adapter that no server has."""
        shutil.rmtree(self.path(name), ignore_errors=True)

    def remove_strays(self) -> None:
        """Delete what processes left that have ended."""
        for path in self.folder.glob(f"*{PREFIX}*"):
            if not (path.name.startswith(PREFIX + self._start) or self._is_anothers(path.name)):
                shutil.rmtree(path, ignore_errors=True)
        for lock in self.folder.glob("*.lock"):
            if lock.stem != self._start and not self._is_held(lock):
                lock.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the lock; what is left is anybody's to remove."""
        self._lock.release()

    def _is_anothers(self, name: str) -> bool:
        """Whether a process that lives has laid an adapter out under this name."""
        start = name.rpartition(PREFIX)[2].partition("-")[0]
        lock = self.folder / f"{start}.lock"
        return start != self._start and lock.exists() and self._is_held(lock)

    def _is_held(self, lock: Path) -> bool:
        try:
            with FileLock(lock, timeout=0):
                return False
        except Timeout:
            return True


def refuse(version: Version, config: dict[str, Any]) -> None:
    """Raise LivedpoError for an adapter that vLLM would refuse or compute otherwise."""
    odd = [words for key, words in REFUSED.items() if config.get(key)]
    if config.get("bias", "none") != "none":
        odd.append("biases")
    if odd:
        raise LivedpoError(
            f"vLLM cannot sample version {version.number}: its adapter has {' and '.join(odd)}. "
            "Take --sampler local."
        )


def _link(source: Path, target: Path) -> None:
    """The same file under another name where the disk can do that, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
