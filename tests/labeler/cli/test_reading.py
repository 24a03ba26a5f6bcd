"""What the commands that read a file say of it, and what they leave alone."""

import json
from pathlib import Path

import datasets
import pytest

from tests.support.command import fails, livedpo

TRANSCRIPT = "\n\nHuman: Tea?\n\nAssistant: {}"
HH = json.dumps({"chosen": TRANSCRIPT.format("Boil."), "rejected": TRANSCRIPT.format("No.")})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hh.jsonl"
    path.write_text(f"{HH}\n{{\n")
    return path


@pytest.mark.parametrize(
    ("command", "what", "replies"),
    [
        (["prompts", "add"], "1 prompts", ""),
        (["gold", "add"], "1 gold pairs", ': "Boil." over "No."'),
        (["train"], "1 pairs", ': "Boil." over "No."'),
    ],
)
def test_a_dry_run_says_what_the_file_is_taken_for_and_takes_nothing(
    command: list[str], what: str, replies: str, file: Path, tmp_path: Path
) -> None:
    run = livedpo(*command, file, "--dry-run", "--data-dir", tmp_path / "run")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        f"{file}: 2 rows of JSONL, read as Anthropic HH transcripts, from chosen, rejected.",
        f'For example "Tea?"{replies}',
        f"{what} would be taken; this was a dry run.",
    ]
    assert run.stderr == "1 bad line was skipped (line 2: not JSON).\n"
    assert not (tmp_path / "run").exists()


def test_columns_and_a_split_are_named_on_the_command_line(tmp_path: Path) -> None:
    table = datasets.Dataset.from_list([{"task": "Name a city", "good": "Oslo", "bad": "table"}])
    datasets.DatasetDict({"train": table, "test": table}).save_to_disk(tmp_path / "saved")
    add = ["prompts", "add", tmp_path / "saved", "--data-dir", tmp_path / "run"]
    fails(livedpo(*add), 2, "has the splits train (1 row), test (1 row); name one with --split.")
    fails(livedpo(*add, "--split", "train"), 2, "--map prompt=task")
    names = "prompt=task, chosen=good,rejected=bad"
    run = livedpo(*add, "--split", "train", "--map", names)
    assert run.stdout == "1 prompts added, 0 duplicates skipped.\n"
    assert "from task as prompt, good as chosen, bad as rejected." in run.stderr
    fails(livedpo(*add, "--map", "task"), 2, "'task' is not of the form OURS=THEIRS")


def test_nothing_of_a_broken_table_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("prompt\nWhat is tea?\nHello, my friend?\n")
    add = livedpo("prompts", "add", path, "--data-dir", tmp_path / "run")
    fails(add, 2, "2 cells on line 3 where its header has 1, so nothing of it was taken")
    assert not (tmp_path / "run").exists()
