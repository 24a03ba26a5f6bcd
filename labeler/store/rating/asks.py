"""A rater's own prompts: asked on the page, answered by the worker, shown to that rater alone.

    add: WAITING -> take: SAMPLING -> answer: READY -> look: its pair on a lease, for one vote
                                   \\-> refuse: FAILED

What a worker held when it died is taken again by the next one, a few times: a prompt that kills the
worker must not do so for ever. The pair is one like any other, but nobody else gets it and no judge
labels it.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from labeler.domain import sides
from labeler.domain.errors import BadInput
from labeler.domain.labels import DECISIVE
from labeler.domain.messages import Messages, with_reply
from labeler.domain.states import AskState, Choice, PairState, Purpose, Source
from labeler.domain.thought import without_thought
from labeler.store.database import Database
from labeler.store.live_version import wanted_versions
from labeler.store.rating.leases import leased_pair, new_lease
from labeler.store.rating.locks import is_disabled, lock_rater
from labeler.store.rating.pairs import free_slot, wait_again
from labeler.store.rating.prompts import unpooled
from labeler.store.records import LeasedPair, NewPair
from labeler.store.tables import Ask, Lease, Pair, Prompt, Rater, Vote

MAX_OPEN = 3
MAX_READY = 10
MAX_TRIES = 3
SILENT_SECONDS = 60.0  # after which what another one was answering is taken from it
ONLY = "worker"  # the name of one that answers all
OPEN = AskState.WAITING, AskState.SAMPLING
KILLED = f"The worker stopped in each of {MAX_TRIES} tries; ask something shorter."


@dataclass(frozen=True)
class Asked:
    """An ask that a worker holds."""

    id: str
    messages: Messages


@dataclass(frozen=True)
class AskView:
    """How far an ask of a rater is.

    `text` is what they typed. `pair` is there when both responses are, and this page holds them;
    `elsewhere` is the other page that does.
    """

    id: str
    text: str
    state: AskState
    done_tokens: int
    max_tokens: int
    reason: str | None
    pair: LeasedPair | None = None
    elsewhere: str | None = None


class Asks:
    """The verbs on raters' own prompts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, ask_id: str, *, rater_id: int, text: str, continues: str | None, now: float
    ) -> AskView | None:
        """Take a prompt in; the same id again changes nothing. None if the id is another rater's.

        `continues` is a vote of this rater: the response that it prefers, as they edited it if they
        did, goes before the text. Raises BadInput if that vote says nothing to go on with, or if
        the rater has as many open asks, or replies without a vote, as one may.
        """
        with self._database.write() as session:
            if is_disabled(lock_rater(session, rater_id)):
                raise BadInput("This account is disabled; ask whoever runs this service.")
            known = session.get(Ask, ask_id)
            if known is None:
                mine = col(Ask.rater_id) == rater_id, col(Ask.state).in_(OPEN)
                waiting = select(sa.func.count()).select_from(Ask).where(*mine)
                if session.exec(waiting).one() >= MAX_OPEN:
                    raise BadInput(
                        f"{MAX_OPEN} prompts of yours wait for replies; ask again after them."
                    )
                if session.exec(_unvoted(rater_id)).one() >= MAX_READY:
                    raise BadInput(
                        f"{MAX_READY} replies to prompts of yours wait for your vote; vote on "
                        "some, and ask again."
                    )
                before = _conversation(session, continues, rater_id) if continues else []
                known = Ask(
                    id=ask_id,
                    rater_id=rater_id,
                    messages=[*before, {"role": "user", "content": text}],
                    state=AskState.WAITING,
                    created_at=now,
                )
                session.add(known)
            return _view(known) if known.rater_id == rater_id else None

    def take(self, limit: int, *, now: float, worker: str = ONLY) -> list[Asked]:
        """Up to `limit` asks for a worker to answer now, oldest first; quick if there is none.

        Those that it or one that has gone silent was sampling were left by a process that died. Any
        of them may be why, so each is taken alone from then on.
        """
        if not self.any_waits(now=now, worker=worker):
            return []
        with self._database.write() as session:
            taken: list[Asked] = []
            for ask in session.exec(_open_asks(worker, now).limit(limit)):
                if ask.tries and taken:
                    break
                ask.tries += 1
                ask.done_tokens = 0
                ask.worker, ask.beat_at = worker, now
                if ask.tries > MAX_TRIES:
                    _refuse(ask, KILLED, now)
                else:
                    ask.state = AskState.SAMPLING
                    taken.append(Asked(ask.id, ask.messages))
                    if ask.tries > 1:
                        break
            return taken

    def any_waits(self, *, now: float, worker: str = ONLY) -> bool:
        """Whether somebody waits for an answer of this worker."""
        with self._database.read() as session:
            return session.exec(_open_asks(worker, now).limit(1)).first() is not None

    def progress(
        self, done: Mapping[str, int], *, most: int, now: float, worker: str = ONLY
    ) -> None:
        """Say how many tokens of at most `most` are sampled for these asks."""
        with self._database.write() as session:
            for ask in session.exec(select(Ask).where(col(Ask.id).in_(done))):
                if _has(ask, worker):
                    ask.done_tokens, ask.max_tokens, ask.beat_at = done[ask.id], most, now

    def answer(
        self,
        ask_id: str,
        pair: NewPair,
        *,
        now: float,
        worker: str = ONLY,
        max_staleness: int = 0,
    ) -> bool:
        """Queue the pair for the rater who asked; its `prompt_id` is filled in here.

        False if its version is wanted no more (`wanted_versions`); the ask then waits again. An ask
        that another worker has taken up meanwhile stays that one's.
        """
        with self._database.write() as session:
            ask = session.get_one(Ask, ask_id)
            if not _has(ask, worker):
                return True
            if pair.version_id not in wanted_versions(session, max_staleness):
                ask.state, ask.done_tokens = AskState.WAITING, 0
                ask.tries -= 1
                return False
            prompt = unpooled(session, ask.messages, now=now)
            assert prompt.id is not None  # it was flushed
            row = Pair(
                **vars(replace(pair, prompt_id=prompt.id)),
                state=PairState.READY,
                purpose=Purpose.OWN,
                for_rater_id=ask.rater_id,
                created_at=now,
            )
            session.add(row)
            session.flush()
            ask.state, ask.pair_id, ask.finished_at = AskState.READY, row.id, now
            ask.done_tokens = len(pair.tokens_a) + len(pair.tokens_b)
        return True

    def refuse(self, ask_id: str, reason: str, *, now: float, worker: str = ONLY) -> None:
        """End an ask that cannot be answered, with one sentence for the rater."""
        with self._database.write() as session:
            ask = session.get_one(Ask, ask_id)
            if _has(ask, worker):
                _refuse(ask, reason, now)

    def look(
        self,
        ask_id: str,
        *,
        rater_id: int,
        holder: str,
        gone: str | None,
        seconds: float,
        now: float,
        rng: random.Random,
    ) -> AskView | None:
        """How far an ask of this rater is; once it is ready, its pair, held by this page.

        Looking again gives the same lease. A page that is `gone` (its tab was closed) hands it
        over. None if there is no such ask of this rater. A disabled account holds nothing.
        """
        with self._database.read() as session:
            ask = session.get(Ask, ask_id)
            if ask is None or ask.rater_id != rater_id:
                return None
            if ask.state is not AskState.READY:
                return _view(ask)
        with self._database.write() as session:
            if is_disabled(lock_rater(session, rater_id)):
                return _view(ask)
            pair = session.get_one(Pair, ask.pair_id)
            lease = _lease(session, pair, rater_id, holder, gone, now + seconds, now, rng)
            if lease is None:
                return _view(ask)
            if lease.holder != holder:
                return replace(_view(ask), elsewhere=lease.holder)
            session.flush()
            return replace(_view(ask), pair=leased_pair(session, lease))


