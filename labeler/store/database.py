"""One database, two context managers: `write` owns begin, commit and rollback; `read` only looks.

What differs from one kind of database to another is in `labeler.store.engines`; the URL says which.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from filelock import BaseFileLock
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlmodel import Session

from labeler.domain.errors import BadInput
from labeler.store.engines.sqlite import Sqlite

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """An engine, and the only two ways to use it. Without `create` the database must be there."""

    def __init__(self, url: str, *, create: bool = True) -> None:
        self.url = url
        self._engine = _engine(url, create=create)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that alone may write until it ends; rolled back on any exception."""
        with (
            self._explained(),
            self._engine.writing() as connections,
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
                        f"The database {self.url} was made by another version of livedpo; "
                        "use that version, or another --data-dir."
                    ) from error

    def is_current(self) -> bool:
        """Whether the tables are there and of this version."""
        with self._explained():
            return self._revision() == _scripts().get_current_head()

    def lock(self, name: str) -> BaseFileLock | None:
        """A lock that one process of all that use this database can hold, if there is one.

        It ends with its process, however that ends, and goes along when the database is moved.
        """
        return self._engine.lock(name)

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

    def close(self) -> None:
        """Give the connections back."""
        self._engine.close()

    def _refuse_what_is_not_ours(self) -> None:
        with self._engine.connections.connect() as connection:
            tables = sa.inspect(connection).get_table_names()
        if tables and "alembic_version" not in tables:
            raise BadInput(f"The database {self.url} belongs to another program; choose a new one.")

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
        except DatabaseError as error:
            trouble = self._engine.trouble(str(error.orig))
            if trouble is None:
                raise
            raise trouble from error


@cache
def _scripts() -> ScriptDirectory:
    """All changes to the tables that this version knows: they are read once."""
    return ScriptDirectory(str(MIGRATIONS))


def _engine(url: str, *, create: bool) -> Sqlite:
    """The engine for this kind of database. Raises BadInput if this project cannot use it."""
    try:
        kind = sa.make_url(url).get_backend_name()
    except ArgumentError as error:
        raise BadInput(f"'{url}' is not a database URL, such as sqlite:///file.sqlite.") from error
    if kind != "sqlite":
        raise BadInput(f"The database '{kind}' is not supported yet; use sqlite:///FILE.")
    return Sqlite(url, create=create)
