import sqlite3
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.sides import SCREEN_CHOICES
from labeler.store import Store
from labeler.web.rating.bodies import VoteBody
from labeler.web.rating.guidelines import guidelines_html
from tests.support.people import client_of
from tests.support.web import add_questions, serving, standing


def lease(client: httpx.Client, holder: str = "tab", **more: Any) -> list[dict[str, Any]]:
    answer = client.post("/rating/pairs", json={"holder": holder, "wanted": 2, **more})
    assert answer.status_code == 200, answer.text
    pairs: list[dict[str, Any]] = answer.json()["pairs"]
    return pairs


def vote(client: httpx.Client, pair: dict[str, Any], **more: Any) -> httpx.Response:
    ballot = {"vote_id": "v1", "lease_id": pair["lease_id"], "choice": "left", **more}
    return client.post("/rating/votes", json={"votes": [ballot]})


def test_the_routes_know_the_choices_of_the_pairing() -> None:
    assert get_args(VoteBody.model_fields["choice"].annotation) == SCREEN_CHOICES


def test_a_leased_pair_tells_its_sides_and_nothing_else(client: httpx.Client) -> None:
    first, second = lease(client)
    assert first["lease_id"] != second["lease_id"]
    assert set(first) == {
        "lease_id", "version", "prompt_html", "left_html", "right_html",
        "left_text", "right_text", "left_unfinished", "right_unfinished",
    }  # fmt: skip
    texts = {first["left_html"], first["right_html"]}
    assert texts == {
        '<p dir="auto">alpha response 1</p>\n',
        '<p dir="auto">beta response 1</p>\n',
    }


def test_a_pair_given_back_goes_to_the_next_page(client: httpx.Client) -> None:
    given = lease(client, "one")[0]
    lease(client, "one", give_back=[given["lease_id"]], wanted=0)
    assert given["prompt_html"] in [pair["prompt_html"] for pair in lease(client, "two")]


def test_a_vote_is_stored_in_the_pairs_own_order(client: httpx.Client, store: Store) -> None:
    pair = lease(client)[0]
    answer = vote(client, pair, choice="right", strength=2, seconds=1.5).json()
    nothing_else = {"reason": None, "choice": None, "strength": None}
    assert answer["receipts"] == [{"vote_id": "v1", "saved": True, **nothing_else}]
    assert answer["state"]["votes"] == answer["state"]["fresh"] == 1
    (row,) = standing(store)
    assert row.vote.choice == ("a" if "alpha" in pair["right_html"] else "b")
    assert (row.vote.strength, row.vote.seconds) == (2, 1.5)


def test_a_second_vote_on_a_pair_is_refused_with_a_sentence(client: httpx.Client) -> None:
    pair = lease(client)[0]
    vote(client, pair)
    (receipt,) = vote(client, pair, vote_id="v2").json()["receipts"]
    assert not receipt["saved"]
    assert "already voted on this pair" in receipt["reason"]


def test_a_page_that_outlived_its_leases_keeps_its_pairs(
    client: httpx.Client, store: Store
) -> None:
    pairs = lease(client)
    store.queue.end_all_leases(now=1e9)
    shown = [pair["lease_id"] for pair in pairs]
    assert lease(client, shown=shown) == []
    assert vote(client, pairs[0]).json()["receipts"][0]["saved"]


def test_the_state_tells_of_the_loop(client: httpx.Client) -> None:
    state = client.get("/rating/state").json()
    assert state["live"] == 0
    assert state["ready"] == 12
    assert state["labels_per_update"] == 4
    assert state["update"] is state["result"] is None


def test_new_pairs_are_seen_at_once(client: httpx.Client, store: Store) -> None:
    add_questions(store, 3)
    assert client.get("/rating/state").json()["ready"] == 15


def test_an_edit_comes_with_its_vote(client: httpx.Client, store: Store) -> None:
    pair = lease(client)[0]
    assert vote(client, pair, edit="Better.\r\nMuch.\0").json()["receipts"][0]["saved"]
    edit = standing(store)[-1].pair
    assert edit.response_a == "Better.\nMuch."
    assert edit.response_b in pair["left_html"]


def test_an_edit_is_one_vote_and_two_labels_and_a_skip_is_none(client: httpx.Client) -> None:
    first, second = lease(client)
    state = vote(client, first, edit="Better.").json()["state"]
    assert (state["votes"], state["labels"]) == (1, 2)
    state = vote(client, second, vote_id="v2", choice="skip").json()["state"]
    assert (state["votes"], state["labels"]) == (2, 2)


def test_past_votes_tell_what_was_chosen_and_nothing_of_the_stored_sides(
    client: httpx.Client,
) -> None:
    pair = lease(client)[0]
    said = {"reasons": ["clear", "clear"], "comment": " Yes.\u202e ", "edit": "Better."}
    vote(client, pair, choice="right", strength=2, **said)
    (past,) = client.get("/rating/history").json()["votes"]
    assert past.pop("at") > 0
    assert past == {
        "vote_id": "v1",
        "prompt": "Question 1?",
        "choice": "right",
        "strength": 2,
        "reasons": ["clear"],
        "comment": "Yes.⟨U+202E⟩",
        "edit": "Better.",
        "trained": None,
    }


