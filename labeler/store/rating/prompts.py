"""Prompts: added once, taken in turn."""

import hashlib
import json
from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlmodel import Session, col, select

from labeler.domain.messages import Messages
from labeler.store.database import Database
from labeler.store.tables import Pair, Prompt

_USABLE = col(Prompt.set_aside).is_(None), col(Prompt.pooled)


class Prompts:
    """The verbs on prompts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, prompts: Iterable[Messages], *, now: float) -> tuple[int, int]:
        """Add prompts and return how many were new and how many were there already.

        One that only a rater asked, or a gold pair is about, is new to the loop.
        """
        rows = [
            {
                "messages": messages,
                "digest": _digest(messages),
                "created_at": now,
                "pairs_sampled": 0,
            }
            for messages in prompts
        ]
        with self._database.write() as session:
            given = {row["digest"] for row in rows}
            alone = session.exec(select(Prompt).where(col(Prompt.pooled).is_(False)))
            joining = [prompt for prompt in alone if prompt.digest in given]
            for prompt in joining:
                prompt.pooled = True
            known = set(session.exec(select(Prompt.digest)))
            fresh = {row["digest"]: row for row in rows if row["digest"] not in known}
            if fresh:
                session.execute(sa.insert(Prompt), list(fresh.values()))
        new = len(fresh) + len(joining)
        return new, len(rows) - new

    def take(self, count: int) -> list[Prompt]:
        """The prompts to sample next: least sampled first, in a fixed shuffled order."""
        usable = select(Prompt).where(*_USABLE)
        with self._database.write() as session:
            order = usable.order_by(col(Prompt.pairs_sampled), col(Prompt.digest)).limit(count)
            prompts = list(session.exec(order))
            for prompt in prompts:
                prompt.pairs_sampled += 1
        return prompts

    def unasked(self, count: int, *, version: int, besides: Collection[int] = ()) -> list[Prompt]:
        """Prompts that nobody is asked about, the last in turn first, but for those of `besides`.

        There is no pair of this version to them, and none that a person set aside.
        """
        asked = select(Pair.id).where(
            col(Pair.prompt_id) == col(Prompt.id),
            sa.or_(col(Pair.version_id) == version, col(Pair.aside_at).is_not(None)),
        )
        rows = (
            select(Prompt)
            .where(*_USABLE, ~asked.exists(), col(Prompt.id).not_in(besides))
            .order_by(col(Prompt.pairs_sampled).desc(), col(Prompt.digest).desc())
            .limit(count)
        )
        with self._database.read() as session:
            return list(session.exec(rows))

    def set_aside(self, prompt_id: int, reason: str) -> None:
        """Sample this prompt no more, and say why."""
        with self._database.write() as session:
            session.get_one(Prompt, prompt_id).set_aside = reason

    def all(self) -> list[Prompt]:
        """Every prompt, in the order of adding."""
        with self._database.read() as session:
            return list(session.exec(select(Prompt).order_by(col(Prompt.id))))

    def reconsider(self) -> None:
        """Take back what was set aside: under other settings it may fit."""
        with self._database.write() as session:
            session.execute(sa.update(Prompt).values(set_aside=None))

    def any(self) -> bool:
        """Whether there is a prompt at all."""
        with self._database.read() as session:
            pooled = select(Prompt.id).where(col(Prompt.pooled)).limit(1)
            return session.exec(pooled).first() is not None

    def any_usable(self) -> bool:
        """Whether there is a prompt to sample from."""
        usable = select(Prompt.id).where(*_USABLE).limit(1)
        with self._database.read() as session:
            return session.exec(usable).first() is not None


def unpooled(session: Session, messages: Messages, *, now: float) -> Prompt:
    """The prompt of these messages, made for one pair alone if it is not there yet."""
    digest = _digest(messages)
    found = session.exec(select(Prompt).where(col(Prompt.digest) == digest)).first()
    if found is None:
        found = Prompt(messages=messages, digest=digest, pooled=False, created_at=now)
        session.add(found)
        session.flush()
    return found


def _digest(messages: Messages) -> str:
    return hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()
