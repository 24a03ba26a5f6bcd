"""What goes on an update's list, and what each vote is listed for."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import col, select

from labeler.domain.labels import TrainingLabel, VoteRules
from labeler.domain.states import LabelRole, RaterRole, Source
from labeler.store import Store, open_store
from labeler.store.database import Database
from labeler.store.learning.label_selection import MAX_REMEMBERED
from labeler.store.tables import Lease, Pair, Rater, UpdateLabel, Vote
from tests.support.store import (
    RULES,
    N,
    change,
    claim,
    make_version,
    open_update,
    promote,
    rows,
    undo,
    version,
    vote,
)
from tests.support.tiny import add_pairs, fill

LEARN = replace(RULES, votes=VoteRules("learn", strong_weight=3.0))


@pytest.fixture(autouse=True)
def filled(store: Store) -> None:
    fill(store, 60)


def ids(labels: list[TrainingLabel]) -> set[str]:
    return {vote_id for label in labels for vote_id in label.vote_ids}


def listed(database: Database, update_id: int) -> dict[LabelRole, set[str]]:
    found: dict[LabelRole, set[str]] = {role: set() for role in LabelRole}
    for row in rows(database, UpdateLabel, col(UpdateLabel.update_id) == update_id):
        found[row.role].add(row.vote_id)
    return found


def fresh(store: Store) -> int:
    return int(store.reports.status(max_staleness=2)["labels"]["fresh"])


def cast(database: Database, name: str, pair_id: int, choice: str, source: Source) -> str:
    """A vote of another rater or judge on a pair, straight into the tables."""
    with database.write() as session:
        rater = session.exec(select(Rater).where(col(Rater.name) == name)).first()
        if rater is None:
            rater = Rater(name=name, role=RaterRole.RATER, created_at=1.0)
            session.add(rater)
            session.flush()
        assert rater.id is not None
        vote_id = f"{name} on {pair_id}"
        lease = Lease(
            id=vote_id, pair_id=pair_id, rater_id=rater.id, holder=name, slot=1,
            shown_left="a", leased_at=1.0, expires_at=1.0, ended_at=1.0,
        )  # fmt: skip
        session.add(lease)
        session.flush()
        session.add(
            Vote(
                id=vote_id,
                pair_id=pair_id,
                rater_id=rater.id,
                lease_id=vote_id,
                choice=choice,
                shown_left="a",
                source=source,
                staleness=0,
                created_at=1003.0,
            )
        )
    return vote_id


def pair_of(store: Store, vote_id: str) -> int:
    return next(row.vote.pair_id for row in store.reports.votes() if row.vote.id == vote_id)


def test_the_newest_pairs_are_held_out_and_the_rest_is_trained_on(store: Store) -> None:
    early = vote(store, 6, now=1002.0)
    late = vote(store, 2, now=1003.0)
    open_update(store, held_out_share=0.25)
    claimed = claim(store)
    assert ids(claimed.labels) == set(early)
    assert ids(claimed.held_out) == set(late)


def test_a_held_out_label_stays_fresh_and_trains_the_next_update(store: Store) -> None:
    vote(store, 6, now=1002.0)
    late = vote(store, 2, now=1003.0)
    open_update(store, held_out_share=0.25)
    promote(store, claim(store), 1)
    assert fresh(store) == 2
    add_pairs(store, 10, version=1)
    newest = vote(store, 2, now=1021.0)
    assert open_update(store, 1030.0, held_out_share=0.5) == 2
    claimed = claim(store)
    assert ids(claimed.labels) == set(late)
    assert ids(claimed.held_out) == set(newest)


def test_no_label_is_ever_held_out_for_good(store: Store) -> None:
    cast_votes = set()
    for number in range(1, 5):
        cast_votes |= set(vote(store, 8, now=1000.0 + 10 * number))
        open_update(store, 1001.0 + 10 * number, held_out_share=0.2)
        promote(store, claim(store), number, now=1002.0 + 10 * number)
        add_pairs(store, 12, version=number)
    waiting = fresh(store)
    used = {row.vote.id for row in store.reports.votes() if row.vote.used_in_update}
    assert waiting <= 2
    assert len(cast_votes - used) == waiting


def test_a_pair_that_was_chosen_for_what_it_tells_is_no_fair_test(
    store: Store, database: Database
) -> None:
    early = vote(store, 6, now=1002.0)
    late = vote(store, 2, now=1003.0)
    for number in (7, 8):  # of the late votes
        change(database, Pair, number, worth=1.0)
    open_update(store, held_out_share=0.25)
    claimed = claim(store)
    assert len(claimed.held_out) == 2
    assert ids(claimed.held_out) < set(early)
    assert set(late) < ids(claimed.labels)


@pytest.mark.parametrize(("share", "held"), [(0.0, 0), (0.1, 0), (0.25, 1), (0.5, 2), (0.99, 3)])
def test_the_share_is_rounded_and_one_pair_at_least_is_trained_on(
    store: Store, share: float, held: int
) -> None:
    vote(store, N)
    open_update(store, held_out_share=share)
    claimed = claim(store)
    assert (len(claimed.labels), len(claimed.held_out)) == (N - held, held)


def test_all_votes_of_a_pair_go_the_same_way(store: Store, database: Database) -> None:
    votes = vote(store, N, now=1002.0)
    pairs = [pair_of(store, vote_id) for vote_id in votes]
    second = [cast(database, "second", pair_id, "a", Source.HUMAN) for pair_id in pairs]
    open_update(store, held_out_share=0.5)
    claimed = claim(store)
    assert len(claimed.labels) == len(claimed.held_out) == 2
    for label in claimed.labels + claimed.held_out:
        assert len(label.vote_ids) == 2
    assert ids(claimed.labels) | ids(claimed.held_out) == set(votes + second)


def test_a_pair_that_an_earlier_update_trained_on_is_not_held_out(
    store: Store, database: Database
) -> None:
    used = vote(store, N)
    open_update(store)
    promote(store, claim(store), 1)
    late = {
        cast(database, "second", pair_of(store, vote_id), "b", Source.HUMAN) for vote_id in used
    }
    assert open_update(store, 1030.0, held_out_share=0.5) == 2
    claimed = claim(store)
    assert claimed.held_out == []
    assert ids(claimed.labels) == late


def test_the_votes_of_raters_on_one_pair_make_one_label(store: Store, database: Database) -> None:
    votes = vote(store, N)
    pair_id = pair_of(store, votes[0])
    first = next(row.vote.choice for row in store.reports.votes() if row.vote.id == votes[0])
    cast(database, "second", pair_id, "b" if first == "a" else "a", Source.HUMAN)
    open_update(store)
    claimed = claim(store)
    both = next(label for label in claimed.labels if votes[0] in label.vote_ids)
    assert len(claimed.labels) == N
    assert (both.target, both.weight, len(both.vote_ids)) == (0.5, 2.0, 2)


def test_ties_make_an_update_due_and_train_it_where_they_are_learnt(store: Store) -> None:
    vote(store, N - 1, "tie")
    vote(store, 1, "both_bad")
    assert open_update(store) is None
    assert open_update(store, votes=LEARN.votes) == 1
    for label in claim(store, rules=LEARN).labels:
        assert (label.target, label.tie) == (0.0, 1.0)


def test_much_better_weighs_more(store: Store) -> None:
    vote(store, N, strength=2)
    open_update(store, votes=LEARN.votes)
    assert [label.weight for label in claim(store, rules=LEARN).labels] == [3.0] * N


def test_a_judges_label_is_fresh_only_where_no_person_has_spoken(
    store: Store, database: Database
) -> None:
    rated = vote(store, 1, "tie")[0]
    cast(database, "judge", pair_of(store, rated), "a", Source.JUDGE)
    cast(database, "judge", 50, "a", Source.JUDGE)
    assert fresh(store) == 1


def test_a_judges_label_is_left_out_once_a_person_spoke_on_a_listed_pair(
    store: Store, database: Database
) -> None:
    for pair_id in range(41, 41 + N):
        cast(database, "judge", pair_id, "a", Source.JUDGE)
    open_update(store)
    cast(database, "second", 41, "b", Source.HUMAN)
    assert ids(claim(store).labels) == {f"judge on {pair}" for pair in range(42, 41 + N)}


def test_only_the_labels_trained_on_count_as_tried_by_a_rejected_update(store: Store) -> None:
    """8 votes, 2 of them held out: after the rejection 2 are new, and N - 2 more are needed."""
    vote(store, 8)
    open_update(store, held_out_share=0.25)
    store.updates.reject(claim(store), version(1), reason="worse", now=1020.0)
    vote(store, N - 3, now=1021.0)
    assert open_update(store, 1030.0) is None
    vote(store, 1, now=1031.0)
    assert open_update(store, 1040.0) == 2


def test_what_people_said_before_is_listed_to_be_remembered(store: Store) -> None:
    make_version(store, 1)
    before = {row.vote.id for row in store.reports.votes()}
    vote(store, N, now=1030.0)
    open_update(store, 1031.0)
    claimed = claim(store)
    assert ids(claimed.remembered) == before
    assert ids(claimed.labels).isdisjoint(before)


def test_only_the_latest_are_remembered(store: Store) -> None:
    updates = MAX_REMEMBERED // (4 * N) + 1
    for number in range(1, updates + 1):
        vote(store, 4 * N, now=1000.0 + 10 * number)
        open_update(store, 1001.0 + 10 * number)
        promote(store, claim(store), number, now=1002.0 + 10 * number)
        add_pairs(store, 4 * N, version=number)
    vote(store, N, now=2000.0)
    open_update(store, 2001.0)
    remembered = ids(claim(store).remembered)
    assert len(remembered) == MAX_REMEMBERED
    forgotten = [
        row.vote.used_in_update for row in store.reports.votes() if row.vote.id not in remembered
    ]
    assert {update for update in forgotten if update} == {1}


def test_as_many_are_remembered_though_the_latest_are_replayed(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 fresh pairs and a share of 3/5 replay 6 of 8 older ones: the other two are remembered."""
    monkeypatch.setattr("labeler.store.learning.label_selection.MAX_REMEMBERED", 2)
    make_version(store, 1)
    make_version(store, 2, now=1030.0)
    vote(store, N, now=1060.0)
    open_update(store, 1061.0, replay_share=3 / 5)
    roles = listed(database, 3)
    assert len(roles[LabelRole.REPLAY]) == 6
    assert len(roles[LabelRole.REMEMBERED]) == 2


