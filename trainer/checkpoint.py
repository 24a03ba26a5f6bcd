"""Adapter folders that are complete or not there.

A folder is written under a temporary name, every file is flushed to disk, the manifest comes last,
and then the folder gets its name. `read_adapter` believes the manifest, not the folder. Only
safetensors; what is written loads with plain `peft`.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

from peft import LoraConfig
from safetensors.torch import load_file, save_file
from torch import Tensor

from labeler.errors import LivedpoError

WEIGHTS = "adapter_model.safetensors"
MANIFEST = "manifest.json"
TEMPORARY = ".writing-"


class DamagedCheckpointError(LivedpoError):
    """The folder is incomplete, or its content is not what was written."""


def write_adapter(folder: Path, state: dict[str, Tensor], config: LoraConfig, *, base: str) -> str:
    """Write an adapter folder and return the sha256 of its weights. Raises OSError (disk full).

    A folder of that name is left over from a crash between here and the database, and replaced.
    """
    temporary = folder.with_name(TEMPORARY + folder.name)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        save_file(state, temporary / WEIGHTS, metadata={"format": "pt"})
        _write_config(temporary, config, base)
        files = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        (temporary / MANIFEST).write_text(json.dumps({"files": files}, indent=1))
        _flush(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _flush_path(folder.parent)
    return files[WEIGHTS]


def read_adapter(folder: Path, sha256: str) -> dict[str, Tensor]:
    """The weights of a complete folder whose hash is right. Raises DamagedCheckpointError."""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        damaged = [name for name, digest in files.items() if _sha256(folder / name) != digest]
    except (OSError, ValueError, KeyError) as error:
        raise DamagedCheckpointError(
            f"The adapter folder {folder} is incomplete: {error}."
        ) from error
    if damaged or files.get(WEIGHTS) != sha256:
        changed = ", ".join(damaged or [WEIGHTS])
        raise DamagedCheckpointError(f"The adapter folder {folder} was changed: {changed}.")
    state: dict[str, Tensor] = load_file(folder / WEIGHTS)
    return state


def remove_unfinished(parent: Path) -> None:
    """Delete what a crash left in the middle of writing."""
    for folder in parent.glob(TEMPORARY + "*"):
        shutil.rmtree(folder)


def _write_config(folder: Path, config: LoraConfig, base: str) -> None:
    values = config.to_dict()
    values["base_model_name_or_path"] = base
    values["inference_mode"] = True
    values["target_modules"] = sorted(values["target_modules"])
    LoraConfig(**values).save_pretrained(str(folder))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    for path in folder.iterdir():
        _flush_path(path)
    _flush_path(folder)


def _flush_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
