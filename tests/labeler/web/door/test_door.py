"""The door over HTTP: passwords, invites, cookies, ends of logins, throttling, addresses, logs."""

import contextlib
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from fastapi import HTTPException

from labeler.config.settings import Settings
from labeler.domain.passwords import hash_password
from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.store.people.logins import FREE_BY_ADDRESS, FREE_BY_BOTH
from labeler.web.door.routes import MAX_WAITING, Hashing
from labeler.web.door.sessions import Sessions
from tests.support.patience import PATIENCE_SECONDS
from tests.support.people import client_of, cookie_of, member
from tests.support.service import PLAIN
from tests.support.web import WebServer, add_questions, open_test_store, serving

PASSWORD = "correct horse battery"
PAIRS = {"holder": "tab", "wanted": 1}


@pytest.fixture(scope="module")
def kept() -> str:
    return hash_password(PASSWORD)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A service that has an admin, for all tests; each makes the people that it needs."""
    folder = tmp_path_factory.mktemp("house")
    with contextlib.closing(open_test_store(folder)) as store:
        add_questions(store, 12)
        member(store, "Boss", RaterRole.ADMIN)
        with serving(store, folder) as service:
            yield service


@pytest.fixture
def name(request: pytest.FixtureRequest, house: WebServer, kept: str) -> str:
    """A rater of this test's own, with a password."""
    made = f"rater {abs(hash(request.node.nodeid)) % 10**12}"
    member(house.store, made, RaterRole.RATER, kept)
    return made


@pytest.fixture
def visitor(house: WebServer) -> Iterator[httpx.Client]:
    """A browser that nobody is logged in with."""
    with client_of(house) as client:
        yield client


def log_in(client: httpx.Client, name: str, password: str = PASSWORD) -> httpx.Response:
    return client.post("/door/login", json={"name": name, "password": password})


def test_a_login_gives_a_cookie_that_scripts_cannot_read(
    visitor: httpx.Client, house: WebServer, name: str
) -> None:
    answer = log_in(visitor, name)
    assert answer.status_code == 200
    header = answer.headers["set-cookie"]
    (cookie,) = SimpleCookie(header).values()
    assert cookie.key == f"livedpo-{house.port}"
    assert len(cookie.value) >= 43  # 32 bytes
    assert {part.strip().lower() for part in header.split(";")[1:]} == {
        *("httponly", "path=/", "samesite=strict"),
        f"max-age={72 * 3600}",
    }
    me = visitor.get("/door/me").json()
    assert (me["name"], me["role"], me["single_user"]) == (name, "rater", False)
    assert visitor.post("/rating/pairs", json=PAIRS).status_code == 200


def test_each_login_has_an_id_of_its_own_and_takes_none_that_was_brought(
    visitor: httpx.Client, house: WebServer, name: str
) -> None:
    planted = cookie_of(house, "planted-by-somebody-else")
    answer = visitor.post("/door/login", json={"name": name, "password": PASSWORD}, headers=planted)
    assert "planted" not in answer.headers["set-cookie"]
    first = dict(visitor.cookies)
    log_in(visitor, name)
    assert dict(visitor.cookies) != first
    with client_of(house, next(iter(first.values()))) as old:
        assert old.get("/door/me").status_code == 401


def test_a_wrong_name_and_a_wrong_password_are_answered_alike(
    visitor: httpx.Client, name: str
) -> None:
    wrong_password, wrong_name = log_in(visitor, name, "something else"), log_in(visitor, "nobody")
    assert wrong_password.status_code == wrong_name.status_code == 401
    assert wrong_password.json() == wrong_name.json()
    assert "set-cookie" not in wrong_password.headers


@pytest.mark.parametrize("text", ["\ud800", "x" * 5000, "\x00", "", "'; DROP TABLE rater; --"])
def test_odd_input_is_a_sentence_and_no_error(visitor: httpx.Client, text: str) -> None:
    for body in ({"name": text, "password": "x"}, {"name": "x", "password": text}):
        content, kind = json.dumps(body).encode(), {"content-type": "application/json"}
        answer = visitor.post("/door/login", content=content, headers=kind)
        assert answer.status_code in (401, 422, 429)
        assert answer.json()["error"]


def test_guessing_is_slowed_down_and_says_for_how_long(
    house: WebServer, visitor: httpx.Client, name: str
) -> None:
    logins, here = house.store.logins, "127.0.0.1"
    made = [logins.attempt(name=name, address=here, now=time.time()) for _ in range(FREE_BY_BOTH)]
    refused = log_in(visitor, name)
    for attempt in made:
        logins.forgive(attempt)  # the other tests come from here too
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 15
    assert "Try again in" in refused.json()["error"]