def test_replayed_labels_are_the_given_share_of_what_is_trained_on(store: Store) -> None:
    """4 fresh pairs and a share of 1/2: 4 * 0.5 / (1 - 0.5) = 4 older ones; 1/3 gives 2."""
    make_version(store, 1)
    make_version(store, 2, now=1030.0)
    vote(store, N, now=1060.0)
    open_update(store, 1061.0, replay_share=1 / 3)
    claimed = claim(store)
    assert (len(claimed.labels), claimed.replayed) == (N + 2, 2)
    assert len(claimed.remembered) == 2 * N - 2, "what is trained on is not examined"


def test_replay_is_drawn_by_lot_the_same_for_the_same_update(tmp_path: Path) -> None:
    def replayed_pairs(name: str) -> set[int]:
        url = f"sqlite:///{tmp_path / name}"
        with contextlib.closing(open_store(url)) as store:
            fill(store, 40)
            make_version(store, 1)
            make_version(store, 2, now=1030.0)
            vote(store, N, now=1060.0)
            open_update(store, 1061.0, replay_share=0.5)
            replayed = listed(Database(url), 3)[LabelRole.REPLAY]
            return {pair_of(store, vote_id) for vote_id in replayed}

    first = replayed_pairs("one.sqlite")
    assert len(first) == N
    assert replayed_pairs("two.sqlite") == first


