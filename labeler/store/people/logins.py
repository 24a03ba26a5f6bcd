"""Logging in and staying so: attempts and their bounds, invites redeemed, and what a cookie means.

A cookie holds a token of 32 random bytes; the database has its hash, whose it is, and until when.
Passwords come in already hashed (`labeler.domain.passwords`), so that no transaction waits for a
hash.

Attempts are noted before a password is looked at, and taken back if it was right: so many at once
get no more guesses than one after the other.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, delete, func, select, update

from labeler.domain.clocks import age
from labeler.domain.states import RaterRole
from labeler.store.database import Database
from labeler.store.people.accounts import end_logins, hashed, new_token, person_named, plain
from labeler.store.tables import ApiKey, FailedLogin, Login, Rater

WINDOW_SECONDS = 15 * 60.0
FREE_BY_BOTH = 5  # failures in the window before there is a wait: at a name from one address
FREE_BY_ADDRESS = 20
FREE_BY_NAME = 50  # more, so that nobody keeps others out by guessing at their names
FIRST_WAIT_SECONDS = 15.0
MAX_WAIT_SECONDS = 300.0


@dataclass(frozen=True)
class Attempt:
    """A guess that may be made if `wait_seconds` is 0.

    `marks` are what it left behind, and `clears` what failures a right password ends.
    """

    wait_seconds: float
    marks: tuple[int, ...] = ()
    clears: tuple[str, ...] = ()


@dataclass(frozen=True)
class Secret:
    """What is needed to check a password: `password` is its hash, None if none was set yet."""

    rater_id: int
    name: str
    password: str | None
    disabled: bool


@dataclass(frozen=True)
class Owner:
    """Whose cookie it is."""

    rater_id: int
    name: str
    role: RaterRole


class Logins:
    """The verbs on logins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def person_of_token(self, token: str, *, now: float) -> Owner | None:
        """Who is logged in with this cookie; None if nobody is, any more."""
        running = (
            select(Rater.id, Rater.name, Rater.role)
            .join(Login, col(Login.rater_id) == col(Rater.id))
            .where(col(Login.id) == hashed(token), col(Login.ended_at).is_(None))
            .where(col(Login.expires_at) > now, col(Rater.disabled_at).is_(None))
        )
        with self._database.read() as session:
            found = session.exec(running).first()
        return None if found is None else Owner(found[0] or 0, found[1], RaterRole(found[2]))

    def attempt(self, *, name: str | None, address: str, now: float) -> Attempt:
        """Ask to try a password (of this name) or an invite (no name) from this address."""
        of_name = _name_bounds(name, address) if name is not None else {}
        bounds = {_key("address", address): FREE_BY_ADDRESS, **of_name}
        with self._database.read() as session:  # those who wait keep nobody from writing
            wait = _wait(session, bounds, now)
        if wait > 0:
            return Attempt(wait)
        with self._database.write() as session:
            old = col(FailedLogin.at) <= now - WINDOW_SECONDS
            session.exec(delete(FailedLogin).where(old))
            wait = _wait(session, bounds, now)
            if wait > 0:
                return Attempt(wait)
            marks = [FailedLogin(key=key, at=now) for key in bounds]
            session.add_all(marks)
            session.flush()
            return Attempt(0.0, tuple(mark.id or 0 for mark in marks), tuple(of_name))

    def forgive(self, attempt: Attempt) -> None:
        """The attempt was no failure."""
        with self._database.write() as session:
            _forgive(session, attempt)

    def secret_of(self, name: str) -> Secret | None:
        """What to check a password of this name against; None if there is no such account."""
        with self._database.read() as session:
            return _secret(person_named(session, name))

    def invited(self, token: str, *, now: float) -> Secret | None:
        """Whose invite this is; None if it was used, is void, or ran out."""
        with self._database.read() as session:
            return _secret(_invited(session, token, now))

    def log_in(
        self,
        secret: Secret,
        attempt: Attempt,
        *,
        seconds: float,
        now: float,
        rehashed: str | None = None,
        before: str | None = None,
    ) -> str | None:
        """Open a login of `seconds` for someone whose password was right; returns its token.

        None if the account was disabled or its password changed since `secret` was read.
        `rehashed`: the same password, hashed as it is done today. `before`: the token that this
        browser had until now, which ends.
        """
        with self._database.write() as session:
            rater = session.get_one(Rater, secret.rater_id)
            if rater.disabled_at is not None or rater.password != secret.password:
                return None
            if rehashed is not None:
                rater.password = rehashed
            _forgive(session, attempt)
            session.exec(delete(FailedLogin).where(col(FailedLogin.key).in_(attempt.clears)))
            if before is not None:
                _end(session, before, now)
            return _open(session, secret.rater_id, seconds, now)

    def accept(self, invite: str, password: str, *, seconds: float, now: float) -> str | None:
        """Redeem an invite: set the password's hash, end all other logins, open one.

        Returns the token of the login; None if the invite is not open any more.
        """
        with self._database.write() as session:
            rater = _invited(session, invite, now)
            if rater is None or rater.id is None:
                return None
            rater.invite = rater.invite_expires_at = None
            return _renew(session, rater, password, seconds, now)

    def change_password(
        self, secret: Secret, password: str, attempt: Attempt, *, seconds: float, now: float
    ) -> str | None:
        """Set another password's hash, end all logins and links, open one; returns its token.

        None if the account was disabled or its password changed since `secret` was read.
        """
        with self._database.write() as session:
            rater = session.get_one(Rater, secret.rater_id)
            if rater.disabled_at is not None or rater.password != secret.password:
                return None
            _forgive(session, attempt)
            rater.invite = rater.invite_expires_at = None
            return _renew(session, rater, password, seconds, now)

    def log_out(self, token: str, *, now: float) -> None:
        """End the login of this cookie, if it is one."""
        with self._database.write() as session:
            _end(session, token, now)

    def end_all(self) -> None:
        """Nobody is logged in any more, no key opens anything, and no invite is open."""
        with self._database.write() as session:
            session.execute(delete(Login))
            session.execute(delete(ApiKey))
            session.execute(update(Rater).values(invite=None, invite_expires_at=None))


