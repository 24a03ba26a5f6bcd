"""An update by processes of their own: what goes in and out, and what becomes of it if one dies."""

import re
import signal
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from labeler.config.parts.model import Model
from labeler.config.parts.training import Training
from labeler.domain.errors import LivedpoError
from labeler.domain.labels import TrainingLabel
from labeler.domain.states import UpdateState
from labeler.store import Store
from tests.support.patience import wait_until
from tests.support.tiny import worker_settings
from tests.support.worker import HandTurned
from tests.trainer.conftest import disturb, equal
from trainer.learning.ranks import job as files
from trainer.learning.ranks.launch import JOBS, train_apart
from trainer.learning.update import train
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.worker.life import Stopped

MEASURED = Training(passes=2, batch_pairs=3)
GIVEN = Training(learning_rate=1e-3, batch_pairs=4)


def apart(
    policy: Policy, labels: list[TrainingLabel], jobs: Path, launcher: str, **how: Any
) -> Any:
    settings = Model(policy=policy.name, device="cpu", lora_rank=4, lora_alpha=8.0)
    settings = settings.model_copy(update={"launcher": launcher, "nproc": 1})
    return train_apart(policy, labels, MEASURED, settings=settings, jobs=jobs, seed=3, **how)


# Stands for torchrun: a rank of one without it. It is given --nproc-per-node 1 -m, the program and
# the folder.
PYTHON = f"sh -c 'shift 2; exec {sys.executable} \"$@\"' sh"


def children() -> list[psutil.Process]:
    """The processes that a job has started, and theirs: no browser of another test, say."""
    return [child for child in psutil.Process().children(recursive=True) if JOBS in _command(child)]


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def ranks() -> list[psutil.Process]:
    """Those that train."""
    return [child for child in children() if "torch.distributed.run" not in _command(child)]


def test_one_process_apart_learns_what_this_one_would_to_the_last_bit(
    policy: Policy,
    labels: list[TrainingLabel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    one = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    for name, value in {**one, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, value)
    disturb(policy, LIVE, scale=0.1)
    policy.temperature = 0.7  # so that references are computed anew
    probe, filled = [labels[0].tokens], [replace(labels[1], target=0.25, weight=0.5)]
    here = list(train(policy, labels, MEASURED, seed=3, probe=probe, filled=filled))
    candidate = policy.adapter_state(CANDIDATE)
    disturb(policy, CANDIDATE)
    there = list(apart(policy, labels, tmp_path / JOBS, PYTHON, probe=probe, filled=filled))
    assert there == here
    assert equal(policy.adapter_state(CANDIDATE), candidate)
    assert not (tmp_path / JOBS).exists()


def test_two_ranks_that_share_the_base_learn_what_this_process_would(
    policy: Policy,
    labels: list[TrainingLabel],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An odd number of labels: in the last step one rank has none."""
    disturb(policy, LIVE, scale=0.1)
    here = list(train(policy, labels[:5], GIVEN, seed=3))
    candidate = policy.adapter_state(CANDIDATE)
    settings = Model(
        policy=policy.name, device="cpu", lora_rank=4, lora_alpha=8.0, nproc=2, shard=True
    )
    caplog.set_level("INFO")
    jobs = tmp_path / JOBS
    there = list(train_apart(policy, labels[:5], GIVEN, settings=settings, jobs=jobs, seed=3))
    [kept] = re.findall(r"Each process keeps (\d+)% of the weights", caplog.text)
    assert int(kept) < 85, "half of the layers, and embedding, head and adapters as a whole"
    assert [step.loss for step in there] == pytest.approx([step.loss for step in here], rel=1e-4)
    for name, weight in policy.adapter_state(CANDIDATE).items():
        assert torch.allclose(weight, candidate[name], atol=1e-6), name


def test_a_rank_that_is_killed_fails_the_update_which_gives_its_labels_back(
    store: Store, policy: Policy, tiny_policy: Path, tmp_path: Path
) -> None:
    """Two ranks of torchrun, in the middle of a training that would take hours."""
    settings = worker_settings(tiny_policy, tmp_path, nproc=2, passes=100_000)
    worker = HandTurned(store, policy, settings)

    def kill_one() -> None:
        wait_until(lambda: list((tmp_path / JOBS).glob(f"*/{files.STEPS}")), "a step")
        ranks()[1].send_signal(signal.SIGKILL)

    worker.work()
    killer = threading.Thread(target=kill_one)
    killer.start()
    failed = worker.update()
    killer.join()
    assert failed.state is UpdateState.FAILED
    assert "SIGKILL" in (failed.reason or "")
    labels = store.reports.status(max_staleness=settings.max_staleness)["labels"]
    assert (labels["fresh"], labels["used"]) == (settings.labels_per_update, 0)
    assert children() == []
    assert not (tmp_path / JOBS).exists()


def test_being_told_to_stop_ends_the_processes(
    policy: Policy, labels: list[TrainingLabel], tmp_path: Path
) -> None:
    def stop() -> None:
        assert children()
        raise Stopped

    with pytest.raises(Stopped):
        list(apart(policy, labels, tmp_path / JOBS, "sh -c 'sleep 1000; true'", go_on=stop))
    assert children() == []
    assert not (tmp_path / JOBS).exists()


def test_a_launcher_that_fails_is_one_sentence(
    policy: Policy, labels: list[TrainingLabel], tmp_path: Path
) -> None:
    with pytest.raises(LivedpoError, match="ended with exit code 7; the log has what it said"):
        list(apart(policy, labels, tmp_path / JOBS, "sh -c 'exit 7'"))


def test_what_a_rank_says_in_a_sentence_is_what_the_update_says(
    policy: Policy, labels: list[TrainingLabel], tmp_path: Path
) -> None:
    """The folder is the third argument: -m, the program, the folder."""
    says = r"""sh -c 'echo "{\"because\": \"It is too hot.\"}" > $4/failed.json; exit 1'"""
    with pytest.raises(LivedpoError, match=r"^It is too hot\.$"):
        list(apart(policy, labels, tmp_path / JOBS, says))
