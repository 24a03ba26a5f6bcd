"""Backups: made while somebody writes, read back, and refused as a whole if anything is wrong."""

import hashlib
import json
import sqlite3
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from labeler.config.load import load_settings
from labeler.config.settings import Settings
from labeler.domain.adapter_folder import WEIGHTS, verify
from labeler.domain.errors import BadInput
from labeler.domain.states import RaterRole
from labeler.files.backup import (
    DATABASE,
    MANIFEST,
    Backup,
    read_backup,
    restore_backup,
    write_backup,
)
from labeler.files.kept_settings import SETTINGS, keep_settings
from labeler.store import Store, open_store
from labeler.store.records import NewVersion
from tests.support.adapter import write_folder
from tests.support.command import fails, livedpo
from tests.support.empty_store import new_store
from tests.support.store import FINDING, claim, live, open_update, vote
from tests.support.tiny import add_pairs, fill

VERSIONS = 4


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    flags = {"data_dir": tmp_path / "run", "labels_per_update": 4, "reason_tags": "a, “ß”"}
    return load_settings(flags, {})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """A store of four versions with folders, the last one live, and votes since."""
    settings.data_dir.mkdir()
    opened = new_store(settings.database_url)
    fill(opened, 8)
    for number in range(1, VERSIONS + 1):
        vote(opened, 4, now=10.0 * number)
        open_update(opened, 10.0 * number + 1)
        claimed = claim(opened, now=10.0 * number + 2)
        sha256 = write_folder(settings.adapters_dir / f"v{number:04d}", b"%d" % number)
        labels = [vote_id for label in claimed.labels for vote_id in label.vote_ids]
        version = NewVersion(number, f"v{number:04d}", sha256, FINDING)
        opened.updates.promote(claimed, version, [], trained_on=labels, now=10.0 * number + 3)
        add_pairs(opened, 8, version=number)
    yield opened
    opened.close()


def write(settings: Settings, store: Store, out: Path, *, every_version: bool = False) -> Backup:
    return write_backup(settings, store, out, now=1e6, every_version=every_version, quiet=True)


