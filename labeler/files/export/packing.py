"""Rows into a file, a few at a time: JSON lines, one JSON list, or Parquet."""

import json
import os
import re
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from labeler.domain.errors import LivedpoError

Row = dict[str, Any]
AT_ONCE = 1_000  # rows of a row group of Parquet
# What some readers take for the end of a line, and halves of characters, which are no UTF-8.
_ESCAPED = re.compile("[\x85\u2028\u2029\ud800-\udfff]")


def write_lines(path: Path, rows: Iterable[Row]) -> int:
    """A row on each line; returns how many there are."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(as_json(row) + "\n")
            count += 1
        _keep(file)
    return count


def write_list(path: Path, rows: Iterable[Row]) -> int:
    """One list, with a row on each line of it."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write((",\n" if count else "[\n") + as_json(row))
            count += 1
        file.write("\n]\n")
        _keep(file)
    return count


def write_parquet(path: Path, rows: Iterable[Row]) -> int:
    """A table with declared columns; there is at least one row."""
    import pyarrow
    import pyarrow.parquet

    from labeler.files.export.schemas import schema_of

    rows = iter(rows)
    first = next(rows)
    schema, count = schema_of(first), 0
    rows = chain([first], rows)
    with path.open("wb") as file:
        with pyarrow.parquet.ParquetWriter(file, schema) as table:
            while part := list(islice(rows, AT_ONCE)):
                table.write_batch(_batch(pyarrow, part, schema))
                count += len(part)
        _keep(file)
    return count


def as_json(row: Row) -> str:
    """A row on one line, whatever a reader takes for the end of one."""
    text = json.dumps(row, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _batch(pyarrow: Any, rows: list[Row], schema: Any) -> Any:
    try:
        return pyarrow.RecordBatch.from_pylist(rows, schema=schema)
    except UnicodeEncodeError as error:
        raise LivedpoError(
            "A text has half a character (a lone surrogate), which Parquet cannot hold; write a "
            ".jsonl file, or set its pair aside."
        ) from error


def _keep(file: IO[Any]) -> None:
    """Have all of it on the disk before anything counts on it."""
    file.flush()
    os.fsync(file.fileno())
