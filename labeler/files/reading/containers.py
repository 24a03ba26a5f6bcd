"""A file or folder as rows, whatever it is packed in: JSON, tables, text, folders, the hub.

The ending says which kind it is. A row is numbered by the line that it begins on, or by its place
where there are no lines. A row that cannot be read is a ValueError in its place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeler.domain.errors import BadInput
from labeler.files.reading import arrow, delimited, json_rows
from labeler.files.reading.contents import ending_of, looked_at, refuse_others, text_of

JSON = (".jsonl", ".json", ".ndjson", ".jsonlines")
TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
TEXT = (".txt", ".text")
MAX_NAMES = 3  # of files, in a sentence
ENDINGS = (*JSON, *TABLES, *TEXT, *arrow.ENDINGS)


@dataclass(frozen=True)
class Opened:
    """Rows with their numbers, what they are packed in, and what their numbers count."""

    kind: str
    rows: Iterator[tuple[int, Any]]
    unit: str = "line"


def opened(source: Path, split: str | None = None) -> Opened:
    """The rows of a file, of a folder's split, or of a data set on the hub.

    Raises BadInput if it is missing or cannot be read, also while rows are taken.
    """
    with looked_at(source):
        is_there = source.exists()
    if not is_there:
        from labeler.config.hub import dataset_folder, is_hub_id

        if ending_of(source) in ENDINGS or not is_hub_id(str(source)):
            raise BadInput(f"There is no file {source}.")
        return _folder(dataset_folder(str(source)), split, "the hub's data set")
    if source.is_dir():
        return _folder(source, split, "the folder")
    ending = ending_of(source)
    if ending not in ENDINGS:
        raise BadInput(
            f"{source} is not a {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]} file (each may be "
            "packed as .gz), nor a `datasets` folder."
        )
    refuse_others(source, binary=ending in arrow.ENDINGS)
    if ending in JSON:
        kind, rows = json_rows.rows(source, split)
        return Opened(kind, rows, "line" if kind == json_rows.LINES else "row")
    if split is not None:
        raise BadInput(f"{source} has no splits; leave out --split.")
    if ending in TABLES:
        return Opened(*delimited.rows(source, TABLES[ending]))
    if ending in TEXT:
        return Opened("text, one prompt a line", _texts(source))
    return Opened(*arrow.file_rows(source), "row")


def _folder(folder: Path, split: str | None, what: str) -> Opened:
    """A folder saved by `datasets`, or one with data files as they are kept on the hub."""
    if arrow.is_saved(folder):
        name, rows = arrow.saved_rows(folder, split)
        return Opened(f"{what} as `datasets` saved it{name}", rows, "row")
    name, files, every = arrow.data_files(folder, split)
    left = _left(folder, every)
    beside = f"; not read: {_few(left)}" if left else ""
    return Opened(f"{what}{name} ({_few(files)}{beside})", _all_of(files), "row")


def _left(folder: Path, taken: list[Path]) -> list[Path]:
    """The files of known endings in a folder that belong to no split; hidden ones aside."""
    known = {file.resolve() for file in taken}
    return [
        path
        for path in sorted(folder.rglob("*"))
        if ending_of(path) in ENDINGS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.resolve() not in known
        and path.is_file()
    ]


def _few(files: list[Path]) -> str:
    """The names of the first files, and how many more there are."""
    more = len(files) - MAX_NAMES
    names = ", ".join(file.name for file in files[:MAX_NAMES])
    return names + (f" and {more} more" if more > 0 else "")


def _all_of(files: list[Path]) -> Iterator[tuple[int, Any]]:
    """The rows of several files, numbered through."""
    rows = (row for file in files for _, row in opened(file).rows)
    return enumerate(rows, start=1)


def _texts(path: Path) -> Iterator[tuple[int, Any]]:
    """Each line that is not blank, as a text."""
    with text_of(path) as text:
        for number, line in enumerate(text, start=1):
            words = line.rstrip("\r\n")
            if json_rows.is_json(words):
                raise BadInput(f"{path} holds JSON; name it .jsonl.")
            if words.strip():
                yield number, words