def test_an_invite_is_looked_at_often_and_redeemed_once(
    house: WebServer, visitor: httpx.Client
) -> None:
    invite = house.store.raters.invite("Invited", RaterRole.REVIEWER, now=time.time())
    for _ in range(2):
        assert visitor.post("/door/accept", json={"invite": invite}).json() == {"name": "Invited"}
    easy = visitor.post("/door/accept", json={"invite": invite, "password": "easy"})
    assert easy.status_code == 422
    assert "10 or more" in easy.json()["error"]
    body = {"invite": invite, "password": PASSWORD}
    assert visitor.post("/door/accept", json=body).status_code == 200
    assert visitor.get("/door/me").json()["role"] == "reviewer"
    for again in (body, {"invite": invite}, {"invite": "made up"}):
        assert visitor.post("/door/accept", json=again).status_code == 410


def test_logging_out_ends_the_login_on_the_server(
    house: WebServer, visitor: httpx.Client, name: str
) -> None:
    log_in(visitor, name)
    (token,) = dict(visitor.cookies).values()
    answer = visitor.post("/door/logout", json={})
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    with client_of(house, token) as thief:
        assert thief.get("/door/me").status_code == 401


def test_another_password_logs_out_everywhere_else(
    house: WebServer, visitor: httpx.Client, name: str
) -> None:
    log_in(visitor, name)
    with client_of(house) as phone:
        log_in(phone, name)
        wrong = {"password": "wrong password", "new_password": "another good one"}
        assert visitor.post("/door/password", json=wrong).status_code == 403
        assert phone.get("/door/me").status_code == 200
        right = {"password": PASSWORD, "new_password": "another good one"}
        assert visitor.post("/door/password", json=right).status_code == 200
        assert visitor.get("/door/me").status_code == 200
        assert phone.get("/door/me").status_code == 401
        assert log_in(phone, name).status_code == 401
        assert log_in(phone, name, "another good one").status_code == 200


def test_a_disabled_account_is_out_at_once_even_in_the_middle_of_a_crowd(house: WebServer) -> None:
    """Eight clients of one account ask all the time; what they ask after its end fails."""
    token = member(house.store, "Crowd", RaterRole.RATER)
    done, welcome = threading.Event(), threading.Semaphore(0)

    def ask() -> int:
        with client_of(house, token) as client:
            while not done.is_set():
                if client.get("/door/me").status_code == 200:
                    welcome.release()
            return client.get("/door/me").status_code

    with ThreadPoolExecutor(8) as crowd:
        late = [crowd.submit(ask) for _ in range(8)]
        came_in = [welcome.acquire(timeout=PATIENCE_SECONDS) for _ in range(16)]
        house.store.raters.disable(house.store.raters.find("Crowd").id, now=time.time())
        done.set()
    assert all(came_in)
    assert [answer.result() for answer in late] == [401] * 8


def test_only_who_knows_the_password_learns_that_an_account_is_disabled(
    house: WebServer, visitor: httpx.Client, name: str
) -> None:
    house.store.raters.disable(house.store.raters.find(name).id, now=time.time())
    assert log_in(visitor, name, "wrong password").status_code == 401
    answer = log_in(visitor, name)
    assert answer.status_code == 403
    assert "disabled" in answer.json()["error"]


def test_a_page_that_speaks_for_one_person_is_not_heard_as_another(house: WebServer) -> None:
    token = member(house.store, "Second", RaterRole.RATER)
    with client_of(house, token) as client:
        mine = client.get("/door/me").json()["rater_id"]
        for person, status in ((mine, 200), (mine + 1, 401)):
            headers = {"x-livedpo-person": str(person)}
            assert client.post("/rating/pairs", json=PAIRS, headers=headers).status_code == status


def test_a_page_of_another_service_is_not_heard(house: WebServer) -> None:
    """Pages of earlier versions say only the person."""
    token = member(house.store, "Stranger", RaterRole.RATER)
    with client_of(house, token) as client:
        me = client.get("/door/me").json()
        service, mine = me["service"], me["rater_id"]
        assert service == house.store.versions.identity()
        for sent, says in (
            (f"{service}.{mine}", None),
            (f"{mine}", None),
            (f"{service}.{mine + 1}", "Someone else has logged in"),
            (f"{'0' * 32}.{mine}", "Another service answers here"),
            (f"{service}.", "Someone else has logged in"),
            (f".{mine + 1}", "Someone else has logged in"),
        ):
            answer = client.post("/rating/pairs", json=PAIRS, headers={"x-livedpo-person": sent})
            assert answer.status_code == (401 if says else 200), sent
            assert (says or "") in answer.text


