"""Judges: which pairs wait for one, what it said, and when that becomes a label.

A verdict is written down once it is there, whatever it says; it becomes a label if the pair has
waited long enough, nobody holds it, and no person has spoken. A pair that is judged only to see how
good the judge is stays with people until then. A judge that is killed in between is asked again:
what it said is either in the database or was never said.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import Session, col, select

from labeler.domain.clocks import SKEW_SECONDS
from labeler.domain.judging import (
    LAST_ANSWERS,
    PASSING,
    Cause,
    Example,
    Judgement,
    Pause,
    Question,
    abstaining,
    question,
)
from labeler.domain.labels import combine
from labeler.domain.rules import JudgeRules
from labeler.domain.states import LabelRole, PairState, Purpose, RaterRole, Source
from labeler.stats.judge_quality import MIN_TO_PAUSE, measure, paused_by_agreement
from labeler.store.database import Database
from labeler.store.learning.imported import imported_mark, teaching
from labeler.store.learning.judge_report import (
    WITH_TIES,
    by_a_person,
    doubles,
    judge_labels,
    opinions,
    opinions_of_people,
)
from labeler.store.learning.label_selection import ALL_ALIKE, opinion_of
from labeler.store.live_version import versions_since
from labeler.store.people.accounts import account
from labeler.store.rating.pairs import pair_id, settle, waits
from labeler.store.records import Waiting
from labeler.store.tables import (
    Lease,
    Pair,
    Prompt,
    TidiedVerdicts,
    UpdateLabel,
    Verdict,
    Vote,
)

RETRY_SECONDS = 30.0
MAX_TRIES = 3
ELSEWHERE = "elsewhere"  # requests that no verdict came of
MAX_EXAMPLES = 4096
# Whether a judge agrees enough goes by the last pairs: one that learns is not held to its first.
PAUSE_DOUBLES = 100
_SAID = aliased(Verdict)  # on a pair; made once: a new name for a table takes longer than a query


class Judging:
    """The verbs on verdicts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, rules: JudgeRules, *, labels: bool, limit: int, now: float) -> list[Waiting]:
        """Up to `limit` pairs to ask the judge about, oldest first.

        With `labels`, those that it is to label, up to the most that it may; always those that are
        there to see how good it is. A pair on which it failed for a passing cause comes back later.
        """
        with self._database.read() as session:
            wanted: list[sa.ColumnElement[bool]] = [col(Pair.double).is_(True)]
            left = _labels_left(session, rules)
            if labels and left and rules.after_seconds is not None:
                limit = min(limit, left)
                wanted.append(_waited(rules.after_seconds, now))
            rows = (
                select(Pair, Prompt)
                .join(Prompt, col(Prompt.id) == col(Pair.prompt_id))
                .where(
                    *waits(),
                    col(Pair.purpose) == Purpose.LOOP,
                    sa.or_(*wanted),
                    ~_said(rules.judge, now),
                )
                .order_by(col(Pair.id))
                .limit(limit)
            )
            return [
                Waiting(pair_id(pair), question(prompt.messages, pair.response_a, pair.response_b))
                for pair, prompt in session.exec(rows)
            ]

    def record(
        self, rules: JudgeRules, said: Sequence[tuple[int, Judgement]], *, now: float
    ) -> int:
        """Write down what the judge said of these pairs (by id), each once.

        Returns how many requests what was written down has cost.
        """
        requests = 0
        with self._database.write() as session:
            for number, judgement in said:
                if session.get(Pair, number) is None:
                    continue  # a slow server answered after the pair was tidied away
                known = select(Verdict.id).where(
                    col(Verdict.pair_id) == number,
                    col(Verdict.judge) == rules.judge,
                    col(Verdict.probability).is_not(None),
                )
                if session.exec(known).first() is None:
                    session.add(_verdict(rules.judge, number, judgement, now))
                    requests += judgement.requests
        return requests

    def settle(self, rules: JudgeRules, *, now: float) -> int:
        """Make labels of the verdicts on pairs that have waited; returns how many that were.

        Of the pairs that the judge cannot decide the newest `left_to_people` go on waiting, for
        these are worth a person's minute; the others are retired, and new ones take their place.
        """
        if rules.after_seconds is None:
            return 0
        with self._database.read() as session:
            if not any(_due(session, rules, now)):
                return 0
        with self._database.write() as session:
            decided, undecided = _due(session, rules, now)
            for pair, _ in undecided:
                pair.state = PairState.EXPIRED
            decided = decided[: _labels_left(session, rules)]
            for pair, verdict in decided:
                _label(session, pair, verdict, now)
        return len(decided)

    def pause(self, rules: JudgeRules) -> Pause | None:
        """Why this judge is to label nothing for now; None if all is well."""
        newest = (
            select(Verdict.cause)
            .where(col(Verdict.judge) == rules.judge)
            .order_by(col(Verdict.id).desc())
            .limit(LAST_ANSWERS)
        )
        with self._database.read() as session:
            last = [Cause(cause) if cause else None for cause in session.exec(newest)]
            both = doubles(session, rules.judge)[-PAUSE_DOUBLES:]
        pause = abstaining(last, rules.max_abstain)
        if pause is None and len(both) >= MIN_TO_PAUSE:
            low = paused_by_agreement(measure(both), rules.min_agreement)
            pause = Pause(low, probes=False) if low else None
        return pause

    def examples(
        self,
        *,
        by_judges: bool = False,
        but_held_out_of: int | None = None,
        strong_weight: float = 1.0,
        reliability: Mapping[int, float] = ALL_ALIKE,
    ) -> list[Example]:
        """What people said of pairs, decided or tied: the last few thousand, oldest first.

        Or what judges said; not of the pairs that test the update of this number. Imported pairs
        come before them. Votes weigh as in `listed_labels`, and a pair on which nobody weighs
        anything is left out.
        """
        said = opinions(judges=by_judges)
        rules = replace(WITH_TIES, strong_weight=strong_weight)
        held_out = (
            select(Vote.pair_id)
            .join(UpdateLabel, col(UpdateLabel.vote_id) == col(Vote.id))
            .where(
                col(UpdateLabel.update_id) == but_held_out_of,
                col(UpdateLabel.role) == LabelRole.HELD_OUT,
            )
        )
        newest = (
            select(Pair.id)
            .join(Vote, col(Vote.pair_id) == col(Pair.id))
            .where(*said, col(Pair.id).not_in(held_out))
            .distinct()
            .order_by(col(Pair.id).desc())
            .limit(MAX_EXAMPLES)
        )
        rows = (
            select(Vote, Pair, Prompt)
            .join(Pair, col(Pair.id) == col(Vote.pair_id))
            .join(Prompt, col(Prompt.id) == col(Pair.prompt_id))
            .where(*said, col(Pair.id).in_(newest))
            .order_by(col(Pair.id), col(Vote.created_at))
        )
        votes: dict[int, list[Vote]] = {}
        questions: dict[int, Question] = {}
        with self._database.read() as session:
            imported = teaching(session)
            for vote, pair, prompt in session.exec(rows):
                votes.setdefault(pair_id(pair), []).append(vote)
                questions[pair_id(pair)] = question(
                    prompt.messages, pair.response_a, pair.response_b
                )
        together = {
            number: combine([opinion_of(vote, reliability) for vote in some], rules)
            for number, some in votes.items()
        }
        own = [
            Example(number, questions[number], preference)
            for number, preference in together.items()
            if preference is not None
        ]
        return [*imported, *own]

    def have_said(self, *, by_judges: bool = False) -> tuple[int, int, int]:
        """A mark that changes with every vote of a person, or of a judge, with every undo, and with
        what is imported.
        """
        votes = select(sa.func.count()).select_from(Vote)
        undone = votes.where(col(Vote.superseded_by).is_not(None))
        with self._database.read() as session:
            who = ~by_a_person() if by_judges else by_a_person()
            standing = votes.where(who, col(Vote.superseded_by).is_(None))
            return (
                session.exec(standing).one(),
                session.exec(undone).one(),
                imported_mark(session),
            )

    def labels_left(self, rules: JudgeRules) -> int:
        """How many more labels the judge may give."""
        with self._database.read() as session:
            return _labels_left(session, rules)

    def add_requests(self, judge: str, more: int) -> None:
        """Write down that the judge was asked so often for something else than a verdict."""
        if more <= 0:
            return
        with self._database.write() as session:
            row = session.get(TidiedVerdicts, (judge, ELSEWHERE))
            row = row or TidiedVerdicts(judge=judge, cause=ELSEWHERE)
            row.requests += more
            session.add(row)

    def spent(self, judge: str) -> int:
        """Requests that this judge has cost."""
        with self._database.read() as session:
            return sum(
                session.exec(
                    select(sa.func.coalesce(sa.func.sum(table.requests), 0)).where(
                        col(table.judge) == judge
                    )
                ).one()
                for table in (Verdict, TidiedVerdicts)
            )


