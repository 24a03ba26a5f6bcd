"""A judge in the store of a page: what it said of pairs, and what people said of the same ones."""

import time
from collections.abc import Sequence

from labeler.domain.judging import Judgement
from labeler.domain.rules import JudgeRules
from labeler.store import Store
from tests.support.store import lease, vote_on
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
        vote(store, wanted)


def vote(store: Store, prefers_a: bool) -> None:
    """One vote on the next pair."""
    [pair] = lease(store, now=time.time())
    choice = "left" if ("alpha" in pair.left) == prefers_a else "right"
    vote_on(store, pair, choice, now=time.time())
