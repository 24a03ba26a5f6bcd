"""The command line as a user meets it: a real process, its words and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labeler.cli import ALL, cli
from labeler.config import Settings
from labeler.store import open_store
from tests.tiny import fill


def livedpo(*words: object, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIVEDPO_")}
    return subprocess.run(
        [sys.executable, "-m", "labeler.cli", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean | environ,
    )


def fails(run: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    """One sentence on stderr that holds `words`, nothing else, and the exit code."""
    assert run.returncode == code, run.stderr
    assert words in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert run.stdout == ""


def test_help_names_every_setting_with_its_default() -> None:
    text = livedpo("serve", "--help").stdout
    for name in Settings.model_fields:
        assert "--" + name.replace("_", "-") in text
    assert "7860" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["serve", "--port", "x"], "'port' cannot be 'x'"),
        (["serve", "--prot", "1"], "--prot"),
        (["serve", "--host", "0.0.0.0"], "0.0.0.0"),
        (["web", "--host", "0.0.0.0", "--data-dir", "DIR"], "0.0.0.0"),
        (["nonsense"], "nonsense"),
        (["export"], "OUT"),
        (["export", "x.jsonl", "--format", "xml"], "xml"),
        (["prompts", "add", "/nowhere.jsonl"], "/nowhere.jsonl"),
        (["status", "--database", "mysql://x"], "mysql"),
        (["status", "--config", "/nowhere.toml"], "/nowhere.toml"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    words: list[str], says: str, tmp_path: Path
) -> None:
    fails(livedpo(*(tmp_path if word == "DIR" else word for word in words)), 2, says)


def test_status_and_export_without_a_database_say_what_to_do(tmp_path: Path) -> None:
    fails(livedpo("status", "--data-dir", tmp_path), 2, "livedpo serve")
    fails(livedpo("export", "x.jsonl", "--data-dir", tmp_path), 2, "livedpo serve")
    assert list(tmp_path.iterdir()) == []


def test_status_as_json_has_what_the_contract_names(tmp_path: Path) -> None:
    fill(open_store(f"sqlite:///{tmp_path / 'livedpo.sqlite'}"), 3)
    counts = json.loads(livedpo("status", "--json", "--data-dir", tmp_path).stdout)
    assert counts["pairs"] == {"ready": 3, "leased": 0, "labelled": 0, "expired": 0}
    assert counts["labels"] == {"human": 0, "judge": 0, "fresh": 0, "used": 0}
    assert counts["policy"] == {"live": 0, "base": "test", "versions": 1}
    assert counts["updates"] == {"done": 0, "rejected": 0, "failed": 0, "running": 0}
    assert counts["raters"] == 0
    words = livedpo("status", "--data-dir", tmp_path).stdout
    assert "3 ready" in words


def test_prompts_are_added_once_counted_and_listed(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "Tea?"}\n{"prompt": "Coffee?"}\nnonsense\n')
    first = livedpo("prompts", "add", file, "--data-dir", tmp_path / "run")
    assert first.stdout == "2 prompts added, 0 duplicates skipped.\n"
    assert "line 3: not JSON" in first.stderr
    again = livedpo("prompts", "add", file, LIVEDPO_DATA_DIR=str(tmp_path / "run"))
    assert again.stdout == "0 prompts added, 2 duplicates skipped.\n"
    listed = livedpo("prompts", "list", "--data-dir", tmp_path / "run").stdout
    assert [line.split()[-1] for line in listed.splitlines()] == ["Tea?", "Coffee?"]


def test_versions_are_listed_oldest_first(tmp_path: Path) -> None:
    fill(open_store(f"sqlite:///{tmp_path / 'livedpo.sqlite'}"), 1)
    listed = livedpo("versions", "list", "--data-dir", tmp_path).stdout
    assert listed.split()[:2] == ["0", "live"]
    assert "the base policy" in listed


def test_a_database_that_is_read_only_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "livedpo.sqlite"
    fill(open_store(f"sqlite:///{path}"), 1)
    file = tmp_path / "p.jsonl"
    file.write_text('"Tea?"\n')
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    fails(livedpo("prompts", "add", file, "--database", url), 1, "read-only")
    assert "1 ready" in livedpo("status", "--database", url).stdout


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "livedpo.sqlite"
    fill(open_store(f"sqlite:///{path}"), 1)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    file = tmp_path / "p.jsonl"
    file.write_text('"Tea?"\n')
    fails(livedpo("prompts", "add", file, "--data-dir", tmp_path), 2, "another version")
    fails(livedpo("status", "--data-dir", tmp_path), 2, "another version")


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "livedpo.sqlite").write_text("this is not a database, it is a shopping list")
    fails(livedpo("status", "--data-dir", tmp_path), 1, "not a database")


def test_every_command_has_a_help_text() -> None:
    def walk(command: object) -> None:
        assert getattr(command, "help", None)
        for child in getattr(command, "commands", {}).values():
            walk(child)

    walk(cli)
    assert set(ALL) == set(Settings.model_fields)
