"""A week unattended, on a clock that jumps: what is kept grows with the labels, nothing else does.

`python -m tests.benchmarks.week` is the longer one, with a table.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.benchmarks.week import Look, Week, week_settings

UPDATES = 32
QUARTERS = 4


@pytest.fixture(scope="module")
def looks(tiny_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Look]]:
    week = Week(week_settings(tiny_policy, tmp_path_factory.mktemp("week")))
    yield list(week.live(UPDATES, QUARTERS))
    week.close()


def test_the_week_has_promotions_refusals_and_a_judge_that_fails_now_and_then(
    looks: list[Look],
) -> None:
    """Else the others would prove little."""
    last = looks[-1]
    assert (last.updates, round(last.days)) == (UPDATES, 7)
    assert UPDATES / 2 < last.promoted < UPDATES
    assert last.failures > last.labels / 8
    assert last.labels >= 8 * last.promoted


def test_memory_handles_and_threads_stay_as_they_are(looks: list[Look]) -> None:
    """Python's objects tell a leak sooner than megabytes do: caches of the libraries fill first.

    What leaks grows in every quarter. What is made once does not, such as a statement when it is
    first asked.
    """
    settled, last = looks[0], looks[-1]
    grown = [(b.objects - a.objects) / (b.labels - a.labels) for a, b in pairwise(looks)]
    assert min(grown) < 1
    assert last.rss_mb - settled.rss_mb < 40  # of about 580
    assert 0 < last.handles <= settled.handles
    assert last.threads <= settled.threads


def test_of_all_versions_a_few_folders_stay(looks: list[Look]) -> None:
    keep = 5
    assert max(look.folders for look in looks) <= keep + 2  # the live one and its parent
    assert looks[-1].adapters_kb <= 1.5 * looks[0].adapters_kb


def test_the_database_grows_with_the_labels_and_its_log_does_not(looks: list[Look]) -> None:
    settled, last = looks[0], looks[-1]
    a_label = (last.database_kb - settled.database_kb) / (last.labels - settled.labels)
    assert a_label < 4  # KB, with its pair, its verdict, and the pairs that came to nothing
    assert last.wal_kb < 8_000  # SQLite folds it back every 4 MB
