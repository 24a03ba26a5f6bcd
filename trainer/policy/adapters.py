"""Adapter folders that are complete or not there.

A folder is written by `trainer.policy.folders`, its manifest last; a folder that goes loses its
name first. `labeler.domain.adapter_folder` holds what makes a folder whole. Only safetensors; what
is written loads with plain `peft`.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from peft import LoraConfig
from safetensors.torch import load_file, save_file
from torch import Tensor

from labeler.domain.adapter_folder import MANIFEST, WEIGHTS, file_sha256, verify
from labeler.domain.adapter_folder import DamagedCheckpointError as DamagedCheckpointError
from labeler.domain.errors import LivedpoError
from trainer.policy.folders import TEMPORARY, written_whole

DOOMED = ".removing-"
# The names under which the worker and `livedpo train` write; what else lies there is a person's.
OURS = re.compile(r"v\d{4,}(-[0-9a-f]{8})?|offline-\d+")


def write_adapter(folder: Path, state: dict[str, Tensor], config: LoraConfig, *, base: str) -> str:
    """Write an adapter folder and return the sha256 of its weights. Raises OSError (disk full).

    A folder of that name is left over from a crash between here and the database, and replaced.
    """
    with written_whole(folder) as temporary:
        save_file(state, temporary / WEIGHTS, metadata={"format": "pt"})
        write_config(temporary, config, base)
        files = {path.name: file_sha256(path) for path in sorted(temporary.iterdir())}
        (temporary / MANIFEST).write_text(json.dumps({"files": files}, indent=1))
    return files[WEIGHTS]


def read_adapter(folder: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """The weights of a complete folder; their hash is this one, or else what the manifest says.

    Raises DamagedCheckpointError.
    """
    verify(folder, sha256)
    state: dict[str, Tensor] = load_file(folder / WEIGHTS)
    return state


def remove_folders(parent: Path, names: Iterable[str]) -> None:
    """Delete adapter folders; those that are gone already are fine. Raises LivedpoError."""
    for name in names:
        doomed = parent / (DOOMED + name)
        with _explained(parent / name), contextlib.suppress(FileNotFoundError):
            (parent / name).rename(doomed)
            shutil.rmtree(doomed)


def remove_unfinished(parent: Path) -> None:
    """Delete what a crash left in the middle of writing or of removing. Raises LivedpoError."""
    for folder in (*parent.glob(TEMPORARY + "*"), *parent.glob(DOOMED + "*")):
        with _explained(folder):
            shutil.rmtree(folder)


def version_folders(parent: Path, *, since: float) -> set[str]:
    """The names of the version folders that lie there.

    Those that no version needs are left over from a crash: between the mark that a version is
    pruned and the end of its folder, or between writing a folder and the row of its version. Look
    here before asking the database which ones are needed, as the one that alone may write folders,
    so that none is just being registered. Folders from before `since` (when the database was made)
    are of another database on the same data dir, and are left out.
    """
    found = (path for path in parent.glob("*") if OURS.fullmatch(path.name) and path.is_dir())
    return {path.name for path in found if path.stat().st_mtime >= since}


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say in a sentence that a folder does not go."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise LivedpoError(f"The folder {folder} cannot be removed: {why}.") from error


def write_config(folder: Path, config: LoraConfig, base: str) -> None:
    """Write how an adapter is built, and on which base."""
    values = config.to_dict()
    values["base_model_name_or_path"] = base
    values["inference_mode"] = True
    values["target_modules"] = sorted(values["target_modules"])
    LoraConfig(**values).save_pretrained(str(folder))
