"""Labels in one place: searched, filtered, paged, opened, set aside and put back."""

from typing import get_args

import pytest
from sqlmodel import col

from labeler.domain.errors import BadInput
from labeler.domain.states import Choice, PairState, RaterRole, Source
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import Pair, Rater, Vote
from labeler.store.views.search import Flag, Wanted
from tests.support.busy import fill_busy
from tests.support.store import (
    change,
    claim,
    lease,
    make_version,
    open_update,
    rows,
    vote,
    vote_on,
)
from tests.support.tiny import fill


def found(store: Store, **wanted: object) -> list[int]:
    """The numbers of the pairs that are wanted, all pages of three."""
    pairs: list[int] = []
    cursor = None
    while True:
        page = store.labelled.page(Wanted(**wanted), cursor=cursor, most=3)  # type: ignore[arg-type]
        pairs += [line.id for line in page.pairs]
        if page.cursor is None:
            return pairs
        cursor = page.cursor


def by_hand(store: Store, database: Database, **said: object) -> str:
    """A vote on the next pair with more to it than a choice."""
    [vote_id] = vote(store, 1)
    change(database, Vote, vote_id, **said)
    return vote_id


def test_each_pair_with_a_vote_is_listed_once_the_last_voted_on_first(store: Store) -> None:
    fill(store, 12)
    for now in (1001.0, 1002.0):
        vote(store, 4, now=now)
    assert sorted(found(store)) == list(range(1, 9))
    assert set(found(store)[:4]) == {5, 6, 7, 8}


def test_paging_shows_no_pair_twice_while_votes_come_in(store: Store) -> None:
    fill(store, 12)
    vote(store, 6, now=1001.0)
    first = store.labelled.page(Wanted(), most=3)
    vote(store, 2, now=1002.0)
    second = store.labelled.page(Wanted(), cursor=first.cursor, most=9)
    shown = [line.id for line in [*first.pairs, *second.pairs]]
    assert sorted(shown) == [1, 2, 3, 4, 5, 6]


def test_a_cursor_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(BadInput, match="not a place in the list"):
        store.labelled.page(Wanted(), cursor="{}")


def test_text_is_found_in_prompts_replies_and_comments_whatever_it_holds(
    store: Store, database: Database
) -> None:
    fill(store, 4)
    store.prompts.add([[{"role": "user", "content": 'Straße "100 %"_\\ 日本'}]], now=1.0)
    vote(store, 3)
    by_hand(store, database, comment="quite_wrong")
    change(database, Pair, 2, prompt_id=5)
    first = store.labelled.pair(1).pair
    assert found(store, search=first.response_a.upper()) == [1]
    assert found(store, search="Straße") == found(store, search='"100 %"') == [2]
    assert found(store, search="\\ 日本") == [2]
    assert found(store, search="%_\\") == []
    assert found(store, search="quite_") == [4]
    assert found(store, search="quit__") == []


def test_every_filter_leaves_what_its_count_says(store: Store, database: Database) -> None:
    store.versions.adopt_base(base="test", fingerprint="f", now=1.0)
    fill_busy(database, votes=200, now=1e9)
    facets = store.labelled.facets(fast_seconds=2.0)
    for name, kind in (("source", Source), ("choice", Choice), ("state", PairState)):
        for each in facets[name]:
            assert len(found(store, **{name: kind(each["value"])})) == each["pairs"]
    for each in facets["rater"]:
        assert len(found(store, rater=int(each["value"]))) == each["pairs"]
    assert {each["value"] for each in facets["flag"]} == set(get_args(Flag))
    for each in facets["flag"]:
        pairs = found(store, flag=each["value"], fast_seconds=2.0)
        assert len(pairs) == each["pairs"], each
    assert facets["flag"][0]["pairs"] > 0
    assert found(store, version=1) == found(store, version=1, since=0.0, until=1e9)
    assert found(store, since=1e9 + 1) == []


def test_people_who_disagree_are_found_and_a_judge_is_not_people(
    store: Store, database: Database
) -> None:
    fill(store, 3)
    first, second = vote(store, 2)
    with database.write() as session:
        session.add(Rater(id=50, name="Bo", role=RaterRole.RATER, created_at=1.0))
        session.flush()
        for number, (vote_id, source) in enumerate([(first, Source.HUMAN), (second, Source.JUDGE)]):
            known = session.get_one(Vote, vote_id)
            fields = known.model_dump() | {"id": f"other {number}", "rater_id": 50}
            against = Choice.B if known.choice is Choice.A else Choice.A
            session.add(Vote(**{**fields, "choice": against, "source": source}))
    pairs = {line.id for line in store.labelled.page(Wanted(flag="disagree")).pairs}
    assert pairs == {vote.pair_id for vote in rows(database, Vote, col(Vote.id) == first)}


def test_an_opened_pair_has_every_vote_and_what_used_it(store: Store) -> None:
    fill(store, 12)
    make_version(store, 1)
    opened = store.labelled.pair(1)
    [cast] = opened.votes
    assert (cast.rater, cast.version, cast.vote.used_in_update) == ("local", 1, 1)
    assert cast.listed == ((1, "train"),)
    with pytest.raises(BadInput, match="no pair 999"):
        store.labelled.pair(999)


def test_a_pair_set_aside_is_neither_listed_nor_trained_on_until_it_is_put_back(
    store: Store,
) -> None:
    fill(store, 12)
    vote(store, 5)
    rater = store.raters.local(now=1.0)
    store.labelled.set_aside(1, reason=" A customer's name. ", by=rater, now=1003.0)
    assert open_update(store) is not None
    store.labelled.set_aside(2, reason="", by=rater, now=1012.0)  # listed, not claimed yet
    claimed = claim(store)
    assert len(claimed.labels) == 3
    store.updates.release(claimed)
    opened = store.labelled.pair(1)
    assert (opened.aside_by, opened.pair.aside_at) == ("local", 1003.0)
    assert opened.pair.aside_reason == "A customer's name."
    with pytest.raises(BadInput, match="set aside already"):
        store.labelled.set_aside(1, reason="", by=rater, now=1004.0)
    store.labelled.put_back(2)
    with pytest.raises(BadInput, match="is not set aside"):
        store.labelled.put_back(2)
    assert len(claim(store).labels) == 4
    assert found(store, flag="set_aside") == [1]


def test_an_edit_goes_aside_with_its_pair_and_comes_back_with_it(store: Store) -> None:
    """But not one that was set aside for itself."""
    fill(store, 2)
    rater = store.raters.local(now=1.0)
    vote(store, 2, edit="A better one.")
    ours, theirs = (edit.pair_id for edit in store.edits.untokenised(9))
    store.edits.set_aside(theirs, reason="too long", now=3.0)
    for pair in (1, 2):
        store.labelled.set_aside(pair, reason="A name.", by=rater, now=4.0)
    assert store.edits.untokenised(9) == []
    assert store.labelled.pair(ours).pair.aside_reason == "A name."
    for pair in (1, 2):
        store.labelled.put_back(pair)
    assert [edit.pair_id for edit in store.edits.untokenised(9)] == [ours]
    assert store.labelled.pair(theirs).pair.aside_reason == "too long"


def test_an_edit_of_a_pair_that_was_set_aside_meanwhile_is_set_aside_too(store: Store) -> None:
    fill(store, 1)
    rater = store.raters.local(now=1.0)
    [shown] = lease(store)
    store.labelled.set_aside(1, reason="", by=rater, now=2.0)
    vote_on(store, shown, edit="A better one.")
    assert store.edits.untokenised(9) == []
    store.labelled.put_back(1)
    assert len(store.edits.untokenised(9)) == 1
