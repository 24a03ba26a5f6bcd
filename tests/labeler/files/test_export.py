"""What an export holds, row by row."""

import json
from pathlib import Path

import datasets
import pytest

from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.labels import VoteRules
from labeler.domain.states import PairState, Purpose
from labeler.files.export import FILLED, FORMATS, filled_rows, write_export
from labeler.files.pairs import read_pairs
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Ballot
from labeler.store.tables import FilledPair, Pair
from tests.support.command import livedpo
from tests.support.store import add, change, lease, open_update, undo, vote_on
from tests.support.tiny import fill

RAW_COLUMNS = [
    "vote_id",
    "pair_id",
    "prompt",
    "response_a",
    "response_b",
    "finish_a",
    "finish_b",
    "choice",
    "strength",
    "shown_left",
    "rater",
    "source",
    "policy_version",
    "sampling",
    "created_at",
    "seconds",
    "reasons",
    "superseded_by",
    "used_in_update",
    "comment",
    "purpose",
    "source_pair_id",
    "answer",
    "set_aside",
]


@pytest.fixture
def rated(store: Store) -> Store:
    """Six pairs: two for the good response, one for the bad, a tie, both bad, a skip."""
    fill(store, 6)
    for number, pair in enumerate(lease(store, 6)):
        good = "left" if pair.left.startswith("good") else "right"
        bad = "right" if good == "left" else "left"
        choice = [good, good, bad, "tie", "both_bad", "skip"][number]
        vote_on(store, pair, choice, now=1002.0 + number, strength=2, seconds=1.5)
    return store


def exported(store: Store, out: Path, format_name: str) -> list[dict[str, object]]:
    count = write_export(out, store.reports.votes(), format_name=format_name)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == count
    return rows


def test_preference_rows_are_the_decided_pairs_as_texts(rated: Store, tmp_path: Path) -> None:
    rows = exported(rated, tmp_path / "out.jsonl", "preference")
    assert [set(row) for row in rows] == [{"prompt", "chosen", "rejected"}] * 3
    chosen = [str(row["chosen"]).split()[0] for row in rows]
    assert chosen == ["good", "good", "bad"]
    assert str(rows[0]["prompt"]).startswith("Question")


def test_conversational_rows_hold_messages(rated: Store, tmp_path: Path) -> None:
    first = exported(rated, tmp_path / "out.jsonl", "conversational")[0]
    assert [message["role"] for message in first["prompt"]] == ["user"]  # type: ignore[union-attr, index]
    assert [message["role"] for message in first["chosen"]] == ["assistant"]  # type: ignore[union-attr, index]


def test_unpaired_rows_label_each_response_and_both_bad_gives_two_bad_ones(
    rated: Store, tmp_path: Path
) -> None:
    rows = exported(rated, tmp_path / "out.jsonl", "unpaired")
    assert [row["label"] for row in rows] == [True, False, True, False, False, True, False, False]


def test_raw_rows_hold_every_vote_with_its_provenance(rated: Store, tmp_path: Path) -> None:
    undo(rated, now=1020.0)
    rows = exported(rated, tmp_path / "out.jsonl", "raw")
    assert [list(row) for row in rows] == [RAW_COLUMNS] * 6
    assert [row["choice"] for row in rows] == ["a", "a", "b", "tie", "both_bad", "skip"]
    assert [row["superseded_by"] for row in rows] == [None] * 5 + ["u"]
    first = rows[0]
    assert (first["rater"], first["source"], first["policy_version"]) == ("local", "human", 0)
    assert first["created_at"] == "1970-01-01T00:16:42+00:00"


def test_a_chain_of_undone_votes_names_each_ones_successor(store: Store, tmp_path: Path) -> None:
    fill(store, 1)
    rater = store.raters.local(now=1.0)
    pair = lease(store)[0]
    for number in range(3):
        ballot = Ballot(f"v{number}", pair.lease_id, "left")
        assert store.votes.record(ballot, rater_id=rater, now=1002.0 + number).saved
        if number < 2:
            again = undo(store, f"u{number}", rater=rater, now=1002.5 + number).pair
            assert again is not None
            pair = again
    rows = exported(store, tmp_path / "out.jsonl", "raw")
    assert [row["superseded_by"] for row in rows] == ["v1", "v2", None]


def test_an_undone_vote_is_in_no_training_export(rated: Store, tmp_path: Path) -> None:
    for number in range(6):
        undo(rated, f"u{number}", now=1020.0)
    with pytest.raises(LivedpoError, match="no labels"):
        exported(rated, tmp_path / "out.jsonl", "preference")
    assert not (tmp_path / "out.jsonl").exists()


