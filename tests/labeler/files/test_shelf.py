"""Version folders at a URL: whole or not there, checked before use, and of one service."""

import json
import uuid
from pathlib import Path

import fsspec
import pytest

from labeler.domain.adapter_folder import MANIFEST, WEIGHTS, DamagedCheckpointError, file_sha256
from labeler.domain.errors import BadInput, LivedpoError
from labeler.files.shelf import MARK, Shelf

NAME = "v0001-0a1b2c3d"
STORES = ("file", "memory")


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A URL that nobody has used."""
    if request.param == "file":
        return f"file://{tmp_path / 'versions'}"
    return f"memory://{uuid.uuid4().hex}"


def written(folder: Path, content: bytes = b"weights") -> str:
    """A whole version folder; returns the hash of its weights."""
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(content)
    (folder / "adapter_config.json").write_text("{}")
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps({"files": files}))
    return files[WEIGHTS]


def shelf(tmp_path: Path, machine: str, url: str | None) -> Shelf:
    return Shelf(tmp_path / machine / "adapters", url)


def published(tmp_path: Path, url: str) -> str:
    trainer = shelf(tmp_path, "trainer", url)
    trainer.claim("us", writes=True)
    sha256 = written(trainer.folder / NAME)
    trainer.publish(NAME)
    return sha256


def test_what_one_machine_publishes_another_has_byte_for_byte(tmp_path: Path, place: str) -> None:
    sha256 = published(tmp_path, place)
    sampler = shelf(tmp_path, "sampler", place)
    assert not sampler.has(NAME)
    folder = sampler.fetch(NAME, sha256)
    assert sampler.has(NAME)
    theirs = tmp_path / "trainer" / "adapters" / NAME
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        p.name: p.read_bytes() for p in theirs.iterdir()
    }


@pytest.mark.parametrize("missing", [MANIFEST, WEIGHTS, "adapter_config.json", "the folder"])
def test_half_a_folder_is_not_there_yet_and_whole_later(
    tmp_path: Path, place: str, missing: str
) -> None:
    sha256 = published(tmp_path, place)
    files, root = fsspec.core.url_to_fs(place)
    path = f"{root}/{NAME}" if missing == "the folder" else f"{root}/{NAME}/{missing}"
    files.mv(path, f"{root}/late", recursive=True)
    sampler = shelf(tmp_path, "sampler", place)
    with pytest.raises(DamagedCheckpointError, match=r"is not at .* yet .* it is waited for\."):
        sampler.fetch(NAME, sha256)
    assert not sampler.has(NAME)
    files.mv(f"{root}/late", path, recursive=True)
    assert sampler.fetch(NAME, sha256).is_dir()
    assert [p.name for p in sampler.folder.iterdir() if p.is_dir()] == [NAME]


@pytest.mark.parametrize("file", [MANIFEST, WEIGHTS])
def test_a_file_that_is_there_in_part_is_not_used(tmp_path: Path, place: str, file: str) -> None:
    sha256 = published(tmp_path, place)
    files, root = fsspec.core.url_to_fs(place)
    whole = files.cat_file(f"{root}/{NAME}/{file}")
    files.pipe_file(f"{root}/{NAME}/{file}", whole[:-3])
    sampler = shelf(tmp_path, "sampler", place)
    with pytest.raises(DamagedCheckpointError, match="waited for"):
        sampler.fetch(NAME, sha256)
    assert not sampler.has(NAME)
    files.pipe_file(f"{root}/{NAME}/{file}", whole)
    assert sampler.fetch(NAME, sha256).is_dir()


def test_other_weights_than_the_database_knows_are_not_used(tmp_path: Path, place: str) -> None:
    published(tmp_path, place)
    with pytest.raises(DamagedCheckpointError, match="its checksums are not right"):
        shelf(tmp_path, "sampler", place).fetch(NAME, "0" * 64)


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd"])
def test_a_manifest_writes_nothing_outside_its_folder(
    tmp_path: Path, place: str, name: str
) -> None:
    published(tmp_path, place)
    files, root = fsspec.core.url_to_fs(place)
    evil = json.dumps({"files": {name: "0" * 64}})
    files.pipe_file(f"{root}/{NAME}/{MANIFEST}", evil.encode())
    with pytest.raises(DamagedCheckpointError, match="lists no files"):
        shelf(tmp_path, "sampler", place).fetch(NAME, None)


def test_a_place_belongs_to_one_service(tmp_path: Path, place: str) -> None:
    published(tmp_path, place)
    shelf(tmp_path, "sampler", place).claim("us", writes=False)
    for writes in (True, False):
        with pytest.raises(BadInput, match="belongs to another service; give each its own"):
            shelf(tmp_path, "other", place).claim("them", writes=writes)
    files, root = fsspec.core.url_to_fs(place)
    files.pipe_file(f"{root}/{MARK}", b"[]")
    with pytest.raises(BadInput, match="is not one of livedpo"):
        shelf(tmp_path, "trainer", place).claim("us", writes=True)


def test_a_reader_of_an_empty_place_waits_and_marks_nothing(tmp_path: Path, place: str) -> None:
    shelf(tmp_path, "sampler", place).claim("them", writes=False)
    shelf(tmp_path, "trainer", place).claim("us", writes=True)


def test_a_folder_that_goes_is_incomplete_first_and_gone_ones_are_fine(
    tmp_path: Path, place: str
) -> None:
    published(tmp_path, place)
    trainer = shelf(tmp_path, "trainer", place)
    assert trainer.published() == {NAME, MARK}
    trainer.remove([NAME, "v0009"])
    trainer.remove([NAME])
    assert trainer.published() == {MARK}


def test_without_a_url_a_folder_is_what_it_is(tmp_path: Path) -> None:
    alone = shelf(tmp_path, "one", None)
    alone.claim("us", writes=True)
    sha256 = written(alone.folder / NAME)
    alone.publish(NAME)
    assert alone.published() == set()
    assert alone.fetch(NAME, sha256) == alone.folder / NAME
    with pytest.raises(DamagedCheckpointError, match="is gone"):
        alone.fetch("v0002", None)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://bucket/versions", r"pip install 'livedpo\[s3\]'"),
        ("nowhere://x", "cannot be used: Protocol not known"),
        ("file:///proc/nowhere/versions", "cannot be written"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_sentence(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        shelf(tmp_path, "trainer", url).claim("us", writes=True)


def test_a_place_that_cannot_be_written_any_more_is_one_sentence(tmp_path: Path) -> None:
    trainer = shelf(tmp_path, "trainer", f"file://{tmp_path / 'versions'}")
    written(trainer.folder / NAME)
    (tmp_path / "versions").write_text("a file")
    with pytest.raises(LivedpoError, match=r"cannot be written to file://"):
        trainer.publish(NAME)
