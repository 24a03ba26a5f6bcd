"""What the store knows of a judge: its scores, and its verdicts beside what people said."""

import math
from collections import Counter

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from labeler.domain.estimate import Z_95, Estimate
from labeler.domain.judge_report import JudgeReport
from labeler.domain.judging import is_consistent
from labeler.domain.labels import VoteRules, combine
from labeler.domain.sentences.judge import LEARNED
from labeler.domain.states import Choice, Purpose, RaterRole
from labeler.domain.thought import without_thought
from labeler.stats.judge_quality import Double, measure
from labeler.store.learning.label_selection import opinion_of
from labeler.store.tables import Pair, ProcessState, Rater, TidiedVerdicts, Verdict, Vote

ROLE = "judge"
MAX_DOUBLES = 500
MAX_ORDERS = 1000
NOTHING_SAID = "it has judged nothing"
WITH_TIES = VoteRules(ties="learn")


def by_a_person() -> sa.ColumnElement[bool]:
    """Whether a vote is a person's, by its rater: few of the rows are, where a judge works."""
    judges = select(Rater.id).where(col(Rater.role) == RaterRole.JUDGE)
    return col(Vote.rater_id).not_in(judges)


def opinions_of_people() -> tuple[sa.ColumnElement[bool], ...]:
    """Whether a vote is a person's, stands, and says something of two sampled responses.

    For queries over votes and pairs.
    """
    return opinions(judges=False)


def opinions(*, judges: bool) -> tuple[sa.ColumnElement[bool], ...]:
    """The same of people, or of judges."""
    is_judge = col(Rater.role) == RaterRole.JUDGE
    voices = select(Rater.id).where(is_judge if judges else ~is_judge)
    return (
        col(Vote.rater_id).in_(voices),
        col(Vote.superseded_by).is_(None),
        col(Vote.choice) != Choice.SKIP,
        col(Pair.purpose).in_((Purpose.LOOP, Purpose.OWN)),
        col(Pair.aside_at).is_(None),
    )


def judge_labels(session: Session, *, since: float | None = None) -> int:
    """Labels that judges have given, all or those after `since`.

    Counted by rater, for which an index alone is read: this is asked all the time.
    """
    standing = [col(Vote.superseded_by).is_(None), ~by_a_person()]
    if since is not None:
        standing.append(col(Vote.created_at) > since)
    return session.exec(select(func.count()).select_from(Vote).where(*standing)).one()


def doubles(session: Session, judge: str) -> list[Double]:
    """The last pairs that this judge and people have both spoken of, oldest first."""
    people = opinions_of_people()
    newest = (
        select(Verdict.id)
        .join(Vote, col(Vote.pair_id) == col(Verdict.pair_id))
        .join(Pair, col(Pair.id) == col(Verdict.pair_id))
        .where(col(Verdict.judge) == judge, col(Verdict.probability).is_not(None), *people)
        .distinct()
        .order_by(col(Verdict.id).desc())
        .limit(MAX_DOUBLES)
    )
    rows = (
        select(Verdict, Pair, Vote)
        .join(Pair, col(Pair.id) == col(Verdict.pair_id))
        .join(Vote, col(Vote.pair_id) == col(Verdict.pair_id))
        .where(col(Verdict.id).in_(newest), *people)
        .order_by(col(Verdict.id), col(Vote.created_at))
    )
    found: dict[int, tuple[Verdict, Pair, list[Vote]]] = {}
    for verdict, pair, vote in session.exec(rows):
        assert verdict.id is not None
        found.setdefault(verdict.id, (verdict, pair, []))[2].append(vote)
    return [double for row in found.values() if (double := _double(*row)) is not None]


