"""A few cells of the matrix of faults on one service; `make faults` tries all of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.matrix.bench import Bench, bench
from tests.faults.matrix.cells import CELLS, Cell

SOME = (
    Cell("web", "read-only", "voting"),
    Cell("scheduler", "kill -9", "idle"),
    Cell("worker", "disk full", "sampling"),
)


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory, tiny_policy: Path) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("bench"), policy=tiny_policy) as made:
        yield made


@pytest.mark.parametrize("cell", SOME, ids=lambda cell: cell.name)
def test_no_fault_loses_or_doubles_a_vote_or_stays(cell: Cell, on: Bench) -> None:
    """Each fault ends once some requests have met it."""
    assert cell in CELLS
    assert on.try_out(cell, lasting=0).wrong == ()
