"""The door: which hosts, paths, requests and people get through.

    host known -> address in the table -> the page's own request -> who is it -> may they -> route

Nothing is there that `labeler.web.door.access` does not name. On a loopback host only loopback
names are served, which stops DNS rebinding; a request that changes something must be JSON of this
very page, which stops other sites from voting.
"""

from functools import partial
from hmac import compare_digest
from html import escape
from urllib.parse import quote, urlsplit

import anyio
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from labeler.config.parts.serving import LOOPBACK_HOSTS
from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError
from labeler.domain.states import RaterRole
from labeler.roles.address import is_https
from labeler.store import Store
from labeler.web.door.access import MIN_ROLE, Rule, may, rules_of
from labeler.web.door.answer import Answer
from labeler.web.door.person import Person
from labeler.web.door.sessions import Sessions, key_of
from labeler.web.page_files import PageFiles

MAX_BODY_BYTES = 256 * 1024
MAX_LENGTH_DIGITS = 20  # as HTTP servers have it; Python reads no number of thousands
PERSON_HEADER = "x-livedpo-person"
MAX_LOOKUPS = 8  # threads of their own, so that nobody waits behind votes that wait to be written
LOG_IN = "Log in to continue."
UNTOLD_PROXY = (
    "This request came through a proxy the service does not know of, and there are no accounts. "
    "Create accounts with `livedpo raters add`, and start `livedpo serve` with --public-url."
)
VOID_KEY = "This API key is not valid, or not any more."
ANOTHER = "Another service answers here than the one this page is of. Reload the page."
SOMEONE_ELSE = "Someone else has logged in with this browser since. Reload the page."

_REFUSED = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>livedpo</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="page/shared/tokens.css">
<link rel="stylesheet" href="page/door/login.css">
<script src="page/shared/theme.js"></script></head>
<body><main class="door"><h1>You don't have access</h1><p>{sentence}</p>
<p><a href="./">Rate pairs</a></p></main></body></html>
"""


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, *, settings: Settings, store: Store, files: PageFiles) -> None:
        self._app = app
        self._sessions = Sessions(settings, store)
        self._versions = store.versions
        self._identity: str | None = None
        self._hosts = _Hosts(settings)
        self._https = is_https(settings)
        self._prefix = settings.prefix
        token = settings.metrics_token
        self._bearer = f"Bearer {token}".encode() if token else None
        self._refused = files.with_addresses(_REFUSED)
        self._lookups: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with one sentence, or pass on with the person in `request.state`."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        scope = self._without_prefix(scope)
        answer = Answer(send, https=self._https)
        headers = Headers(scope=scope)
        rule = self._rule(scope, headers)
        person, refused = (
            (None, rule) if isinstance(rule, Response) else await self._let_in(rule, scope, headers)
        )
        if refused is not None:
            await refused(scope, receive, answer)
        elif scope["type"] == "http":
            await self._app(_known(scope, person), receive, answer)

    def _without_prefix(self, scope: Scope) -> Scope:
        """With the path as it is here: a proxy may leave in front what the public address has."""
        path: str = scope["path"]
        if not self._prefix or not path.startswith(self._prefix + "/") or rules_of(path):
            return scope
        path = path.removeprefix(self._prefix)
        return {**scope, "path": path, "raw_path": quote(path).encode()}

    def _rule(self, scope: Scope, headers: Headers) -> Rule | Response:
        """The rule of a request; or what is wrong with it, whoever it comes from."""
        if scope["type"] != "http":
            return _no(404, "This page has no web socket.")
        if (wrong_host := self._hosts.objection(headers)) is not None:
            return _no(400, wrong_host)
        if self._prefix and scope["path"] == self._prefix:
            return RedirectResponse(f"{self._prefix.rpartition('/')[2]}/", 303)
        rules = {rule.method: rule for rule in rules_of(scope["path"])}
        if not rules:
            return _no(404, "There is nothing at this address.")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method not in rules:
            return _no(405, f"Only {' and '.join(sorted(rules))} is understood here.")
        if method == "POST" and (refused := self._refused_post(scope, headers)) is not None:
            return refused
        return rules[method]

    def _refused_post(self, scope: Scope, headers: Headers) -> Response | None:
        if not self._is_own_page(scope, headers):
            return _no(403, "This is accepted only from this service's own pages.")
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return _no(415, "The body must be application/json.")
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal() and len(length) <= MAX_LENGTH_DIGITS):
            return _no(411, "The request must state the length of its body.")
        if int(length) > MAX_BODY_BYTES:
            return _no(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
        return None

    def _is_own_page(self, scope: Scope, headers: Headers) -> bool:
        """Browsers name the page a POST comes from; a program on this machine need not."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        return origin is None or origin in self._hosts.origins(scope, headers)

    async def _let_in(
        self, rule: Rule, scope: Scope, headers: Headers
    ) -> tuple[Person | None, Response | None]:
        """Who asks; or what is said to those who may not."""
        if rule.least is None or (rule.by_token and self._has_token(headers)):
            return None, None
        self._lookups = self._lookups or anyio.CapacityLimiter(MAX_LOOKUPS)
        look = partial(self._look, headers, by_key=rule.by_key)
        try:
            person = await anyio.to_thread.run_sync(look, limiter=self._lookups)
        except LivedpoError as error:
            return None, _no(503, str(error))
        if person is None and rule.by_key and key_of(headers) is not None:
            return None, _no(401, VOID_KEY)
        if person is None:
            proxied = self._sessions.is_proxied(headers)
            if rule.is_page:
                return None, _to_login(scope, headers, proxied=proxied)
            return None, _no(401, UNTOLD_PROXY if proxied else LOG_IN)
        if (stranger := self._stranger(headers, person)) is not None:
            return None, stranger
        if not may(rule, person.role):
            return None, self._not_for(rule, rule.least)
        return person, None

    def _look(self, headers: Headers, *, by_key: bool) -> Person | None:
        """Who asks. Reads the database, and this service's identity once it is wanted."""
        if self._identity is None and PERSON_HEADER in headers:
            self._identity = self._versions.identity()
        return self._sessions.person(headers, by_key=by_key)

    def _stranger(self, headers: Headers, person: Person) -> Response | None:
        """What is said to a page that is another person's, or another service's: SERVICE.PERSON.

        A page that was opened before the base was adopted knows of no service.
        """
        service, _, rater_id = headers.get(PERSON_HEADER, str(person.rater_id)).rpartition(".")
        if service and service != self._identity:
            return JSONResponse({"error": ANOTHER, "another": True}, 401)
        return None if rater_id == str(person.rater_id) else _no(401, SOMEONE_ELSE)

    def _not_for(self, rule: Rule, least: RaterRole) -> Response:
        sentence = f"This needs the role {MIN_ROLE[least]}."
        if rule.is_page:
            return HTMLResponse(self._refused.format(sentence=escape(sentence)), 403)
        return _no(403, sentence)

    def _has_token(self, headers: Headers) -> bool:
        """Whether a program has sent the token of the settings, if there is one."""
        sent = headers.get("authorization", "").encode()
        return self._bearer is not None and compare_digest(sent, self._bearer)


