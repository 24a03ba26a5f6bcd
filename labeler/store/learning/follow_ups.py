"""Follow-ups: a prompt that a rater voted on, answered again by the version that learned from it.

A rater has one at most, and it is of their newest version. Only prompts of pairs that they voted on
themselves are taken, and only votes that still count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from labeler.domain.labels import DECISIVE, LOGPS_AT
from labeler.domain.messages import Messages
from labeler.domain.states import Choice, Purpose, Source
from labeler.store.database import Database
from labeler.store.live_version import live_id
from labeler.store.tables import FollowUp, Pair, Prompt, Rater, Update, Vote

MAX_VOTES = 16


@dataclass(frozen=True)
class LearnedVote:
    """A vote that a version was trained on, with its pair's tokens.

    `margin` is how much likelier (nats) the chosen reply was than the other under the version that
    said them, at this `temperature`.
    """

    vote_id: str
    prompt_id: int
    messages: Messages
    prompt_tokens: list[int]
    chosen_tokens: list[int]
    other_tokens: list[int]
    margin: float
    temperature: float


@dataclass(frozen=True)
class Waiting:
    """A rater who has no follow-up of a version yet, and their newest votes that it learned."""

    rater_id: int
    votes: list[LearnedVote]


@dataclass(frozen=True)
class Moved:
    """The vote that a version moved furthest with, of so many `votes`, and what it says now.

    `gain` is by how much (nats) the margin of the chosen reply has grown.
    """

    vote_id: str
    votes: int
    gain: float
    reply: str


@dataclass(frozen=True)
class FollowUpView:
    """What a rater is shown: the replies that they chose from, and what the live version says."""

    before: int
    live: int
    messages: Messages
    chosen: str
    other: str
    moved: Moved


class FollowUps:
    """The verbs on follow-ups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, version_id: int, limit: int) -> list[Waiting]:
        """Up to `limit` raters whose votes made this version and who have no follow-up of it."""
        with self._database.read() as session:
            raters = list(session.exec(_raters(version_id).limit(limit)))
            rows = session.exec(_votes(version_id, raters)).all()
        return [
            Waiting(rater_id, [_learned(*row) for row in list(group)[:MAX_VOTES]])
            for rater_id, group in groupby(rows, key=lambda row: row[0].rater_id)
        ]

    def add(self, rater_id: int, version_id: int, moved: Moved | None, *, now: float) -> None:
        """Keep what this version did with a rater's votes; None if it moved with none of them."""
        with self._database.write() as session:
            row = session.get(FollowUp, rater_id) or FollowUp(
                rater_id=rater_id, version_id=version_id, created_at=now
            )
            row.version_id, row.created_at, row.seen_at = version_id, now, None
            row.vote_id = moved.vote_id if moved else None
            row.votes, row.gain = (moved.votes, moved.gain) if moved else (0, 0.0)
            row.reply = moved.reply if moved else ""
            session.add(row)

    def of(self, rater_id: int) -> FollowUpView | None:
        """A rater's follow-up; None if its version is not live, or its vote counts no more."""
        with self._database.read() as session:
            row = _shown(session, rater_id)
            if row is None:
                return None
            vote = session.get_one(Vote, row.vote_id)
            pair = session.get_one(Pair, vote.pair_id)
            prompt = session.get_one(Prompt, pair.prompt_id)
            chosen, other = pair.response_a, pair.response_b
            if vote.choice is Choice.B:
                chosen, other = other, chosen
            moved = Moved(vote.id, row.votes, row.gain, row.reply)
            return FollowUpView(
                pair.version_id, row.version_id, prompt.messages, chosen, other, moved
            )

    def saw(self, rater_id: int, version_id: int, *, now: float) -> None:
        """A rater has seen their follow-up of this version, or wants to see no more of it."""
        with self._database.write() as session:
            row = session.get(FollowUp, rater_id)
            if row is not None and row.version_id == version_id and row.seen_at is None:
                row.seen_at = now


def unseen(session: Session, rater_id: int) -> int | None:
    """The version of a rater's follow-up that they have not seen yet; None if there is none."""
    row = _shown(session, rater_id)
    return row.version_id if row is not None and row.seen_at is None else None


def _shown(session: Session, rater_id: int) -> FollowUp | None:
    row = session.get(FollowUp, rater_id)
    if row is None or row.vote_id is None or row.version_id != live_id(session):
        return None
    vote = session.get_one(Vote, row.vote_id)
    is_aside = session.get_one(Pair, vote.pair_id).aside_at is not None
    return None if vote.superseded_by is not None or is_aside else row


def _raters(version_id: int) -> SelectOfScalar[int]:
    """Those with a vote that this version learned, and no follow-up of it or of a later one."""
    has_one = select(FollowUp.rater_id).where(
        col(FollowUp.rater_id) == col(Vote.rater_id), col(FollowUp.version_id) >= version_id
    )
    return (
        select(Vote.rater_id)
        .join(Update, col(Update.id) == col(Vote.used_in_update))
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .join(Rater, col(Rater.id) == col(Vote.rater_id))
        .where(*_is_learned(version_id), col(Rater.disabled_at).is_(None), ~has_one.exists())
        .distinct()
        .order_by(col(Vote.rater_id))
    )


def _votes(version_id: int, raters: Sequence[int]) -> Select[Vote, Pair, Prompt]:
    """Their votes that this version learned, each with pair and prompt; by rater, newest first."""
    return (
        select(Vote, Pair, Prompt)
        .join(Update, col(Update.id) == col(Vote.used_in_update))
        .join(Pair, col(Pair.id) == col(Vote.pair_id))
        .join(Prompt, col(Prompt.id) == col(Pair.prompt_id))
        .where(*_is_learned(version_id), col(Vote.rater_id).in_(raters))
        .order_by(col(Vote.rater_id), col(Vote.created_at).desc(), col(Vote.id))
    )


def _is_learned(version_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Votes on what the rater saw: an edit is not, and it has no margin before."""
    return (
        col(Update.version_id) == version_id,
        col(Vote.source) == Source.HUMAN,
        col(Vote.superseded_by).is_(None),
        col(Vote.choice).in_(DECISIVE),
        col(Pair.purpose).in_((Purpose.LOOP, Purpose.OWN)),
        col(Pair.aside_at).is_(None),
        col(Pair.logp_a).is_not(None),
        col(Pair.logp_b).is_not(None),
    )


def _learned(vote: Vote, pair: Pair, prompt: Prompt) -> LearnedVote:
    assert prompt.id is not None
    assert pair.logp_a is not None
    assert pair.logp_b is not None
    is_a = vote.choice is Choice.A
    margin = pair.logp_a - pair.logp_b
    return LearnedVote(
        vote_id=vote.id,
        prompt_id=prompt.id,
        messages=prompt.messages,
        prompt_tokens=pair.prompt_tokens,
        chosen_tokens=pair.tokens_a if is_a else pair.tokens_b,
        other_tokens=pair.tokens_b if is_a else pair.tokens_a,
        margin=margin if is_a else -margin,
        temperature=pair.sampling.get(LOGPS_AT, 1.0),
    )
