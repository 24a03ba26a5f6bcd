"""Gold files and `livedpo gold`, through the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from labeler.cli.main import main
from labeler.domain.errors import BadInput
from labeler.files.golds import read_golds
from labeler.store import open_store
from tests.support.tiny import fill

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


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str, str]:
    """Exit code, output and complaints of `livedpo gold` with these words."""
    monkeypatch.setattr("sys.argv", ["livedpo", "gold", *map(str, words)])
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_good_lines_are_read_and_bad_ones_named(file: Path) -> None:
    golds, bad = read_golds(file)
    assert [gold.messages[0]["content"] for gold in golds] == ["How do I make tea?", "And coffee?"]
    assert bad.bad_lines == [
        (3, "better and worse are the same"),
        (4, "no text under 'worse'"),
        (5, "no 'prompt'"),
        (6, "no 'prompt'"),
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


def test_a_file_without_gold_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": "Hi?"}\n')
    with pytest.raises(BadInput, match=r"prompt, better and worse.*line 1: no text under 'better'"):
        read_golds(path)
    with pytest.raises(BadInput, match="nowhere"):
        read_golds(tmp_path / "nowhere.jsonl")


def test_gold_is_added_listed_and_removed_by_command(
    file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where = ("--data-dir", tmp_path / "run")
    code, out, err = run(capsys, monkeypatch, "add", file, *where)
    assert (code, out) == (2, "")
    assert "livedpo serve" in err
    store = open_store(f"sqlite:///{tmp_path / 'run' / 'livedpo.sqlite'}")
    code, out, err = run(capsys, monkeypatch, "add", file, *where)
    assert (code, out) == (2, "")
    assert "start `livedpo serve` once" in err
    fill(store, 1)
    code, out, err = run(capsys, monkeypatch, "add", file, *where)
    assert (code, out) == (0, "2 gold pairs added, 0 duplicates skipped.\n")
    assert "5 bad lines were skipped" in err
    assert run(capsys, monkeypatch, "add", file, *where)[1].startswith("0 gold pairs added, 2 dup")
    listed = run(capsys, monkeypatch, "list", *where)[1].splitlines()
    assert [line.split(maxsplit=5)[-1] for line in listed] == ["How do I make tea?", "And coffee?"]
    number = listed[0].split()[0]
    assert run(capsys, monkeypatch, "remove", number, *where)[0] == 0
    assert len(run(capsys, monkeypatch, "list", *where)[1].splitlines()) == 1
    assert run(capsys, monkeypatch, "remove", number, *where)[0] == 2
    store.close()