def test_parquet_and_folder_load_with_datasets(
    rated: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    votes = rated.reports.votes()
    write_export(tmp_path / "out.parquet", votes, format_name="preference")
    write_export(tmp_path / "out", votes, format_name="raw")
    table = datasets.Dataset.from_parquet(
        str(tmp_path / "out.parquet"), cache_dir=str(tmp_path / "cache")
    )
    assert table.column_names == ["prompt", "chosen", "rejected"]
    folder = datasets.load_dataset(
        str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(folder) == 6
    assert "livedpo" in (tmp_path / "out" / "README.md").read_text()


def test_an_existing_file_is_replaced_but_a_folder_is_not_touched(
    rated: Store, tmp_path: Path
) -> None:
    (tmp_path / "out.jsonl").write_text("old")
    assert len(exported(rated, tmp_path / "out.jsonl", "raw")) == 6
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(BadInput, match="exists already"):
        write_export(tmp_path / "mine", rated.reports.votes(), format_name="raw")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_an_ending_that_is_not_known_and_a_place_that_cannot_be_written_are_one_sentence(
    rated: Store, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"\.xlsx"):
        write_export(tmp_path / "out.xlsx", rated.reports.votes(), format_name="raw")
    (tmp_path / "file").write_text("")
    with pytest.raises(LivedpoError, match="cannot be written"):
        write_export(tmp_path / "file" / "out.jsonl", rated.reports.votes(), format_name="raw")


def test_an_edit_is_chosen_over_what_it_was_made_of(store: Store, tmp_path: Path) -> None:
    fill(store, 1)
    (pair,) = lease(store)
    vote_on(store, pair, edit="A better one.", comment="Yes.")
    rows = exported(store, tmp_path / "out.jsonl", "preference")
    assert [(row["chosen"], row["rejected"]) for row in rows] == [
        (pair.left, pair.right),
        ("A better one.", pair.left),
    ]
    first, second = exported(store, tmp_path / "raw.jsonl", "raw")
    assert (first["purpose"], first["comment"], second["purpose"]) == ("loop", "Yes.", "edit")
    assert second["source_pair_id"] == first["pair_id"]


def test_checks_and_pairs_set_aside_are_in_raw_only(
    rated: Store, database: Database, tmp_path: Path
) -> None:
    change(database, Pair, 1, state=PairState.CHECK, purpose=Purpose.GOLD, answer="a")
    change(database, Pair, 2, aside_at=1010.0, aside_reason="private")
    others = {"preference": 1, "conversational": 1, "unpaired": 4}
    for format_name, rows in others.items():
        assert len(exported(rated, tmp_path / "out.jsonl", format_name)) == rows
    raw = exported(rated, tmp_path / "raw.jsonl", "raw")
    told = {row["pair_id"]: (row["purpose"], row["answer"], row["set_aside"]) for row in raw}
    assert told[1] == ("gold", "a", "it checks raters")
    assert told[2] == ("loop", None, "private")
    assert told[3] == ("loop", None, None)
    assert len(read_pairs(tmp_path / "raw.jsonl", VoteRules()).pairs) == 1


def test_pairs_that_nobody_rated_are_written_only_where_they_are_asked_for_by_name(
    rated: Store, database: Database, tmp_path: Path
) -> None:
    before = {name: list(each.rows(rated.reports.votes())) for name, each in FORMATS.items()}
    update = open_update(rated, labels_per_update=1)
    pair = {"first": "tea", "second": "no", "target": 0.8, "weight": 0.5}
    add(database, FilledPair(update_id=update, prompt_id=1, version_id=0, **pair))
    after = {name: list(each.rows(rated.reports.votes())) for name, each in FORMATS.items()}
    assert after == before
    [row] = filled_rows(rated.reports.filled())
    assert (row["response_a"], row["response_b"], row["probability"]) == ("tea", "no", 0.8)
    assert (row["weight"], row["policy_version"], row["used_in_update"]) == (0.5, 0, update)
    assert row["prompt"][-1]["role"] == "user"


def test_on_the_command_line_they_are_nobody_s_labels(
    rated: Store, database: Database, url: str, tmp_path: Path
) -> None:
    update = open_update(rated, labels_per_update=1)
    pair = {"first": "tea", "second": "no", "target": 0.8, "weight": 0.5}
    add(database, FilledPair(update_id=update, prompt_id=1, version_id=0, **pair))
    out = tmp_path / "out.jsonl"
    words = ("export", out, "--database", url, "--format", FILLED)
    refused = livedpo(*words, "--labels", "human")
    assert refused.returncode == 2
    assert "holds no labels of anybody" in refused.stderr
    assert not out.exists()
    assert livedpo(*words).stdout == f"1 rows written to {out}.\n"
    assert json.loads(out.read_text())["response_a"] == "tea"