def test_replay_leaves_out_versions_that_are_too_old(store: Store) -> None:
    make_version(store, 1)
    make_version(store, 2, now=1030.0)
    vote(store, N, now=1060.0)
    open_update(store, 1061.0, replay_share=0.9, replay_max_age_versions=1)
    claimed = claim(store)
    replayed = ids(claimed.labels[-claimed.replayed :])
    by_id = {row.vote.id: row.pair.version_id for row in store.reports.votes()}
    assert {by_id[vote_id] for vote_id in replayed} == {1}


def test_a_replayed_label_stays_with_the_update_that_used_it(
    store: Store, database: Database
) -> None:
    make_version(store, 1)
    vote(store, N, now=1030.0)
    open_update(store, 1031.0, replay_share=0.5)
    claimed = claim(store)
    assert claimed.replayed == N
    promote(store, claimed, 2, now=1040.0)
    used = [row.vote.used_in_update for row in store.reports.votes()]
    assert sorted(update for update in used if update) == [1] * N + [2] * N
    assert len(listed(database, 2)[LabelRole.REPLAY]) == N


def test_an_undone_label_is_neither_replayed_nor_remembered(store: Store) -> None:
    make_version(store, 1)
    undo(store, now=1020.0)
    vote(store, 1, now=1021.0)
    vote(store, N - 1, now=1030.0)
    open_update(store, 1031.0, replay_share=0.3)
    claimed = claim(store)
    older = ids(claimed.remembered) | ids(claimed.labels[-claimed.replayed :])
    undone = {row.vote.id for row in store.reports.votes() if row.vote.superseded_by}
    assert len(undone) == 1
    assert older.isdisjoint(undone)