def _due(
    session: Session, rules: JudgeRules, now: float
) -> tuple[list[tuple[Pair, Verdict]], list[tuple[Pair, Verdict]]]:
    """Pairs that have waited with what the judge said: those to label, and those to retire."""
    assert rules.after_seconds is not None
    last = (
        select(sa.func.max(_SAID.id))
        .where(col(_SAID.judge) == rules.judge, col(_SAID.pair_id) == col(Pair.id))
        .scalar_subquery()
    )
    a_person_spoke = (
        select(Vote.id).where(*opinions_of_people(), col(Vote.pair_id) == col(Pair.id)).exists()
    )
    rows = (
        select(Pair, Verdict)
        .join(Verdict, col(Verdict.pair_id) == col(Pair.id))
        .where(
            col(Verdict.judge) == rules.judge,
            *waits(),
            col(Pair.purpose) == Purpose.LOOP,
            _for_good(rules.judge),
            _waited(rules.after_seconds, now),
            col(Verdict.id) == last,
            ~a_person_spoke,
        )
        .order_by(col(Verdict.id))
    )
    found = list(session.exec(rows).all())
    undecided = [(pair, verdict) for pair, verdict in found if verdict.probability is None]
    decided = [(pair, verdict) for pair, verdict in found if verdict.probability is not None]
    return decided, undecided[: max(0, len(undecided) - rules.left_to_people)]


