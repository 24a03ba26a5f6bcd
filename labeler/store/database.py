"""One database, two context managers: `write` owns begin, commit and rollback; `read` only looks.

What differs from one kind of database to another is in `labeler.store.engines`; the URL says which.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlmodel import Session

from labeler.domain.database_url import without_password
from labeler.domain.errors import BadInput, LivedpoError
from labeler.store.engines.postgres import Postgres
from labeler.store.engines.sqlite import Sqlite

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """An engine, and the only two ways to use it. Without `create` the database must be there."""

    def __init__(self, url: str, *, create: bool = True) -> None:
        self.shown = without_password(url)
        self._engine = _engine(url, create=create)

    @contextmanager
    def write(self, *, alone: bool = True, first: bool = False) -> Iterator[Session]:
        """A transaction that alone may write until it ends; rolled back on any exception.

        One that need not be `alone` writes beside others of its kind where the database can do
        that. What it rests on it must lock, and the unique indexes have the last word. Where
        threads of this process wait for one another, a `first` one goes before the others.
        """
        with (
            self._explained(),
            self._engine.writing(alone=alone, first=first) as connections,
            Session(connections, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view of the database; nothing written in it is kept."""
        connections = self._engine.connections
        with self._explained(), Session(connections, expire_on_commit=False) as session:
            yield session

    def change_mark(self) -> int:
        """A number that changes with every commit; one small query, for one thread."""
        with self._explained():
            return self._engine.change_mark()

    def migrate(self) -> None:
        """Create the tables, or bring an older database up to date.

        Raises BadInput if the database is another program's, or of a newer version.
        """
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._explained():
            self._refuse_what_is_not_ours()
            with self._engine.migrating() as connection:
                config.attributes["connection"] = connection
                try:
                    command.upgrade(config, "head")
                except CommandError as error:
                    raise BadInput(
                        f"The database {self.shown} was made by another version of livedpo; "
                        "use that version, or another --data-dir."
                    ) from error

    def is_current(self) -> bool:
        """Whether the tables are there and of this version."""
        with self._explained():
            return self._revision() == _scripts().get_current_head()

    def is_empty(self) -> bool:
        """Whether there are no tables in it."""
        with self._explained(), self._engine.connections.connect() as connection:
            return not sa.inspect(connection).get_table_names()

    def lock(self, name: str) -> AbstractContextManager[object] | None:
        """A lock that one process of all that use this database can hold, if there is one.

        It ends with its process, however that ends, and goes along when the database is moved.
        Raises `filelock.Timeout` when it is entered while another one holds it.
        """
        lock = self._engine.lock(name)
        return None if lock is None else self._held(lock)

    @contextmanager
    def _held(self, lock: AbstractContextManager[object]) -> Iterator[None]:
        with self._explained(), lock:
            yield

    def checkpoint(self) -> None:
        """Make the database's files small again, where it has a log beside it."""
        with self._explained():
            self._engine.checkpoint()

    def copy_to(self, file: Path) -> None:
        """Write the database as it is now to a new file, while others go on writing."""
        with self._explained():
            self._engine.copy_to(file)

    def objection(self) -> str | None:
        """What is wrong with it, after reading all of it; None if it is sound, and of this version
        or an older one.
        """
        with self._explained():
            damage = self._engine.damage()
            revision = None if damage else self._revision()
        if damage is not None:
            return f"it is damaged ({damage})"
        if revision not in {each.revision for each in _scripts().walk_revisions()}:
            return "it is not one of livedpo, or of a newer version of it"
        return None

    def number_on(self, connection: sa.Connection) -> None:
        """Let new rows be numbered after those that were added with their numbers."""
        self._engine.number_on(connection)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.close()

    def _refuse_what_is_not_ours(self) -> None:
        with self._engine.connections.connect() as connection:
            tables = sa.inspect(connection).get_table_names()
        if tables and "alembic_version" not in tables:
            raise BadInput(
                f"The database {self.shown} belongs to another program; choose a new one."
            )

    def _revision(self) -> str | None:
        """The number of the last change to its tables; None if it is not ours."""
        with self._engine.connections.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            row = connection.execute(sa.text("SELECT version_num FROM alembic_version")).first()
        return None if row is None else str(row[0])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            trouble = self._engine.trouble(error.orig or error)
            if trouble is None:
                raise
            raise trouble from error
        except NoConnectionFree as error:
            raise LivedpoError(
                f"The database {self.shown} is busy: all connections are in use."
            ) from error


@cache
def _scripts() -> ScriptDirectory:
    """All changes to the tables that this version knows: they are read once."""
    return ScriptDirectory(str(MIGRATIONS))


def _engine(url: str, *, create: bool) -> Sqlite | Postgres:
    """The engine for this kind of database. Raises BadInput if this project cannot use it."""
    shown = without_password(url)
    try:
        parsed = sa.make_url(url)
        kind, driver = parsed.get_backend_name(), parsed.drivername
    except (ArgumentError, ValueError) as error:
        raise BadInput(
            f"'{shown}' is not a database URL, such as sqlite:///file.sqlite or "
            "postgresql+psycopg://user@host/name."
        ) from error
    if kind == "sqlite":
        return Sqlite(url, create=create)
    if driver in ("postgresql", "postgresql+psycopg"):
        return Postgres(url)
    raise BadInput(
        f"The database '{driver}' is not supported; use sqlite:///FILE or "
        "postgresql+psycopg://USER@HOST/NAME."
    )
