"""Logging in, out and on: the login page, passwords, invites, and who one is.

A password is hashed here, in one of few threads at a time and outside of any transaction. What is
said of a wrong name is what is said of a wrong password, after as much work.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import Field

from labeler.config.settings import Settings
from labeler.domain.passwords import (
    LONGEST,
    check_password,
    dummy_hash,
    hash_password,
    is_outdated,
    is_right,
)
from labeler.store import Store
from labeler.store.people.logins import Attempt, Secret
from labeler.web.body import Body, NoBody
from labeler.web.door.person import PersonHere
from labeler.web.door.sessions import Sessions
from labeler.web.page_files import PageFiles

MAX_HASHES = 2  # at once: each takes a core and 64 MiB
MAX_WAITING = 8  # people with them: the other threads are for those who rate

WRONG = "The name or the password is wrong."
WRONG_OLD = "The current password is wrong."
VOID = "This link has been used or has expired. Ask for a new one."
DISABLED = "This account is disabled. Ask whoever runs this service."
BUSY = "Many people are logging in right now. Try again in a few seconds."

# More than is allowed, so that the answer can say how many there are.
Password = Annotated[str, Field(max_length=4 * LONGEST)]


class LoginBody(Body):
    """Who one says to be."""

    name: str = Field(max_length=256)
    password: Password


class AcceptBody(Body):
    """An invite, with the password that it shall set; without one it is only looked at."""

    invite: str = Field(max_length=128)
    password: Password | None = None


class PasswordBody(Body):
    """Another password for oneself."""

    password: Password
    new_password: Password


def door_routes(settings: Settings, store: Store, files: PageFiles) -> APIRouter:
    """The routes of the door."""
    routes = APIRouter()
    sessions = Sessions(settings, store)
    hashing = Hashing()
    dummy_hash()  # so that the first wrong name takes no longer than a wrong password

    def attempt(request: Request, name: str | None) -> Attempt:
        address = sessions.address_of(request.scope)
        made = store.logins.attempt(name=name, address=address, now=time.time())
        if made.wait_seconds > 0:
            raise _too_many(made.wait_seconds)
        return made

    def known(
        request: Request, name: str, password: str, refusal: HTTPException
    ) -> tuple[Attempt, Secret]:
        """The account of this name, if that is its password. Unknown names take as long."""
        made = attempt(request, name)
        secret = store.logins.secret_of(name)
        with hashing.work():
            right = is_right(password, secret.password if secret else None)
        if secret is None or not right:
            raise refusal
        return made, secret

    def welcome(token: str, secret: Secret) -> Response:
        answer = JSONResponse({"name": secret.name})
        sessions.give(answer, token)
        return answer

    @routes.get("/login")
    def login_page() -> HTMLResponse:
        return files.document("door/login.html")

    @routes.post("/door/login")
    def log_in(body: LoginBody, request: Request) -> Response:
        with hashing.turn():
            made, secret = known(request, body.name, body.password, HTTPException(401, WRONG))
            if secret.disabled:
                raise HTTPException(403, DISABLED)
            rehashed = None
            if is_outdated(secret.password or ""):
                with hashing.work():
                    rehashed = hash_password(body.password)
        token = store.logins.log_in(
            secret,
            made,
            seconds=sessions.seconds,
            now=time.time(),
            rehashed=rehashed,
            before=sessions.token_of(request.headers),
        )
        if token is None:
            raise HTTPException(401, WRONG)
        return welcome(token, secret)

    @routes.post("/door/accept")
    def accept(body: AcceptBody, request: Request) -> Response:
        made = attempt(request, None)
        secret = store.logins.invited(body.invite, now=time.time())
        if secret is None:
            raise HTTPException(410, VOID)
        store.logins.forgive(made)
        if body.password is None:
            return JSONResponse({"name": secret.name})
        check_password(body.password, name=secret.name)
        with hashing.turn(), hashing.work():
            password = hash_password(body.password)
        token = store.logins.accept(
            body.invite, password, seconds=sessions.seconds, now=time.time()
        )
        if token is None:
            raise HTTPException(410, VOID)
        return welcome(token, secret)

    @routes.post("/door/password")
    def change_password(body: PasswordBody, person: PersonHere, request: Request) -> Response:
        check_password(body.new_password, name=person.name)
        with hashing.turn():
            refusal = HTTPException(403, WRONG_OLD)
            made, secret = known(request, person.name, body.password, refusal)
            with hashing.work():
                password = hash_password(body.new_password)
        token = store.logins.change_password(
            secret, password, made, seconds=sessions.seconds, now=time.time()
        )
        if token is None:
            raise HTTPException(403, WRONG_OLD)
        return welcome(token, secret)

    @routes.post("/door/logout")
    def log_out(_body: NoBody, request: Request) -> Response:
        token = sessions.token_of(request.headers)
        if token is not None:
            store.logins.log_out(token, now=time.time())
        answer = JSONResponse({})
        sessions.take(answer)
        return answer

    @routes.get("/door/me")
    def me(person: PersonHere) -> dict[str, Any]:
        return {
            "service": store.versions.identity(),
            "rater_id": person.rater_id,
            "name": person.name,
            "role": person.role,
            "single_user": person.single_user,
        }

    return routes


class Hashing:
    """Few hashes at once, and few people waiting for theirs."""

    def __init__(self) -> None:
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)
        self._working = threading.BoundedSemaphore(MAX_HASHES)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A place among those who wait; refused at once if all are taken."""
        if not self._waiting.acquire(blocking=False):
            raise HTTPException(503, BUSY, headers={"retry-after": "3"})
        try:
            yield
        finally:
            self._waiting.release()

    @contextmanager
    def work(self) -> Iterator[None]:
        """Wait for a core, and have it."""
        with self._working:
            yield


def _too_many(seconds: float) -> HTTPException:
    wait = ceil(seconds)
    words = f"{wait} seconds" if wait < 90 else f"{ceil(wait / 60)} minutes"
    sentence = f"Too many failed attempts. Try again in {words}."
    return HTTPException(429, sentence, headers={"retry-after": str(wait)})
