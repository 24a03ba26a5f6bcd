"""What goes as time passes, and above all what stays."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import col

from labeler.domain.errors import BadInput
from labeler.domain.finding import Finding
from labeler.domain.judging import Cause
from labeler.domain.states import PairState
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.learning.pruning import tidy
from labeler.store.records import Ballot
from labeler.store.tables import Lease, Pair, PolicyVersion, TidiedVerdicts, Verdict, Vote
from tests.labeler.cli.test_main import make_versions as make_versions_with_folders
from tests.support.command import fails, livedpo
from tests.support.store import (
    N,
    add,
    claim,
    give_back,
    lease,
    make_version,
    only_writer,
    open_update,
    promote,
    rows,
    undo,
    version,
    vote,
)
from tests.support.tiny import add_pairs, fill

DAY = 86_400.0
WEEK = 7 * DAY
NOW = 1_000_000.0


@pytest.fixture(autouse=True)
def filled(store: Store) -> None:
    fill(store, 40)


def make_versions(store: Store, last: int) -> None:
    """Versions 1 to `last`, each trained from the one before; the last is live."""
    for number in range(1, last + 1):
        make_version(store, number, now=1000.0 + 10 * number)


def rollback(store: Store, number: int | None, now: float = 2000.0) -> None:
    store.versions.make_live_again(store.versions.find(number).id, now=now)


def prune(store: Store, keep: int) -> list[str]:
    return store.versions.prune(keep=keep, now=3000.0)


def test_all_but_the_newest_versions_are_pruned_once_and_their_rows_stay(store: Store) -> None:
    make_versions(store, 6)
    assert prune(store, 3) == ["v1", "v2", "v3"]
    assert prune(store, 3) == []
    rows = store.versions.all()
    assert [row.id for row in rows if row.pruned_at == 3000.0] == [1, 2, 3]
    assert [row.finding for row in rows[1:]] == [Finding(labels=N)] * 6
    assert store.versions.folders() == {"v4", "v5", "v6"}


def test_the_live_version_and_its_parent_stay_however_old(store: Store) -> None:
    make_versions(store, 6)
    rollback(store, 3)
    assert prune(store, 1) == ["v1", "v4", "v5"]
    rollback(store, None)
    assert [row.id for row in store.versions.all() if row.state.value == "live"] == [2]


def test_the_parent_of_the_live_version_stays_if_no_newer_one_is_kept(store: Store) -> None:
    make_versions(store, 3)
    assert prune(store, 1) == ["v1"]


def test_a_marked_version_stays_until_the_mark_is_taken_back(store: Store) -> None:
    make_versions(store, 5)
    store.versions.keep(1, kept=True)
    assert prune(store, 2) == ["v2", "v3"]
    store.versions.keep(1, kept=False)
    assert prune(store, 2) == ["v1"]


def test_a_candidate_that_nobody_has_promoted_stays(store: Store) -> None:
    store.versions.add_candidate(
        folder="offline-1", sha256="x", finding=Finding(), parent=0, now=1500.0
    )
    for number in (2, 3, 4):
        make_version(store, number, now=1600.0 + 10 * number)
    assert prune(store, 1) == ["v2"]
    rollback(store, 1)
    rollback(store, 4, now=2001.0)
    assert prune(store, 1) == ["offline-1"]


def test_a_rejected_version_counts_and_is_pruned_like_others(store: Store) -> None:
    vote(store, N)
    open_update(store)
    store.updates.reject(claim(store), version(1), reason="worse", now=1012.0)
    for number in (2, 3):
        make_version(store, number, now=1600.0 + 10 * number)
    assert prune(store, 3) == []
    assert prune(store, 2) == ["v1"]


def test_the_version_that_an_open_update_started_from_stays_though_it_is_live_no_more(
    store: Store,
) -> None:
    make_versions(store, 5)
    vote(store, N, now=1100.0)
    open_update(store, 1101.0)
    claimed = claim(store, now=1102.0)
    rollback(store, 2)
    store.versions.add_candidate(
        folder="offline-1", sha256="x", finding=Finding(), parent=2, now=2001.0
    )
    assert (claimed.parent, prune(store, 1)) == (5, ["v3", "v4"])
    store.updates.release(claimed)
    again = claim(store, now=2002.0)
    promote(store, again, 7, now=2003.0)
    assert prune(store, 1) == ["v1", "v5"]


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.versions.find(1),
        lambda store: store.versions.get(1),
        lambda store: store.versions.make_live_again(1, now=4000.0),
        lambda store: store.versions.keep(1, kept=True),
    ],
)
def test_a_pruned_version_is_one_sentence_to_whoever_wants_it(
    store: Store, use: Callable[[Store], object]
) -> None:
    make_versions(store, 4)
    prune(store, 2)
    with pytest.raises(BadInput, match=r"Version 1 was pruned; .* `livedpo versions keep V`"):
        use(store)
    assert store.versions.folders() == {"v3", "v4"}


def test_a_rollback_to_a_parent_that_was_pruned_before_says_so(store: Store) -> None:
    make_versions(store, 4)
    prune(store, 2)
    rollback(store, None)
    with pytest.raises(BadInput, match="Version 2 was pruned"):
        store.versions.find(None)


@pytest.mark.parametrize(("number", "says"), [(9, "no version 9"), (0, "has no folder")])
def test_what_cannot_be_kept_is_one_sentence(store: Store, number: int, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        store.versions.keep(number, kept=True)


def test_the_command_line_keeps_a_version_lets_it_go_and_shows_what_was_pruned(
    tmp_path: Path,
) -> None:
    store = make_versions_with_folders(tmp_path)

    def folders() -> list[str]:
        lines = livedpo("versions", "list", "--data-dir", tmp_path).stdout.splitlines()
        return [line.split()[2] for line in lines]

    keep = livedpo("versions", "keep", 2, "--data-dir", tmp_path)
    assert keep.stdout == "The folder of version 2 is kept for good.\n"
    assert folders()[2] == "kept"
    livedpo("versions", "keep", 2, "--not", "--data-dir", tmp_path)
    assert folders()[2] not in ("kept", "pruned")
    store.versions.add_candidate(
        folder="offline-1", sha256="x", finding=Finding(), parent=1, now=1500.0
    )
    assert store.versions.prune(keep=1, now=2000.0) == ["v2"]
    assert folders()[2] == "pruned"
    fails(livedpo("versions", "promote", 2, "--data-dir", tmp_path), 2, "Version 2 was pruned")


def expire(database: Database) -> None:
    """Retire every ready pair, as a new version does."""
    with database.write() as session:
        session.execute(
            sa.update(Pair)
            .where(col(Pair.state) == PairState.READY)
            .values(state=PairState.EXPIRED)
        )


def left(database: Database, what: type[Pair] | type[Lease] | type[Verdict] = Pair) -> int:
    return len(rows(database, what))


def verdict(database: Database, pair_id: int, **changed: object) -> None:
    row = {"pair_id": pair_id, "judge": "j", "requests": 2, "tokens": 30, "created_at": 1000.0}
    add(database, Verdict(**(row | changed)))


def test_pairs_that_nobody_answered_go_but_for_the_newest(store: Store, database: Database) -> None:
    expire(database)
    assert tidy(database, now=NOW, max_expired=10) == 30
    assert {pair.id for pair in rows(database, Pair)} == {*range(31, 41)}
    assert tidy(database, now=NOW, max_expired=10) == 0


def test_ready_pairs_stay(store: Store, database: Database) -> None:
    assert tidy(database, now=NOW, max_expired=0) == 0
    assert store.queue.ready() == 40


def test_more_pairs_than_a_batch_go_in_several_transactions(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labeler.store.learning.pruning.BATCH_ROWS", 7)
    expire(database)
    assert tidy(database, now=NOW, max_expired=0) == 40


@pytest.mark.parametrize("choice", ["left", "tie", "skip"])
def test_a_pair_with_a_vote_stays_with_it_whatever_the_vote_says(
    store: Store, database: Database, choice: str
) -> None:
    vote(store, 1, choice)
    expire(database)
    assert tidy(database, now=NOW, max_expired=0) == 39
    assert len(store.reports.votes()) == 1


def test_a_pair_whose_only_vote_was_undone_stays_with_it(store: Store, database: Database) -> None:
    vote(store, 1)
    rater = store.raters.local(now=1.0)
    again = undo(store, rater=rater).pair
    assert again is not None
    give_back(store, again.lease_id, rater=rater, now=1004.0)
    expire(database)
    assert tidy(database, now=NOW, max_expired=0) == 39
    assert [row.superseded_by for row in store.reports.votes()] == ["u"]


def test_a_pair_that_somebody_holds_stays(store: Store, database: Database) -> None:
    lease(store)
    expire(database)
    assert tidy(database, now=NOW, max_expired=0) == 39


def test_a_vote_that_comes_days_late_finds_its_pair_and_a_week_later_none(
    store: Store, database: Database
) -> None:
    early, late = (pair.lease_id for pair in lease(store, 2, now=1000.0))
    store.queue.end_all_leases(now=2000.0)
    expire(database)
    assert tidy(database, now=2000.0 + WEEK - 1, max_expired=0) == 38
    at = 2000.0 + WEEK
    assert store.votes.record(Ballot("early", early, "left"), rater_id=1, now=at).saved
    assert tidy(database, now=at, max_expired=0) == 1
    assert left(database, Lease) == 1
    assert not store.votes.record(Ballot("late", late, "left"), rater_id=1, now=at).saved


def test_what_a_judge_said_of_a_forgotten_pair_goes_with_it_after_a_day_and_its_cost_is_kept(
    store: Store,
    database: Database,
) -> None:
    verdict(database, 1, cause=Cause.UNCLEAR)
    verdict(database, 1, probability=0.7)
    verdict(database, 2, cause=Cause.UNCLEAR, created_at=NOW - DAY + 1)
    expire(database)
    assert tidy(database, now=NOW, max_expired=0) == 39
    assert left(database, Verdict) == 1
    assert tidy(database, now=NOW + DAY, max_expired=0) == 1
    sums = {
        (row.judge, row.cause, row.verdicts, row.requests, row.tokens)
        for row in rows(database, TidiedVerdicts)
    }
    assert sums == {("j", "", 1, 2, 30), ("j", "unclear", 2, 4, 60)}


def test_failures_that_pass_go_after_a_day_though_their_pair_stays(
    store: Store, database: Database
) -> None:
    verdict(database, 1, cause=Cause.TIMEOUT)
    verdict(database, 1, cause=Cause.TIMEOUT, created_at=NOW - DAY + 1)
    verdict(database, 2, cause=Cause.UNCLEAR)
    verdict(database, 3, probability=0.5)
    assert tidy(database, now=NOW) == 0
    assert left(database, Verdict) == 3
    assert left(database) == 40


def test_a_verdict_that_became_a_label_stays_with_its_pair_and_its_vote(
    store: Store, database: Database
) -> None:
    rater = store.raters.local(now=1.0)
    add(
        database,
        Vote(id="v", pair_id=1, rater_id=rater, choice="a", shown_left="a", source="judge",
             staleness=0, created_at=1.0),
    )  # fmt: skip
    verdict(database, 1, probability=0.7, vote_id="v")
    expire(database)
    assert tidy(database, now=NOW, max_expired=0) == 39
    assert (left(database), left(database, Verdict)) == (1, 1)


def test_the_number_of_a_pair_is_never_given_to_another_one(
    store: Store, database: Database
) -> None:
    seen: set[int | None] = set()
    for _ in range(3):
        numbers = sorted(pair.id for pair in rows(database, Pair))
        assert seen.isdisjoint(numbers[1:])
        seen.update(numbers)
        expire(database)
        tidy(database, now=NOW, max_expired=1)
        add_pairs(store, 20)


def test_nothing_to_do_takes_no_write_lock(store: Store, database: Database) -> None:
    make_versions(store, 2)
    with only_writer(database):
        assert prune(store, 5) == []
        assert tidy(database, now=NOW) == 0


def test_every_version_with_a_folder_is_needed_or_pruned(store: Store, database: Database) -> None:
    make_versions(store, 5)
    pruned = prune(store, 2)
    every = [row.folder for row in rows(database, PolicyVersion) if row.folder]
    assert sorted([*pruned, *store.versions.folders()]) == sorted(every)
