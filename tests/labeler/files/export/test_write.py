"""What an export holds, row by row."""

import gc
import json
from pathlib import Path

import datasets
import pyarrow
import pytest
from pyarrow import parquet
from sqlalchemy import insert

from labeler.config.parts.sampling import Sampling
from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.labels import LOGPS_AT, VoteRules
from labeler.domain.states import PairState, Purpose, RaterRole, Source
from labeler.files.export.formats import FILLED, FORMATS, Wanted
from labeler.files.export.ours import filled_rows
from labeler.files.export.write import write_export
from labeler.files.pairs import read_pairs
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.records import Ballot
from labeler.store.tables import FilledPair, Pair, Rater, Vote
from labeler.store.views.exported import AT_ONCE
from tests.support.busy import fill_busy
from tests.support.command import livedpo
from tests.support.store import add, change, lease, open_update, undo, vote, vote_on
from tests.support.tiny import fill

PAIRS = 40
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
    count = write_export(out, Wanted(store), format_name=format_name).rows
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
    write_export(tmp_path / "out.parquet", Wanted(rated), format_name="preference")
    write_export(tmp_path / "out", Wanted(rated), format_name="raw")
    table = datasets.Dataset.from_parquet(
        str(tmp_path / "out.parquet"), cache_dir=str(tmp_path / "cache")
    )
    assert table.column_names == ["prompt", "chosen", "rejected"]
    folder = datasets.load_dataset(
        str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(folder) == 6
    assert "livedpo" in (tmp_path / "out" / "README.md").read_text()


def test_two_tables_can_be_joined_whatever_the_first_leaves_empty(
    store: Store, tmp_path: Path
) -> None:
    fill(store, 2)
    for number, said in enumerate(({}, {"reasons": ["clear"], "comment": "Yes.", "seconds": 2.0})):
        vote(store, 1, now=1002.0 + number, **said)
        write_export(tmp_path / f"{number}.parquet", Wanted(store), format_name="raw")
    first, second = (parquet.read_table(tmp_path / f"{n}.parquet") for n in range(2))
    assert first.schema.equals(second.schema)
    joined = pyarrow.concat_tables([first, second]).to_pylist()
    assert [row["reasons"] for row in joined] == [[], [], ["clear"]]
    assert {name: str(first.schema.field(name).type) for name in ("reasons", "comment")} == {
        "reasons": "list<element: string>",
        "comment": "string",
    }


def test_a_table_has_all_that_is_known_of_how_responses_were_drawn(
    rated: Store, database: Database, tmp_path: Path
) -> None:
    drawn = {
        **Sampling().model_dump(),
        **{LOGPS_AT: 0.7, "seed": 2**31 - 1, "sampling_dtype": "bfloat16"},
        **{"acquisition": "random", "candidates": 4, "candidate_pair": "best_worst"},
        "hints": [None, "Be brief."],
    }
    change(database, Pair, 1, sampling=drawn)
    change(database, Pair, 2, sampling={})
    write_export(tmp_path / "out.parquet", Wanted(rated), format_name="raw")
    rows = {row["pair_id"]: row for row in parquet.read_table(tmp_path / "out.parquet").to_pylist()}
    assert rows[1]["sampling"] == drawn
    assert set(rows[2]["sampling"].values()) == {None}


def test_what_some_readers_take_for_the_end_of_a_line_is_escaped(
    store: Store, database: Database, tmp_path: Path
) -> None:
    fill(store, 1)
    odd = "one\u2028two\u2029three\x85four\x0bfive"
    change(database, Pair, 1, response_a=odd)
    vote(store, 1)
    write_export(tmp_path / "out.jsonl", Wanted(store), format_name="raw")
    text = (tmp_path / "out.jsonl").read_text()
    assert len(text.splitlines()) == 1
    assert "\\u2028" in text
    assert json.loads(text)["response_a"] == odd


def test_however_many_votes_there_are_only_some_are_in_memory(
    store: Store, database: Database
) -> None:
    fill(store, PAIRS)
    said = {"rater_id": store.raters.local(now=1.0), "choice": "a", "shown_left": "a"}
    said |= {"source": "human", "staleness": 0, "reasons": [], "superseded_by": "u"}
    votes = range(4 * AT_ONCE)
    undone = [
        said | {"id": f"v{n}", "pair_id": 1 + n % PAIRS, "created_at": 1000.0 + n} for n in votes
    ]
    with database.write() as session:
        session.execute(insert(Vote), undone)
    passed, most = [], 0
    for row in FORMATS["raw"].rows(Wanted(store)):
        passed.append(row["superseded_by"])
        if len(passed) % AT_ONCE == 0:
            most = max(most, sum(isinstance(each, Vote) for each in gc.get_objects()))
    assert passed == [*(f"v{n}" for n in votes[PAIRS:]), *["u"] * PAIRS]
    assert most <= 2 * AT_ONCE


def test_the_folder_s_card_says_where_the_labels_come_from(
    store: Store, database: Database, tmp_path: Path
) -> None:
    store.versions.adopt_base(base="/home/ann/models/smol", fingerprint="test", now=1.0)
    fill_busy(database, votes=200, now=1_800_000_000.0)
    write_export(tmp_path / "out", Wanted(store, Source.HUMAN), format_name="preference")
    card = (tmp_path / "out" / "README.md").read_text()
    human = [row for row in store.exports.votes(source=Source.HUMAN) if not row.superseded_by]
    for words in (
        "The policy is smol, tuned",
        f"{len(human)} votes of 4 people: ",
        "Raters agree: unknown, because no pair was rated by two people",
        "- Version 3 (retired): 32 labels, from version 2",
        "- Version 4 (rejected): 32 labels, from version 3",
        "held back: it moved 0.34 nats a token",
        "from 2027-01-",
        "configs:\n- config_name: default\n",
        "- `chosen`\n",
    ):
        assert words in card
    assert "of a judge" not in card


def test_a_judge_s_vote_counts_only_where_no_person_has_spoken(
    store: Store, database: Database, tmp_path: Path
) -> None:
    fill(store, 1)
    vote(store, 1, "tie")
    judge = Rater(name="starter", role=RaterRole.JUDGE, created_at=1.0)
    add(database, judge)
    said = {"id": "j", "pair_id": 1, "rater_id": 2, "choice": "a", "shown_left": "a"}
    add(database, Vote(**said, source=Source.JUDGE, staleness=0, created_at=2000.0))
    with pytest.raises(LivedpoError, match="no labels"):
        exported(store, tmp_path / "all.jsonl", "preference")
    out = tmp_path / "judge.jsonl"
    assert write_export(out, Wanted(store, Source.JUDGE), format_name="preference").rows == 1


def test_an_existing_file_is_replaced_but_a_folder_is_not_touched(
    rated: Store, tmp_path: Path
) -> None:
    (tmp_path / "out.jsonl").write_text("old")
    assert len(exported(rated, tmp_path / "out.jsonl", "raw")) == 6
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(BadInput, match="exists already"):
        write_export(tmp_path / "mine", Wanted(rated), format_name="raw")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_an_ending_that_is_not_known_and_a_place_that_cannot_be_written_are_one_sentence(
    rated: Store, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"\.xlsx"):
        write_export(tmp_path / "out.xlsx", Wanted(rated), format_name="raw")
    (tmp_path / "file").write_text("")
    with pytest.raises(LivedpoError, match="cannot be written"):
        write_export(tmp_path / "file" / "out.jsonl", Wanted(rated), format_name="raw")


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
    before = {name: list(each.rows(Wanted(rated))) for name, each in FORMATS.items()}
    update = open_update(rated, labels_per_update=1)
    pair = {"first": "tea", "second": "no", "target": 0.8, "weight": 0.5}
    add(database, FilledPair(update_id=update, prompt_id=1, version_id=0, **pair))
    after = {name: list(each.rows(Wanted(rated))) for name, each in FORMATS.items()}
    assert after == before
    [row] = filled_rows(rated.exports.filled())
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
