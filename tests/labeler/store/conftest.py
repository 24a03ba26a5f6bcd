"""The tests of the store run over each engine; a second one is one more line here."""

from pathlib import Path

import pytest

ENGINES = {
    "sqlite": "sqlite:///{folder}/test.sqlite",
}


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the test has its database."""
    return ENGINES[request.param].format(folder=tmp_path)
