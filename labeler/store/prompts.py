"""Prompts: added once, taken in turn."""

import hashlib
import json
from collections.abc import Iterable

import sqlalchemy as sa
from sqlmodel import col, select

from labeler.store.database import Database
from labeler.store.records import Messages
from labeler.tables import Prompt


class Prompts:
    """The verbs on prompts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, prompts: Iterable[Messages], *, now: float) -> tuple[int, int]:
        """Add prompts and return how many were new and how many were there already."""
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
            known = set(session.exec(select(Prompt.digest)))
            fresh = {row["digest"]: row for row in rows if row["digest"] not in known}
            if fresh:
                session.execute(sa.insert(Prompt), list(fresh.values()))
        return len(fresh), len(rows) - len(fresh)

    def take(self, count: int) -> list[Prompt]:
        """The prompts to sample next: least sampled first, in a fixed shuffled order."""
        usable = select(Prompt).where(col(Prompt.set_aside).is_(None))
        with self._database.write() as session:
            order = usable.order_by(col(Prompt.pairs_sampled), col(Prompt.digest)).limit(count)
            prompts = list(session.exec(order))
            for prompt in prompts:
                prompt.pairs_sampled += 1
        return prompts

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
            return session.exec(select(Prompt.id).limit(1)).first() is not None

    def any_usable(self) -> bool:
        """Whether there is a prompt to sample from."""
        usable = select(Prompt.id).where(col(Prompt.set_aside).is_(None)).limit(1)
        with self._database.read() as session:
            return session.exec(usable).first() is not None


def _digest(messages: Messages) -> str:
    return hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()
