"""An export as it is made: a file that appears when it is complete, or a folder with a card."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from labeler.domain.errors import BadInput, LivedpoError
from labeler.files.export.card import card_of
from labeler.files.export.formats import EVERY_FORMAT, Format, Row, Wanted
from labeler.files.export.packing import write_lines, write_list, write_parquet

WRITERS = {".jsonl": write_lines, ".json": write_list, ".parquet": write_parquet}
CARD = "README.md"
AS_MESSAGES = (
    "These are message lists and no texts, which would lose who speaks: some prompts are "
    "conversations."
)


@dataclass(frozen=True)
class Written:
    """How many rows there are, and what there is to say of them, in sentences."""

    rows: int
    told: tuple[str, ...] = ()


def write_export(out: Path, wanted: Wanted, *, format_name: str) -> Written:
    """Write a .jsonl, .json or .parquet file, or a new folder with a card.

    A file takes the place of an older one when it is complete. Raises BadInput for a place that
    this format cannot be written to, and LivedpoError if there is nothing to write or no room.
    """
    form = EVERY_FORMAT[format_name]
    _refuse(out, format_name, form)
    rows, told = _rows(wanted, form)
    first = next(rows, None)
    if first is None:
        raise LivedpoError(_nothing(format_name, wanted))
    rows = chain([first], rows)
    with _complete(out) as temporary:
        if out.suffix:
            count = WRITERS[out.suffix](temporary, rows)
        else:
            count = _write_folder(temporary, rows, format_name, wanted, list(first))
    left_out = [f"{_pairs(count)} left out: {why}." for why, count in wanted.left_out.items()]
    return Written(count, (*told, *left_out))


def _rows(wanted: Wanted, form: Format) -> tuple[Iterator[Row], list[str]]:
    """The rows, and what there is to say of their form."""
    if form.in_messages is None or wanted.is_plain():
        return form.rows(wanted), []
    return form.in_messages(wanted), [AS_MESSAGES]


def _write_folder(
    folder: Path, rows: Iterator[Row], format_name: str, wanted: Wanted, columns: list[str]
) -> int:
    """The rows, the settings that go with them, and a card."""
    form = EVERY_FORMAT[format_name]
    file = folder / form.file
    file.parent.mkdir(parents=True)
    count = WRITERS[file.suffix](file, rows)
    for name, text in form.beside.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    card = card_of(wanted, format_name, form, rows=count, columns=columns)
    (folder / CARD).write_text(card, encoding="utf-8")
    return count


@contextmanager
def _complete(out: Path) -> Iterator[Path]:
    """A place to write to, which becomes `out` at the end. Raises LivedpoError for want of room."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".writing-") as folder:
            temporary = Path(folder) / out.name
            yield temporary
            temporary.replace(out)
    except OSError as error:
        raise LivedpoError(f"{out} cannot be written: {error.strerror or error}.") from error


def _refuse(out: Path, format_name: str, form: Format) -> None:
    """Raise BadInput if this cannot be written there."""
    endings = [ending for ending in WRITERS if form.is_table or ending != ".parquet"]
    if out.suffix and out.suffix not in endings:
        raise BadInput(
            f"{out} ends in '{out.suffix}'; for the format '{format_name}' use "
            f"{', '.join(endings)} or the name of a new folder."
        )
    if not out.suffix and out.exists():
        raise BadInput(f"{out} exists already; name a new folder.")


def _nothing(format_name: str, wanted: Wanted) -> str:
    """Why nothing was written."""
    why = "".join(f" {_pairs(count)} left out: {why}." for why, count in wanted.left_out.items())
    return f"There are no labels yet for the format '{format_name}'; nothing was written.{why}"


def _pairs(count: int) -> str:
    return "1 pair was" if count == 1 else f"{count:,} pairs were"
