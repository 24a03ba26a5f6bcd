"""An adapter folder is whole, or it is refused; no model library is needed to tell."""

import json
from pathlib import Path

import pytest

from labeler.domain.adapter_folder import (
    MANIFEST,
    WEIGHTS,
    DamagedCheckpointError,
    file_sha256,
    verify,
)
from tests.support.adapter import write_folder


def test_a_whole_folder_passes(tmp_path: Path) -> None:
    verify(tmp_path / "v1", write_folder(tmp_path / "v1"))


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json"])
def test_one_changed_byte_is_named(tmp_path: Path, name: str) -> None:
    sha256 = write_folder(tmp_path / "v1")
    content = bytearray((tmp_path / "v1" / name).read_bytes())
    content[0] ^= 1
    (tmp_path / "v1" / name).write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match=name):
        verify(tmp_path / "v1", sha256)


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json", MANIFEST])
def test_a_missing_file_makes_the_folder_incomplete(tmp_path: Path, name: str) -> None:
    sha256 = write_folder(tmp_path / "v1")
    (tmp_path / "v1" / name).unlink()
    with pytest.raises(DamagedCheckpointError, match="incomplete"):
        verify(tmp_path / "v1", sha256)


def test_a_folder_that_is_not_there_is_gone(tmp_path: Path) -> None:
    with pytest.raises(DamagedCheckpointError, match=r"v1 is gone\.$"):
        verify(tmp_path / "v1", None)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"files": []}', '{"files": {"..": 1}}'])
def test_a_manifest_that_is_none_is_one_sentence(tmp_path: Path, manifest: str) -> None:
    sha256 = write_folder(tmp_path / "v1")
    (tmp_path / "v1" / MANIFEST).write_text(manifest)
    with pytest.raises(DamagedCheckpointError, match="v1"):
        verify(tmp_path / "v1", sha256)


def test_a_whole_folder_of_other_weights_is_refused(tmp_path: Path) -> None:
    sha256 = write_folder(tmp_path / "v1")
    write_folder(tmp_path / "v1", weights=b"others")
    with pytest.raises(DamagedCheckpointError, match=WEIGHTS):
        verify(tmp_path / "v1", sha256)


def test_weights_that_the_manifest_leaves_out_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    sha256 = write_folder(folder)
    only = {"adapter_config.json": file_sha256(folder / "adapter_config.json")}
    (folder / MANIFEST).write_text(json.dumps({"files": only}))
    with pytest.raises(DamagedCheckpointError, match=WEIGHTS):
        verify(folder, sha256)
