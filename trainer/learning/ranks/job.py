"""The folder over which an update is handed to other processes and comes back.

    job.json      labels, settings, seed                        in
    live/         the adapter that training starts from         in
    steps.jsonl   one line for each optimiser step, as it ends  out
    failed.json   why it cannot be done, in a sentence          out
    candidate/    the adapter that was trained, whole or not there

Nothing but safetensors and JSON. All ranks read it and rank 0 writes, so ranks on several machines
need a folder that they share.
"""

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from labeler.config.parts.model import Model
from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from trainer.learning.update import Step

JOB, LIVE, CANDIDATE = "job.json", "live", "candidate"
STEPS, FAILED = "steps.jsonl", "failed.json"

Tokens = tuple[list[int], list[int], list[int]]


@dataclass(frozen=True)
class Job:
    """What `trainer.learning.update.train` takes, and how the policy that it takes is loaded.

    `threads` are those of all ranks on one machine together. `products` as in `Policy`. `shard`
    says that the ranks share the base.
    """

    model: Model
    training: Training
    labels: list[TrainingLabel]
    filled: list[TrainingLabel]
    probe: list[Tokens]
    seed: int
    temperature: float
    products: Literal["bfloat16"] | None
    threads: int
    shard: bool = False


_JOBS = TypeAdapter(Job)
_STEPS = TypeAdapter(Step)


def write_job(folder: Path, job: Job) -> None:
    """Raises OSError."""
    (folder / JOB).write_bytes(_JOBS.dump_json(job))


def read_job(folder: Path) -> Job:
    """The same, to the last bit of every number. Raises OSError, or ValueError if it is none."""
    return _JOBS.validate_json((folder / JOB).read_bytes())


def write_step(folder: Path, step: Step) -> None:
    """Add a step. A number that is not finite is null: JSON has no word for it."""
    with (folder / STEPS).open("ab") as file:
        file.write(_STEPS.dump_json(step) + b"\n")


def read_steps(folder: Path, *, after: int) -> list[Step]:
    """The steps after so many, as far as they are written."""
    try:
        lines = (folder / STEPS).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [_step(json.loads(line)) for line in lines[after:-1]]


def _step(row: dict[str, float | None]) -> Step:
    known = {name: math.nan if value is None else value for name, value in row.items()}
    return _STEPS.validate_python(known)


def write_failure(folder: Path, sentence: str) -> None:
    """Say why it cannot be done. What a rank said before stays."""
    with suppress(FileExistsError), (folder / FAILED).open("x") as file:
        json.dump({"because": sentence}, file)


def read_failure(folder: Path) -> str | None:
    """Why it cannot be done; None if nobody said so."""
    with suppress(OSError, ValueError):
        return str(json.loads((folder / FAILED).read_text())["because"])
    return None
