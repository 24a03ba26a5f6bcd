"""Adapter folders: what makes one whole. Reads bytes and hashes them; knows no model.

A folder holds the weights, their config, and a manifest that was written last and names every other
file with its hash. Before a version becomes live its folder is checked against both the manifest
and the hash in the database.
"""

import hashlib
import json
from pathlib import Path

from labeler.domain.errors import LivedpoError

WEIGHTS = "adapter_model.safetensors"
MANIFEST = "manifest.json"


class DamagedCheckpointError(LivedpoError):
    """The folder is incomplete, or its content is not what was written."""


def verify(folder: Path, sha256: str | None) -> None:
    """Check a folder against its manifest, and its weights against a hash recorded elsewhere.

    Raises DamagedCheckpointError.
    """
    if not folder.is_dir():
        raise DamagedCheckpointError(f"The adapter folder {folder} is gone.")
    try:
        files = _manifest(folder)
        damaged = [name for name, digest in files.items() if file_sha256(folder / name) != digest]
    except (OSError, ValueError) as error:
        raise DamagedCheckpointError(
            f"The adapter folder {folder} is incomplete: {error}."
        ) from error
    if damaged or WEIGHTS not in files or sha256 not in (None, files[WEIGHTS]):
        changed = ", ".join(damaged or [WEIGHTS])
        raise DamagedCheckpointError(f"The adapter folder {folder} was changed: {changed}.")


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(folder: Path) -> dict[str, str]:
    """File names with their hashes. Raises OSError, or ValueError for one that lists none."""
    manifest = json.loads((folder / MANIFEST).read_text())
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict):
        raise ValueError(f"its {MANIFEST} lists no files")
    return files
