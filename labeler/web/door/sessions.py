"""Whose request it is: the session cookie, and the one person of a service that has no accounts.

The cookie is read only by the server (HttpOnly), goes to this service only (SameSite=Strict), and
on HTTPS under a name that no other host can set (`__Host-`), or, where a proxy gave the service a
path, to that path only. Cookies do not know about ports, so its name does: the port that browsers
see, for behind a proxy there may be several of us. What it stands for is
looked up for every request, so an end takes effect at once.
"""

import ipaddress
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from labeler.config.parts.serving import LOOPBACK_HOSTS
from labeler.config.settings import Settings
from labeler.domain.states import RaterRole
from labeler.roles.address import is_https
from labeler.store import Store
from labeler.store.people.accounts import LOCAL_RATER
from labeler.web.door.person import Person

SUBNET_BITS = 64  # what one subscriber has of IPv6
PROXY_HEADERS = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
)


class Sessions:
    """The cookies of this service."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._store = store
        self._secure = is_https(settings)
        self._seconds = settings.session_hours * 3600
        self._has_proxy = settings.public_url is not None
        self._proxies = settings.proxies
        self._may_be_open = settings.is_loopback and settings.public_url is None
        self._local_id: int | None = None
        self._path = settings.prefix + "/"
        self.cookie = self._safety + f"livedpo-{_port_of(settings)}"

    @property
    def _safety(self) -> str:
        """What browsers check of a cookie by its name. `__Host-` is for the whole of a host."""
        if not self._secure:
            return ""
        return "__Host-" if self._path == "/" else "__Secure-"

    @property
    def seconds(self) -> float:
        """How long a login lasts."""
        return self._seconds

    def person(self, headers: Headers, *, by_key: bool = False) -> Person | None:
        """Who asks; None if nobody is logged in. Reads the database.

        `by_key`: an API key says it as well; one that is not valid is nobody's.
        """
        if by_key and (key := key_of(headers)) is not None:
            owner = self._store.keys.owner(key)
            return Person(owner.rater_id, owner.name, owner.role) if owner else None
        token = self.token_of(headers)
        owner = self._store.logins.person_of_token(token, now=time.time()) if token else None
        if owner is not None:
            return Person(owner.rater_id, owner.name, owner.role)
        return self._local(headers)

    def is_proxied(self, headers: Headers) -> bool:
        """Whether a proxy of which this service was told nothing has passed a request on.

        Then whoever asks is not at this machine, although the connection comes from it.
        """
        return self._may_be_open and any(name in headers for name in PROXY_HEADERS)

    def token_of(self, headers: Headers) -> str | None:
        """What the cookie of a request holds."""
        return cookie_parser(headers.get("cookie", "")).get(self.cookie)

    def give(self, answer: Response, token: str) -> None:
        """Have the browser keep a login."""
        self._set(answer, token, int(self._seconds))

    def take(self, answer: Response) -> None:
        """Have the browser forget its login."""
        self._set(answer, "", 0)

    def address_of(self, scope: Scope) -> str:
        """Where a request comes from, for counting failures.

        What a proxy says of it counts only if there is one, on this machine or of those that are
        trusted: anybody can say it. Of several in a row the first that is not trusted is meant.
        """
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        if not self._has_proxy:
            return _subscriber(peer)
        said = Headers(scope=scope).get("x-forwarded-for", "")
        hops = [hop.strip() for hop in said.split(",") if hop.strip()]
        if hops and peer in LOOPBACK_HOSTS:
            peer = hops.pop()
        while hops and self._is_trusted(peer):
            peer = hops.pop()
        return _subscriber(peer)

    def _is_trusted(self, address: str) -> bool:
        """Whether this is one of the proxies on other machines."""
        try:
            parsed = _parsed(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._proxies)

    def _local(self, headers: Headers) -> Person | None:
        if not self._may_be_open:
            return None
        if not self._store.raters.is_single_user():
            self._may_be_open = False  # an account is there to stay
            return None
        if self.is_proxied(headers):
            return None
        if self._local_id is None:
            self._local_id = self._store.raters.local(now=time.time())
        return Person(self._local_id, LOCAL_RATER, RaterRole.ADMIN, single_user=True)

    def _set(self, answer: Response, value: str, seconds: int) -> None:
        answer.set_cookie(
            self.cookie,
            value,
            max_age=seconds,
            path=self._path,
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )


def key_of(headers: Headers) -> str | None:
    """The API key that a request has, as `Authorization: Bearer KEY`; None if it has none."""
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else None


def _port_of(settings: Settings) -> int:
    """The port of the address that people open."""
    if settings.public_url is None:
        return settings.port
    return urlsplit(settings.public_url).port or (443 if is_https(settings) else 80)


def _subscriber(address: str) -> str:
    """An address, or the network that one IPv6 subscriber has; as it is if it is none."""
    try:
        parsed = _parsed(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, SUBNET_BITS), strict=False))
    return str(parsed)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address that may have a port, or be one of IPv4 in IPv6. Raises ValueError."""
    parsed = ipaddress.ip_address(_without_port(address).partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _without_port(address: str) -> str:
    """Some proxies name the port too: 192.0.2.1:5000, [2001:db8::1]:5000."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.partition(":")
    return address if ":" in port else host
