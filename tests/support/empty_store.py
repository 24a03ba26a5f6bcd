"""New stores; those in SQLite are copies of a database that was migrated once a process."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from labeler.store import Store, open_store


def new_store(url: str) -> Store:
    """An empty store in this new database, as `open_store` makes it."""
    engine, _, file = url.partition(":///")
    if engine == "sqlite":
        Path(file).write_bytes(_migrated())
    return open_store(url)


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "empty.sqlite"
        open_store(f"sqlite:///{file}").close()
        return file.read_bytes()
