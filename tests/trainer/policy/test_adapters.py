"""Adapter folders: complete or not there, and readable by plain peft."""

import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel
from sqlmodel import col
from transformers import AutoModelForCausalLM

from labeler.domain.errors import LivedpoError
from labeler.store import Store
from labeler.store.database import Database
from labeler.store.tables import PolicyVersion
from tests.support.store import change, make_version, rows
from tests.support.tiny import fill
from tests.trainer.conftest import disturb
from trainer.policy.adapters import (
    DamagedCheckpointError,
    read_adapter,
    remove_folders,
    remove_unfinished,
    version_folders,
    write_adapter,
)
from trainer.policy.policy import CANDIDATE, LIVE, Policy


def written(policy: Policy, folder: Path, *, seed: int = 0) -> str:
    disturb(policy, CANDIDATE, seed=seed)
    state = policy.adapter_state(CANDIDATE)
    return write_adapter(folder, state, policy.adapter_config(), base=policy.name)


# peft 0.21 asks transformers 5 by an old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_plain_peft_loads_what_was_written_and_computes_the_same(
    policy: Policy, tmp_path: Path, tiny_policy: Path
) -> None:
    written(policy, tmp_path / "v0001")
    plain = AutoModelForCausalLM.from_pretrained(tiny_policy)
    elsewhere = PeftModel.from_pretrained(plain, tmp_path / "v0001").eval()
    ids = torch.tensor([[3, 20, 30, 0, 4]])
    with torch.no_grad(), policy.adapter(CANDIDATE):
        assert torch.equal(elsewhere(ids).logits, policy.model(ids).logits)


def test_what_was_written_is_read_back(policy: Policy, tmp_path: Path) -> None:
    sha256 = written(policy, tmp_path / "v0001")
    state = read_adapter(tmp_path / "v0001", sha256)
    policy.set_adapter_state(LIVE, state)
    for live, candidate in zip(policy.parameters(LIVE), policy.parameters(CANDIDATE), strict=True):
        assert torch.equal(live, candidate)


def test_the_same_weights_give_the_same_hash(policy: Policy, tmp_path: Path) -> None:
    state, config = policy.adapter_state(CANDIDATE), policy.adapter_config()
    hashes = {write_adapter(tmp_path / name, state, config, base="b") for name in ("x", "y")}
    assert len(hashes) == 1


@pytest.mark.parametrize("damage", ["truncate", "flip", "no manifest", "no weights", "no folder"])
def test_a_damaged_folder_is_refused(policy: Policy, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "v0001"
    sha256 = written(policy, folder)
    weights = folder / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    if damage == "truncate":
        weights.write_bytes(content[:-10])
    elif damage == "flip":
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "no manifest":
        (folder / "manifest.json").unlink()
    elif damage == "no weights":
        weights.unlink()
    else:
        folder.rename(tmp_path / "elsewhere")
    with pytest.raises(DamagedCheckpointError, match="v0001"):
        read_adapter(folder, sha256)


def test_another_complete_adapter_under_the_name_is_refused(policy: Policy, tmp_path: Path) -> None:
    sha256 = written(policy, tmp_path / "v0001")
    written(policy, tmp_path / "v0001", seed=1)
    with pytest.raises(DamagedCheckpointError):
        read_adapter(tmp_path / "v0001", sha256)


def make_folders(parent: Path, *names: str) -> None:
    for name in names:
        (parent / name).mkdir(parents=True)
        (parent / name / "adapter_model.safetensors").write_bytes(b"weights")


def names_in(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir())


def test_leftovers_of_a_crash_are_removed(tmp_path: Path) -> None:
    make_folders(tmp_path, ".writing-v0001", ".removing-v0002", "v0001")
    remove_unfinished(tmp_path)
    assert names_in(tmp_path) == ["v0001"]


def test_named_folders_are_removed_and_missing_ones_are_fine(tmp_path: Path) -> None:
    make_folders(tmp_path, "v0001", "v0002", "offline-1700000000000")
    remove_folders(tmp_path, ["v0001", "v0009", "offline-1700000000000"])
    remove_folders(tmp_path / "nowhere", ["v0001"])
    assert names_in(tmp_path) == ["v0002"]


def test_a_folder_that_does_not_go_is_one_sentence(tmp_path: Path) -> None:
    make_folders(tmp_path, "v0001", ".removing-v0001")
    with pytest.raises(LivedpoError, match=r"v0001 cannot be removed: Directory not empty\."):
        remove_folders(tmp_path, ["v0001"])


def test_version_folders_are_known_by_their_names_and_nothing_else_is(tmp_path: Path) -> None:
    ours = ["v0001", "v0002", "v0002-0a1b2c3d", "v12345", "offline-1700000000000"]
    make_folders(tmp_path, *ours, "v0001-copy", "my adapter", "v3")
    (tmp_path / "v0004").write_text("a file")
    assert version_folders(tmp_path, since=0.0) == set(ours)
    assert version_folders(tmp_path / "nowhere", since=0.0) == set()


def test_folders_of_an_older_database_on_the_same_data_dir_stay(tmp_path: Path) -> None:
    make_folders(tmp_path, "v0001", "v0002")
    os.utime(tmp_path / "v0001", (1000.0, 1000.0))
    assert version_folders(tmp_path, since=1001.0) == {"v0002"}


@pytest.mark.parametrize("done", ["nothing", "one folder", "half a folder", "all"])
def test_a_crash_between_the_mark_and_the_end_of_the_folders_is_healed(
    store: Store, database: Database, tmp_path: Path, done: str
) -> None:
    fill(store, 40)
    for number in range(1, 6):
        make_version(store, number, now=1000.0 + 10 * number)
    parent = tmp_path / "adapters"
    for row in rows(database, PolicyVersion, col(PolicyVersion.id) > 0):
        change(database, PolicyVersion, row.id, folder=f"v{row.id:04d}")
        make_folders(parent, f"v{row.id:04d}")
    pruned = store.versions.prune(keep=2, now=3000.0)
    assert pruned == ["v0001", "v0002", "v0003"]
    if done == "half a folder":
        (parent / pruned[0]).rename(parent / f".removing-{pruned[0]}")
    elif done != "nothing":
        remove_folders(parent, pruned[: 1 if done == "one folder" else None])
    remove_unfinished(parent)
    found = version_folders(parent, since=store.versions.get(0).created_at)
    remove_folders(parent, found - store.versions.folders("w"))
    assert names_in(parent) == ["v0004", "v0005"]


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_fills_up_leaves_no_folder_behind(tmp_path: Path) -> None:
    folder = tmp_path / "adapters" / "v0001"
    config, state = LoraConfig(target_modules=["x"]), {"w": torch.zeros(100_000)}
    with no_file_beyond(100_000), pytest.raises(Exception, match="too large"):
        write_adapter(folder, state, config, base="b")
    assert list(folder.parent.iterdir()) == []


def test_the_manifest_names_every_other_file(policy: Policy, tmp_path: Path) -> None:
    written(policy, tmp_path / "v0001")
    names = {path.name for path in (tmp_path / "v0001").iterdir()}
    manifest = json.loads((tmp_path / "v0001" / "manifest.json").read_text())
    assert set(manifest["files"]) == names - {"manifest.json"}
