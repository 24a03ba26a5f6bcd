"""How reliable each rater is, by Dawid and Skene (1979), and how much their votes should weigh.

    answers on pairs that several rated, and on gold pairs  ->  reliabilities  ->  weights

The one-coin model: of two responses one is better, and a rater names it with a probability of their
own, whichever it is. `crowd-kit` fits it by EM; gold pairs enter as known truth. Every pair is put
in twice, once with its responses swapped, so that neither side is favoured: the confusion matrices
come out symmetric, which is the one-coin model. Each rater starts with one right and one wrong
answer (Laplace), so that a few votes make nobody infallible. Ties and skips name no response and
are left out. The import of crowd-kit takes a second or two, so it waits until there is work.

Intervals: the observed information of all raters together (Louis 1982), which knows that the truth
was guessed from the same votes, says how many votes with known truth an estimate is worth; Wilson's
interval is that of so many. Two raters without gold cannot be told apart, and get none.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeler.domain.estimate import Estimate, wilson
from labeler.domain.states import Choice
from labeler.stats.rater_agreement import Answer

MAX_ROUNDS = 100
TOLERANCE = 1e-6
MIN_VOTES = 2.0
PRIOR_VOTES = 4.0
GUESSING = 0.51
HEAVIEST = 2.0
NO_EVIDENCE = (
    "none of their votes is on a gold pair or a pair that someone else decided too; start with "
    "--votes-per-pair 2, or add gold pairs"
)
NOT_TOLD_APART = (
    "their votes overlap with too few others to tell who is right; this takes three raters on the "
    "same pairs, or gold pairs"
)

Floats = NDArray[np.float64]


class Reliability(NamedTuple):
    """How often a rater names the better response, and how many known answers that is worth."""

    accuracy: Estimate
    evidence_votes: float = 0.0


class _Fit(NamedTuple):
    """Skills [rater] and P(a is better) [pair], and whether the rater said a (1), b (-1) or
    nothing (0) [rater, pair].
    """

    raters: list[int]
    skills: Floats
    a_is_better: Floats
    said: Floats


def reliabilities(answers: Iterable[Answer], truth: Mapping[int, Choice]) -> dict[int, Reliability]:
    """For every rater of these answers. `truth` is what is right of the gold pairs."""
    everybody = list(answers)
    decided = [answer for answer in everybody if answer.choice in (Choice.A, Choice.B)]
    votes: dict[int, int] = {}
    for answer in decided:
        votes[answer.pair_id] = votes.get(answer.pair_id, 0) + 1
    telling = [answer for answer in decided if answer.pair_id in truth or votes[answer.pair_id] > 1]
    count = dict.fromkeys(sorted({answer.rater_id for answer in everybody}), 0)
    for answer in telling:
        count[answer.rater_id] += 1
    found = {rater: Reliability(Estimate.none(NO_EVIDENCE)) for rater in count}
    if telling:
        fit = _fit(telling, truth)
        alone = _alone(telling, truth)
        for rater, skill, worth in zip(fit.raters, fit.skills, _worth(fit), strict=True):
            known = 0.0 if rater in alone else float(worth)
            found[rater] = _reliability(float(skill), known, count[rater])
    return found


def weights(found: Mapping[int, Reliability]) -> dict[int, float]:
    """How much each rater's votes count: log-odds of being right, as a share of the median's.

    Log-odds are the weights under which a majority is most often right (Nitzan and Paroush 1982)
    and by which Dawid and Skene's model adds votes up. Dividing by the median rater's keeps labels
    as heavy as they were. Each accuracy is first drawn towards the median by PRIOR_VOTES votes, for
    little is known after a few. Someone who guesses weighs next to nothing, someone who is wrong
    more often than right nothing, nobody more than HEAVIEST; who gave no evidence weighs 1. The
    median is that of raters who are better than guessing; if nobody is, all weigh 1.
    """
    result = dict.fromkeys(found, 1.0)
    accuracies = {
        rater: one.accuracy.value for rater, one in found.items() if one.accuracy.value is not None
    }
    better = [accuracy for accuracy in accuracies.values() if accuracy > GUESSING]
    if not better:
        return result
    usual = median(better)
    for rater, accuracy in accuracies.items():
        evidence = found[rater].evidence_votes
        drawn = (evidence * accuracy + PRIOR_VOTES * usual) / (evidence + PRIOR_VOTES)
        result[rater] = min(HEAVIEST, max(0.0, _log_odds(drawn) / _log_odds(usual)))
    return result


def _fit(answers: Sequence[Answer], truth: Mapping[int, Choice]) -> _Fit:
    """Fit by crowd-kit: label 1 is the first response of a task, 0 the second."""
    import pandas
    from crowdkit.aggregation.classification.dawid_skene import DawidSkene

    raters = sorted({answer.rater_id for answer in answers})
    pairs = sorted({answer.pair_id for answer in answers})
    votes = [
        (str(answer.pair_id), answer.rater_id, answer.choice is Choice.A) for answer in answers
    ]
    known = {str(pair): truth[pair] is Choice.A for pair in pairs if pair in truth}
    for rater in raters:  # one right and one wrong answer
        for is_right in (True, False):
            votes.append((f"start {rater} {is_right}", rater, is_right))
            known[f"start {rater} {is_right}"] = True
    model = DawidSkene(n_iter=MAX_ROUNDS, tol=TOLERANCE).fit(
        pandas.DataFrame(_both_ways(votes), columns=["task", "worker", "label"]),
        pandas.Series(
            {f"{task}{way}": int(a) ^ way for task, a in known.items() for way in (0, 1)}, dtype=int
        ),
    )
    said = np.zeros((len(raters), len(pairs)))
    row = {rater: place for place, rater in enumerate(raters)}
    column = {pair: place for place, pair in enumerate(pairs)}
    for answer in answers:
        sign = 1.0 if answer.choice is Choice.A else -1.0
        said[row[answer.rater_id], column[answer.pair_id]] = sign
    return _Fit(
        raters,
        skills=np.array([float(model.errors_.loc[(rater, 1), 1]) for rater in raters]),
        a_is_better=model.probas_.loc[[f"{pair}0" for pair in pairs], 1].to_numpy(),
        said=said,
    )


def _both_ways(votes: Iterable[tuple[str, int, bool]]) -> list[tuple[str, int, int]]:
    """Each vote as it is, and on the pair with its responses swapped (tasks end in 0 and 1)."""
    return [
        (f"{task}{way}", rater, int(first) ^ way) for task, rater, first in votes for way in (0, 1)
    ]


def _worth(fit: _Fit) -> Floats:
    """How many votes with known truth each estimate is worth [rater].

    With known truth n votes carry the information n / (s (1 - s)) on a skill s. What is missing is
    the variance of the score, given the votes: raters w and v share the doubt p (1 - p) on each
    pair that both rated, with one sign if they said the same, with the other if not.
    """
    spread = np.clip(fit.skills * (1 - fit.skills), 1e-4, None)
    doubt = fit.a_is_better * (1 - fit.a_is_better)
    shared_doubt = (fit.said * doubt) @ fit.said.T
    votes = np.abs(fit.said).sum(1)
    information = np.diag(votes / spread) - shared_doubt / np.outer(spread, spread)
    values, vectors = np.linalg.eigh(information)
    variance = (vectors**2 / np.clip(values, 1e-9, None)).sum(1)
    result: Floats = np.minimum(spread / variance, votes)
    return result


def _alone(answers: Sequence[Answer], truth: Mapping[int, Choice]) -> set[int]:
    """Raters whose votes meet those of one other at most, and no gold pair."""
    met: dict[int, set[int]] = {}
    for answer in answers:
        met.setdefault(answer.pair_id, set()).add(answer.rater_id)
    others: dict[int, set[int]] = {}
    for raters in met.values():
        for rater in raters:
            others.setdefault(rater, set()).update(raters)
    checked = {answer.rater_id for answer in answers if answer.pair_id in truth}
    return {rater for rater, some in others.items() if len(some) <= 2 and rater not in checked}


def _reliability(skill: float, worth: float, votes: int) -> Reliability:
    if worth < MIN_VOTES:
        return Reliability(Estimate.none(NOT_TOLD_APART, votes))
    return Reliability(Estimate(skill, *wilson(skill * worth, worth), votes), worth)


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-3), 1 - 1e-3)
    return math.log(share / (1 - share))
