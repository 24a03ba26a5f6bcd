"""Gold files and `livedpo gold`, through the command line."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from labeler.domain.errors import BadInput
from labeler.files.golds import read_golds
from labeler.store import open_store
from tests.labeler.files.test_pairs import NO_PAIR
from tests.support.command import Ran, fails, livedpo
from tests.support.tiny import fill

DISAGREE = "people disagree on which reply is better"
LINES: list[Any] = [
    {"prompt": "How do I make tea?", "better": "Boil water, then steep it.", "worse": "No."},
    {"prompt": [{"role": "user", "content": "And coffee?"}], "better": "Grind.", "worse": "Tea."},
    {"prompt": "Same?", "better": "x ", "worse": "x"},
    {"prompt": "No worse?", "better": "x"},
    {"better": "x", "worse": "y"},
    "a text",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES) + "{\n")
    return path


def test_good_lines_are_read_and_bad_ones_named(file: Path) -> None:
    golds, bad = read_golds(file)
    assert [gold.messages[0]["content"] for gold in golds] == ["How do I make tea?", "And coffee?"]
    assert bad.bad_lines == [
        (3, "both replies are the same"),
        (4, "'worse' is empty"),
        (5, "no 'prompt' and no 'messages'"),
        (6, NO_PAIR.replace("prompts", "texts")),
        (7, "not JSON"),
    ]


def test_csv_and_parquet_are_read_too(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    (tmp_path / "gold.csv").write_text("prompt,better,worse\nHi?,Hello.,Go away.\n")
    table = pyarrow.table({"prompt": ["Hi?"], "better": ["Hello."], "worse": ["Go away."]})
    pyarrow.parquet.write_table(table, tmp_path / "gold.parquet")
    csv, parquet = (read_golds(tmp_path / f"gold.{kind}")[0] for kind in ("csv", "parquet"))
    assert csv == parquet
    assert (csv[0].better, csv[0].worse) == ("Hello.", "Go away.")


@pytest.mark.parametrize(
    ("votes", "better"),
    [
        (["a", "b", "b"], "No."),
        (["a", "a", "tie", "skip"], "Boil."),
        (["a", "b"], None),
        (["a", "tie"], None),
        (["a", "b", "tie"], None),
    ],
)
def test_what_people_say_of_two_replies_counts_by_majority_in_whichever_order_they_stand(
    votes: list[str], better: str | None, tmp_path: Path
) -> None:
    row = {"prompt": "Tea?", "response_a": "Boil.", "response_b": "No."}
    turned = {"prompt": "Tea?", "response_a": "No.", "response_b": "Boil."}
    other = {"prompt": "Coffee?", "better": "Grind.", "worse": "Tea."}
    said = [row | {"choice": vote, "pair_id": n} for n, vote in enumerate(votes)]
    said[0] = turned | {"choice": "b" if votes[0] == "a" else "a"}
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [other, *said]))
    golds, reading = read_golds(path)
    assert {gold.better for gold in golds} == {"Grind.", *([better] if better else [])}
    named = [] if better else [(2 + n, DISAGREE) for n in range(len(votes))]
    assert reading.bad_lines == named


def test_people_who_disagree_within_a_row_are_named(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    answers = [{"value": name, "user_id": name} for name in ("response1", "response2")]
    fields = {"prompt": "Tea?", "response1": "Boil.", "response2": "No."}
    record = {"fields": fields, "responses": {"better": answers}}
    path.write_text(json.dumps([record]))
    with pytest.raises(BadInput, match=f"row 1: {DISAGREE}"):
        read_golds(path)
    answers.append({"value": "response2", "user_id": "third"})
    path.write_text(json.dumps([record]))
    (gold,), _ = read_golds(path)
    assert (gold.better, gold.worse) == ("No.", "Boil.")


def test_a_file_without_gold_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": "Hi?"}\n')
    with pytest.raises(BadInput, match=r"no gold pairs in .*line 1: prompts do not say which"):
        read_golds(path)
    with pytest.raises(BadInput, match="nowhere"):
        read_golds(tmp_path / "nowhere.jsonl")


def test_gold_is_added_listed_and_removed_by_command(file: Path, tmp_path: Path) -> None:
    def gold(*words: object) -> Ran:
        return livedpo("gold", *words, "--data-dir", tmp_path / "run")

    fails(gold("add", file), 2, "livedpo serve")
    with closing(open_store(f"sqlite:///{tmp_path / 'run' / 'livedpo.sqlite'}")) as store:
        assert "start `livedpo serve` once" in gold("add", file).stderr
        fill(store, 1)
    added = gold("add", file)
    assert (added.returncode, added.stdout) == (0, "2 gold pairs added, 0 duplicates skipped.\n")
    first, example, bad = added.stderr.splitlines()
    assert first.endswith("livedpo gold pairs (5) and texts (1), from prompt, better, worse.")
    assert example == 'For example "How do I make tea?": "Boil water, then steep it." over "No."'
    assert bad.startswith("5 bad lines were skipped")
    assert gold("add", file).stdout.startswith("0 gold pairs added, 2 dup")
    listed = gold("list").stdout.splitlines()
    assert [line.split(maxsplit=5)[-1] for line in listed] == ["How do I make tea?", "And coffee?"]
    number = listed[0].split()[0]
    turned = tmp_path / "turned.jsonl"
    turned.write_text(json.dumps(LINES[0] | {"better": "No.", "worse": LINES[0]["better"]}))
    said = gold("add", turned)
    assert said.stdout.startswith("0 gold pairs added, 0 dup")
    assert f"1 gold pair left out; the opposite is there, as number {number}." in said.stderr
    assert gold("remove", number).returncode == 0
    assert len(gold("list").stdout.splitlines()) == 1
    fails(gold("remove", number), 2, number)