def changed(archive: Path, out: Path, files: dict[str, bytes | None]) -> Path:
    """An archive with other contents under these names; None leaves one out."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            if name not in files:
                new.writestr(name, old.read(name))
        for name, content in files.items():
            if content is not None:
                new.writestr(name, content)
    return out


def renamed(archive: Path, out: Path, name: str, to: str) -> Path:
    """An archive with a file of another name, which its manifest has too."""
    with zipfile.ZipFile(archive) as old:
        manifest = json.loads(old.read(MANIFEST))
        manifest["files"][to] = manifest["files"].pop(name)
        content = old.read(name)
    return changed(archive, out, {name: None, to: content, MANIFEST: json.dumps(manifest).encode()})


def test_a_restored_service_has_every_vote_and_its_live_version(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(settings.data_dir / DATABASE)) as other:
        other.execute("BEGIN")  # somebody reads, so the newest votes are in the log beside the file
        other.execute("SELECT count(*) FROM vote").fetchone()
        vote(store, 3, now=99.0)
        made = write(settings, store, tmp_path / "b.zip")
    assert (made.votes, made.live, made.lost) == (4 * VERSIONS + 3, VERSIONS, ())
    found = restore_backup(tmp_path / "b.zip", tmp_path / "new", quiet=True)
    assert (found.votes, found.live) == (made.votes, made.live)
    again = open_store(f"sqlite:///{tmp_path / 'new' / DATABASE}", create=False)
    assert len(again.reports.votes()) == 4 * VERSIONS + 3
    version = live(again)
    verify(tmp_path / "new" / "adapters" / str(version.folder), version.sha256)
    again.close()


def test_older_versions_are_left_out_unless_asked_for_and_count_as_pruned(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    store.versions.keep(1, kept=True)
    assert write(settings, store, tmp_path / "few.zip").pruned == (2,)
    assert write(settings, store, tmp_path / "all.zip", every_version=True).pruned == ()
    for name, pruned in (("few", [2]), ("all", [])):
        restore_backup(tmp_path / f"{name}.zip", tmp_path / name, quiet=True)
        again = open_store(f"sqlite:///{tmp_path / name / DATABASE}", create=False)
        rows = again.versions.all()
        assert [row.id for row in rows if row.pruned_at is not None] == pruned
        folders = {path.name for path in (tmp_path / name / "adapters").iterdir()}
        assert folders == again.versions.folders()
        again.close()
    assert [row.id for row in store.versions.all() if row.pruned_at is not None] == []


def test_a_lost_folder_is_named_and_stops_no_backup(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    (settings.adapters_dir / "v0004" / WEIGHTS).write_bytes(b"other")
    made = write(settings, store, tmp_path / "b.zip")
    assert len(made.lost) == 1
    assert made.lost[0].startswith("Version 4 is not in the backup. The adapter folder")
    assert made.votes == 4 * VERSIONS


def test_the_settings_of_the_last_start_come_along_without_the_place(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    keep_settings(settings, "serve")
    write(settings, store, tmp_path / "b.zip")
    restore_backup(tmp_path / "b.zip", tmp_path / "new", quiet=True)
    again = load_settings({}, {}, tmp_path / "new" / SETTINGS)
    assert (again.labels_per_update, again.reason_tags) == (4, "a, “ß”")
    assert again.data_dir == Settings().data_dir


def test_only_what_was_set_is_kept_and_no_default_and_nothing_of_the_policys_own_file(
    tmp_path: Path,
) -> None:
    policy, config = tmp_path / "policy", tmp_path / "my.toml"
    policy.mkdir()
    (policy / "livedpo.toml").write_text("beta = 0.5\n[judge]\nlabels_per_update = 64\n")
    config.write_text("temperature = 0.6\n")
    flags = {"data_dir": tmp_path, "policy": str(policy)}
    settings = load_settings(flags, {"LIVEDPO_SEED": "7"}, config, unattended=True)
    assert (settings.labels_per_update, settings.beta) == (64, 0.5)
    kept = keep_settings(settings, "judge")
    assert tomllib.loads(kept.read_text()) == {
        "policy": str(policy),
        "temperature": 0.6,
        "seed": 7,
    }
    again = load_settings({}, {}, kept)
    assert (again.labels_per_update, again.beta) == (Settings().labels_per_update, 0.5)


def test_a_restored_run_of_the_judge_goes_on_as_one(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    keep_settings(settings, "judge")
    write(settings, store, tmp_path / "b.zip")
    run = livedpo("restore", tmp_path / "b.zip", tmp_path / "new")
    assert f"Start it with `livedpo judge --config {tmp_path / 'new' / SETTINGS} " in run.stdout


def test_nobody_is_logged_in_in_the_copy(settings: Settings, store: Store, tmp_path: Path) -> None:
    token = store.raters.invite("Ann", RaterRole.ADMIN, now=1.0)
    write(settings, store, tmp_path / "b.zip")
    restore_backup(tmp_path / "b.zip", tmp_path / "new", quiet=True)
    again = open_store(f"sqlite:///{tmp_path / 'new' / DATABASE}", create=False)
    assert again.logins.invited(token, now=2.0) is None
    assert store.logins.invited(token, now=2.0) is not None
    again.close()


def test_nothing_is_replaced(settings: Settings, store: Store, tmp_path: Path) -> None:
    database = settings.data_dir / DATABASE
    with pytest.raises(BadInput, match="choose another name"):
        write(settings, store, database)
    write(settings, store, tmp_path / "b.zip")
    with pytest.raises(BadInput, match="is not empty"):
        restore_backup(tmp_path / "b.zip", settings.data_dir, quiet=True)
    with pytest.raises(BadInput, match="is a file"):
        restore_backup(tmp_path / "b.zip", database, quiet=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.zip", "run"]


def test_what_is_no_whole_backup_is_refused_in_a_sentence_and_writes_nothing(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    whole = tmp_path / "b.zip"
    write(settings, store, whole)
    weights = f"adapters/v0004/{WEIGHTS}"
    with zipfile.ZipFile(whole) as archive:
        manifest = json.loads(archive.read(MANIFEST))
    newer = json.dumps(manifest | {"format": "livedpo backup 2"}).encode()
    bad = {
        "is damaged": [
            changed(whole, tmp_path / "1", {weights: b"other"}),
            changed(whole, tmp_path / "2", {weights: None}),
            changed(whole, tmp_path / "3", {"adapters/v0004/more.json": b"{}"}),
        ],
        "no backup": [
            changed(whole, tmp_path / "4", {MANIFEST: None}),
            changed(whole, tmp_path / "5", {MANIFEST: b"[]"}),
            changed(whole, tmp_path / "6", {MANIFEST: newer}),
        ],
        "is refused": [
            renamed(whole, tmp_path / "7", weights, to="../../evil"),
            renamed(whole, tmp_path / "8", weights, to="/tmp/evil"),
            renamed(whole, tmp_path / "9", weights, to="adapters/../evil"),
            renamed(whole, tmp_path / "10", weights, to="adapters/v0004/..\\evil"),
            renamed(whole, tmp_path / "11", weights, to="adapters/.hidden/evil"),
        ],
        "backup": [tmp_path / "cut", tmp_path / "text", tmp_path / "flipped"],
    }
    packed = bytearray(whole.read_bytes())
    (tmp_path / "cut").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "text").write_text("votes")
    packed[len(packed) // 2] ^= 255
    (tmp_path / "flipped").write_bytes(packed)
    for words, files in bad.items():
        for file in files:
            with pytest.raises(BadInput, match=words):
                restore_backup(file, tmp_path / "new", quiet=True)
            assert not (tmp_path / "new").exists()


def test_a_database_that_is_not_sound_is_not_restored(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE notes (words)")
    store.copy_to(settings.data_dir / "copy.sqlite")
    made = write(settings, store, tmp_path / "b.zip")
    assert read_backup(tmp_path / "b.zip").files == made.files

    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        manifest = json.loads(archive.read(MANIFEST))
    manifest["files"][DATABASE] = hashlib.sha256(other.read_bytes()).hexdigest()
    wrong = {DATABASE: other.read_bytes(), MANIFEST: json.dumps(manifest).encode()}
    changed(tmp_path / "b.zip", tmp_path / "wrong.zip", dict(wrong))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="not one of livedpo"):
        restore_backup(tmp_path / "wrong.zip", tmp_path / "empty", quiet=True)
    assert list((tmp_path / "empty").iterdir()) == []


def test_the_commands_say_what_is_in_it_and_how_to_start(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    keep_settings(settings, "serve")
    run = livedpo("backup", tmp_path / "b.zip", "--data-dir", settings.data_dir)
    assert "holds 16 votes, version 4 live and 2 adapter folders; it was read back" in run.stdout
    assert "2 older versions; --all-versions" in run.stdout
    run = livedpo("restore", tmp_path / "b.zip", tmp_path / "new")
    again = f"--config {tmp_path / 'new' / SETTINGS} --data-dir {tmp_path / 'new'}"
    assert f"Start it with `livedpo serve {again}`." in run.stdout
    fails(livedpo("restore", tmp_path / "b.zip", tmp_path / "new"), 2, "is not empty")
    fails(livedpo("restore", tmp_path / "c.zip", tmp_path / "x"), 2, "There is no file")
    fails(livedpo("backup", tmp_path / "b.zip", "--data-dir", settings.data_dir), 2, "already")
