"""CSV, TSV and tables with semicolons, read strictly: what does not fit together is refused.

A comma that nobody quoted moves every cell after it, and a quote that nobody closed swallows the
rows below. So the whole file is refused, with the line, and nothing of it is taken.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from labeler.domain.errors import BadInput
from labeler.files.reading.columns import KNOWN
from labeler.files.reading.contents import text_of
from labeler.files.reading.messages import MAX_CHARS

NAMES = {",": "CSV", ";": "CSV with semicolons", "\t": "TSV"}


def rows(path: Path, usual: str) -> tuple[str, Iterator[tuple[int, Any]]]:
    """What the table is called, and its rows as objects, by the line that each begins on.

    `usual` is what divides cells in files of this ending. Raises BadInput if the table is broken,
    also while rows are taken. An empty cell is none.
    """
    with text_of(path) as text:
        header = text.readline().strip("\r\n")
    divider = _divider(header, usual)
    return NAMES[divider], _rows(path, divider, after_blank=f"{divider} " in header)


def _divider(header: str, usual: str) -> str:
    """What divides the cells: the only candidate in the header, or the one that makes sense."""
    there = [mark for mark in NAMES if mark in header]
    if len(there) < 2:
        return there[0] if there else usual
    known = [mark for mark in there if KNOWN & {_name(cell) for cell in header.split(mark)}]
    return known[0] if len(known) == 1 else usual


def _rows(path: Path, divider: str, *, after_blank: bool) -> Iterator[tuple[int, Any]]:
    csv.field_size_limit(MAX_CHARS * 2)
    with text_of(path) as text:
        reader = csv.reader(text, delimiter=divider, strict=True, skipinitialspace=after_blank)
        begins = 1
        try:
            names = _names(path, next(reader, []))
            begins = reader.line_num + 1
            for cells in reader:
                if cells:
                    _refuse_ragged(path, begins, len(cells), len(names))
                    yield begins, _row(names, cells)
                begins = reader.line_num + 1
        except csv.Error as error:
            raise BadInput(_broken(path, begins, error)) from error


def _row(names: Sequence[str], cells: Sequence[str]) -> Any:
    found = {name: cell for name, cell in zip(names, cells, strict=True) if name and cell}
    return found or ValueError("all cells are empty")


def _names(path: Path, header: Sequence[str]) -> list[str]:
    names = [_name(cell) for cell in header]
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise BadInput(f"{path} has two columns '{twice[0]}'; rename one of them.")
    return names


def _name(cell: str) -> str:
    return cell.strip().strip('"').lower()


def _refuse_ragged(path: Path, line: int, cells: int, columns: int) -> None:
    if cells != columns:
        raise BadInput(
            f"{path} has {cells} cells on line {line} where its header has {columns}, so nothing "
            "of it was taken; put double quotes around texts with a comma, semicolon or line break "
            "in them, or save it as JSONL."
        )


def _broken(path: Path, line: int, error: csv.Error) -> str:
    why = str(error)
    if "unexpected end" in why:
        why = "a double quote is opened there and never closed"
    elif "expected after" in why:
        why = "a text goes on after its closing quote; quotes within a text are doubled"
    return f"{path} is broken in the row that begins on line {line} ({why}); nothing was taken."
