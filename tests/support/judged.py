"""A judge in the store of a page: what it said of pairs, and what people said of the same ones."""

import random
import time
import uuid
from collections.abc import Sequence

from labeler.domain.judging import Judgement
from labeler.domain.rules import JudgeRules
from labeler.store import Store
from labeler.store.records import Ballot
from tests.support.web import add_questions

JUDGE = "api:small-judge@http://127.0.0.1:9/v1"


def say(store: Store, *said: Judgement, judge: str = JUDGE) -> None:
    """Let the judge say this of as many new pairs, each of them shown to people too.

    The stored first response is the longer one.
    """
    add_questions(store, len(said), double=True, tokens_a=[2, 3, 4])
    rules = JudgeRules(judge, None, max_staleness=2)
    asked = store.judging.waiting(rules, labels=False, limit=999, now=time.time())[-len(said) :]
    answers = [(each.pair_id, judgement) for each, judgement in zip(asked, said, strict=True)]
    store.judging.record(rules, answers, now=time.time())


def people_say(store: Store, prefer_a: Sequence[bool]) -> None:
    """Let people vote on as many of the pairs that wait, oldest first."""
    for wanted in prefer_a:
        vote(store, wanted, holder=uuid.uuid4().hex)


def vote(store: Store, prefers_a: bool, *, holder: str) -> None:
    """One vote on the next pair, from the page `holder`."""
    rater_id = store.raters.local(now=1.0)
    [pair] = store.queue.lease(
        rater_id=rater_id,
        holder=holder,
        wanted=1,
        seconds=999,
        now=time.time(),
        rng=random.Random(0),
    )
    choice = "left" if ("alpha" in pair.left) == prefers_a else "right"
    ballot = Ballot(uuid.uuid4().hex, pair.lease_id, choice)
    assert store.votes.record(ballot, rater_id=rater_id, now=time.time()).saved


def undo(store: Store, *, holder: str) -> None:
    """Take back the last vote of the page `holder`."""
    taken_back = store.votes.undo(
        undo_id=uuid.uuid4().hex,
        rater_id=store.raters.local(now=1.0),
        holder=holder,
        seconds=999,
        now=time.time(),
    )
    assert taken_back.choice is not None