def test_the_history_of_one_tab_has_no_votes_of_another(client: httpx.Client) -> None:
    vote(client, lease(client, "one")[0], vote_id="v1")
    vote(client, lease(client, "two")[0], vote_id="v2")
    assert [past["vote_id"] for past in client.get("/rating/history").json()["votes"]] == [
        "v2",
        "v1",
    ]
    (past,) = client.get("/rating/history", params={"holder": "one"}).json()["votes"]
    assert past["vote_id"] == "v1"


def test_reasons_come_after_the_vote(client: httpx.Client, store: Store) -> None:
    vote(client, lease(client)[0])
    body = {"vote_id": "v1", "reasons": ["tone"], "comment": "  "}
    answer = client.post("/rating/reasons", json=body).json()
    assert answer["receipt"]["saved"]
    assert standing(store)[0].vote.reasons == ["tone"]
    assert standing(store)[0].vote.comment is None


def test_an_older_vote_is_taken_back_by_its_id(client: httpx.Client, store: Store) -> None:
    first, second = lease(client)
    vote(client, first, vote_id="one", edit="Better.")
    vote(client, second, vote_id="two")
    body = {"undo_id": "u", "holder": "other", "vote_id": "one"}
    answer = client.post("/rating/undo", json=body).json()
    assert {**answer["pair"], "lease_id": ""} == {**first, "lease_id": ""}
    assert (answer["choice"], answer["edit"], answer["reason"]) == ("left", "Better.", None)
    assert [row.vote.id for row in standing(store)] == ["two"]


def test_guidelines_of_ones_own_are_shown_without_what_could_harm(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "rules.md"
    file.write_text("# Be *kind*\n<script>alert(1)</script>")
    settings = {"guidelines": file, "reason_tags": " warm ,short, warm,"}
    with serving(store, tmp_path, **settings) as running, client_of(running) as client:
        told = client.get("/rating/guidelines").json()
    assert "<em>kind</em>" in told["html"]
    assert "&lt;script&gt;" in told["html"]
    assert told["reasons"] == ["warm", "short"]
    assert "too long" in told["skip_reasons"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_guidelines_that_cannot_be_read_are_one_sentence(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "rules.md"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadInput, match=r"^The guidelines .*rules\.md"):
        guidelines_html(Settings(guidelines=file))


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("pairs", {}),
        ("pairs", {"holder": "x", "wanted": 9}),
        ("pairs", {"holder": "x", "wanted": -1}),
        ("pairs", {"holder": "x y", "wanted": 1}),
        ("pairs", {"holder": "x", "wanted": 1, "extra": 1}),
        ("pairs", {"holder": "x", "wanted": 1, "shown": ["a"] * 65}),
        ("pairs", {"holder": "x", "wanted": 1, "give_back": ["a"] * 65}),
        ("pairs", [1, 2]),
        ("votes", {"votes": []}),
        ("votes", {"votes": [{"vote_id": "v", "lease_id": "l", "choice": "a"}]}),
        ("votes", {"votes": [{"vote_id": "v", "lease_id": "l", "choice": "tie", "strength": 2}]}),
        ("votes", {"votes": [{"vote_id": "v", "lease_id": "l", "choice": "left", "strength": 3}]}),
        ("votes", {"votes": [{"vote_id": "v", "lease_id": "l", "choice": "left", "seconds": -1}]}),
        ("votes", {"votes": [{"vote_id": "'; --", "lease_id": "l", "choice": "left"}]}),
        ("votes", {"votes": [{"vote_id": "v", "lease_id": "l", "choice": "tie", "edit": "x"}]}),
        (
            "votes",
            {"votes": [{"vote_id": "v", "lease_id": "l", "choice": "left", "edit": "x" * 20_001}]},
        ),
        ("reasons", {"vote_id": "v", "comment": "x" * 2_001}),
        ("reasons", {"vote_id": "v", "reasons": [""]}),
        ("undo", {"undo_id": "", "holder": "x"}),
        ("undo", {"undo_id": "u", "holder": "x", "vote_id": "a b"}),
    ],
)
def test_a_body_that_is_wrong_is_refused_in_one_sentence(
    shared: httpx.Client, route: str, body: Any
) -> None:
    answer = shared.post(f"/rating/{route}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("The request is invalid: ")
    assert "\n" not in answer.json()["error"]


def test_nonsense_instead_of_json_is_refused_in_one_sentence(shared: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = shared.post("/rating/votes", content=b"{nonsense", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("The request is invalid: ")


def test_a_trouble_of_the_disk_is_told_in_its_sentence(
    client: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise LivedpoError("The disk is full.")

    pair = lease(client)[0]
    monkeypatch.setattr(store.votes, "record", full)
    answer = vote(client, pair)
    assert (answer.status_code, answer.json()) == (503, {"error": "The disk is full."})


def test_an_error_of_ours_is_told_without_its_traceback(
    client: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.reports, "page_of", lambda *_: 1 / 0)
    answer = client.get("/rating/state")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": "Something went wrong in the service. Its log has the details."
    }


def test_a_vote_is_on_the_disk_when_it_is_answered(client: httpx.Client, tmp_path: Path) -> None:
    assert vote(client, lease(client)[0]).status_code == 200
    with sqlite3.connect(tmp_path / "livedpo.sqlite") as other:
        assert other.execute("SELECT count(*) FROM vote").fetchone() == (1,)
    other.close()
