"""A rise of skips and "both bad" on the live version is seen in the votes, and ends with it."""

import pytest

from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Vote
from tests.support.store import alarms, change, make_version, rows, undo, vote
from tests.support.tiny import fill

SAID = "are skips or “both bad”"


@pytest.fixture
def _version_1(store: Store) -> None:
    """Twenty votes on version 0, none of them a skip, and version 1 with thirty pairs."""
    fill(store, 20, prompts=60)
    vote(store, 16)
    make_version(store, 1, pairs=30)


@pytest.mark.usefixtures("_version_1")
@pytest.mark.parametrize("choice", ["skip", "both_bad"])
def test_a_rise_is_an_alarm_until_another_version_is_live(store: Store, choice: str) -> None:
    vote(store, 8, now=1100.0)
    assert alarms(store) == []
    vote(store, 8, choice, now=1101.0)
    [sentence] = alarms(store)
    assert f"Of the votes on version 1 50 % {SAID}; before it were 0 %." in sentence
    store.versions.make_live_again(0, now=1200.0)
    assert alarms(store) == []


@pytest.mark.usefixtures("_version_1")
def test_undone_votes_ties_and_what_was_always_so_are_none(
    store: Store, database: Database
) -> None:
    vote(store, 4, "tie", now=1100.0)
    vote(store, 4, now=1100.0)
    vote(store, 8, "skip", now=1101.0)
    assert len(alarms(store)) == 1
    for number in range(8):
        undo(store, f"u{number}", now=1102.0)
    assert alarms(store) == []


@pytest.mark.usefixtures("_version_1")
def test_people_who_skip_on_every_version_raise_none(store: Store, database: Database) -> None:
    for cast in rows(database, Vote)[:10]:
        change(database, Vote, cast.id, choice="skip")
    vote(store, 8, now=1100.0)
    vote(store, 8, "skip", now=1101.0)
    assert alarms(store) == []