def test_other_sites_can_neither_log_in_nor_out(visitor: httpx.Client, name: str) -> None:
    log_in(visitor, name)
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        body = {"name": name, "password": PASSWORD}
        assert visitor.post("/door/login", json=body, headers=headers).status_code == 403
        assert visitor.post("/door/logout", json={}, headers=headers).status_code == 403
    assert visitor.post("/door/logout", data={"a": "b"}).status_code == 415
    assert visitor.get("/door/me").status_code == 200


def test_documents_lead_to_the_login_and_back(visitor: httpx.Client) -> None:
    for path in ("/", "/dashboard", "/labels"):
        answer = visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"login?to={path}")
    followed = visitor.get("/labels", headers={"sec-fetch-site": "cross-site"})
    assert followed.headers["location"].endswith("&away=1")
    page = visitor.get("/login")
    assert page.status_code == 200
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=", page.text)


def test_who_may_not_open_a_document_is_told_so_in_one(house: WebServer) -> None:
    with client_of(house, member(house.store, "Third", RaterRole.RATER)) as client:
        answer = client.get("/dashboard")
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert "needs the role reviewer or admin" in answer.text


def test_the_first_account_closes_a_service_that_was_open_and_takes_no_restart(
    store: Store, tmp_path: Path
) -> None:
    with serving(store, tmp_path) as service, client_of(service) as client:
        me = client.get("/door/me").json()
        assert (me["name"], me["role"], me["single_user"]) == ("local", "admin", True)
        store.raters.invite("Ann", RaterRole.RATER, now=time.time())
        assert client.get("/door/me").status_code == 401
        assert client.get("/").status_code == 303


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-forwarded-prefix", "forwarded", "via"])
def test_nobody_is_the_local_person_through_a_proxy_that_the_service_was_not_told_of(
    store: Store, tmp_path: Path, header: str
) -> None:
    with serving(store, tmp_path) as service, client_of(service) as client:
        refused, page = (client.get(path, headers={header: "x"}) for path in ("/door/me", "/"))
        assert client.get("/door/me").json()["name"] == "local"
    assert refused.status_code == 401
    assert "--public-url" in refused.json()["error"]
    assert (page.status_code, page.headers["location"]) == (303, "login?to=/&proxied=1")


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:51234", "192.0.2.1"),
        ("10.0.0.1, 2001:db8::1", "2001:db8::/64"),
        ("[2001:db8::1]:5", "2001:db8::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_client_is_counted_by_its_address_and_not_by_its_port(
    store: Store, tmp_path: Path, said: str, counted: str
) -> None:
    sessions = Sessions(Settings(data_dir=tmp_path, public_url="https://livedpo.example"), store)
    headers = [(b"x-forwarded-for", said.encode())]
    scope = {"type": "http", "client": ("127.0.0.1", 1), "headers": headers}
    assert sessions.address_of(scope) == counted


@pytest.mark.parametrize(
    ("peer", "said", "counted"),
    [
        ("10.0.0.5", "192.0.2.1", "192.0.2.1"),
        ("::ffff:10.0.0.5", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.5", "192.0.2.9, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.5", "192.0.2.1, 10.1.0.7", "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1, 10.1.0.7:80", "192.0.2.1"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.6", "192.0.2.1", "10.0.0.6"),
        ("fd00::5", "192.0.2.1", "fd00::/64"),
    ],
)
def test_of_proxies_on_other_machines_those_are_believed_that_are_named(
    store: Store, tmp_path: Path, peer: str, said: str, counted: str
) -> None:
    trusted = {"trusted_proxies": "10.0.0.5 10.1.0.0/16", "public_url": "https://livedpo.example"}
    sessions = Sessions(Settings(data_dir=tmp_path, **trusted), store)
    headers = [(b"x-forwarded-for", said.encode())]
    scope = {"type": "http", "client": (peer, 1), "headers": headers}
    assert sessions.address_of(scope) == counted


def test_a_service_with_a_public_address_is_never_open(store: Store, tmp_path: Path) -> None:
    with serving(store, tmp_path, public_url="https://livedpo.example") as service:
        asked = partial(httpx.get, f"{service.url}/door/me", **PLAIN)
        for host in ("livedpo.example", f"127.0.0.1:{service.port}"):
            assert asked(headers={"host": host}).status_code == 401
        other = asked(headers={"host": "evil.example"})
    assert other.status_code == 400
    assert "https://livedpo.example only" in other.json()["error"]