def open_asks(session: Session, rater_id: int) -> list[str]:
    """The asks of a rater that a page should look after: without a reply, or without a vote.

    At most as many as `add` lets there be; the oldest.
    """
    rows = (
        select(Ask.id)
        .join(Pair, col(Pair.id) == col(Ask.pair_id), isouter=True)
        .where(
            col(Ask.rater_id) == rater_id,
            sa.or_(
                col(Ask.state).in_(OPEN),
                sa.and_(col(Ask.state) == AskState.READY, col(Pair.state) == PairState.READY),
            ),
        )
        .order_by(col(Ask.created_at))
        .limit(MAX_OPEN + MAX_READY)
    )
    return list(session.exec(rows))


def _unvoted(rater_id: int) -> SelectOfScalar[int]:
    """How many replies of a rater wait for a vote and can still get one."""
    ready = col(Ask.state) == AskState.READY, col(Pair.state) == PairState.READY
    return (
        select(sa.func.count())
        .select_from(Ask)
        .join(Pair, col(Pair.id) == col(Ask.pair_id))
        .where(col(Ask.rater_id) == rater_id, *ready)
    )


def _has(ask: Ask, worker: str) -> bool:
    return ask.state is AskState.SAMPLING and ask.worker in (worker, None)


def _open_asks(worker: str, now: float) -> SelectOfScalar[Ask]:
    """Those that wait for this worker; a disabled rater's wait until the account is enabled."""
    is_others = (
        col(Ask.state) == AskState.SAMPLING,
        col(Ask.worker) != worker,
        col(Ask.beat_at) >= now - SILENT_SECONDS,
    )
    may_ask = col(Rater.id) == col(Ask.rater_id), col(Rater.disabled_at).is_(None)
    is_open = col(Ask.state).in_(OPEN), select(Rater.id).where(*may_ask).exists()
    free = sa.or_(col(Ask.worker).is_(None), ~sa.and_(*is_others))
    return select(Ask).where(*is_open, free).order_by(col(Ask.created_at), col(Ask.id))


