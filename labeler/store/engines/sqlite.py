"""SQLite: one file, many readers, one writer at a time.

Every writing transaction starts with BEGIN IMMEDIATE: a deferred one that reads before it writes
fails with "database is locked" under load, and FOR UPDATE is silently dropped. WAL lets readers go
on meanwhile; `synchronous=FULL` makes a committed vote survive a power cut.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from filelock import BaseFileLock, FileLock, Timeout

from labeler.domain.errors import BadInput, LivedpoError
from labeler.store.turns import Turns

BUSY_SECONDS = 30
MAX_STALL_MS = 50


class Sqlite:
    """The file that a URL names. Without `create` it must be there; its folder may be read-only.

    Raises BadInput for a URL that names no file, and for a file or a folder that cannot be had.
    """

    def __init__(self, url: str, *, create: bool) -> None:
        path = sa.make_url(url).database
        if path in (None, "", ":memory:"):
            raise BadInput(
                f"'{url}' is a database in memory, which processes cannot share; name a file."
            )
        self._file = None if path.startswith("file:") else Path(path)
        if self._file is not None and create:
            _make_folder(self._file.parent)
        elif self._file is not None:
            if not _is_there(self._file):
                raise BadInput(
                    f"There is no database at {self._file} yet; start `livedpo serve` first."
                )
            if not _is_written_to(self._file):
                url = f"sqlite:///file:{quote(path)}?mode=ro&immutable=1&uri=true"
        self._url = url
        self.connections = sa.create_engine(
            url,
            connect_args={"timeout": BUSY_SECONDS},
            hide_parameters=True,  # an error goes to the log, and what people wrote does not
        )
        sa.event.listen(self.connections, "connect", _prepare_connection)
        sa.event.listen(self.connections, "begin", _begin)
        self._writers = self.connections.execution_options(writes=True)
        self._turns = Turns()
        self._watching: sa.Connection | None = None

    @contextmanager
    def writing(self, *, alone: bool, first: bool) -> Iterator[sa.Engine]:
        """Connections whose transactions write, one at a time whether they want to be `alone` or
        not. Threads wait here: SQLite would poll for the lock, and hold a connection meanwhile.
        """
        with self._turns.turn(first=first):
            yield self._writers

    @contextmanager
    def migrating(self) -> Iterator[sa.Connection]:
        """A transaction that changes tables; processes that start at once take turns.

        Raises LivedpoError if another one takes too long.
        """
        with self._migration_turn():
            self._use_wal()
            with (
                self._writers.connect() as connection,
                _unchecked_references(connection),
                connection.begin(),
            ):
                yield connection

    def change_mark(self) -> int:
        """Changes with what other connections commit, so one that commits nothing asks."""
        if self._watching is None:
            self._watching = self.connections.connect()
        mark: int = self._watching.exec_driver_sql("PRAGMA data_version").scalar_one()
        self._watching.rollback()
        return mark

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file and cut it to nothing, as far as nobody is at it.

        It waits a moment for those who read, and who wants to write waits as long. What is left is
        folded in the next time.
        """
        with self._plain() as plain:
            cursor = plain.cursor()
            cursor.execute(f"PRAGMA busy_timeout={MAX_STALL_MS}")
            try:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                cursor.execute(f"PRAGMA busy_timeout={1000 * BUSY_SECONDS}")

    def copy_to(self, file: Path) -> None:
        """Write the database as it is now to a new file, while others go on reading and writing."""
        with self._plain() as plain, closing(sqlite3.connect(file)) as copy:
            plain.backup(copy)

    def damage(self) -> str | None:
        """What is wrong with the file itself, after reading all of it; None if it is sound."""
        with self._plain() as plain:
            try:
                found = str(plain.execute("PRAGMA integrity_check(1)").fetchone()[0])
            except sqlite3.DatabaseError as error:
                return str(error)
        return None if found == "ok" else " ".join(found.split())

    def number_on(self, connection: sa.Connection) -> None:
        """It numbers after the last row by itself."""

    def close(self) -> None:
        """Give the connections back."""
        if self._watching is not None:
            self._watching.close()
        self.connections.dispose()

    def trouble(self, error: BaseException) -> LivedpoError | None:
        """What a user must know of a database's trouble; None for what would be a bug of ours."""
        message = str(error)
        if "not a database" in message:
            return LivedpoError(f"The file of {self._url} is not a database; name another one.")
        if "malformed" in message:
            return LivedpoError(f"The database {self._url} is damaged; restore a backup of it.")
        if "unable to open" in message:
            return LivedpoError(f"The database {self._url} cannot be opened; check its folder.")
        if "readonly" in message:
            return LivedpoError(
                f"The database {self._url} is read-only; make its file and folder writable."
            )
        if "locked" in message:
            return LivedpoError(
                f"The database {self._url} is busy: another program has held it for more than "
                f"{BUSY_SECONDS} seconds. Close what else has it open, such as a backup."
            )
        if "disk is full" in message or "disk I/O" in message:
            return LivedpoError(
                f"The database {self._url} cannot be written ({message}); free some space."
            )
        return None

    def lock(self, name: str, *, timeout: float = 0.0) -> BaseFileLock | None:
        """A lock that one process of all that use this file can hold; None if it has no path."""
        if self._file is None:
            return None
        return FileLock(f"{self._file}.{name}.lock", timeout=timeout)

    @contextmanager
    def _plain(self) -> Iterator[sqlite3.Connection]:
        """The driver's own connection, outside of any transaction; its trouble in a sentence."""
        with closing(self.connections.raw_connection()) as raw:
            assert isinstance(raw.driver_connection, sqlite3.Connection)
            try:
                yield raw.driver_connection
            except sqlite3.DatabaseError as error:
                raise self.trouble(error) or error from error

    @contextmanager
    def _migration_turn(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(self.lock("migrate", timeout=BUSY_SECONDS) or nullcontext())
            except Timeout as error:
                raise LivedpoError(
                    f"The database {self._url} is being brought up to date by another process; try "
                    "again once it is done."
                ) from error
            yield

    def _use_wal(self) -> None:
        """WAL is a property of the file, and is set outside a transaction."""
        raw = self.connections.raw_connection()
        raw.cursor().execute("PRAGMA journal_mode=WAL")
        raw.close()


def _is_there(file: Path) -> bool:
    """Whether there is such a file. Raises BadInput if that cannot be known."""
    try:
        return file.is_file()
    except OSError as error:
        raise BadInput(f"The database {file} cannot be read: {error.strerror}.") from error


def _is_written_to(file: Path) -> bool:
    """Whether somebody may write: then readers need SQLite's files beside it, else they do not."""
    return os.access(file.parent, os.W_OK) or Path(f"{file}-wal").exists()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be made: {error.strerror}.") from error


def _prepare_connection(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: `_begin` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _unchecked_references(connection: sa.Connection) -> Iterator[None]:
    """Foreign keys off, as SQLite asks for where a table is made anew under its old name.

    It can only be said outside a transaction.
    """
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")
