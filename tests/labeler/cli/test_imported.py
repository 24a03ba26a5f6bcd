"""`livedpo train FILE --use judge` and `prompts`, `imported list`, `remove`, and their export."""

import json
from pathlib import Path

import pytest

from labeler.store import Store, open_store
from tests.support.command import fails, livedpo
from tests.support.store import vote
from tests.support.tiny import fill

ROWS = [
    {"prompt": "Tea?", "chosen": "Boil water.", "rejected": "No."},
    {"prompt": "Coffee?", "chosen": "Grind it.", "rejected": "Perhaps."},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


def test_pairs_are_kept_for_the_judge_listed_exported_by_name_and_removed(
    store: Store, url: str, file: Path, tmp_path: Path
) -> None:
    fill(store, 1)
    vote(store, 1)
    database = ("--database", url)
    dry = livedpo("train", file, "--use", "judge", "--dry-run", *database)
    assert "2 pairs would be taken" in dry.stdout
    assert store.imported.files() == []
    run = livedpo("train", file, "--use", "judge", "--fill", "0", *database)
    assert run.stdout.startswith("2 pairs kept for the judge, 0 duplicates skipped.")
    assert "--judge learned" in run.stdout
    again = livedpo("train", file, "--use", "judge", "--judge", "learned", *database)
    assert again.stdout == "0 pairs kept for the judge, 2 duplicates skipped.\n"
    assert "2 pairs  theirs.jsonl" in livedpo("imported", "list", *database).stdout
    raw, own = tmp_path / "raw.jsonl", tmp_path / "imported.jsonl"
    livedpo("export", raw, "--format", "raw", *database)
    assert len(raw.read_text().splitlines()) == 1
    livedpo("export", own, "--format", "imported", *database)
    assert [json.loads(row)["file"] for row in own.read_text().splitlines()] == ["theirs.jsonl"] * 2
    fails(livedpo("export", own, "--format", "imported", "--labels", "human", *database), 2, "omit")
    assert "2 imported pairs" in livedpo("imported", "remove", "theirs.jsonl", *database).stdout
    fails(livedpo("imported", "remove", "theirs.jsonl", *database), 2, "`livedpo imported list`")


def test_the_prompts_of_pairs_are_added_and_a_bad_file_is_refused(
    file: Path, tmp_path: Path
) -> None:
    run = livedpo("train", file, "--use", "prompts", "--data-dir", tmp_path / "run")
    assert "2 prompts added, 0 duplicates skipped." in run.stdout
    store = open_store(f"sqlite:///{tmp_path / 'run' / 'livedpo.sqlite'}", create=False)
    assert len(store.prompts.all()) == 2
    store.close()
    nowhere = livedpo("train", tmp_path / "no.jsonl", "--use", "judge", "--data-dir", tmp_path)
    fails(nowhere, 2, "no.jsonl")
    assert not (tmp_path / "livedpo.sqlite").exists()
