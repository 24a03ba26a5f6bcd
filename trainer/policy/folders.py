"""Folders that are complete or not there, whatever ends the process or the machine meanwhile."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labeler.domain.sentences.policy import UNSAFE_WEIGHTS

TEMPORARY = ".writing-"
# How a model that also sees takes images.
PROCESSOR = (
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def cache() -> Path:
    """Where models are kept that can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livedpo"


def refuse_pickles(folder: Path) -> None:
    """Raise ValueError, in words that follow a colon, for weights that only a pickle holds.

    Loading one may run what its author put into it.
    """
    if any(folder.glob("*.safetensors")):
        return
    found = sorted(path.name for ending in PICKLES for path in folder.glob(ending))
    if found:
        raise ValueError(UNSAFE_WEIGHTS.format(found[0]))


def copy_missing(names: Iterable[str], source: Path, folder: Path) -> None:
    """Copy the files of these names that `source` has and `folder` has not."""
    for name in names:
        if (source / name).is_file() and not (folder / name).exists():
            shutil.copy(source / name, folder)


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A new folder to write files into; it gets its name once all of them are on the disk.

    A folder that has the name already is replaced, and what a crash left unfinished goes.
    Raises OSError (disk full).
    """
    temporary = folder.with_name(TEMPORARY + folder.name)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for path in (*temporary.iterdir(), temporary):
            _flush(path)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _flush(folder.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
