"""Pairs that check raters: gold ones, whose answer is known, and repeats of a rater's own.

Both are CHECK pairs: nothing learns from them, and everybody has a slot. A rater must not be able
to tell them from others. So one is handed out only in the place of an ordinary pair, it is said to
be of the version that was live at that moment, and the page's counters move as they would otherwise
(`free_slots`, `outstanding`, `standing_votes`).
"""

import random
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from labeler.domain.errors import BadInput
from labeler.domain.labels import VoteRules, trainable
from labeler.domain.rules import CheckRules
from labeler.domain.states import Choice, PairState, Purpose, Source
from labeler.store.database import Database
from labeler.store.rating.locks import lock_if_free
from labeler.store.rating.pairs import of_live, waits
from labeler.store.rating.prompts import unpooled
from labeler.store.records import Gold, GoldAdded
from labeler.store.tables import Lease, Pair, PolicyVersion, Prompt, Update, Vote

VOTES_BEFORE_REPEATS = 30
REPEATED_AFTER_VOTES = 20
REPEATED_AMONG_VOTES = 200
REMOVED = "removed from the gold pairs"
_COPY = aliased(Pair)  # made once: a new name for a table takes longer than a query
NO_BASE = "There is no policy in this data dir yet; start `livedpo serve` once before adding gold."


