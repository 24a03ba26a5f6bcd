"""All rows of one database into another, perhaps of another kind: copied, then compared.

    read, one state  ->  insert, one transaction  ->  count and compare  ->  commit, or nothing

What is compared is what the new database gives back, and once more what the old one has: rows that
came meanwhile would be missed. Rows keep their numbers. Leaves out the folders of versions, which
stay in the data dir.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import closing, nullcontext
from typing import Any

import sqlalchemy as sa
from filelock import Timeout
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel
from tqdm import tqdm

import labeler.store.tables  # noqa: F401  (fills SQLModel.metadata)
from labeler.domain.errors import BadInput, LivedpoError, first_line
from labeler.domain.health import SILENT_SECONDS
from labeler.store.database import Database
from labeler.store.processes import heard

ROWS_AT_ONCE = 500
DIGEST_BYTES = 16


def move_rows(source_url: str, target_url: str, *, now: float, quiet: bool) -> dict[str, int]:
    """Copy everything; how many rows each table has. If it fails, the target stays empty.

    Raises BadInput if there is something in the target, or if the source is of another version;
    LivedpoError if the service uses the source, or if the target does not give back what it got.
    """
    with (
        closing(Database(source_url, create=False)) as source,
        closing(Database(target_url)) as target,
    ):
        if not source.is_current():
            raise BadInput(
                f"The database {source.shown} is not one of this version of livedpo; let "
                "`livedpo serve` bring it up to date first."
            )
        target.migrate()
        try:
            with source.lock("worker") or nullcontext():
                _refuse_used(source, now)
                return _moved(source, target, quiet=quiet)
        except Timeout as error:
            raise LivedpoError(
                f"A worker uses the database {source.shown}; stop the service first."
            ) from error


def _refuse_used(source: Database, now: float) -> None:
    with source.read() as session:
        lately = sorted(heard(session, now=now))
    if lately:
        raise LivedpoError(
            f"The database {source.shown} is in use: signs of life of {', '.join(lately)} are "
            f"less than {SILENT_SECONDS:.0f} seconds old. Stop the service first; if it was "
            "killed, wait as long."
        )


def _moved(source: Database, target: Database, *, quiet: bool) -> dict[str, int]:
    sums: dict[str, tuple[int, int]] = {}
    with source.read() as from_session, target.write() as to_session:
        old, new = from_session.connection(), to_session.connection()
        tables = [_plain(table) for table in SQLModel.metadata.sorted_tables]
        sizes = [_count(old, table) for table in tables]
        if any(_count(new, table) for table in tables):
            raise BadInput(f"The database {target.shown} is not empty; name a new one.")
        with tqdm(total=3 * sum(sizes), desc="rows", unit="", disable=quiet) as bar:
            for table in tables:
                try:
                    read = _copied(old, new, table, bar)
                except IntegrityError as error:
                    raise LivedpoError(
                        f"The table '{table.name}' of {source.shown} is not sound "
                        f"({first_line(error.orig or error)}); nothing was moved."
                    ) from error
                if read != _sum(new, table, bar):
                    raise LivedpoError(
                        f"The table '{table.name}' is not the same in {target.shown} as in "
                        f"{source.shown}; nothing was moved."
                    )
                sums[table.name] = read
            with source.read() as again:
                if any(sums[each.name] != _sum(again.connection(), each, bar) for each in tables):
                    raise LivedpoError(
                        f"The database {source.shown} has changed meanwhile; stop the service "
                        "first. Nothing was moved."
                    )
        target.number_on(new)
    return {name: count for name, (count, _) in sums.items()}


def _copied(
    old: sa.Connection, new: sa.Connection, table: sa.Table, bar: "tqdm[Any]"
) -> tuple[int, int]:
    """Copy a table; how many rows it has, and what they come to."""
    count = total = 0
    for rows in _rows(old, table):
        new.execute(sa.insert(table), [row._asdict() for row in rows])
        count, total = count + len(rows), total + sum(map(_digest, rows))
        bar.update(len(rows))
    return count, total


def _sum(connection: sa.Connection, table: sa.Table, bar: "tqdm[Any]") -> tuple[int, int]:
    """How many rows a table has, and what they come to in any order."""
    count = total = 0
    for rows in _rows(connection, table):
        count, total = count + len(rows), total + sum(map(_digest, rows))
        bar.update(len(rows))
    return count, total


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[Any]:
    """The rows by their keys, so that a row comes after the one that it refers to."""
    wanted = sa.select(table).order_by(*table.primary_key)
    return connection.execute(wanted.execution_options(yield_per=ROWS_AT_ONCE)).partitions()


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _plain(table: sa.Table) -> sa.Table:
    """The table with values as the database has them: no states, no findings."""

    def kind(column: sa.Column[Any]) -> Any:
        if isinstance(column.type, sa.Enum):
            return sa.String()
        stored = column.type.impl if isinstance(column.type, sa.TypeDecorator) else column.type
        return sa.JSON(none_as_null=True) if isinstance(stored, sa.JSON) else stored

    columns = (
        sa.Column(column.name, kind(column), primary_key=column.primary_key)
        for column in table.columns
    )
    return sa.Table(table.name, sa.MetaData(), *columns)


def _digest(row: Any) -> int:
    text = repr([_stored(value) for value in row])
    hashed = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES)
    return int.from_bytes(hashed.digest())


def _stored(value: Any) -> Any:
    """The value as every database can hold it."""
    if isinstance(value, dict):
        return {key: _stored(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return [_stored(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.replace("\x00", "\u2400") if isinstance(value, str) else value
