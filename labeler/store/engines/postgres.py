"""PostgreSQL: a server, many readers and writers at once, perhaps through PgBouncer.

Writing transactions wait for an advisory lock that ends with them. One that must be alone holds it
alone, so that what it has read is true still when it commits, as in SQLite; others share it. No
setting, prepared statement or lock lasts longer than its transaction, for behind PgBouncer in
transaction mode the next one may be on another connection.
"""

import json
import math
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import Timeout
from sqlalchemy.exc import DBAPIError

from labeler.domain.database_url import HIDDEN, without_password
from labeler.domain.errors import BadInput, LivedpoError, first_line

BUSY_SECONDS = 30
CONNECT_SECONDS = 10
MIN_VERSION = 13
CONNECTIONS, MAX_MORE = 5, 15  # of one process
NUL, SHOWN_NUL = "\x00", "\u2400"

# Advisory locks have two numbers: the first says that they are ours.
OURS, WRITER, MIGRATION, OTHERS = 1_684_369_519, 1, 2, {"worker": 3}
_PATIENCE = (
    f"set_config('lock_timeout', '{BUSY_SECONDS}s', true), "
    f"set_config('idle_in_transaction_session_timeout', '{BUSY_SECONDS}s', true)"
)
ALONE = f"SELECT {_PATIENCE}, pg_advisory_xact_lock({OURS}, {WRITER})"
BESIDE = f"SELECT {_PATIENCE}, pg_advisory_xact_lock_shared({OURS}, {WRITER})"
MIGRATING = (
    f"SELECT pg_advisory_xact_lock({OURS}, {MIGRATION}), pg_advisory_xact_lock({OURS}, {WRITER})"
)