def wait_seconds(failures: int, last_at: float, free: int, now: float) -> float:
    """How long to wait after so many failures, the last one at `last_at`; doubles with each."""
    if failures < free:
        return 0.0
    doublings = min(failures - free, 10)  # by then it is the longest wait anyway
    wait = min(FIRST_WAIT_SECONDS * 2.0**doublings, MAX_WAIT_SECONDS)
    return max(0.0, wait - age(last_at, now))


def _wait(session: Session, bounds: dict[str, int], now: float) -> float:
    """The longest of the waits by these keys, with how many failures are free at each."""
    waits = [0.0]
    for key, free in bounds.items():
        query = select(func.count(), func.max(col(FailedLogin.at))).where(
            col(FailedLogin.key) == key, col(FailedLogin.at) > now - WINDOW_SECONDS
        )
        failures, last_at = session.exec(query).one()
        waits.append(wait_seconds(failures, last_at or 0.0, free, now))
    return max(waits)


def _forgive(session: Session, attempt: Attempt) -> None:
    session.exec(delete(FailedLogin).where(col(FailedLogin.id).in_(attempt.marks)))


def _key(kind: str, value: str) -> str:
    """Hashed, for people type passwords into the field for names."""
    return hashlib.sha256(f"{kind}:{value}".encode("utf-8", "replace")).hexdigest()


def _name_bounds(name: str, address: str) -> dict[str, int]:
    meant = plain(name).casefold()
    return {
        _key("name", meant): FREE_BY_NAME,
        _key("both", f"{address}\n{meant}"): FREE_BY_BOTH,
    }


def _secret(rater: Rater | None) -> Secret | None:
    if rater is None:
        return None
    assert rater.id is not None
    return Secret(rater.id, rater.name, rater.password, rater.disabled_at is not None)


def _invited(session: Session, token: str, now: float) -> Rater | None:
    open_ones: Sequence[Rater] = session.exec(
        select(Rater)
        .where(col(Rater.invite) == hashed(token), col(Rater.invite_expires_at) > now)
        .where(col(Rater.disabled_at).is_(None))
    ).all()
    return open_ones[0] if open_ones else None


def _renew(session: Session, rater: Rater, password: str, seconds: float, now: float) -> str:
    assert rater.id is not None
    rater.password = password
    end_logins(session, rater.id, now=now)
    return _open(session, rater.id, seconds, now)


def _open(session: Session, rater_id: int, seconds: float, now: float) -> str:
    """A new login; those that are over are deleted on the way."""
    over = (col(Login.expires_at) <= now) | col(Login.ended_at).is_not(None)
    session.exec(delete(Login).where(over))
    token = new_token()
    login = Login(id=hashed(token), rater_id=rater_id, created_at=now, expires_at=now + seconds)
    session.add(login)
    return token


def _end(session: Session, token: str, now: float) -> None:
    login = session.get(Login, hashed(token))
    if login is not None and login.ended_at is None:
        login.ended_at = now
