"""Reading labelled pairs back: our own exports, and other people's preference files."""

import json
from pathlib import Path
from typing import Any

import pytest

from labeler.domain.errors import BadInput
from labeler.domain.labels import VoteRules
from labeler.files.export.formats import FORMATS, Wanted
from labeler.files.export.write import write_export
from labeler.files.pairs import read_pairs
from labeler.store import Store
from tests.support.store import lease, vote_on
from tests.support.tiny import fill

NO_PAIR = (
    "prompts do not say which of two replies is better; if columns do, name them, as in `--map "
    "chosen=good,rejected=bad`"
)
CHAT = [{"role": "user", "content": "Tea?"}]


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


TABLES = {name for name, form in FORMATS.items() if form.is_table}


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        (name, form)
        for name in ("pairs.jsonl", "pairs.json", "pairs.parquet", "folder")
        for form in FORMATS
        if name != "pairs.parquet" or form in TABLES
    ],
)
def test_what_an_export_wrote_is_read_back(
    format_name: str, name: str, store: Store, tmp_path: Path
) -> None:
    fill(store, 4)
    for pair in lease(store, 4):
        vote_on(store, pair, "left" if "good" in pair.left else "right")
    write_export(tmp_path / name, Wanted(store), format_name=format_name)
    pairs = read_pairs(tmp_path / name, VoteRules()).pairs
    assert len(pairs) == 4
    for pair in pairs:
        chosen = pair.response_a if pair.said.target == 1.0 else pair.response_b
        assert chosen.startswith("good")
        assert pair.messages[-1]["content"].startswith("Question")


def test_votes_of_several_raters_on_one_pair_become_one_soft_label(tmp_path: Path) -> None:
    row = {"pair_id": 3, "prompt": CHAT, "response_a": "yes", "response_b": "no"}
    undone = row | {"choice": "b", "superseded_by": "x"}
    votes = [row | {"choice": choice} for choice in ("a", "b", "a", "skip")]
    (pair,) = read_pairs(write(tmp_path / "v.jsonl", *votes, undone), VoteRules()).pairs
    assert (pair.said.target, pair.said.weight) == (pytest.approx(2 / 3), 3.0)


def test_bad_lines_are_named_and_the_good_ones_taken(tmp_path: Path) -> None:
    good = {"prompt": "Tea?", "chosen": "yes", "rejected": "no"}
    file = write(tmp_path / "p.jsonl", good, {"prompt": "Tea?"}, good | {"rejected": " "})
    found = read_pairs(file, VoteRules())
    assert len(found.pairs) == 1
    assert found.bad_lines == [
        (2, NO_PAIR),
        (3, "empty text under 'rejected'"),
    ]


def test_a_file_without_any_labelled_pair_is_one_sentence(tmp_path: Path) -> None:
    tie = {"prompt": CHAT, "response_a": "yes", "response_b": "no", "choice": "tie"}
    with pytest.raises(BadInput, match="no labelled pairs in"):
        read_pairs(write(tmp_path / "t.jsonl", tie), VoteRules())
    with pytest.raises(BadInput, match="no file"):
        read_pairs(tmp_path / "nowhere.jsonl", VoteRules())
