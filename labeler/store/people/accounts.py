"""Who may use the service: accounts, their roles, and the one-time links that invite people.

A link's token is 32 random bytes that only its receiver has; the database holds a hash. What people
log in with, and what a cookie stands for, is in `labeler.store.people.logins`.
"""

import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from labeler.domain.errors import BadInput
from labeler.domain.states import RaterRole
from labeler.store.database import Database
from labeler.store.rating.queue import end_leases_of
from labeler.store.tables import ApiKey, Login, Rater

LOCAL_RATER = "local"
INVITE_SECONDS = 72 * 3600.0
MAX_NAME_CHARS = 64
_KEPT_FOR_OTHERS = re.compile(rf"{LOCAL_RATER}|starter|learned|(rm|api|py):.*", re.IGNORECASE)


class AccountState(StrEnum):
    """INVITED -> ACTIVE, with a password; DISABLED at any time, and back."""

    ACTIVE = "active"
    INVITED = "invited"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Account:
    """An account as lists show it. `invite_expires_at`: until when its link is open, if it is."""

    id: int
    name: str
    role: RaterRole
    state: AccountState
    created_at: float
    invite_expires_at: float | None = None


class Accounts:
    """The verbs on accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def local(self, *, now: float) -> int:
        """The id of the one rater of a service on loopback, which has no login."""
        with self._database.write() as session:
            return account(session, LOCAL_RATER, RaterRole.ADMIN, now=now)

    def is_single_user(self) -> bool:
        """Whether nobody was ever invited: then a service on loopback asks for no login."""
        made = select(Rater.id).where(
            col(Rater.password).is_not(None) | col(Rater.invite).is_not(None)
        )
        with self._database.read() as session:
            return session.exec(made.limit(1)).first() is None

    def has_admin(self) -> bool:
        """Whether there is an admin who can log in, or is invited to."""
        with self._database.read() as session:
            return session.exec(_admins().limit(1)).first() is not None

    def all(self) -> list[Account]:
        """The accounts of people, oldest first. (A judge has one too, which is left out.)"""
        people = select(Rater).where(col(Rater.role) != RaterRole.JUDGE).order_by(col(Rater.id))
        with self._database.read() as session:
            return [_shown(rater) for rater in session.exec(people)]

    def find(self, name: str) -> Account:
        """The account of this name, in whatever case. Raises BadInput if there is none."""
        with self._database.read() as session:
            rater = person_named(session, name)
        if rater is None:
            raise BadInput(f"There is no account '{name}'; `livedpo raters list` shows them all.")
        return _shown(rater)

    def invite(self, name: str, role: RaterRole, *, now: float) -> str:
        """Make an account; returns the token of its link. Raises BadInput for a name or a role
        that cannot be had.
        """
        name = checked_name(name)
        if role is RaterRole.JUDGE:
            raise BadInput("The role 'judge' is a model's; choose rater, reviewer or admin.")
        token = new_token()
        with self._database.write() as session:
            if _is_taken(session, name):
                raise BadInput(f"There is already an account '{name}'; choose another name.")
            rater = Rater(name=name, role=role, created_at=now)
            _open_invite(rater, token, now)
            session.add(rater)
        return token

    def reinvite(self, rater_id: int, *, now: float) -> str:
        """A new link, which sets a new password; returns its token. Older links are void.

        The old password goes on until the link is used. Raises BadInput for a disabled account.
        """
        token = new_token()
        with self._database.write() as session:
            rater = _person(session, rater_id)
            if rater.disabled_at is not None:
                raise BadInput(f"The account '{rater.name}' is disabled; enable it first.")
            _open_invite(rater, token, now)
        return token

    def disable(self, rater_id: int, *, now: float) -> None:
        """Shut an account out at once: its logins end, its link is void, and the pairs that it
        holds go back. Raises BadInput for the last admin.
        """
        with self._database.write() as session:
            rater = _person(session, rater_id)
            if rater.disabled_at is not None:
                return
            _keep_an_admin(session, rater, "disabled")
            rater.disabled_at = now
            if rater.invite is not None:
                rater.invite_expires_at = now  # not None: that somebody was invited stays known
            end_logins(session, rater_id, now=now)
            end_leases_of(session, rater_id, now=now)

    def enable(self, rater_id: int) -> None:
        """Let a disabled account in again, with its password. Its logins stay ended."""
        with self._database.write() as session:
            _person(session, rater_id).disabled_at = None

    def set_role(self, rater_id: int, role: RaterRole) -> None:
        """Give an account another role, from its next request on. Raises BadInput for the last
        admin.
        """
        if role is RaterRole.JUDGE:
            raise BadInput("The role 'judge' is a model's; choose rater, reviewer or admin.")
        with self._database.write() as session:
            rater = _person(session, rater_id)
            if role is not RaterRole.ADMIN:
                _keep_an_admin(session, rater, "made less")
            rater.role = role


def account(session: Session, name: str, role: RaterRole, *, now: float) -> int:
    """The id of the account of this name, which is made if there is none."""
    found = session.exec(select(Rater).where(col(Rater.name) == name)).first()
    if found is None:
        found = Rater(name=name, role=role, created_at=now)
        session.add(found)
        session.flush()
    assert found.id is not None
    return found.id


def person_named(session: Session, name: str) -> Rater | None:
    """The account of a person by its name, in whatever case it was typed."""
    wanted = plain(name).casefold()
    people = select(Rater.id, Rater.name).where(col(Rater.role) != RaterRole.JUDGE)
    for rater_id, known in session.exec(people):
        if known.casefold() == wanted:
            return session.get(Rater, rater_id)
    return None


def end_logins(session: Session, rater_id: int, *, now: float) -> None:
    """Log an account out everywhere, its programs too."""
    for table in (Login, ApiKey):
        running = (col(table.rater_id) == rater_id) & col(table.ended_at).is_(None)
        session.exec(sa.update(table).where(running).values(ended_at=now))


def new_token() -> str:
    """32 random bytes, as text for an address or a cookie."""
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What the database keeps of a token. It is random, so it needs no salt and no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def checked_name(name: str) -> str:
    """A name as it is kept. Raises BadInput if it could not be told from others on a page."""
    kept = plain(name)
    if not 1 <= len(kept) <= MAX_NAME_CHARS:
        raise BadInput(f"A name has 1 to {MAX_NAME_CHARS} characters, not {len(kept)}.")
    if not kept.isprintable():
        raise BadInput(f"The name {kept!a} has invisible characters; remove them.")
    if _KEPT_FOR_OTHERS.fullmatch(kept):
        raise BadInput(f"The name '{kept}' is reserved for the service; choose another.")
    return kept


def plain(name: str) -> str:
    """Without spaces around it, and with one at a time inside."""
    return re.sub(" +", " ", unicodedata.normalize("NFC", name).strip())


def _is_taken(session: Session, name: str) -> bool:
    known = session.exec(select(Rater.name))
    return name.casefold() in {other.casefold() for other in known}


def _open_invite(rater: Rater, token: str, now: float) -> None:
    rater.invite, rater.invite_expires_at = hashed(token), now + INVITE_SECONDS


def _person(session: Session, rater_id: int) -> Rater:
    rater = session.get(Rater, rater_id)
    if rater is None or rater.role is RaterRole.JUDGE:
        raise BadInput(f"There is no account {rater_id}; the list of people shows them all.")
    return rater


def _admins() -> SelectOfScalar[Any]:
    can_log_in = col(Rater.password).is_not(None) | col(Rater.invite).is_not(None)
    return (
        select(Rater.id)
        .where(col(Rater.role) == RaterRole.ADMIN)
        .where(col(Rater.disabled_at).is_(None))
        .where(can_log_in)
    )


def _keep_an_admin(session: Session, rater: Rater, what: str) -> None:
    if rater.role is not RaterRole.ADMIN or rater.disabled_at is not None:
        return
    if session.exec(_admins().where(col(Rater.id) != rater.id).limit(1)).first() is None:
        raise BadInput(
            f"'{rater.name}' is the last admin and cannot be {what}; make another admin first."
        )


def _shown(rater: Rater) -> Account:
    assert rater.id is not None
    state = AccountState.INVITED if rater.password is None else AccountState.ACTIVE
    if rater.disabled_at is not None:
        state = AccountState.DISABLED
    elif rater.name == LOCAL_RATER and rater.invite is None:
        state = AccountState.ACTIVE
    return Account(
        id=rater.id,
        name=rater.name,
        role=rater.role,
        state=state,
        created_at=rater.created_at,
        invite_expires_at=rater.invite_expires_at if rater.invite else None,
    )
