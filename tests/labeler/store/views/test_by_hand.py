"""What people do to versions by hand, recorded with who did it; and the dashboard's counts."""

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.finding import Action, Finding
from labeler.store import Store
from labeler.store.records import ClaimLostError
from tests.support.store import (
    RULES,
    N,
    claim,
    make_version,
    open_update,
    promote,
    states,
    version,
    vote,
)
from tests.support.tiny import fill


@pytest.fixture(autouse=True)
def filled(store: Store) -> None:
    fill(store, 40)


def test_rejecting_the_live_version_makes_its_parent_live(store: Store) -> None:
    make_version(store, 1)
    make_version(store, 2, now=1030.0)
    assert store.versions.reject(2, now=2000.0, by="Ada") == 1
    assert states(store) == ["retired", "live", "rejected"]
    [done] = store.versions.all()[2].finding.actions
    assert done == Action("rejected", "Ada", 2000.0)
    assert store.dashboard.totals().used == 2 * N


def test_a_rejected_candidate_moves_nothing(store: Store) -> None:
    store.versions.add_candidate(folder="v1", sha256="x", finding=Finding(), parent=0, now=5.0)
    assert store.versions.reject(1, now=6.0) is None
    assert states(store) == ["live", "rejected"]
    with pytest.raises(BadInput, match="rejected already"):
        store.versions.reject(1, now=7.0)


def test_the_base_cannot_be_rejected(store: Store) -> None:
    with pytest.raises(BadInput, match="has no parent"):
        store.versions.reject(0, now=6.0)


def test_an_update_that_trains_from_a_version_that_is_rejected_starts_again(store: Store) -> None:
    make_version(store, 1)
    vote(store, N, now=1040.0)
    open_update(store, 1041.0)
    claimed = claim(store, now=1042.0)
    store.versions.reject(1, now=1043.0)
    with pytest.raises(ClaimLostError):
        promote(store, claimed, 2, now=1044.0)
    assert claim(store, now=1045.0).parent == 0


def test_nothing_is_made_live_for_someone_who_saw_another_version(store: Store) -> None:
    make_version(store, 1)
    with pytest.raises(BadInput, match="Version 1 went live meanwhile, in place of 0"):
        store.versions.make_live_again(0, now=2000.0, live=0)
    assert store.versions.make_live_again(0, now=2000.0, by="Ada", live=1) == 1
    assert store.versions.all()[0].finding.actions[0].what == "made live"


def test_the_counts_are_those_of_the_rows(store: Store) -> None:
    make_version(store, 1)  # N votes at 1010, used; version live at 1013
    vote(store, 3, now=5000.0)
    vote(store, 1, "skip", now=5001.0)
    open_update(store, 5002.0, labels_per_update=3)
    update = claim(store, now=5003.0)
    store.updates.reject(update, version(2), reason="worse", now=5004.0)
    now = store.dashboard.now(RULES, now=5005.0)
    totals = store.dashboard.totals()
    assert (totals.human, totals.judge, totals.used, now.labels_hour) == (N + 3, 0, N, 3)
    assert (now.live, now.parent, now.live_since) == (1, 0, 1013.0)
    assert (now.accepted.value, now.accepted.count) == (0.5, 2)
    assert now.active == 1
    assert store.dashboard.now(RULES, now=5005.0 + 301).active == 0
    [(newest, made), (oldest, _)] = store.dashboard.updates()
    assert (newest.state.value, newest.reason, made and made.id) == ("rejected", "worse", 2)
    assert oldest.state.value == "promoted"


def test_labels_fall_into_their_buckets(store: Store) -> None:
    for at, count in ((1000.0, 2), (1059.0, 1), (1060.0, 3)):
        vote(store, count, now=at)
    vote(store, 1, "skip", now=1061.0)
    series = store.dashboard.series(start=1000.0, bucket_seconds=60.0)
    assert series.human == {0: 3, 1: 3}
    assert series.judge == {}
    assert store.dashboard.series(start=1060.0, bucket_seconds=60.0).human == {0: 3}


def test_before_anything_happened_the_rates_say_why_they_are_not_there(store: Store) -> None:
    now = store.dashboard.now(RULES, now=1.0)
    assert (now.accepted.value, now.accepted.why) == (None, "no update has ended yet")
    assert store.dashboard.oldest_label() is None
    assert store.dashboard.last_judge() is None