class Postgres:
    """The database that a URL names. It is opened at the first use.

    Raises BadInput for a URL that names no database, or where the driver is missing.
    """

    def __init__(self, url: str) -> None:
        shown = self._shown = without_password(url)
        parsed = sa.make_url(url)
        self._password = str(parsed.password or "")
        if url.partition("?")[0].count("@") > 1:
            raise BadInput(f"'{shown}' has an @ in its user or password; write it as %40.")
        if not parsed.database:
            raise BadInput(f"'{shown}' names no database; add /NAME to it.")
        try:
            engine = sa.create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                connect_args={
                    "prepare_threshold": None,
                    "connect_timeout": CONNECT_SECONDS,
                    "application_name": "livedpo",
                    # A line that is cut says nothing: it is given up after as long as a busy one.
                    "keepalives_idle": 10,
                    "keepalives_interval": 5,
                    "keepalives_count": 4,
                    "tcp_user_timeout": 1000 * BUSY_SECONDS,
                },
                use_native_hstore=False,
                json_serializer=_as_json,
                hide_parameters=True,  # an error goes to the log, and what people wrote does not
                pool_size=CONNECTIONS,
                max_overflow=MAX_MORE,
                pool_timeout=BUSY_SECONDS,
                pool_pre_ping=True,
            )
        except ModuleNotFoundError as error:
            raise BadInput(
                "PostgreSQL needs its driver; run `pip install 'livedpo[postgres]'`."
            ) from error
        reached = self._was_reached = threading.Event()

        def prepare(connection: Any, _record: object) -> None:
            reached.set()
            _prepare_connection(connection, shown)

        sa.event.listen(engine, "connect", prepare)
        sa.event.listen(engine, "begin", _begin)
        weakref.finalize(self, engine.dispose)  # whoever forgets to close it
        self._all = engine.execution_options(isolation_level="READ COMMITTED")
        self._alone = self._all.execution_options(first=ALONE)
        self._beside = self._all.execution_options(first=BESIDE)
        self._migrating = self._all.execution_options(first=MIGRATING)
        self.connections = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._turn = threading.Lock()

    @contextmanager
    def writing(self, *, alone: bool, first: bool) -> Iterator[sa.Engine]:
        """Connections whose transactions write. Threads that want to be alone wait here, for they
        would hold a connection meanwhile. Nobody else waits, so nobody is `first`.
        """
        with self._turn if alone else nullcontext():
            yield self._alone if alone else self._beside

    @contextmanager
    def migrating(self) -> Iterator[sa.Connection]:
        """A transaction that changes tables; processes that start at once take turns."""
        with self._migrating.begin() as connection:
            yield connection

    def change_mark(self) -> int:
        """Changes with every commit on this server, of ours or of others."""
        with self._all.connect() as connection:
            asked = "SELECT hashtextextended(pg_current_snapshot()::text, 0)"
            mark: int = connection.exec_driver_sql(asked).scalar_one()
        return mark

    def checkpoint(self) -> None:
        """The server does that by itself."""

    def copy_to(self, file: Path) -> None:
        """Raises BadInput: the server's own tools do that."""
        raise BadInput(
            f"A backup copies the file of an SQLite database. Use pg_dump for {self._shown}, and "
            "copy the adapters in the data dir; `livedpo migrate` copies it to an SQLite file."
        )

    def damage(self) -> None:
        """The server checks what it reads by itself."""

    def number_on(self, connection: sa.Connection) -> None:
        """Set each sequence to the last number of its table."""
        owned = (
            "SELECT quote_ident(table_name), pg_get_serial_sequence(quote_ident(table_name), 'id') "
            "FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND column_name = 'id' AND data_type = 'integer'"
        )
        for table, sequence in connection.exec_driver_sql(owned).all():
            if sequence is not None:
                last = f"SELECT setval('{sequence}', max(id)) FROM {table} HAVING max(id) > 0"
                connection.exec_driver_sql(last)

    def close(self) -> None:
        """Give the connections back."""
        self._all.dispose()

    def trouble(self, error: BaseException) -> LivedpoError | None:
        """What a user must know of a database's trouble; None for what would be a bug of ours."""
        from psycopg import Error

        state = error.sqlstate if isinstance(error, Error) else None
        if state is None or state[:2] in ("08", "28", "3D") or state[:3] == "57P":
            return self._unreached(error)
        if state in ("55P03", "40P01", "40001", "25P03"):
            return LivedpoError(
                f"The database {self._shown} is busy: something has held it for more than "
                f"{BUSY_SECONDS} seconds. Look for it in pg_stat_activity."
            )
        if state[:2] in ("53", "58"):
            return LivedpoError(
                f"The database {self._shown} cannot be written ({first_line(error)}); see to its "
                "server."
            )
        if state == "25006":
            return LivedpoError(f"The database {self._shown} is read-only; name the main server.")
        if state == "42501":
            return BadInput(
                f"The user of {self._shown} may not do that ({first_line(error)}); make it the "
                "owner of the database."
            )
        if state == "22003":
            return BadInput("A number is larger than a database can hold; name a smaller one.")
        return None

    def lock(self, name: str) -> AbstractContextManager[object]:
        """A lock that one process of all that use this database can hold."""
        return self._holding(OTHERS[name])

    @contextmanager
    def _holding(self, number: int) -> Iterator[None]:
        """A transaction that stays open and holds nothing but the lock, so it hinders nobody.

        Raises Timeout.
        """
        with self._all.connect() as connection:
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            asked = f"SELECT pg_try_advisory_xact_lock({OURS}, {number})"
            if not connection.exec_driver_sql(asked).scalar_one():
                raise Timeout(self._shown)
            try:
                yield
            finally:
                with suppress(DBAPIError):  # the server may have gone, and the lock with it
                    connection.rollback()

    def _unreached(self, error: BaseException) -> LivedpoError:
        """The server is not there, or lets us not in. Wrong use, unless it did before."""
        said = str(error).strip().splitlines() or [type(error).__name__]
        reason = next((line for line in said if "FATAL:" in line), said[0])
        reason = reason.rpartition("FATAL:")[2].rpartition("failed: ")[2].strip().rstrip(".")
        if self._password:
            reason = reason.replace(self._password, HIDDEN)
        kind = LivedpoError if self._was_reached.is_set() else BadInput
        return kind(
            f"The database {self._shown} cannot be opened ({reason}); check the URL, and that its "
            "server runs."
        )


def _prepare_connection(connection: Any, shown: str) -> None:
    """Text of any kind can be stored. Raises BadInput if the server is too old."""
    from psycopg.types.string import StrDumperUnknown

    class Dumper(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace(NUL, SHOWN_NUL))

    connection.adapters.register_dumper(str, Dumper)
    version = connection.info.server_version // 10_000
    if version < MIN_VERSION:
        raise BadInput(
            f"The server of {shown} is PostgreSQL {version}; livedpo needs {MIN_VERSION} or later."
        )


def _begin(connection: sa.Connection) -> None:
    first = connection.get_execution_options().get("first")
    if first is not None:
        connection.exec_driver_sql(first)


def _as_json(value: Any) -> str:
    """JSON as the server takes it: without numbers that are none, which are null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
