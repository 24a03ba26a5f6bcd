"""People with accounts, made in the store, without the time that a password takes."""

import time

import httpx

from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.web.door.sessions import Sessions
from tests.support.service import PLAIN
from tests.support.web import WebServer


def accept(
    store: Store, invite: str, kept: str = "no hash at all", *, seconds: float = 3600.0
) -> str | None:
    """Take an invitation up, with this hash of a password; the token of a login, None if it fails.

    As long as nobody says otherwise it is a password that nobody knows.
    """
    return store.logins.accept(invite, kept, seconds=seconds, now=time.time())


def member(
    store: Store,
    name: str,
    role: RaterRole,
    kept: str = "no hash at all",
    *,
    seconds: float = 3600.0,
) -> str:
    """A new account; the token of a login of it."""
    invite = store.raters.invite(name, role, now=time.time())
    token = accept(store, invite, kept, seconds=seconds)
    assert token is not None
    return token


def cookie_of(service: WebServer, token: str) -> dict[str, str]:
    """The header with the session cookie."""
    return {"cookie": f"{Sessions(service.settings, service.store).cookie}={token}"}


def client_of(service: WebServer, token: str | None = None) -> httpx.Client:
    """A browser without a browser: logged in with this token, or not at all."""
    headers = cookie_of(service, token) if token else {}
    return httpx.Client(base_url=service.url, headers=headers, **PLAIN)
