"""The endpoints, over a real loopback server, by the client that people have in their notebooks."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError, AuthenticationError

from labeler.domain.states import RaterRole
from labeler.store import Store
from labeler.web.api.calls import CALL
from tests.support.people import client_of, member
from tests.support.service import PLAIN
from tests.support.web import WebServer, standing

README = Path(__file__).parents[4] / "labeler" / "README.md"
KeyOf = Callable[[str, RaterRole], str]


@pytest.fixture
def key_of(service: WebServer) -> KeyOf:
    """Makes an account with a key."""
    store = service.store

    def make(name: str, role: RaterRole = RaterRole.RATER) -> str:
        member(store, name, role)
        return store.keys.make(store.raters.find(name).id, "a test", now=1.0)

    return make


def opened(service: WebServer, key: str | None = None) -> Client:
    headers = {"Authorization": f"Bearer {key}"} if key else None
    return Client(service.url, headers=headers, verbose=False, analytics_enabled=False)


def call(client: Client, name: str, **given: Any) -> Any:
    return client.predict(**given, api_name=f"/{name}")


def test_the_example_of_the_handbook_rates(
    service: WebServer, key_of: KeyOf, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
        if "gradio_client" in block
    ]
    example = example.replace("http://127.0.0.1:7860", service.url)
    key_of("Boss", RaterRole.ADMIN)
    exec(example.replace("livedpo_…", key_of("Ann", RaterRole.RATER)), {})
    assert len(standing(service.store)) == 4
    assert {row.rater for row in standing(service.store)} == {"Ann"}
    assert capsys.readouterr().out.count("True") == 4


def test_a_program_leases_votes_once_and_undoes(service: WebServer, store: Store) -> None:
    client = opened(service)  # on this machine, without accounts
    assert call(client, "status")["ready"] == 12
    first, second = call(client, "lease", wanted=2)
    assert set(first) == {
        *("lease_id", "version", "messages", "left", "right"),
        *("left_unfinished", "right_unfinished"),
    }
    assert call(client, "lease", wanted=2) == [first, second]
    vote = {"lease_id": first["lease_id"], "choice": "left", "vote_id": "one", "strength": 2}
    assert call(client, "vote", **vote)["saved"]
    assert call(client, "vote", **vote)["saved"]
    (row,) = standing(store)
    assert (row.vote.id, row.vote.strength) == ("one", 2)
    said = first["left"].split()[0]
    assert {"a": "alpha", "b": "beta"}[row.vote.choice] == said
    undone = call(client, "undo")
    assert undone["pair"]["messages"] == first["messages"]
    assert standing(store) == []
    again = call(client, "vote", lease_id=second["lease_id"], choice="tie")
    assert len(again["vote_id"]) == 32
    refused = call(client, "vote", lease_id=second["lease_id"], choice="left")
    assert not refused["saved"]
    assert refused["reason"]


def test_each_client_holds_pairs_of_its_own(service: WebServer) -> None:
    held = [call(opened(service), "lease", wanted=2) for _ in range(2)]
    assert len({pair["lease_id"] for pairs in held for pair in pairs}) == 4


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("lease", {"wanted": 9}, "wanted: Input should be less than or equal to 8"),
        ("vote", {"lease_id": "x", "choice": "up"}, "choice: Input should be"),
        ("vote", {"lease_id": "x", "choice": "tie", "strength": 2}, "strength 2 goes only"),
        ("vote", {"lease_id": "x", "choice": "tie", "comment": "x" * 2001}, "comment: String"),
        ("export", {"format": "word"}, "format: String should match"),
    ],
)
def test_what_is_refused_is_refused_in_a_sentence(
    service: WebServer, name: str, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(AppError, match=re.escape(says)):
        call(opened(service), name, **given)


def test_a_key_has_the_rights_of_its_account_until_it_ends(
    service: WebServer, store: Store, key_of: KeyOf
) -> None:
    boss, ann = key_of("Boss", RaterRole.ADMIN), key_of("Ann", RaterRole.RATER)
    for key in (None, "livedpo_wrong", "wrong"):
        with pytest.raises(AuthenticationError):
            opened(service, key)
    client = opened(service, ann)
    pair = call(client, "lease")[0]
    assert call(client, "vote", lease_id=pair["lease_id"], choice="right")["saved"]
    with pytest.raises(AppError, match="This needs the role admin"):
        call(client, "export")
    rows = call(opened(service, boss), "export", format="raw").splitlines()
    assert [json.loads(row)["rater"] for row in rows] == ["Ann"]
    (listed,) = store.keys.all(store.raters.find("Ann").id)
    store.keys.revoke(listed.id, now=2.0)
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        call(client, "status")


def test_a_key_opens_the_endpoints_and_nothing_else(service: WebServer, key_of: KeyOf) -> None:
    headers = {"Authorization": f"Bearer {key_of('Boss', RaterRole.ADMIN)}"}
    with httpx.Client(base_url=service.url, headers=headers, **PLAIN) as client:
        assert client.get("/config").status_code == 200
        assert client.get("/gradio_api/info").status_code == 200
        for path in ("/rating/state", "/dashboard/figures", "/people", "/metrics", "/door/me"):
            assert client.get(path).status_code == 401
        assert client.get("/", follow_redirects=False).status_code == 303


def test_a_session_is_its_accounts_alone(service: WebServer, store: Store) -> None:
    tokens = [member(store, name, RaterRole.ADMIN) for name in ("Ann", "Bob")]
    body = {"data": [], "fn_index": 3, "session_hash": "guessed"}
    with client_of(service, tokens[0]) as ann, client_of(service, tokens[1]) as bob:
        answers = "/gradio_api/queue/data?session_hash=guessed"
        assert bob.get(answers).status_code == 404
        assert ann.post(CALL, json=body).status_code == 200
        for answer in (
            bob.get(answers),
            bob.post(CALL, json=body),
        ):
            assert answer.status_code == 403
            assert "another account" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"data": [], "fn_index": 5, "session_hash": "s"}, 404),
        ({"data": [], "fn_index": -1, "session_hash": "s"}, 422),
        ({"data": [], "fn_index": 0}, 422),
        ({"data": [1, 2], "fn_index": 0, "session_hash": "s"}, 422),
        ({"data": [], "fn_index": 0, "session_hash": "../s"}, 422),
        ({"data": {}, "fn_index": 0, "session_hash": "s"}, 422),
        ([], 422),
    ],
)
def test_a_call_that_is_none_does_not_reach_the_queue(
    shared: httpx.Client, body: object, status: int
) -> None:
    answer = shared.post(CALL, json=body)
    assert answer.status_code == status
    assert answer.json()["error"].endswith(".")
