"""Which two of several candidates make a pair: the judge's best and worst, or two at random.

Best against worst teaches more a label and is less on-policy; the RLHFlow recipe does so
(arXiv 2405.07863). Candidates that the judge cannot rank are left out.
"""

import random
from collections.abc import Callable, Sequence
from itertools import combinations

from labeler.config.parts.judging import CandidatePair
from labeler.domain.judging import Judge, ask, question
from labeler.domain.messages import Messages


def choose(
    judge: Judge,
    messages: Sequence[Messages],
    candidates: Sequence[Sequence[str]],
    how: CandidatePair,
    rng: random.Random,
    pause: Callable[[], None] | None = None,
) -> list[tuple[int, int]]:
    """The places of two of the `candidates` for each prompt, in random order.

    Of those that are the same text one stands for all. A prompt with fewer than two different
    candidates, or two that the judge can rank, gives two at random. There is a `pause` before each
    question to a judge that is asked one by one.
    """
    distinct = [_distinct(texts) for texts in candidates]
    ranked: list[list[int]] = [[] for _ in candidates]
    if how == "best_worst":
        ranked = _ranked(judge, messages, candidates, distinct, pause)
    chosen = []
    for places, order in zip(distinct, ranked, strict=True):
        if len(order) >= 2:
            pair = [order[0], order[-1]]
            rng.shuffle(pair)
        else:
            pair = rng.sample(places, 2) if len(places) >= 2 else [0, 1]
        chosen.append((pair[0], pair[1]))
    return chosen


def _ranked(
    judge: Judge,
    messages: Sequence[Messages],
    candidates: Sequence[Sequence[str]],
    distinct: Sequence[Sequence[int]],
    pause: Callable[[], None] | None,
) -> list[list[int]]:
    """The places of each prompt's candidates, best first: by the sum of P(better) over all others.

    A judge that scores each response by itself orders them as its scores do.
    """
    asked = [
        (number, first, second)
        for number, places in enumerate(distinct)
        for first, second in combinations(places, 2)
    ]
    questions = [
        question(messages[number], candidates[number][first], candidates[number][second])
        for number, first, second in asked
    ]
    points: list[dict[int, list[float]]] = [{} for _ in candidates]
    for (number, first, second), said in zip(asked, ask(judge, questions, pause), strict=True):
        if said.probability is not None:
            points[number].setdefault(first, []).append(said.probability)
            points[number].setdefault(second, []).append(1 - said.probability)
    return [sorted(some, key=lambda place: -sum(some[place]) / len(some[place])) for some in points]


def _distinct(texts: Sequence[str]) -> list[int]:
    """The first place of each text that says something."""
    places: dict[str, int] = {}
    for place, text in enumerate(texts):
        if text.strip():
            places.setdefault(text.strip(), place)
    return list(places.values())
