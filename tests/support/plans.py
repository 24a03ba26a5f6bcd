"""How PostgreSQL goes about the statements of a verb."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

# What grows with use; the others have some hundred rows at most.
GROWING = frozenset({"pair", "vote", "lease", "prompt", "verdict", "update_label", "filled_pair"})
_SCANNED = re.compile(r"Seq Scan on \"?(\w+)")


@dataclass(frozen=True)
class Plan:
    """A statement, how it is done, and the growing tables that are read from end to end for it."""

    statement: str
    steps: tuple[str, ...]

    @property
    def scanned(self) -> set[str]:
        """Tables that grow with use and are read whole."""
        return {name for step in self.steps for name in _SCANNED.findall(step)} & GROWING


def plans_of(url: str, verb: Callable[[], object], *, scans: bool = True) -> list[Plan]:
    """Run the verb, then ask how each of its statements is done.

    Without `scans` a table is read whole only where it has no index that would do.
    """
    with _noted() as statements:
        verb()
    engine = sa.create_engine(url, connect_args={"prepare_threshold": None})
    with engine.connect() as connection:
        if not scans:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plans = [
            Plan(text, tuple(connection.exec_driver_sql(f"EXPLAIN {text}", given).scalars()))
            for text, given in statements
            if text.startswith(("UPDATE", "DELETE")) or "\nFROM " in text
        ]
    engine.dispose()
    return plans


@contextmanager
def _noted() -> Iterator[list[tuple[str, Any]]]:
    """What is sent to a database meanwhile."""
    found: list[tuple[str, Any]] = []

    def note(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
        if isinstance(parameters, dict):
            found.append((statement, parameters))

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)
