"""API keys: what a person's programs say in place of a login.

A key is 32 random bytes that only its owner has; the database holds a hash. It may do what its
account may, as long as the account may, and ends where logins end: when the account is disabled or
its password changes.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col, func, select

from labeler.domain.errors import BadInput
from labeler.domain.states import RaterRole
from labeler.store.database import Database
from labeler.store.people.accounts import hashed, new_token
from labeler.store.people.logins import Owner
from labeler.store.tables import ApiKey, Rater

PREFIX = "livedpo_"  # so that a key that leaked is known for what it is
MAX_KEYS = 20
MAX_NAME_CHARS = 64


@dataclass(frozen=True)
class Key:
    """A key as lists show it. `name` is what its owner calls it."""

    id: int
    rater_id: int
    owner: str
    name: str
    created_at: float


class Keys:
    """The verbs on API keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, rater_id: int, name: str, *, now: float) -> str:
        """A new key of this account; it is returned this once. Raises BadInput if the account is
        disabled or has too many.
        """
        name = _checked(name)
        key = PREFIX + new_token()
        with self._database.write() as session:
            rater = session.get_one(Rater, rater_id)
            if rater.disabled_at is not None:
                raise BadInput(f"The account '{rater.name}' is disabled; enable it first.")
            mine = select(func.count()).where(col(ApiKey.rater_id) == rater_id, _stands())
            if session.exec(mine).one() >= MAX_KEYS:
                raise BadInput(f"'{rater.name}' has {MAX_KEYS} API keys; revoke one first.")
            session.add(ApiKey(hash=hashed(key), rater_id=rater_id, name=name, created_at=now))
        return key

    def all(self, rater_id: int | None = None) -> list[Key]:
        """The keys that stand, of one account or of all, oldest first."""
        query = select(ApiKey, Rater.name).join(Rater, col(Rater.id) == col(ApiKey.rater_id))
        query = query.where(_stands()).order_by(col(ApiKey.id))
        if rater_id is not None:
            query = query.where(col(ApiKey.rater_id) == rater_id)
        with self._database.read() as session:
            return [
                Key(key.id or 0, key.rater_id, owner, key.name, key.created_at)
                for key, owner in session.exec(query)
            ]

    def revoke(self, key_id: int, *, now: float, rater_id: int | None = None) -> Key:
        """End a key at once; returns it. Raises BadInput if there is none of this number that
        stands, or if `rater_id` says whose it must be and it is another's.
        """
        found = next((key for key in self.all(rater_id) if key.id == key_id), None)
        if found is None:
            raise BadInput(f"There is no API key {key_id}; `livedpo raters keys` lists them.")
        with self._database.write() as session:
            ended = sa.update(ApiKey).where(col(ApiKey.id) == key_id, _stands())
            session.exec(ended.values(ended_at=now))
        return found

    def owner(self, key: str) -> Owner | None:
        """Whose key this is; None if it is none, any more."""
        standing = (
            select(Rater.id, Rater.name, Rater.role)
            .join(ApiKey, col(ApiKey.rater_id) == col(Rater.id))
            .where(col(ApiKey.hash) == hashed(key), _stands(), col(Rater.disabled_at).is_(None))
        )
        with self._database.read() as session:
            found = session.exec(standing).first()
        return None if found is None else Owner(found[0] or 0, found[1], RaterRole(found[2]))


def _stands() -> sa.ColumnElement[bool]:
    return col(ApiKey.ended_at).is_(None)


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise BadInput(f"The name of a key has 1 to {MAX_NAME_CHARS} visible characters.")
    return name
