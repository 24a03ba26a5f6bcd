"""Crashes of a process, at any statement of a verb: what it had begun must leave no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa


class Crashed(Exception):
    """The process was here when it died."""


@contextmanager
def dying_before(statement: int | None) -> Iterator[None]:
    """Raise Crashed before the statement of this number, counted from 1, is sent to a database.

    Each commit counts as one. With None, or where there are fewer statements, nothing happens.
    """
    if statement is None:
        yield
        return
    left = statement

    def count(*_: Any, **__: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crashed

    engines = sa.engine.Engine
    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(engines, event, count)
    try:
        yield
    finally:
        for event in ("before_cursor_execute", "commit"):
            sa.event.remove(engines, event, count)