def judge_report(session: Session, judge: str | None = None) -> JudgeReport | None:
    """What `status` and the page tell of a judge, or of the one that spoke last.

    None if it never has.
    """
    said = select(Verdict) if judge is None else select(Verdict).where(col(Verdict.judge) == judge)
    newest = session.exec(said.order_by(col(Verdict.id).desc()).limit(1)).first()
    process = session.get(ProcessState, ROLE)
    if newest is None:
        return None
    mine = col(Verdict.judge) == newest.judge
    causes = select(Verdict.cause, func.count()).where(mine).group_by(col(Verdict.cause))
    by_cause = Counter({cause or "": count for cause, count in session.exec(causes)})
    cost = select(func.sum(Verdict.requests), func.sum(Verdict.tokens)).where(mine)
    requests, tokens = session.exec(cost).one()
    tidied = select(TidiedVerdicts).where(col(TidiedVerdicts.judge) == newest.judge)
    for gone in session.exec(tidied):
        by_cause[gone.cause] += gone.verdicts
        requests, tokens = requests + gone.requests, tokens + gone.tokens
    verdicts = by_cause.pop("", 0)
    failed = by_cause.total()
    return JudgeReport(
        judge=newest.judge,
        says=process.says if process and newest.judge == LEARNED else "",
        paused=process.alarm if process else None,
        verdicts=verdicts,
        labels=session.exec(
            select(func.count()).select_from(Verdict).where(mine, col(Verdict.vote_id).is_not(None))
        ).one(),
        abstained={cause: count for cause, count in by_cause.items() if count},
        abstain_share=Estimate.share(failed, verdicts + failed, NOTHING_SAID),
        consistent=_consistent(session, newest.judge),
        first=_first(session, newest.judge),
        requests=requests,
        tokens=tokens,
        figures=measure(doubles(session, newest.judge)),
    )


def scores(session: Session, judge: str, *which: sa.ColumnElement[bool]) -> dict[int, Estimate]:
    """The mean score that this judge gives each version, where it gave any, of `which` pairs."""
    mean = (col(Verdict.score_a) + col(Verdict.score_b)) / 2
    rows = (
        select(Pair.version_id, func.count(), func.avg(mean), func.avg(mean * mean))
        .join(Verdict, col(Verdict.pair_id) == col(Pair.id))
        .where(col(Verdict.judge) == judge, mean.is_not(None), *which)
        .group_by(col(Pair.version_id))
    )
    return {version: _score(*figures) for version, *figures in session.exec(rows)}


def _score(pairs: int, mean: float, square: float) -> Estimate:
    """The mean with its normal interval, whose half is 1.96 s / sqrt(n); none from one pair."""
    if pairs < 2:
        return Estimate(mean, mean, mean, pairs)
    half = Z_95 * math.sqrt(max(0.0, square - mean**2) / (pairs - 1))
    return Estimate(mean, mean - half, mean + half, pairs)


def _double(verdict: Verdict, pair: Pair, votes: list[Vote]) -> Double | None:
    said = combine([opinion_of(vote) for vote in votes], WITH_TIES)
    if said is None or verdict.probability is None:
        return None
    a, b = (len(without_thought(text)) for text in (pair.response_a, pair.response_b))
    return Double(said, verdict.probability, a, b)


def _consistent(session: Session, judge: str) -> Estimate | None:
    """Share of the last verdicts whose two orders prefer the same; None if it is asked in one."""
    orders = (
        select(Verdict.forward, Verdict.backward)
        .where(col(Verdict.judge) == judge, col(Verdict.forward).is_not(None))
        .order_by(col(Verdict.id).desc())
        .limit(MAX_ORDERS)
    )
    found = [
        is_consistent((forward, backward))
        for forward, backward in session.exec(orders)
        if forward is not None and backward is not None
    ]
    return Estimate.share(sum(found), len(found), NOTHING_SAID) if found else None


def _first(session: Session, judge: str) -> Estimate | None:
    """Share of the last verdicts that prefer what stood first, of those that were asked for once.

    None for a judge that reads pairs in both orders, or each response by itself.
    """
    asked_once = (col(Verdict.forward).is_(None), col(Verdict.score_a).is_(None))
    probabilities = (
        select(Verdict.probability)
        .where(col(Verdict.judge) == judge, col(Verdict.probability).is_not(None), *asked_once)
        .order_by(col(Verdict.id).desc())
        .limit(MAX_ORDERS)
    )
    found = [one for one in session.exec(probabilities) if one is not None and one != 0.5]
    hits = sum(one > 0.5 for one in found)
    return Estimate.share(hits, len(found), NOTHING_SAID) if found else None
