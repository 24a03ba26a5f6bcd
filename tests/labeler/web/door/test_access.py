"""Every route, as everybody: what is let through is what the table says, and nothing else is there.

`TABLE` is written here a second time, on purpose: who opens a route, or opens it to more people,
says so in two places.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route

from labeler.domain.states import RaterRole
from labeler.web.door.access import RULES, Rule, rules_of
from tests.support.people import client_of, member
from tests.support.web import WebServer, add_questions, open_test_store, serving

TABLE = {
    "everybody": """
        GET /login · POST /door/login · POST /door/accept · GET /page/*
    """,
    "rater": """
        GET / · GET /door/me · POST /door/logout · POST /door/password
        POST /rating/pairs · POST /rating/votes · POST /rating/undo · POST /rating/reasons
        GET /rating/state · GET /rating/history · GET /rating/changes · GET /rating/follow-up
        POST /rating/follow-up/seen · GET /rating/guidelines
        POST /rating/asks · GET /rating/asks/{id}
        GET /config · GET /gradio_api/info
        POST /gradio_api/queue/join · GET /gradio_api/queue/data
    """,
    "reviewer": """
        GET /dashboard · GET /dashboard/figures · GET /dashboard/trust · GET /metrics
        GET /labels · GET /labels/pairs · GET /labels/pairs/{id} · POST /labels/pairs/{id}/aside
    """,
    "admin": """
        POST /versions/{id}/promote · POST /versions/{id}/reject · POST /versions/rollback
        GET /people · POST /people · POST /people/{id}/disable · POST /people/{id}/enable
        POST /people/{id}/invite · POST /people/{id}/role · GET /export/{format}
    """,
}
BY_KEY = """
    GET /config · GET /gradio_api/info
    POST /gradio_api/queue/join · GET /gradio_api/queue/data · GET /export/{format}
"""
LEAST = {
    route.strip(): role
    for role, lines in TABLE.items()
    for line in lines.split("\n")
    for route in line.split("·")
    if route.strip()
}
RANK = {"everybody": 0, "rater": 1, "reviewer": 2, "admin": 3}
PEOPLE = {
    "nobody": 0,
    "an expired login": 0,
    "a login that ended": 0,
    "a disabled account": 0,
    "an account with another's cookie name": 0,
    "rater": 1,
    "reviewer": 2,
    "admin": 3,
}
GRADIO = (
    *("/config", "/info", "/api", "/api/predict", "/run/predict", "/run/0", "/call/predict"),
    *("/queue/join", "/queue/data", "/queue/status", "/upload", "/upload_progress", "/reset"),
    *("/file/etc/passwd", "/file=/etc/passwd", "/proxy=http://evil.example", "/stream/a/b/c"),
    *("/component_server", "/heartbeat/a", "/cancel", "/login", "/logout", "/token", "/user"),
    *("/login_check", "/monitoring", "/monitoring/summary", "/startup-events", "/app_id", "/dev"),
    *("/robots.txt", "/manifest.json", "/pwa_icon", "/static/img/logo.svg", "/custom_component/a"),
    *("/vibe-code/", "/mcp/sse", "/process_recording", "/deep_link", "/theme.css.map", "/svelte/a"),
    *("/static/js/iframeResizer.contentWindow.min.js", "/docs", "/openapi.json", "/nothing"),
)
CALLS: tuple[dict[str, Any], ...] = (
    {"fn_index": 0, "data": [], "session_hash": "a"},
    {"api_name": "/predict", "data": [], "session_hash": "a"},
    {"fn_index": 0, "data": [], "event_data": None, "trigger_id": 1, "session_hash": "a"},
)
NOT_THERE = "There is nothing at this address."
NONSENSE = {"nobody": "has such a field"}  # so that nothing happens where somebody may


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("house")
    with contextlib.closing(open_test_store(folder)) as store:
        add_questions(store, 4)
        with serving(store, folder) as service:
            yield service


@pytest.fixture(scope="module")
def people(house: WebServer) -> Iterator[dict[str, httpx.Client]]:
    """A client for each kind of person."""
    store = house.store
    tokens = {
        "admin": member(store, "Boss", RaterRole.ADMIN),
        "reviewer": member(store, "Reviewer", RaterRole.REVIEWER),
        "rater": member(store, "Rater", RaterRole.RATER),
        "an expired login": member(store, "Late", RaterRole.ADMIN, seconds=0.0),
        "a login that ended": member(store, "Gone", RaterRole.ADMIN),
        "a disabled account": member(store, "Out", RaterRole.ADMIN),
    }
    store.logins.log_out(tokens["a login that ended"], now=1.0)
    store.raters.disable(store.raters.find("Out").id, now=1.0)
    with contextlib.ExitStack() as stack:
        clients = {
            name: stack.enter_context(client_of(house, token)) for name, token in tokens.items()
        }
        clients["nobody"] = stack.enter_context(client_of(house))
        other = stack.enter_context(client_of(house))
        other.headers["cookie"] = f"livedpo-1={tokens['admin']}; session={tokens['admin']}"
        yield clients | {"an account with another's cookie name": other}


def routes_of(routes: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path template of every route, those of mounted apps and routers too."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:  # how FastAPI keeps an included router
            yield from routes_of(inner.routes, prefix)
        elif isinstance(route, Mount):
            found = list(routes_of(list(route.routes or []), prefix + route.path))
            yield from found or [("GET", f"{prefix}{route.path}/{{path:path}}")]
        elif isinstance(route, Route):
            for method in route.methods or {"GET"}:
                yield method, prefix + route.path
        else:
            yield "GET", prefix + route.path


def filled(template: str) -> str:
    """A path of this template that nothing real is at."""
    return re.sub(r"\{\w+(:\w+)?\}", "999999", template)


@pytest.fixture(scope="module")
def routes(house: WebServer) -> set[tuple[str, str]]:
    assert house.app is not None
    return set(routes_of(house.app.routes))


def test_the_table_is_the_one_that_is_written_here() -> None:
    table = {f"{rule.method} {rule.pattern}": rule.least or "everybody" for rule in RULES}
    assert table == LEAST
    by_key = {f"{rule.method} {rule.pattern}" for rule in RULES if rule.by_key}
    assert by_key == {route.strip() for route in BY_KEY.replace("\n", "·").split("·")} - {""}


def test_every_route_of_ours_has_its_row_and_every_row_its_route(
    routes: set[tuple[str, str]],
) -> None:
    def rows(method: str, template: str) -> list[Rule]:
        method = "GET" if method == "HEAD" else method
        return [rule for rule in rules_of(filled(template)) if rule.method == method]

    ours = {
        (method, template)
        for method, template in routes
        if template.startswith(OURS) and "{path:path}" not in template
    }
    assert [route for route in ours if not rows(*route)] == []
    served = {rule for route in routes for rule in rows(*route)}
    assert [rule for rule in RULES if rule not in served] == []


OURS = (
    *("/door", "/rating", "/dashboard", "/labels", "/versions", "/people", "/export", "/page"),
    "/metrics",
)  # and of Gradio's the four that the table names


@pytest.mark.parametrize("person", PEOPLE)
def test_every_route_is_open_to_whom_the_table_says(
    person: str, people: dict[str, httpx.Client], routes: set[tuple[str, str]]
) -> None:
    client, wrong = people[person], []
    asked = {(method, filled(template)) for method, template in routes if method != "HEAD"}
    for method, path in sorted(asked):
        rules = [rule for rule in rules_of(path) if rule.method == method]
        answer = client.request(method, path, json=NONSENSE if method == "POST" else None)
        if not (fits := _fits(answer, rules[0] if rules else None, PEOPLE[person])):
            wrong.append((method, path, answer.status_code, fits))
    assert wrong == []


def _fits(answer: httpx.Response, rule: Rule | None, rank: int) -> bool:
    """Whether a request was answered as the table says."""
    status = answer.status_code
    if rule is None:
        return status in (404, 405) and answer.json()["error"].startswith(("There is", "Only"))
    if rank >= RANK[rule.least or "everybody"]:
        return status not in (303, 401, 403, 405, 500) and NOT_THERE not in answer.text
    if rank == 0 and rule.is_page:
        return status == 303 and answer.headers["location"].startswith("login?to=")
    return status == (401 if rank == 0 else 403)


@pytest.mark.parametrize("person", PEOPLE)
def test_nothing_else_of_gradios_own_is_there_for_anybody(
    person: str, people: dict[str, httpx.Client]
) -> None:
    """By name and by index, with and without the prefix of its API."""
    client, found = people[person], []
    for path in GRADIO:
        for prefix in (
            "",
            "/gradio_api",
            "/gradio_api/gradio_api",
            "/page/%2e%2e",
            "/assets/x/%2e%2e/%2e%2e",
        ):
            if rules_of(prefix + path):
                continue
            answers = [client.get(prefix + path)]
            answers += [client.post(prefix + path, json=call) for call in CALLS]
            if any(a.status_code != 404 for a in answers):
                found.append((prefix + path, [a.status_code for a in answers]))
    assert found == []


@pytest.mark.parametrize(
    "path",
    [
        *(
            "//rating/state",
            "/rating//state",
            "/rating/state/",
            "/Rating/state",
            "/rating/state%00",
        ),
        *("/rating%2fstate%2f", "/page/%2e%2e/rating/state", "/page/..%2frating/state", "/rating"),
        *("/assets/..%5c..%5csettings.py", "/page/door/login.html", "/page/", "/dashboard/"),
        *("/page/../app.py", "/page/%2e%2e/app.py"),
        *("/labels/pairs/1/2", "/people/1/", "/export/", "/export/raw/x", "/rating/asks/"),
    ],
)
def test_no_other_spelling_opens_anything(path: str, people: dict[str, httpx.Client]) -> None:
    assert people["nobody"].get(path).status_code in (401, 404)
    assert people["admin"].get(path).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "X"])
def test_no_other_method_does_anything(method: str, people: dict[str, httpx.Client]) -> None:
    for path in ("/", "/rating/votes", "/people", "/page/rating/page.js", "/door/me"):
        assert people["admin"].request(method, path).status_code in (400, 404, 405)


def test_a_head_is_let_through_as_a_get_is(people: dict[str, httpx.Client]) -> None:
    for path in ("/rating/state", "/dashboard/figures", "/people", "/"):
        get, head = people["nobody"].get(path), people["nobody"].head(path)
        assert get.status_code == head.status_code
        assert not head.content
