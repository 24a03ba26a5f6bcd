"""One rank: `torchrun ... -m trainer.learning.ranks.program FOLDER`, which `launch` starts.

Reads the job folder, trains with the other ranks, and as rank 0 writes steps and candidate. Every
rank has the whole base, or a share of its layers (`shards`). They speak gloo on CPUs and NCCL on
GPUs. A rank that waits for another gives up after MAX_WAIT_SECONDS.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed as dist
from transformers.utils.logging import disable_progress_bar

from labeler.domain.errors import LivedpoError
from trainer.learning.ranks import job as files
from trainer.learning.ranks.job import Job
from trainer.learning.ranks.launch import RANK, SUPERVISED
from trainer.learning.ranks.shards import split
from trainer.learning.team import Team
from trainer.learning.update import train
from trainer.policy.adapters import read_adapter, write_adapter
from trainer.policy.load import load_policy
from trainer.policy.policy import CANDIDATE, LIVE, Policy

MAX_WAIT_SECONDS = 600.0


def main() -> None:
    """Be the rank that the environment says, over the folder that is the first argument."""
    folder = Path(sys.argv[1])
    if SUPERVISED in sys.argv[2:]:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(
        level=logging.WARNING, format=f"{RANK}{os.environ['RANK']}: %(message)s", force=True
    )
    disable_progress_bar()
    try:
        run(folder)
    except LivedpoError as error:
        files.write_failure(folder, str(error))
        sys.exit(error.exit_code)
    # All is written. What holds a split base has threads, on which Python's own end aborted in one
    # of twenty runs ("terminate called without an active exception").
    sys.stdout.flush()
    os._exit(0)


def run(folder: Path) -> None:
    """Train as one of the ranks. Raises LivedpoError."""
    job = files.read_job(folder)
    gpus, here = torch.cuda.device_count(), _here()
    kind = "cuda" if job.shard and gpus >= here["ranks"] else job.model.device
    device = device_of(kind, gpus=gpus, **here)
    with joined(device, in_step=job.shard) as team:
        policy = loaded(job, folder / files.LIVE, "cpu" if job.shard else device)
        if job.shard:
            kept = split(policy, device)
            if team.rank == 0:
                sys.stdout.write(f"Each process keeps {kept:.0%} of the weights.\n")
        torch.set_num_threads(max(1, job.threads // _here()["ranks"]))
        steps = train(
            policy,
            job.labels,
            job.training,
            seed=job.seed,
            probe=job.probe,
            filled=job.filled,
            team=team,
        )
        for step in steps:
            if team.rank == 0:
                files.write_step(folder, step)
        if not team.agrees(policy.parameters(CANDIDATE)):
            raise LivedpoError("The processes that trained came to different weights.")
        if team.rank == 0:
            state, config = policy.adapter_state(CANDIDATE), policy.adapter_config()
            write_adapter(folder / files.CANDIDATE, state, config, base=policy.base_name)


@contextmanager
def joined(device: str, *, in_step: bool) -> Iterator[Team]:
    """The team of all ranks that the launcher has started. An error ends the process anyway."""
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    dist.init_process_group(backend, timeout=timedelta(seconds=MAX_WAIT_SECONDS))
    yield Team(dist.get_rank(), dist.get_world_size(), dist.group.WORLD, in_step)
    dist.destroy_process_group()


def loaded(job: Job, live: Path, device: str) -> Policy:
    """The policy as whoever wrote the job has it. Raises LivedpoError."""
    model = job.model.model_copy(update={"device": device})
    policy = load_policy(model, live)
    policy.set_adapter_state(LIVE, read_adapter(live))
    policy.temperature = job.temperature
    if job.products is not None:
        policy.multiply_in(torch.bfloat16)
    return policy


def device_of(kind: str, *, gpus: int, rank: int, ranks: int) -> str:
    """Where the rank of this machine computes; the worker keeps the first GPU if there are more.

    Raises LivedpoError if there are too few.
    """
    if kind != "cuda":
        return kind
    if ranks > gpus:
        raise LivedpoError(f"{ranks} processes are to train, and there are {gpus} GPUs here.")
    return f"cuda:{rank + (1 if gpus > ranks else 0)}"


def _here() -> dict[str, int]:
    """Which of how many ranks of this machine it is."""
    return {"rank": int(os.environ["LOCAL_RANK"]), "ranks": int(os.environ["LOCAL_WORLD_SIZE"])}


def _end_with_parent() -> None:
    """End at once when whoever started the ranks is gone."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
