"""Adapter folders that are complete or not there.

A folder is written under a temporary name, every file is flushed to disk, the manifest comes last,
and then the folder gets its name. `labeler.adapters` holds what makes a folder whole. Only
safetensors; what is written loads with plain `peft`.
"""

import json
import os
import shutil
from pathlib import Path

from peft import LoraConfig
from safetensors.torch import load_file, save_file
from torch import Tensor

from labeler.adapters import MANIFEST, WEIGHTS, file_sha256, verify
from labeler.adapters import DamagedCheckpointError as DamagedCheckpointError

TEMPORARY = ".writing-"


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
        files = {path.name: file_sha256(path) for path in sorted(temporary.iterdir())}
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
    verify(folder, sha256)
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
