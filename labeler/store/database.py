"""One database, two context managers: `write` owns begin, commit and rollback; `read` only looks.

On SQLite every writing transaction starts with BEGIN IMMEDIATE: a deferred one that reads before it
writes fails with "database is locked" under load, and FOR UPDATE is silently dropped. WAL lets
readers go on meanwhile; `synchronous=FULL` makes a committed vote survive a power cut.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from filelock import FileLock
from sqlalchemy.exc import DatabaseError
from sqlmodel import Session

from labeler.domain.errors import BadInput, LivedpoError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30


class Database:
    """An engine, and the only two ways to use it."""

    def __init__(self, url: str) -> None:
        checked_url(url)
        self.url = url
        self._engine = sa.create_engine(
            self.url,
            connect_args={"timeout": BUSY_SECONDS},
            hide_parameters=True,  # an error goes to the log, and what people wrote does not
        )
        sa.event.listen(self._engine, "connect", _prepare_connection)
        sa.event.listen(self._engine, "begin", _begin)
        self._turn = threading.Lock()  # threads queue here: SQLite polls, and holds a connection

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that alone may write until it ends; rolled back on any exception."""
        engine = self._engine.execution_options(writes=True)
        with (
            self._turn,
            self._explained(),
            Session(engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view of the database; nothing written in it is kept."""
        with self._explained(), Session(self._engine, expire_on_commit=False) as session:
            yield session

    def migrate(self) -> None:
        """Create the tables, or bring an older database up to date.

        Raises BadInput if the database is another program's, or of a newer version.
        """
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        engine = self._engine.execution_options(writes=True)
        with self._explained(), self._migration_lock():
            self._prepare_file()
        with (
            self._explained(),
            self._migration_lock(),
            engine.connect() as connection,
            _unchecked_references(connection),
            connection.begin(),
        ):
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise BadInput(
                    f"The database {self.url} was made by another version of livedpo; "
                    "use that version, or another --data-dir."
                ) from error

    def _prepare_file(self) -> None:
        """WAL is a property of the file, and is set outside a transaction."""
        with self._engine.connect() as connection:
            tables = sa.inspect(connection).get_table_names()
            if tables and "alembic_version" not in tables:
                raise BadInput(
                    f"The database {self.url} belongs to another program; name a new one."
                )
        raw = self._engine.raw_connection()
        raw.cursor().execute("PRAGMA journal_mode=WAL")
        raw.close()

    def is_current(self) -> bool:
        """Whether the tables are there and of this version."""
        head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        with self._explained(), self._engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return False
            row = connection.execute(sa.text("SELECT version_num FROM alembic_version")).first()
        return row is not None and row[0] == head

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @contextmanager
    def _migration_lock(self) -> Iterator[None]:
        path = self._engine.url.database
        if path is None or path.startswith("file:"):
            yield
            return
        with FileLock(f"{path}.migrate.lock", timeout=BUSY_SECONDS):
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            trouble = _trouble(str(error.orig), self.url)
            if trouble is None:
                raise
            raise trouble from error


def checked_url(url: str) -> sa.URL:
    """The parsed URL. Raises BadInput if this project cannot use such a database."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise BadInput(f"'{url}' is not a database URL, such as sqlite:///file.sqlite.") from error
    if parsed.get_backend_name() != "sqlite":
        raise BadInput(
            f"The database '{parsed.get_backend_name()}' is not supported yet; use sqlite:///FILE."
        )
    if parsed.database in (None, "", ":memory:"):
        raise BadInput(
            f"'{url}' is a database in memory, which processes cannot share; name a file."
        )
    return parsed


def _trouble(message: str, url: str) -> LivedpoError | None:
    """What a user must know of a database's trouble; None for what would be a bug of ours."""
    if "not a database" in message:
        return LivedpoError(f"The file of {url} is not a database; name another one.")
    if "unable to open" in message:
        return LivedpoError(f"The database {url} cannot be opened; check its folder.")
    if "readonly" in message:
        return LivedpoError(f"The database {url} is read-only; make its file and folder writable.")
    if "disk is full" in message or "disk I/O" in message:
        return LivedpoError(f"The database {url} cannot be written ({message}); free some space.")
    return None


def _prepare_connection(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: `_begin` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


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


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
