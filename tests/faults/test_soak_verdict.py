"""What a soak calls a drift: a leak is one; noise, a restart, warming up and a trifle are none."""

import random

import pytest

from tests.faults.soak_looks import PROCESSES, Row
from tests.faults.soak_verdict import trends

MINUTES = 120
REST = ("threads", "handles", "since")


def rows(worker_mb: dict[int, float], since: dict[int, float]) -> list[Row]:
    """A look each minute at which nothing but the worker's memory is worth a word."""
    still: Row = {f"{name} {what}": 1.0 for name in PROCESSES for what in ("MB", *REST)}
    still |= {"restarts": 0.0, "WAL kB": 1.0, "vote p95 ms": 1.0, "vote to version s": 1.0}
    grows = {"database kB": 2.0, "log kB": 3.0, "votes": 5.0}  # each minute
    return [
        {
            "minute": float(minute),
            **still,
            **{name: step * minute for name, step in grows.items()},
            "worker MB": worker_mb[minute],
            "worker since": since[minute],
        }
        for minute in range(MINUTES + 1)
    ]


@pytest.mark.parametrize(
    ("per_hour", "lives", "drifting"),
    [
        (0.0, 1, []),
        (5.0, 1, []),  # a twentieth
        (30.0, 1, ["worker MB"]),
        (30.0, 4, ["worker MB"]),  # which each restart takes back
    ],
)
def test_a_leak_drifts_and_a_trifle_does_not(
    per_hour: float, lives: int, drifting: list[str]
) -> None:
    """100 MB with noise of 1 MB."""
    rng = random.Random(3)
    length = (MINUTES + 1) // lives + 1
    memory = {m: 100 + per_hour * (m % length) / 60 + rng.gauss(0, 1) for m in range(MINUTES + 1)}
    found = trends(rows(memory, {m: float(m // length) for m in range(MINUTES + 1)}))
    assert [each.name for each in found if each.drifts(len(found))] == drifting


def test_a_process_that_warms_up_after_each_restart_is_steady() -> None:
    memory = {m: 100.0 + 10 * min(m % 30, 10) for m in range(MINUTES + 1)}
    found = trends(rows(memory, {m: float(m // 30) for m in range(MINUTES + 1)}))
    assert [each.name for each in found if each.drifts(len(found))] == []


def test_what_grows_with_every_vote_is_counted_by_the_vote() -> None:
    still = dict.fromkeys(range(MINUTES + 1), 1.0)
    medians = {each.name: each.median for each in trends(rows(still, still))}
    assert medians["database kB a vote"] == pytest.approx(2 / 5)
    assert medians["log kB an hour"] == pytest.approx(3 * 60)