class _Hosts:
    """Under which names the service answers, and which pages are its own."""

    def __init__(self, settings: Settings) -> None:
        self._loopback = settings.is_loopback
        self._public = _origin(settings.public_url) if settings.public_url else None
        self._own = f"{settings.host}:{settings.port}".lower()

    def objection(self, headers: Headers) -> str | None:
        """Why a request is not for this service; None if it is."""
        host = headers.get("host", "").lower()
        if self._is_public(host):
            return None
        if self._loopback:
            if _name(host) in LOOPBACK_HOSTS:
                return None
            if self._public is None:
                return "This page is served to this machine only. Open it as http://localhost."
        elif self._public is None or host == self._own:
            return None
        return f"This page is served as {self._public} only."

    def origins(self, scope: Scope, headers: Headers) -> set[str | None]:
        """The origins of this service's own pages; at its public address that is one only."""
        host = headers.get("host", "").lower()
        if self._is_public(host):
            return {self._public}
        return {self._public, f"{scope['scheme']}://{host}"}

    def _is_public(self, host: str) -> bool:
        return self._public is not None and host == urlsplit(self._public).netloc


def _origin(url: str) -> str:
    """An address as browsers name it: in small letters, without the port that goes unsaid."""
    scheme, host, *_ = urlsplit(url.lower())
    return f"{scheme}://{host.removesuffix(':443' if scheme == 'https' else ':80')}"


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _no(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


def _to_login(scope: Scope, headers: Headers, *, proxied: bool) -> Response:
    """To the login, and back. Browsers hide the cookie when a link on another site was followed,
    so the login page is told (`away`) to look whether somebody is logged in after all. Where nobody
    can log in (`proxied`) it asks why, and shows the answer.
    """
    away = headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
    to = f"login?to={quote(scope['path'], safe='/')}"  # a proxy may have given us a path
    to += ("&away=1" if away else "") + ("&proxied=1" if proxied else "")
    return RedirectResponse(to, 303)


def _known(scope: Scope, person: Person | None) -> Scope:
    """With the person, for `labeler.web.door.person`."""
    return {**scope, "state": {**scope.get("state", {}), "person": person}}
