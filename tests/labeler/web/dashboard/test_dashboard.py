"""The routes of those who run the service: figures, versions, labels, people, exports."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from labeler.config.settings import Settings
from labeler.files.export.formats import FORMATS
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import PolicyVersion, Vote
from labeler.web.dashboard.downloads import formats_module
from labeler.web.dashboard.figures import Figures
from tests.support.adapter import write_folder
from tests.support.busy import fill_busy
from tests.support.people import client_of
from tests.support.store import change, claim, open_update, promote, vote
from tests.support.web import add_questions, serving


@pytest.fixture
def client(store: Store, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(store, tmp_path) as running, client_of(running) as opened:
        yield opened


def make_versions(store: Store, database: Database, folder: Path, count: int) -> None:
    """Versions whose folders are whole."""
    for number in range(1, count + 1):
        add_questions(store, 4, version=number - 1)
        vote(store, 4, now=time.time())
        open_update(store, time.time())
        digest = write_folder(folder / "adapters" / f"v{number}", b"weights %d" % number)
        promote(store, claim(store, now=time.time()), number, now=time.time())
        change(database, PolicyVersion, number, sha256=digest)


def live(client: httpx.Client) -> int:
    return int(client.get("/dashboard/figures").json()["tiles"]["live"])


def test_the_figures_of_a_busy_service_add_up(
    store: Store, database: Database, tmp_path: Path
) -> None:
    fill_busy(database, votes=300, now=(now := 1.7e9))
    figures = Figures(Settings(data_dir=tmp_path), store)
    for name in ("hour", "day", "week", "month", "all"):
        found = figures.get(name, 7200.0, now=now)
        series = found["series"]
        lengths = {len(series[key]) for key in ("human", "judge", "seconds")}
        assert len(lengths) == 1
        assert 2 <= lengths.pop() <= 62
        assert series["start"] <= now
    whole, tiles = found["series"], found["tiles"]
    assert sum(whole["human"]) == tiles["human"]
    assert sum(whole["judge"]) == tiles["judge"]
    assert [row["version"]["id"] for row in found["history"]] == list(range(9, 0, -1))
    scored = [version for version in found["versions"] if version["score"]]
    assert scored
    assert all(each["score"]["low"] < each["score"]["value"] for each in scored[:-1])
    assert json.dumps(found)


def test_quartiles_and_days_begin_where_they_do(
    store: Store, database: Database, tmp_path: Path
) -> None:
    add_questions(store, 5)
    now = 86_400.0 * 20_000 + 3 * 3600  # 3 o'clock at night, UTC
    for number, seconds in enumerate([1.0, 2.0, 3.0, 4.0, 10.0]):
        [vote_id] = vote(store, 1, now=now - number)
        change(database, Vote, vote_id, seconds=seconds)
    series = Figures(Settings(data_dir=tmp_path), store).get("month", -5 * 3600, now=now)["series"]
    # five hours to the west, a day begins at 5 o'clock UTC
    assert series["start"] % 86_400 == 5 * 3600
    # median and quartiles of 1, 2, 3, 4, 10 (inclusive): 3, 2 and 4
    assert series["seconds"][-1] == {"value": 3.0, "low": 2.0, "high": 4.0, "count": 5}
    assert series["seconds"][:-1] == [None] * (len(series["seconds"]) - 1)


def test_local_times_of_a_second_each_are_worked_out_together(store: Store, tmp_path: Path) -> None:
    add_questions(store, 1)
    vote(store, 1, now=(now := 1.7e9))
    figures = Figures(Settings(data_dir=tmp_path), store)
    found = [figures.get("day", 7200.0 + second, now=now) for second in range(60)]
    assert {each["series"]["start"] for each in found} == {found[0]["series"]["start"]}
    parts = len(figures._kept)
    figures.get("day", 7259.0, now=now)
    assert len(figures._kept) == parts <= 6


def test_an_admin_rolls_back_accepts_and_rejects(
    client: httpx.Client, store: Store, database: Database, tmp_path: Path
) -> None:
    make_versions(store, database, tmp_path, 2)
    answer = client.post("/versions/rollback", json={"live": 2})
    assert answer.json()["sentence"] == "Version 1 is live now, in place of version 2."
    stale = client.post("/versions/2/promote", json={"live": 2})
    assert stale.status_code == 422
    assert "Version 1 went live meanwhile" in stale.json()["error"]
    assert client.post("/versions/2/promote", json={"live": 1}).status_code == 200
    assert live(client) == 2
    rejected = client.post("/versions/2/reject", json={}).json()
    assert rejected["sentence"] == "Version 2 is rejected; version 1 is live again."
    figures = client.get("/dashboard/figures").json()
    assert figures["tiles"]["live"] == 1
    [newest, _] = figures["history"]
    done = [(each["what"], each["by"]) for each in newest["version"]["actions"]]
    assert done == [("made live", "local"), ("rejected", "local")]
    assert newest["version"]["state"] == "rejected"


def test_a_version_whose_folder_was_changed_does_not_go_live(
    client: httpx.Client, store: Store, database: Database, tmp_path: Path
) -> None:
    make_versions(store, database, tmp_path, 2)
    (tmp_path / "adapters" / "v1" / "adapter_model.safetensors").write_bytes(b"other")
    for path in ("/versions/rollback", "/versions/2/reject", "/versions/1/promote"):
        answer = client.post(path, json={})
        assert answer.status_code == 503
        assert "was changed" in answer.json()["error"]
    assert live(client) == 2


def test_labels_are_searched_opened_and_set_aside(client: httpx.Client, store: Store) -> None:
    add_questions(store, 3)
    vote(store, 3, now=time.time())
    found = client.get("/labels/pairs", params={"search": "alpha response 2"}).json()
    [line] = found["pairs"]
    assert line["text"] == "Question 2?"
    assert found["facets"]["source"] == [{"value": "human", "pairs": 3}]
    path = f"/labels/pairs/{line['id']}"
    opened = client.get(path).json()
    assert "alpha response 2" in opened["responses"][0]["html"]
    assert [each["rater"] for each in opened["votes"]] == ["local"]
    aside = client.post(f"{path}/aside", json={"aside": True, "reason": "A name."}).json()["aside"]
    assert (aside["by"], aside["reason"]) == ("local", "A name.")
    assert client.post(f"{path}/aside", json={"aside": True}).status_code == 422
    flagged = client.get("/labels/pairs", params={"flag": "set_aside"}).json()
    assert [each["id"] for each in flagged["pairs"]] == [line["id"]]
    assert client.post(f"{path}/aside", json={"aside": False}).json()["aside"] is None
    assert client.get("/labels/pairs/99").status_code == 422
    too_long = {"aside": True, "reason": "x" * 501}
    assert client.post(f"{path}/aside", json=too_long).status_code == 422


WRONG = ("choice=c", "flag=none", "state=gone", "rater=x", "since=nan", "cursor=1")
NO_TEXT = 'cursor=[1,"\\ud800"]'
TOO_LARGE = "99999999999999999999"


@pytest.mark.parametrize("query", [*WRONG, NO_TEXT, "search=" + "x" * 201])
def test_a_filter_that_is_none_is_refused_in_a_sentence(shared: httpx.Client, query: str) -> None:
    answer = shared.get(f"/labels/pairs?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("people/{}/disable", {}),
        ("people/{}/enable", {}),
        ("people/{}/invite", {}),
        ("people/{}/role", {"role": "rater"}),
        ("versions/{}/promote", {}),
        ("versions/{}/reject", {}),
    ],
)
def test_a_number_that_the_database_cannot_hold_is_refused_in_a_sentence(
    shared: httpx.Client, path: str, body: dict[str, str]
) -> None:
    for number in (TOO_LARGE, f"-{TOO_LARGE}"):
        answer = shared.post("/" + path.format(number), json=body)
        assert answer.status_code == 422
        assert answer.json()["error"].endswith(".")


def test_an_export_comes_as_a_file_and_leaves_none_behind(
    client: httpx.Client, store: Store, tmp_path: Path
) -> None:
    nothing = client.get("/export/preference")
    assert nothing.status_code == 422
    assert "no labels" in nothing.json()["error"]
    add_questions(store, 3)
    vote(store, 3, now=time.time())
    answer = client.get("/export/raw?labels=human")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert len(rows) == 3
    assert answer.headers["content-disposition"] == 'attachment; filename="livedpo-raw-human.jsonl"'
    assert client.get("/export/other").status_code == 422
    assert not list(tmp_path.glob(".export-*"))


def test_the_page_is_told_of_every_format() -> None:
    offered = json.loads(formats_module().removeprefix("export const FORMATS = ").rstrip(";\n"))
    assert offered == [[name, form.title, form.about] for name, form in FORMATS.items()]


def test_the_first_account_is_an_admins_and_then_people_log_in(client: httpx.Client) -> None:
    refused = client.post("/people", json={"name": "Ada", "role": "rater"})
    assert "must be an admin's" in refused.json()["error"]
    made = client.post("/people", json={"name": "Ada", "role": "admin"}).json()
    assert len(made["token"]) > 30
    assert client.get("/people").status_code == 401
