"""Two web processes over one database, as behind a proxy, and one person who comes to either."""

import contextlib
import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from labeler.domain.passwords import hash_password
from labeler.domain.states import RaterRole
from labeler.store import Store, open_store
from labeler.store.people.logins import FREE_BY_BOTH
from tests.support.people import member
from tests.support.service import PLAIN
from tests.support.web import WebServer, add_questions, open_test_store, serving

PASSWORD = "correct horse battery"
PUBLIC = "http://rate.example"  # what the proxy in front is called


@pytest.fixture(scope="module")
def webs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebServer, WebServer]]:
    """Two servers, each with a store of its own on the same database."""
    folder = tmp_path_factory.mktemp("webs")
    with contextlib.ExitStack() as opened:
        one = opened.enter_context(contextlib.closing(open_test_store(folder)))
        add_questions(one, 40)
        member(one, "Boss", RaterRole.ADMIN, hash_password(PASSWORD))
        url = f"sqlite:///{folder / 'livedpo.sqlite'}"
        other = opened.enter_context(contextlib.closing(open_store(url)))
        yield (
            opened.enter_context(serving(one, folder, public_url=PUBLIC)),
            opened.enter_context(serving(other, folder / "other", public_url=PUBLIC)),
        )


class Person:
    """A browser whose every request goes to the next server."""

    def __init__(self, *webs: WebServer) -> None:
        self._urls = itertools.cycle([web.url for web in webs])
        self.client = httpx.Client(**PLAIN, headers={"Host": "rate.example", "Origin": PUBLIC})

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self.client.post(next(self._urls) + path, json=body)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(next(self._urls) + path)

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/door/login", {"name": name, "password": password})

    def pair(self) -> dict[str, Any]:
        body = {"holder": "tab", "shown": [], "give_back": [], "wanted": 1}
        return dict(self.post("/rating/pairs", body).raise_for_status().json()["pairs"][0])

    def vote(self, pair: dict[str, Any], vote_id: str) -> dict[str, Any]:
        ballot = {"vote_id": vote_id, "lease_id": pair["lease_id"], "choice": "left"}
        answer = self.post("/rating/votes", {"votes": [ballot]}).raise_for_status()
        return dict(answer.json()["receipts"][0])


@pytest.fixture
def person(webs: tuple[WebServer, WebServer]) -> Iterator[Person]:
    """One who comes to the two in turn."""
    made = Person(*webs)
    with made.client:
        yield made


def votes(store: Store) -> int:
    return len(store.reports.votes())


def test_a_login_a_lease_a_vote_and_its_undo_hold_on_either(
    person: Person, webs: tuple[WebServer, WebServer]
) -> None:
    store = webs[0].store
    assert person.log_in("Boss").status_code == 200
    for _ in range(3):  # an odd number of requests each, so that every kind goes to either server
        before, vote_id = votes(store), uuid.uuid4().hex
        pair = person.pair()
        assert person.vote(pair, vote_id)["saved"]
        assert person.vote(pair, vote_id)["saved"], "sent again, to the other one"
        assert votes(store) == before + 1
        undone = person.post("/rating/undo", {"undo_id": uuid.uuid4().hex, "holder": "tab"})
        assert undone.status_code == 200
        assert votes(store) == before + 1
        assert person.get("/rating/state").json()["votes"] == 0


def test_a_logout_and_a_disabled_account_hold_on_both_at_once(
    person: Person, webs: tuple[WebServer, WebServer]
) -> None:
    store = webs[0].store
    member(store, "Ann", RaterRole.RATER, hash_password(PASSWORD))
    person.log_in("Ann")
    assert [person.get("/rating/state").status_code for _ in webs] == [200, 200]
    webs[1].store.raters.disable(store.raters.find("Ann").id, now=1.0)
    assert {person.get("/rating/state").status_code for _ in webs} == {401}


def test_wrong_passwords_are_counted_together(
    person: Person, webs: tuple[WebServer, WebServer]
) -> None:
    member(webs[0].store, "Guessed", RaterRole.RATER, hash_password(PASSWORD))
    refused = [person.log_in("Guessed", f"wrong {n}").status_code for n in range(FREE_BY_BOTH + 2)]
    assert refused[:FREE_BY_BOTH] == [401] * FREE_BY_BOTH
    assert refused[FREE_BY_BOTH:] == [429] * 2
