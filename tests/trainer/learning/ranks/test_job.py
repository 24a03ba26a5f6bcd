"""What is handed to the ranks, and where they compute."""

import math
from pathlib import Path

import pytest

from labeler.config.parts.model import Model
from labeler.config.parts.training import Training
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.labels import TrainingLabel
from trainer.learning.ranks import job as files
from trainer.learning.ranks.job import Job
from trainer.learning.ranks.launch import refuse_missing_launcher
from trainer.learning.ranks.program import device_of
from trainer.learning.update import Step

LABEL = TrainingLabel(("v",), 1 / 3, 0.1, [1, 2], [3], [4, 5], -17.1, -math.pi, temperature=0.7)


def test_a_job_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    settings = Settings(policy="some/model", update_kl=0.1 / 3, template_kwargs={"a": [1]})
    job = Job(
        model=Model(**{name: getattr(settings, name) for name in Model.model_fields}),
        training=Training(**{name: getattr(settings, name) for name in Training.model_fields}),
        labels=[LABEL],
        filled=[],
        probe=[LABEL.tokens],
        seed=2**62 + 1,
        temperature=0.7,
        products="bfloat16",
        threads=3,
        shard=True,
    )
    files.write_job(tmp_path, job)
    assert files.read_job(tmp_path) == job


def test_steps_are_read_as_they_come_and_only_whole(tmp_path: Path) -> None:
    assert files.read_steps(tmp_path, after=0) == []
    first, last = Step(1, 2, 0.1, 0.5, 3.0, 1e-3), Step(2, 2, math.nan, 0.5, math.inf, 0.0)
    files.write_step(tmp_path, first)
    files.write_step(tmp_path, last)
    with (tmp_path / files.STEPS).open("a") as file:
        file.write('{"done": 3, "to')
    assert files.read_steps(tmp_path, after=0)[0] == first
    [read] = files.read_steps(tmp_path, after=1)
    assert (read.done, read.accuracy) == (2, 0.5)
    assert math.isnan(read.loss)
    assert math.isnan(read.gradient_norm)


def test_the_first_reason_stays(tmp_path: Path) -> None:
    assert files.read_failure(tmp_path) is None
    files.write_failure(tmp_path, "It is too hot.")
    files.write_failure(tmp_path, "It is too late.")
    assert files.read_failure(tmp_path) == "It is too hot."


@pytest.mark.parametrize(
    ("gpus", "rank", "ranks", "device"),
    [(2, 0, 2, "cuda:0"), (2, 1, 2, "cuda:1"), (3, 0, 2, "cuda:1"), (8, 6, 7, "cuda:7")],
)
def test_the_worker_keeps_the_first_gpu_if_there_are_more_than_ranks(
    gpus: int, rank: int, ranks: int, device: str
) -> None:
    assert device_of("cuda", gpus=gpus, rank=rank, ranks=ranks) == device


def test_more_ranks_than_gpus_are_refused() -> None:
    assert device_of("cpu", gpus=0, rank=1, ranks=2) == "cpu"
    with pytest.raises(LivedpoError, match="2 processes are to train, and there are 1 GPUs"):
        device_of("cuda", gpus=1, rank=0, ranks=2)


@pytest.mark.parametrize(
    ("launcher", "says"),
    [("no-such-launcher -n 2", "'no-such-launcher' is no command here"), ("srun '", "No closing")],
)
def test_a_launcher_that_is_no_command_is_refused(launcher: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        refuse_missing_launcher(Model(launcher=launcher, nproc=2))


def test_a_split_among_no_processes_is_refused() -> None:
    with pytest.raises(ValueError, match="--shard needs --nproc"):
        Settings(shard=True)


def test_a_launcher_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="--launcher needs --nproc"):
        Settings(launcher="torchrun")