def test_behind_a_proxy_with_https_cookies_and_origins_are_those_of_its_address(
    store: Store, tmp_path: Path, kept: str
) -> None:
    member(store, "Ann", RaterRole.RATER, kept)
    body = {"name": "Ann", "password": PASSWORD}
    with serving(store, tmp_path, public_url="https://livedpo.example:443") as service:

        def post(origin: str, **headers: str) -> httpx.Response:
            proxied = {"host": "livedpo.example", "origin": origin, **headers}
            return httpx.post(f"{service.url}/door/login", json=body, headers=proxied, **PLAIN)

        answer = post("https://livedpo.example")
        assert post("https://evil.example").status_code == 403
        assert post("https://livedpo.example.evil.example").status_code == 403
        for number in range(FREE_BY_ADDRESS):
            body["password"], body["name"] = "wrong password", f"nobody {number % 7}"
            store.logins.attempt(name=str(number), address="192.0.2.1", now=time.time())
        far = post("https://livedpo.example", **{"x-forwarded-for": "127.0.0.1, 192.0.2.1:51234"})
        near = post("https://livedpo.example", **{"x-forwarded-for": "192.0.2.1, 192.0.2.2"})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-livedpo-443=")
    assert "secure" in cookie.lower()
    assert "domain" not in cookie.lower()
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert (far.status_code, near.status_code) == (429, 401)


def test_what_a_client_says_of_its_address_counts_for_nothing_without_a_proxy(
    store: Store, tmp_path: Path
) -> None:
    member(store, "Boss", RaterRole.ADMIN)
    with serving(store, tmp_path) as service, client_of(service) as client:
        for number in range(20):
            store.logins.attempt(name=str(number), address="127.0.0.1", now=time.time())
        body = {"name": "x", "password": "y"}
        lie = client.post("/door/login", json=body, headers={"x-forwarded-for": "192.0.2.7"})
    assert lie.status_code == 429


def test_a_crowd_of_logins_is_turned_away_and_those_who_rate_are_not(
    house: WebServer, kept: str
) -> None:
    """Forty guesses at once: a few are checked, the others are told to wait, votes go on."""
    token = member(house.store, "Rating", RaterRole.RATER)
    start = threading.Barrier(41)

    def guess(number: int) -> int:
        with client_of(house) as client:
            start.wait()
            return log_in(client, f"guess {number}", "wrong password").status_code

    with ThreadPoolExecutor(40) as crowd, client_of(house, token) as rater:
        guesses = [crowd.submit(guess, number) for number in range(40)]
        start.wait()
        answer = rater.post("/rating/pairs", json=PAIRS)
        while not all(done.done() for done in guesses):
            assert rater.get("/door/me").status_code == 200
    assert answer.status_code == 200
    statuses = [done.result() for done in guesses]
    assert set(statuses) <= {401, 429, 503}
    assert 0 < statuses.count(401) < 40


def test_who_comes_while_many_wait_for_their_login_is_sent_away_at_once() -> None:
    hashing = Hashing()
    with contextlib.ExitStack() as waiting:
        for _ in range(MAX_WAITING):
            waiting.enter_context(hashing.turn())
        with pytest.raises(HTTPException) as refused:
            waiting.enter_context(hashing.turn())
    assert refused.value.status_code == 503
    with hashing.turn():
        pass


def test_no_secret_is_in_any_log(
    store: Store,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Logins, failures, a redeemed invite, and a crash with all of them at hand."""
    caplog.set_level(logging.DEBUG)
    invite = store.raters.invite("Ann", RaterRole.RATER, now=time.time())
    secrets = [PASSWORD, invite, "wrong password", "query-secret"]
    with serving(store, tmp_path) as service, client_of(service) as client:
        client.post("/door/accept", json={"invite": invite, "password": PASSWORD})
        log_in(client, "Ann", "wrong password")
        log_in(client, "Ann")
        secrets += dict(client.cookies).values()
        client.get("/rating/state?token=query-secret")
        client.get("/nothing?token=query-secret")

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(store.logins, "log_in", broken)
        crash = log_in(client, "Ann")
    assert crash.status_code == 500
    assert crash.headers["content-security-policy"].startswith("default-src 'none'")
    ours = [
        record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    ]
    text = "\n".join(_formatted(record) for record in ours)
    assert "a bug" in text
    assert not [secret for secret in secrets if secret in text]


def _formatted(record: logging.LogRecord) -> str:
    return logging.Formatter("%(name)s %(message)s").format(record)
