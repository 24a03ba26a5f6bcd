"""Pairs of files that teach the learned judge and the reward model that fills updates up.

They are no votes: no count, no update and no export of labels has them. A pair is stored once,
whichever reply stood first in its file.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, delete, func, select

from labeler.domain.judging import Example, Question, question
from labeler.domain.labels import Preference
from labeler.store.database import Database
from labeler.store.tables import ImportedPair

# The newest ones; more would cost more time than a few hundred own votes are worth.
MAX_TEACHING = 256


class ImportedFile(NamedTuple):
    """A file by the name under which it was imported, how many pairs of it are there, and when."""

    name: str
    pairs: int
    at: float


class Imported:
    """The verbs on imported pairs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, file: str, pairs: Sequence[tuple[Question, Preference]], *, now: float
    ) -> tuple[int, int]:
        """Keep pairs of a file; returns how many are new, and how many were there already."""
        rows = {row.digest: row for row in (_row(file, *pair, now=now) for pair in pairs)}
        with self._database.write() as session:
            known = set(session.exec(select(ImportedPair.digest)))
            new = [row for digest, row in rows.items() if digest not in known]
            session.add_all(new)
        return len(new), len(pairs) - len(new)

    def files(self) -> list[ImportedFile]:
        """What was imported, the oldest first."""
        rows = (
            select(ImportedPair.file, func.count(), func.max(ImportedPair.created_at))
            .group_by(col(ImportedPair.file))
            .order_by(func.min(ImportedPair.id))
        )
        with self._database.read() as session:
            return [ImportedFile(*row) for row in session.exec(rows)]

    def remove(self, file: str) -> int:
        """Forget the pairs of a file; returns how many there were."""
        with self._database.write() as session:
            gone = session.execute(delete(ImportedPair).where(col(ImportedPair.file) == file))
            assert isinstance(gone, sa.CursorResult)
            return gone.rowcount

    def all(self) -> list[ImportedPair]:
        """Every pair, the oldest first."""
        with self._database.read() as session:
            return list(session.exec(select(ImportedPair).order_by(col(ImportedPair.id))))


def teaching(session: Session) -> list[Example]:
    """The pairs that a judge learns from beside the votes, the oldest first."""
    newest = select(ImportedPair).order_by(col(ImportedPair.id).desc()).limit(MAX_TEACHING)
    return [
        Example(
            -(pair.id or 0),
            question(pair.messages, pair.first, pair.second),
            Preference(pair.target, pair.tie, pair.weight),
            imported=True,
        )
        for pair in reversed(list(session.exec(newest)))
    ]


def imported_mark(session: Session) -> int:
    """Changes with what is imported and removed."""
    count, newest = session.exec(select(func.count(), func.max(ImportedPair.id))).one()
    return count + (newest or 0)


def _row(file: str, asked: Question, said: Preference, *, now: float) -> ImportedPair:
    if asked.first > asked.second:
        asked = Question(asked.messages, asked.second, asked.first)
        said = Preference(1 - said.target - said.tie, said.tie, said.weight)
    text = json.dumps([asked.messages, asked.first, asked.second], sort_keys=True)
    return ImportedPair(
        file=file,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        messages=asked.messages,
        first=asked.first,
        second=asked.second,
        target=said.target,
        tie=said.tie,
        weight=said.weight,
        created_at=now,
    )
