"""The command line as a user meets it: its words and its exit codes."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labeler.cli.main import ALL, cli
from labeler.config.settings import FIELDS
from labeler.domain.adapter_folder import WEIGHTS
from labeler.domain.drawing import Drawing
from labeler.domain.estimate import Estimate
from labeler.domain.finding import Finding
from labeler.store import Store, open_store
from labeler.store.records import Gold, NewVersion
from tests.support.adapter import write_folder
from tests.support.command import Ran, fails, livedpo
from tests.support.store import claim, live, open_update, vote
from tests.support.tiny import add_pairs, fill


def test_the_program_is_a_process_with_words_and_an_exit_code() -> None:
    program = [sys.executable, "-m", "labeler.cli.main"]
    run = subprocess.run([*program, "serve", "--prot", "1"], capture_output=True, text=True)
    fails(Ran(run.returncode, run.stdout, run.stderr), 2, "--prot")


def test_help_names_every_setting_with_its_default() -> None:
    text = livedpo("serve", "--help").stdout
    for name in FIELDS:
        assert "--" + name.replace("_", "-") in text
    assert "7860" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["serve", "--port", "x"], "'port' cannot be 'x'"),
        (["serve", "--prot", "1"], "--prot"),
        (["serve", "--host", "0.0.0.0"], "0.0.0.0"),
        (["nonsense"], "nonsense"),
        (["export"], "OUT"),
        (["export", "x.jsonl", "--format", "xml"], "xml"),
        (["prompts", "add", "/nowhere.jsonl"], "/nowhere.jsonl"),
        (["status", "--database", "mysql://x"], "mysql"),
        (["status", "--config", "/nowhere.toml"], "/nowhere.toml"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(words: list[str], says: str) -> None:
    fails(livedpo(*words), 2, says)


LONG = "x" * 300  # no file system has a name as long as that


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["prompts", "add", "What is tea? " * 30], 2),
        (["gold", "add", f"/tmp/{LONG}.jsonl"], 2),
        (["restore", LONG, "no-such-folder"], 2),
        (["restore", __file__, LONG], 1),
        (["status", "--database", f"sqlite:////tmp/{LONG}"], 2),
        (["serve", "--policy", LONG], 1),
    ],
)
def test_a_path_that_cannot_be_looked_at_is_one_sentence(words: list[str], code: int) -> None:
    fails(livedpo(*words), code, "File name too long.")


def test_a_place_to_write_to_that_cannot_be_looked_at_is_one_sentence(
    store: Store, url: str, tmp_path: Path
) -> None:
    fill(store, 1)
    vote(store, 1)
    there = ["--database", url, "--data-dir", tmp_path]
    fails(livedpo("export", LONG, *there), 1, "File name too long.")
    fails(livedpo("backup", LONG, *there), 1, f"{LONG} cannot be written: File name too long.")


def test_status_of_a_copy_says_when_it_was_last_written(store: Store, url: str) -> None:
    fill(store, 2)
    vote(store, 1, now=1_700_000_000.0)
    store.processes.say("worker", "Sampling.", pid=1, now=1_700_000_060.0)
    run = livedpo("status", "--database", url)
    (line,) = (line for line in run.stdout.splitlines() if line.startswith("written"))
    assert "hours ago; no service is writing to it" in line
    counts = json.loads(livedpo("status", "--database", url, "--json").stdout)
    assert counts["written"] == 1_700_000_060.0
    store.processes.say("worker", "Sampling.", pid=1, now=time.time())
    assert "no service" not in livedpo("status", "--database", url).stdout


def test_status_and_export_without_a_database_say_what_to_do(tmp_path: Path) -> None:
    fails(livedpo("status", "--data-dir", tmp_path), 2, "livedpo serve")
    fails(livedpo("export", "x.jsonl", "--data-dir", tmp_path), 2, "livedpo serve")
    assert list(tmp_path.iterdir()) == []


def test_status_as_json_has_what_the_contract_names(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'livedpo.sqlite'}")
    fill(store, 3)
    store.versions.note_drawing(Drawing(0.6, "the makers' advice", 1.0, "as set", 256))
    counts = json.loads(livedpo("status", "--json", "--data-dir", tmp_path).stdout)
    assert counts["pairs"] == {"ready": 3, "leased": 0, "labelled": 0, "expired": 0}
    assert counts["labels"] == {"human": 0, "judge": 0, "fresh": 0, "used": 0}
    assert counts["policy"] == {"live": 0, "base": "test", "versions": 1}
    assert counts["updates"] == {"done": 0, "rejected": 0, "failed": 0, "running": 0}
    assert counts["raters"] == 0
    assert counts["drawing"]["temperature_from"] == "the makers' advice"
    words = livedpo("status", "--data-dir", tmp_path).stdout
    assert "3 ready" in words
    assert "drawn at temperature 0.6 (the makers' advice) and top-p 1 (as set)" in words


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


HOSTILE = "\x1b]0;owned\x07\x9b2J \u202e then\u2028more"
SHOWN = r"\x1b]0;owned\x07\x9b2J \u202e then\u2028more"


def test_what_strangers_wrote_steers_no_terminal(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'livedpo.sqlite'}")
    fill(store, 1)
    messages = [{"role": "user", "content": f"?{HOSTILE}"}]
    store.prompts.add([messages], now=0.0)
    store.prompts.set_aside(store.prompts.all()[-1].id or 0, f"refused: {HOSTILE}")
    store.gold.add([Gold(messages, "Yes.", "No.")], now=0.0, rng=random.Random(0))
    store.processes.alarm("worker: trouble", HOSTILE)
    for words in (["prompts", "list"], ["gold", "list"], ["status"]):
        said = livedpo(*words, "--data-dir", tmp_path).stdout
        assert said.replace("\n", "").isprintable(), words
        assert SHOWN.split("2J")[0] in said, words
    alarms = json.loads(livedpo("status", "--json", "--data-dir", tmp_path).stdout)["alarms"]
    assert HOSTILE in alarms[0], "JSON has escapes of its own"


def test_a_hostile_name_of_a_file_steers_no_terminal(tmp_path: Path) -> None:
    wrong = livedpo("prompts", "add", f"/no\x1b[2J\nwhere\udcff{HOSTILE}.jsonl")
    fails(wrong, 2, r"/no\x1b[2J\nwhere\udcff")


def test_versions_are_listed_oldest_first(tmp_path: Path) -> None:
    fill(open_store(f"sqlite:///{tmp_path / 'livedpo.sqlite'}"), 1)
    listed = livedpo("versions", "list", "--data-dir", tmp_path).stdout
    assert listed.split()[:2] == ["0", "live"]
    assert "the base policy" in listed


def make_versions(data_dir: Path) -> Store:
    """A live version 1 with its folder, and a version 2 with its own that the gate held back."""
    store = open_store(f"sqlite:///{data_dir / 'livedpo.sqlite'}")
    fill(store, 12)
    for number, now in ((1, 1010.0), (2, 1030.0)):
        sha256 = write_folder(data_dir / "adapters" / f"v{number}", b"%d" % number)
        finding = Finding(
            labels=4,
            agreement_live=Estimate.rate(0.5, 8),
            agreement_candidate=Estimate.rate(0.75, 8),
        )
        made = NewVersion(number, f"v{number}", sha256, finding)
        listed = vote(store, 4, now=now)
        open_update(store, now + 1)
        claimed = claim(store, now=now + 2)
        if number == 1:
            store.updates.promote(claimed, made, [], trained_on=listed, now=now + 3)
            add_pairs(store, 6, version=1)
        else:
            store.updates.reject(claimed, made, reason="it repeats itself", now=now + 3)
    return store


def test_versions_are_listed_with_what_the_gate_found(tmp_path: Path) -> None:
    make_versions(tmp_path)
    _, first, second = livedpo("versions", "list", "--data-dir", tmp_path).stdout.splitlines()
    assert first.split()[:2] == ["1", "live"]
    assert "4 labels, from version 0; agrees with 75 % [41, 93] of 8 held-out votes" in first
    assert second.split()[:2] == ["2", "rejected"]
    assert second.endswith("held back: it repeats itself")


def test_rollback_goes_to_the_parent_or_to_the_named_version(tmp_path: Path) -> None:
    store = make_versions(tmp_path)
    back = livedpo("versions", "rollback", "--data-dir", tmp_path)
    assert back.stdout == "Version 0 is live now, in place of version 1.\n"
    forth = livedpo("versions", "rollback", 1, "--data-dir", tmp_path)
    assert forth.stdout == "Version 1 is live now, in place of version 0.\n"
    assert live(store).id == 1


def test_a_version_that_was_kept_back_can_be_promoted_by_hand(tmp_path: Path) -> None:
    store = make_versions(tmp_path)
    run = livedpo("versions", "promote", 2, "--data-dir", tmp_path)
    assert run.stdout == "Version 2 is live now, in place of version 1.\n"
    assert live(store).id == 2


def test_a_version_whose_folder_is_damaged_does_not_become_live(tmp_path: Path) -> None:
    store = make_versions(tmp_path)
    (tmp_path / "adapters" / "v2" / WEIGHTS).write_bytes(b"cut off")
    fails(livedpo("versions", "promote", 2, "--data-dir", tmp_path), 1, "v2 was changed")
    assert live(store).id == 1


def test_repair_makes_the_newest_complete_ancestor_of_a_lost_version_live(tmp_path: Path) -> None:
    store = make_versions(tmp_path)
    data = ("--data-dir", tmp_path)
    assert "nothing was changed" in livedpo("versions", "repair", *data).stdout
    livedpo("versions", "promote", 2, *data)
    for number in (1, 2):
        (tmp_path / "adapters" / f"v{number}" / WEIGHTS).unlink()
    fails(livedpo("versions", "rollback", *data), 1, "`livedpo versions repair` makes the newest")
    run = livedpo("versions", "repair", *data)
    assert "v2 is incomplete" in run.stdout
    assert "Version 0 is live now, in place of version 2." in run.stdout
    assert live(store).id == 0
    fails(livedpo("versions", "promote", 1, *data), 1, "v1 is incomplete")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rollback", "9"], "no version 9"),
        (["promote", "1"], "Version 1 is live already"),
        (["promote"], "VERSION"),
    ],
)
def test_a_version_that_cannot_be_made_live_is_one_sentence(
    tmp_path: Path, words: list[str], says: str
) -> None:
    make_versions(tmp_path)
    fails(livedpo("versions", *words, "--data-dir", tmp_path), 2, says)


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
    assert set(ALL) == set(FIELDS)