class GoldPairs:
    """The verbs on gold pairs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, golds: Iterable[Gold], *, now: float, rng: random.Random) -> GoldAdded:
        """Add gold pairs. Which response is stored as a is left to chance.

        One that was removed is put back. One whose opposite is handed out is left out. Raises
        BadInput before the base policy was adopted.
        """
        new = there = 0
        opposed = []
        with self._database.write() as session:
            if session.get(PolicyVersion, 0) is None:
                raise BadInput(NO_BASE)
            for gold in golds:
                prompt = unpooled(session, gold.messages, now=now)
                known, opposite = _known(session, prompt, gold)
                if opposite is not None and opposite.aside_at is None:
                    opposed.append(opposite.id or 0)
                elif known is not None and known.aside_at is None:
                    there += 1
                elif known is not None:
                    known.aside_at = known.aside_by = known.aside_reason = None
                    new += 1
                else:
                    session.add(_gold_pair(prompt, gold, now, rng))
                    session.flush()
                    new += 1
        return GoldAdded(new, there, tuple(opposed))

    def all(self) -> list[dict[str, Any]]:
        """The gold pairs that are handed out, oldest first: id, prompt, how often voted on, right.

        `votes` are standing ones but for skips, `right` those of them that name the better one.
        """
        stands = sa.and_(
            col(Vote.pair_id) == col(Pair.id),
            col(Vote.superseded_by).is_(None),
            col(Vote.choice) != Choice.SKIP,
        )
        is_right = sa.cast(col(Vote.choice), sa.String) == col(Pair.answer)
        votes = sa.func.count(col(Vote.id))
        rows = (
            select(Pair.id, Prompt.messages, votes, votes.filter(is_right))
            .join(Prompt, col(Prompt.id) == col(Pair.prompt_id))
            .join(Vote, stands, isouter=True)
            .where(*_handed_out())
            .group_by(col(Pair.id), col(Prompt.id))
            .order_by(col(Pair.id))
        )
        with self._database.read() as session:
            return [
                {"id": number, "messages": messages, "votes": cast, "right": right}
                for number, messages, cast, right in session.exec(rows)
            ]

    def remove(self, pair_id: int, *, now: float) -> None:
        """Hand a gold pair out no more, and count its votes no more. Raises BadInput."""
        with self._database.write() as session:
            pair = session.get(Pair, pair_id)
            if pair is None or pair.purpose is not Purpose.GOLD or pair.aside_at is not None:
                raise BadInput(
                    f"There is no gold pair {pair_id}; `livedpo gold list` shows their numbers."
                )
            pair.aside_at, pair.aside_reason = now, REMOVED


def check_for(
    session: Session, rater_id: int, rules: CheckRules, *, now: float, rng: random.Random
) -> Pair | None:
    """The check that this rater gets in the place of the next ordinary pair; mostly None."""
    lot = rng.random()
    if lot < rules.gold_share:
        return _gold_for(session, rater_id, rng)
    if lot < rules.gold_share + rules.repeat_share:
        return _repeat_for(session, rater_id, now, rng)
    return None


def free_slots(session: Session) -> int:
    """How many pairs could be handed out, each as often as it wants votes that nobody is to give.

    Of the pairs of the live version that anybody may have. Each hand-out takes one, whoever gets
    the pair and however many have voted on it: a rater could tell by it which pairs check them
    otherwise.
    """
    held = select(sa.func.count()).where(
        col(Lease.pair_id) == Pair.id, col(Lease.ended_at).is_(None)
    )
    voted = select(sa.func.count()).where(
        col(Vote.pair_id) == Pair.id,
        col(Vote.superseded_by).is_(None),
        col(Vote.source) == Source.HUMAN,
    )
    free = col(Pair.votes_wanted) - held.scalar_subquery() - voted.scalar_subquery()
    waiting = select(sa.func.coalesce(sa.func.sum(free), 0)).where(
        *waits(), col(Pair.for_rater_id).is_(None), of_live()
    )
    return int(session.exec(waiting).one())  # to some databases a sum of counts is a decimal


def outstanding(session: Session) -> int:
    """How many fewer pairs would be ready, had each check been an ordinary pair.

    The page shows how many are ready. An ordinary pair leaves that count when it is handed out, a
    check never was in it, and someone who watches could tell. Counted are checks in somebody's
    hands and those voted on since the queue was last filled; then the count jumps anyway.
    """
    filled = (
        select(Pair.created_at)
        .where(col(Pair.purpose) == Purpose.LOOP)
        .order_by(col(Pair.id).desc())
        .limit(1)
    )
    since = session.exec(filled).first() or 0.0
    held = (
        select(sa.func.count())
        .select_from(Lease)
        .join(Pair, col(Pair.id) == col(Lease.pair_id))
        .where(
            col(Lease.ended_at).is_(None),
            col(Pair.state) == PairState.CHECK,
            col(Lease.leased_at) > since,
        )
    )
    voted = (
        select(sa.func.count())
        .select_from(Vote)
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .join(Lease, col(Lease.id) == col(Vote.lease_id))
        .where(
            col(Vote.created_at) > since,
            col(Vote.superseded_by).is_(None),
            col(Pair.state) == PairState.CHECK,
            col(Lease.leased_at) > since,
        )
    )
    return session.exec(held).one() + session.exec(voted).one()


def standing_votes(session: Session, rules: VoteRules) -> int:
    """Votes on checks since the last update opened, of choices that ordinary pairs learn from.

    For the page's progress, which must move on a check as on any pair.
    """
    opened = select(sa.func.coalesce(sa.func.max(Update.opened_at), 0.0))
    votes = (
        select(sa.func.count())
        .select_from(Vote)
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .where(
            col(Vote.created_at) > session.exec(opened).one(),
            col(Vote.superseded_by).is_(None),
            col(Vote.choice).in_(trainable(rules)),
            col(Pair.state) == PairState.CHECK,
        )
    )
    return session.exec(votes).one()


def labels_on_checks(session: Session, *conditions: sa.ColumnElement[bool]) -> list[float]:
    """When each standing vote on a check was cast, but for skips: what no count of labels has."""
    checks = select(Pair.id).where(col(Pair.state) == PairState.CHECK)
    cast = select(Vote.created_at).where(
        col(Vote.pair_id).in_(checks),  # no judge has any
        col(Vote.superseded_by).is_(None),
        col(Vote.choice) != Choice.SKIP,
        *conditions,
    )
    return list(session.exec(cast))


def _handed_out() -> tuple[sa.ColumnElement[bool], ...]:
    return (
        col(Pair.purpose) == Purpose.GOLD,
        col(Pair.state) == PairState.CHECK,
        col(Pair.aside_at).is_(None),
    )


def _known(session: Session, prompt: Prompt, gold: Gold) -> tuple[Pair | None, Pair | None]:
    """The gold pair of this prompt and these responses, and the one that says the opposite."""
    same = col(Pair.prompt_id) == prompt.id, col(Pair.purpose) == Purpose.GOLD
    found: dict[tuple[str, str], Pair] = {}
    for pair in session.exec(select(Pair).where(*same)):
        a, b = pair.response_a, pair.response_b
        found[(a, b) if pair.answer == "a" else (b, a)] = pair
    return found.get((gold.better, gold.worse)), found.get((gold.worse, gold.better))


def _gold_pair(prompt: Prompt, gold: Gold, now: float, rng: random.Random) -> Pair:
    answer = rng.choice("ab")
    a, b = (gold.better, gold.worse) if answer == "a" else (gold.worse, gold.better)
    return _check(prompt.id, a, b, now, purpose=Purpose.GOLD, answer=answer)


def _check(prompt_id: int | None, a: str, b: str, now: float, **fields: Any) -> Pair:
    """A pair without tokens, for nothing is trained on it."""
    assert prompt_id is not None
    written: dict[str, Any] = {"finish_a": "stop", "finish_b": "stop", "version_id": 0}
    return Pair(
        prompt_id=prompt_id,
        state=PairState.CHECK,
        response_a=a,
        response_b=b,
        prompt_tokens=[],
        tokens_a=[],
        tokens_b=[],
        reference_logp_a=0.0,
        reference_logp_b=0.0,
        sampling={},
        created_at=now,
        **(written | fields),
    )


def _gold_for(session: Session, rater_id: int, rng: random.Random) -> Pair | None:
    """A gold pair that this rater has never voted on and does not hold, by lot."""
    return _drawn(session, rater_id, rng, *_handed_out())


def _repeat_for(session: Session, rater_id: int, now: float, rng: random.Random) -> Pair | None:
    """One of this rater's earlier pairs once more; one that was handed out in vain comes first."""
    made = _drawn(
        session,
        rater_id,
        rng,
        col(Pair.purpose) == Purpose.REPEAT,
        col(Pair.state) == PairState.CHECK,
        col(Pair.for_rater_id) == rater_id,
        col(Pair.aside_at).is_(None),
    )
    if made is not None:
        return made
    cast = (
        select(Vote.pair_id)
        .where(
            col(Vote.rater_id) == rater_id,
            col(Vote.superseded_by).is_(None),
            col(Vote.lease_id).is_not(None),
        )
        .order_by(col(Vote.created_at).desc(), col(Vote.id))
    )
    newest = list(session.exec(cast.limit(REPEATED_AMONG_VOTES)))
    if len(newest) < VOTES_BEFORE_REPEATS:
        return None
    repeated = select(_COPY.id).where(
        col(_COPY.source_pair_id) == col(Pair.id),
        col(_COPY.purpose) == Purpose.REPEAT,
        col(_COPY.for_rater_id) == rater_id,
    )
    rows = (
        select(Pair)
        .join(Vote, col(Vote.pair_id) == col(Pair.id))
        .where(
            col(Pair.id).in_(newest[REPEATED_AFTER_VOTES:]),
            col(Pair.purpose).in_((Purpose.LOOP, Purpose.OWN)),
            col(Pair.aside_at).is_(None),
            col(Vote.rater_id) == rater_id,
            col(Vote.superseded_by).is_(None),
            col(Vote.choice) != Choice.SKIP,
            ~repeated.exists(),
        )
        .order_by(col(Pair.id))
    )
    earlier = list(session.exec(rows))
    if not earlier:
        return None
    source = rng.choice(earlier)
    repeat = _check(
        source.prompt_id,
        source.response_a,
        source.response_b,
        now,
        purpose=Purpose.REPEAT,
        version_id=source.version_id,
        finish_a=source.finish_a,
        finish_b=source.finish_b,
        for_rater_id=rater_id,
        source_pair_id=source.id,
    )
    session.add(repeat)
    session.flush()
    return repeat


def _drawn(
    session: Session, rater_id: int, rng: random.Random, *which: sa.ColumnElement[bool]
) -> Pair | None:
    """One of these checks by lot that the rater neither holds nor ever voted on, undone or not.

    None if another page gets it at this moment.
    """
    numbers = list(session.exec(select(Pair.id).where(*which).order_by(col(Pair.id))))
    # By pair, of which there are few: by rater it would be all that they have ever voted on.
    voted = select(Vote.pair_id).where(
        col(Vote.pair_id).in_(select(Pair.id).where(*which)), col(Vote.rater_id) + 0 == rater_id
    )
    held = select(Lease.pair_id).where(
        col(Lease.rater_id) == rater_id, col(Lease.ended_at).is_(None)
    )
    known = {*session.exec(voted), *session.exec(held)}
    left = [number for number in numbers if number not in known]
    return lock_if_free(session, rng.choice(left)) if left else None