def _waited(seconds: float, now: float) -> sa.ColumnElement[bool]:
    """Whether nobody has held the pair for so long, and nobody does."""
    held = sa.or_(col(Lease.ended_at).is_(None), _within(col(Lease.ended_at), seconds, now))
    busy = select(Lease.id).where(col(Lease.pair_id) == col(Pair.id), held).exists()
    return sa.and_(~_within(col(Pair.created_at), seconds, now), ~busy)


def _within(at: Mapped[Any], seconds: float, now: float) -> sa.ColumnElement[bool]:
    """Whether it was less than so long ago; see `age` for what is yet to come."""
    return sa.and_(at > now - seconds, at <= now + SKEW_SECONDS)


def _said(judge: str, now: float) -> sa.ColumnElement[bool]:
    """Whether the judge has spoken of the pair, for good or just now."""
    just_now = (
        select(Verdict.id)
        .where(
            col(Verdict.pair_id) == col(Pair.id),
            col(Verdict.judge) == judge,
            _within(col(Verdict.created_at), RETRY_SECONDS, now),
        )
        .exists()
    )
    return sa.or_(just_now, _for_good(judge))


def _for_good(judge: str) -> sa.ColumnElement[bool]:
    """Whether the judge is not to be asked of the pair again: it decided, cannot, or gave up."""
    mine = col(_SAID.pair_id) == col(Pair.id), col(_SAID.judge) == judge
    final = sa.or_(col(_SAID.cause).is_(None), col(_SAID.cause).not_in(PASSING))
    tries = select(sa.func.count()).select_from(_SAID).where(*mine).scalar_subquery()
    return sa.or_(select(_SAID.id).where(*mine, final).exists(), tries >= MAX_TRIES)


def _labels_left(session: Session, rules: JudgeRules) -> int:
    """How many more labels the judge may give."""
    if rules.max_labels is None:
        return 1_000_000
    return max(0, rules.max_labels - judge_labels(session))


def _verdict(judge: str, number: int, judgement: Judgement, now: float) -> Verdict:
    forward, backward = judgement.orders or (None, None)
    score_a, score_b = judgement.scores or (None, None)
    return Verdict(
        pair_id=number,
        judge=judge,
        probability=judgement.probability,
        cause=judgement.cause,
        forward=forward,
        backward=backward,
        score_a=score_a,
        score_b=score_b,
        requests=judgement.requests,
        tokens=judgement.tokens,
        created_at=now,
    )


def _label(session: Session, pair: Pair, verdict: Verdict, now: float) -> None:
    """Make a vote of a verdict, in the name of the judge."""
    choice = Judgement(verdict.probability).choice
    assert choice is not None
    vote = Vote(
        id=uuid.uuid4().hex,
        pair_id=pair_id(pair),
        rater_id=account(session, verdict.judge, RaterRole.JUDGE, now=now),
        choice=choice,
        shown_left="a",
        source=Source.JUDGE,
        staleness=versions_since(session, pair.version_id),
        created_at=now,
    )
    session.add(vote)
    session.flush()
    verdict.vote_id = vote.id
    settle(session, pair)
