"""What tests need of databases less than people do, or once a process.

An engine remembers what SQL it has made of a statement, so one that serves a single test remembers
nothing. Here all engines of a kind remember together; nothing else of them is shared. And no test
outlives a power cut, so SQLite need not wait for the disk. Processes that tests start are as ever.
"""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from labeler.store.engines import sqlite

KINDS = (SQLiteDialect_pysqlite, PGDialect_psycopg)
MAX_STATEMENTS = 4000
prepare_as_ever = sqlite._prepare_connection


def share_statements() -> None:
    """Let every engine of this process look up statements in one place."""
    known: LRUCache[Any, Any] = LRUCache(MAX_STATEMENTS)
    shared = property(lambda _: known, lambda _, __: None)
    Engine._compiled_cache = shared  # type: ignore[assignment]
    for kind in KINDS:  # which is part of what a statement is looked up by
        kind.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign]
        kind.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]


def wait_for_no_disk() -> None:
    """Let SQLite in this process leave it to the kernel when a commit is on the disk."""
    sqlite._prepare_connection = _prepare


def as_ever() -> None:
    """Let SQLite wait for the disk again, in a process that was forked."""
    sqlite._prepare_connection = prepare_as_ever


def _prepare(connection: Any, _record: object) -> None:
    prepare_as_ever(connection, _record)
    connection.execute("PRAGMA synchronous=OFF")
