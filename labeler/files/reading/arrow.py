"""Parquet and Arrow files, folders of `datasets`, and folders as they are kept on the hub."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labeler.domain.errors import BadInput, first_line
from labeler.files.reading.contents import looked_at, unpacked

PARQUET = ".parquet"
ENDINGS = (PARQUET, ".arrow", ".feather")
_SAVED = ("state.json", "dataset_dict.json")

Rows = Iterator[tuple[int, Any]]


def file_rows(path: Path) -> tuple[str, Rows]:
    """What the file is, and its rows. Raises BadInput if it is something else."""
    kind = "Parquet" if PARQUET in path.name.lower() else "Arrow"
    return kind, enumerate(_rows_of(path, kind), start=1)


def is_saved(folder: Path) -> bool:
    """Whether `datasets` saved this folder (`save_to_disk`). Raises BadInput if it is locked."""
    with looked_at(folder):
        return any((folder / name).is_file() for name in _SAVED)


def saved_rows(folder: Path, split: str | None) -> tuple[str, Rows]:
    """Which split of a saved folder it is, and its rows. Raises BadInput if it cannot be read."""
    import datasets

    try:
        found = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if "Feature type" in str(error):
            raise BadInput(
                f"{folder} was saved by a newer `datasets` ({first_line(error)[:60]}…); update the "
                "package, or save it again as Parquet."
            ) from error
        raise BadInput(f"{folder} is not a folder saved by `datasets` that can be read.") from error
    if not isinstance(found, datasets.DatasetDict):
        if split is not None:
            raise BadInput(f"{folder} has no splits; leave out --split.")
        return "", enumerate(found, start=1)
    sizes = {name: _count(len(rows), "row") for name, rows in found.items()}
    name = _split(folder, sizes, split)
    return f", split {name}", enumerate(found[name], start=1)


def data_files(folder: Path, split: str | None) -> tuple[str, list[Path], list[Path]]:
    """Which split of a folder's data files it is, its files, and those of all splits.

    They are as `datasets` finds them. `CONFIG/SPLIT` names a split of one of several
    configurations. Raises BadInput if none is there.
    """
    import datasets

    # That a card has no metadata is nothing to tell people who want the data.
    logging.getLogger("huggingface_hub.repocard").setLevel(logging.ERROR)
    config, _, name = (split or "").rpartition("/")
    try:
        builder = datasets.load_dataset_builder(str(folder), name=config or None)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        _, several, configs = str(error).partition("among the available configs: ")
        if several:
            raise BadInput(
                f"{folder} has the configurations {first_line(ValueError(configs))}; name one with "
                "its split, as in --split CONFIG/train."
            ) from error
        raise BadInput(
            f"{folder} is not a folder saved by `datasets`, nor one with data files."
        ) from error
    files = builder.config.data_files or {}
    sizes = {str(key): _count(len(files[key]), "file") for key in files}
    chosen = _split(folder, sizes, name or None)
    every = [Path(file) for key in files for file in files[key]]
    return f", split {chosen}", [Path(file) for file in files[chosen]], every


def _split(folder: Path, there: dict[str, str], wanted: str | None) -> str:
    """The split that is wanted, or the only one."""
    told = ", ".join(f"{name} ({size})" for name, size in there.items())
    if wanted is None and len(there) > 1:
        raise BadInput(f"{folder} has the splits {told}; name one with --split.")
    if wanted is not None and wanted not in there:
        raise BadInput(f"{folder} has no split '{wanted}'; it has {told}.")
    return wanted if wanted is not None else next(iter(there))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _rows_of(path: Path, kind: str) -> Iterator[Any]:
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet

    with unpacked(path) as packed:
        source = io.BytesIO(packed.read()) if path.suffix.lower() == ".gz" else packed
        try:
            if kind == "Parquet":
                batches = pyarrow.parquet.ParquetFile(source).iter_batches()
            else:
                batches = _arrow_batches(source)
            for batch in batches:
                batch.validate(full=True)  # damaged text would end in an error of Python's own
                yield from batch.to_pylist()
        except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
            raise BadInput(
                f"{path} is not a{'n' if kind == 'Arrow' else ''} {kind} file, or damaged: "
                f"{first_line(error)}"
            ) from error


def _arrow_batches(source: Any) -> Iterator[Any]:
    """The batches of a file with a footer, or of a stream, which `datasets` writes."""
    import pyarrow

    try:
        file = pyarrow.ipc.open_file(source)
    except pyarrow.ArrowInvalid:
        source.seek(0)
        yield from pyarrow.ipc.open_stream(source)
        return
    for number in range(file.num_record_batches):
        yield file.get_batch(number)
