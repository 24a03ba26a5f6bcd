"""What the pages are told of the loop: looked at seldom, and right about a rater's own votes."""

import time
from pathlib import Path
from typing import Any

import pytest

from labeler.config.settings import Settings
from labeler.store import Store
from labeler.web.rating.loop import MAX_AGE_SECONDS, LoopView
from tests.support.store import claim, open_update, promote, vote
from tests.support.web import add_questions


class Looks:
    """A view of the loop with a clock that stands still; `count` says how often it looked."""

    def __init__(self, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = Settings(data_dir=folder, labels_per_update=4)
        self.now = 0.0
        self.count = 0
        self.view = LoopView(settings, store, lambda: self.now)
        self._rater = store.raters.local(now=1.0)
        real = store.reports.shown_to_all

        def counted(rules: Any, **seen: Any) -> Any:
            self.count += 1
            return real(rules, **seen)

        monkeypatch.setattr(store.reports, "shown_to_all", counted)

    def votes(self) -> tuple[int, int]:
        """What the page shows of the rater's votes, and of those towards the next update."""
        state = self.view.page(self._rater)
        return state["votes"], state["fresh"]


@pytest.fixture
def looks(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Looks:
    add_questions(store, 12)
    return Looks(store, tmp_path, monkeypatch)


def test_a_vote_is_counted_at_once_and_without_another_look(store: Store, looks: Looks) -> None:
    seen = [looks.votes()]
    for choice in ("left", "skip", "right"):
        vote(store, 1, choice, now=time.time())
        seen.append(looks.votes())
    assert seen == [(0, 0), (1, 1), (2, 1), (3, 2)]
    assert looks.count == 1
    looks.now = MAX_AGE_SECONDS
    assert looks.votes() == (3, 2)
    assert looks.count == 2


def test_votes_after_the_last_look_never_say_that_an_update_is_due(
    store: Store, looks: Looks
) -> None:
    looks.votes()
    vote(store, 4, now=time.time())
    assert looks.votes() == (4, 3)
    looks.now = MAX_AGE_SECONDS
    assert looks.votes() == (4, 4)


def test_pairs_of_a_new_version_come_with_a_state_that_knows_it(store: Store, looks: Looks) -> None:
    assert looks.view.page(1, versions=[0])["live"] == 0
    vote(store, 4, now=time.time())
    open_update(store, time.time())
    promote(store, claim(store, now=time.time()), 1, now=time.time())
    assert looks.view.page(1, versions=[0])["live"] == 0
    assert looks.view.page(1, versions=[1, 0])["live"] == 1
