"""A real PgBouncer in transaction mode, where the next transaction may be on another connection."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.support.patience import wait_until
from tests.support.postgres import Server

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
PORT = 6432  # of a socket in a folder of its own
SETTINGS = """
[databases]
* = user=postgres host={folder}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
"""


@contextmanager
def pgbouncer(server: Server, database: str, *, connections: int = 3) -> Iterator[str]:
    """The URL of a new, empty database through it; it has so many connections to that.

    The test is skipped where it is not installed.
    """
    if PROGRAM is None:
        pytest.skip("PgBouncer is not installed")
    server.execute(f"CREATE DATABASE {database}")
    file = server.folder / "pgbouncer.ini"
    file.write_text(SETTINGS.format(folder=server.folder, port=PORT, connections=connections))
    program = subprocess.Popen(
        [PROGRAM, "-q", file], user=server.user, stderr=subprocess.DEVNULL, cwd=server.folder
    )
    where = f"host={server.folder} port={PORT}"

    def answers() -> bool:
        try:
            psycopg.connect(f"{where} user=postgres dbname={database}").close()
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_until(answers, "PgBouncer")
        yield f"postgresql+psycopg://postgres@/{database}?host={server.folder}&port={PORT}"
    finally:
        program.terminate()
        program.wait()