def _view(ask: Ask) -> AskView:
    return AskView(
        id=ask.id,
        text=ask.messages[-1]["content"],
        state=ask.state,
        done_tokens=ask.done_tokens,
        max_tokens=ask.max_tokens,
        reason=ask.reason,
    )


def _refuse(ask: Ask, reason: str, now: float) -> None:
    ask.state, ask.reason, ask.finished_at = AskState.FAILED, reason, now


def _conversation(session: Session, vote_id: str, rater_id: int) -> Messages:
    """The prompt of a vote, and the response that it prefers. Raises BadInput."""
    vote = session.get(Vote, vote_id)
    if vote is None or vote.rater_id != rater_id or vote.source is not Source.HUMAN:
        raise BadInput("That vote is not known; continue from a vote of yours that is saved.")
    if vote.superseded_by is not None:
        raise BadInput("That vote was undone; vote again, and continue from there.")
    if vote.choice not in DECISIVE:
        raise BadInput("That vote prefers neither reply; continue from one that prefers one.")
    pair = session.get_one(Pair, vote.pair_id)
    prompt = session.get_one(Prompt, pair.prompt_id)
    edit = select(Pair.response_a).where(
        col(Pair.source_vote_id) == vote_id, col(Pair.purpose) == Purpose.EDIT
    )
    edited = session.exec(edit).first()
    preferred = pair.response_a if vote.choice is Choice.A else pair.response_b
    return with_reply(prompt.messages, without_thought(edited or preferred))


def _lease(
    session: Session,
    pair: Pair,
    rater_id: int,
    holder: str,
    gone: str | None,
    expires_at: float,
    now: float,
    rng: random.Random,
) -> Lease | None:
    """The lease on the pair, made if there is none; None if the rater has voted."""
    slot = free_slot(session, pair)
    leases = select(Lease).where(col(Lease.pair_id) == pair.id, col(Lease.rater_id) == rater_id)
    last = session.exec(leases.order_by(col(Lease.leased_at).desc(), col(Lease.id))).first()
    if slot is None:
        held = last is not None and last.ended_at is None
        if last is not None and held and last.holder in (holder, gone):
            last.holder, last.expires_at = holder, expires_at
        return last if held else None
    lease = new_lease(
        session,
        pair,
        slot,
        rater_id=rater_id,
        holder=holder,
        shown_left=last.shown_left if last else sides.shown_left(rng),
        leased_at=now,
        expires_at=expires_at,
    )
    wait_again(pair)
    return lease
