"""Why no update comes, as far as the store can tell. `labeler.domain.sentences` says it."""

from collections.abc import Sequence
from itertools import takewhile

from sqlmodel import Session, col, select

from labeler.domain.labels import UNDECIDED, trainable
from labeler.domain.rules import DueRules
from labeler.domain.standstill import Standstill
from labeler.domain.states import Source, UpdateState
from labeler.store.learning.judge_report import ROLE as JUDGE_ROLE
from labeler.store.learning.label_selection import cast_votes
from labeler.store.learning.updates import MAX_LOOKED_BACK, seconds_left
from labeler.store.rating.checks import standing_votes
from labeler.store.tables import Pair, ProcessState, Update, Vote
from labeler.store.views.counts import count, labels_to_update


def standstill(session: Session, rules: DueRules, *, now: float) -> Standstill | None:
    """What stands between the labels and the next update; None while one is open.

    Votes on checks count as any others, so that nobody can tell them. In rounds, where every pair
    has to be settled, no label is set against another.
    """
    newest = select(Update).order_by(col(Update.id).desc()).limit(MAX_LOOKED_BACK)
    ended = session.exec(newest).all()
    if ended and ended[0].finished_at is None:
        return None
    judge = session.get(ProcessState, JUDGE_ROLE)
    refused = list(takewhile(lambda update: update.state is UpdateState.REJECTED, ended))
    return Standstill(
        wanted=rules.labels_per_update,
        due=labels_to_update(session, rules),
        kept_back=len(refused),
        reason=(refused[0].reason or "") if refused else "",
        seconds_left=seconds_left(ended, rules.cooldown_seconds, now) if ended else 0.0,
        has_failed=bool(ended) and ended[0].state is UpdateState.FAILED,
        is_judge_paused=judge is not None and judge.alarm is not None,
        **(_labels(session, rules, ended) if rules.mode == "streaming" else {}),
    )


def _labels(session: Session, rules: DueRules, ended: Sequence[Update]) -> dict[str, int]:
    """The labels since the last update opened, and those of them that bring none nearer."""
    since = ended[0].opened_at if ended else 0.0
    teaches = trainable(rules.votes)
    given = (
        col(Vote.created_at) > since,
        col(Vote.superseded_by).is_(None),
        col(Vote.source) == Source.HUMAN,
        col(Vote.used_in_update).is_(None),
    )
    silent = [choice for choice in UNDECIDED if choice not in teaches]
    old = col(Vote.staleness) > rules.max_staleness, col(Vote.choice).in_(teaches)
    cast = cast_votes(session, rules.votes, rules.max_staleness)
    is_aside = col(Vote.pair_id).in_(select(Pair.id).where(col(Pair.aside_at).is_not(None)))
    ties, stale, aside = (
        count(session, Vote, *given, *which)
        for which in (
            [col(Vote.choice).in_(silent)],
            [*old, ~is_aside],
            [is_aside, col(Vote.choice).in_(teaches)],
        )
    )
    return {
        "labels": len(cast) + standing_votes(session, rules.votes) + ties + stale + aside,
        "ties": ties,
        "stale": stale,
        "aside": aside,
        "alone": sum(not vote.is_complete for vote in cast),
    }
