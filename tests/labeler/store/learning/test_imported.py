"""Pairs of files: stored once, apart from votes, before them where a judge learns."""

from labeler.domain.judging import Question
from labeler.domain.labels import Preference
from labeler.store import Store
from labeler.store.learning import imported
from tests.support.store import vote
from tests.support.tiny import fill

TEA = [{"role": "user", "content": "Tea?"}]


def pairs(count: int) -> list[tuple[Question, Preference]]:
    return [(Question(TEA, f"a{n}", f"b{n}"), Preference(0.75, tie=0.25)) for n in range(count)]


def test_a_pair_is_kept_once_whichever_reply_stood_first(store: Store) -> None:
    (one,) = pairs(1)
    turned = Question(TEA, one[0].second, one[0].first), Preference(0.0, tie=0.25)
    assert store.imported.add("x.jsonl", [one, one], now=1.0) == (1, 1)
    assert store.imported.add("y.jsonl", [turned], now=2.0) == (0, 1)
    assert store.imported.add("z.jsonl", [(turned[0]._replace(first="c"), turned[1])], now=3.0) == (
        1,
        0,
    )
    kept = [(row.first, row.target, row.tie) for row in store.imported.all()]
    assert kept == [("a0", 0.75, 0.25), ("a0", 0.75, 0.25)]


def test_no_count_and_no_vote_has_them(store: Store) -> None:
    fill(store, 2)
    vote(store, 1)
    before = store.reports.status(max_staleness=2)
    store.imported.add("x.jsonl", pairs(3), now=1.0)
    after = store.reports.status(max_staleness=2)
    assert after.pop("imported") == {"pairs": 3}
    assert before.pop("imported") == {"pairs": 0}
    assert after == before
    assert len(store.reports.votes()) == 1


def test_a_judge_hears_of_the_newest_before_the_votes(store: Store) -> None:
    fill(store, 2)
    vote(store, 2)
    mark = store.judging.have_said()
    count = imported.MAX_TEACHING + 3
    store.imported.add("x.jsonl", pairs(count), now=1.0)
    assert store.judging.have_said() != mark
    heard = store.judging.examples()
    assert [one.imported for one in heard] == [True] * imported.MAX_TEACHING + [False] * 2
    assert heard[0].question.first == "a3"
    assert len({one.pair_id for one in heard}) == len(heard)


def test_a_file_is_forgotten_by_its_name(store: Store) -> None:
    store.imported.add("x.jsonl", pairs(2), now=1.0)
    store.imported.add("y.jsonl", [(Question(TEA, "c", "d"), Preference(1.0))], now=2.0)
    assert store.imported.files() == [("x.jsonl", 2, 1.0), ("y.jsonl", 1, 2.0)]
    mark = store.judging.have_said()
    assert (store.imported.remove("x.jsonl"), store.imported.remove("x.jsonl")) == (2, 0)
    assert [name for name, *_ in store.imported.files()] == ["y.jsonl"]
    assert store.judging.have_said() != mark
