"""An update by processes of their own: the same arguments as `train`, the same steps, the same end.

    job folder -> launcher (torchrun) -> ranks -> steps, as they are written -> candidate

They know no database. The caller waits here, and does something else meanwhile if it likes. A rank
that dies ends the others, and the update: nothing of it comes back. The processes end with this
one, however that ends: their standard input is a pipe that closes then.
"""

import contextlib
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import IO

import torch

from labeler.config.parts.model import Model
from labeler.config.parts.training import Training
from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.labels import TrainingLabel
from trainer.fast.layout import TokenPair
from trainer.learning.examples import check
from trainer.learning.ranks import job as files
from trainer.learning.ranks.job import Job
from trainer.learning.update import Step
from trainer.policy.adapters import read_adapter, write_adapter
from trainer.policy.policy import CANDIDATE, LIVE, Policy

log = logging.getLogger(__name__)

PROGRAM = "trainer.learning.ranks.program"
SUPERVISED = "supervised"
JOBS = "jobs"  # in the data dir
POLL_SECONDS = 0.5
ENDING_SECONDS = 20.0
RANK = "rank "  # how the lines begin that a rank logs
ENDED_BY = re.compile(r"exitcode\s*: -(\d+)")  # of a process in what torchrun says


def refuse_missing_launcher(settings: Model) -> None:
    """Raise BadInput if the launcher is no command here."""
    if settings.launcher is None:
        return
    command = _words(settings.launcher)[0]
    if shutil.which(command) is None:
        raise BadInput(f"The launcher '{command}' is no command here; name one, such as torchrun.")


def train_apart(
    policy: Policy,
    labels: Sequence[TrainingLabel],
    training: Training,
    *,
    settings: Model,
    jobs: Path,
    seed: int,
    probe: Sequence[TokenPair] = (),
    filled: Sequence[TrainingLabel] = (),
    go_on: Callable[[], None] | None = None,
) -> Generator[Step, None, None]:
    """As `train`, by the processes that the settings ask for, over a new folder in `jobs`.

    `go_on` is called every POLL_SECONDS. It may use the policy, but for its candidate, and may
    raise to end it all. Folders that a crash left in `jobs` are removed. Raises LivedpoError, also
    if a process dies.
    """
    check(policy, [*labels, *filled])
    shutil.rmtree(jobs, ignore_errors=True)
    jobs.mkdir(parents=True)
    folder = Path(tempfile.mkdtemp(dir=jobs)).absolute()
    job = Job(
        model=_model(policy, settings),
        training=training,
        labels=list(labels),
        filled=list(filled),
        probe=[(list(prompt), list(a), list(b)) for prompt, a, b in probe],
        seed=seed,
        temperature=policy.temperature,
        products=None if policy.products is None or settings.shard else "bfloat16",
        threads=torch.get_num_threads(),
        shard=settings.shard,
    )
    try:
        files.write_job(folder, job)
        live = policy.adapter_state(LIVE)
        write_adapter(folder / files.LIVE, live, policy.adapter_config(), base=policy.base_name)
        yield from _follow(folder, settings, job.threads, go_on)
        policy.set_adapter_state(CANDIDATE, read_adapter(folder / files.CANDIDATE))
    finally:
        shutil.rmtree(jobs, ignore_errors=True)


def _model(policy: Policy, settings: Model) -> Model:
    """The settings by which a rank loads the same: nothing is tried that may come out otherwise."""
    kept = str(policy.model.dtype).removeprefix("torch.")
    lora = policy.adapter_config()
    changed = {
        "dtype": policy.packing or kept,
        "device": policy.device.type,
        "lora_rank": lora.r,
        "lora_alpha": lora.lora_alpha,
        "launcher": None,
        "nproc": 0,
        "shard": False,
    }
    return Model(**{name: getattr(settings, name) for name in Model.model_fields} | changed)


def _follow(
    folder: Path, settings: Model, threads: int, go_on: Callable[[], None] | None
) -> Iterator[Step]:
    """Start the processes and hand on their steps. Raises LivedpoError if they fail."""
    with _started(folder, settings, threads) as (process, output):
        done, ended = 0, False
        while not ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
            ended = process.poll() is not None
            for step in files.read_steps(folder, after=done):
                done += 1
                yield step
            if go_on is not None:
                go_on()
    if process.returncode:
        raise LivedpoError(files.read_failure(folder) or _how_it_ended(process, output))


@contextlib.contextmanager
def _started(
    folder: Path, settings: Model, threads: int
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The launcher, and what it says. At the end of the context nothing of it runs any more."""
    environment = {"OMP_NUM_THREADS": str(max(1, threads // settings.nproc))} | os.environ
    output: list[str] = []
    with subprocess.Popen(
        _command(settings, folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,  # Ctrl-C is for this process, which ends them
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        hears = threading.Thread(target=_relay, args=(process.stdout, output), daemon=True)
        hears.start()
        try:
            yield process, output
        finally:
            process.stdin.close()
            _signal(process, signal.SIGTERM)
            try:
                process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
            hears.join(ENDING_SECONDS)


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send it to the launcher and to what it has started in its group, as far as that lives."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _command(settings: Model, folder: Path) -> list[str]:
    """What starts the ranks. Those of our own torchrun are told to end with standard input."""
    launcher, told = [sys.executable, "-m", "torch.distributed.run", "--standalone"], [SUPERVISED]
    if settings.launcher is not None:  # whatever it makes of standard input
        launcher, told = _words(settings.launcher), []
    many = ["--nproc-per-node", str(settings.nproc)]
    return [*launcher, *many, "-m", PROGRAM, str(folder), *told]


def _words(launcher: str) -> list[str]:
    """A command as a shell would split it. Raises BadInput."""
    try:
        return shlex.split(launcher)
    except ValueError as error:
        raise BadInput(f"The launcher '{launcher}' is no command: {error}.") from error


def _relay(lines: IO[str], output: list[str]) -> None:
    """Put what the processes say into the log of this one."""
    for line in lines:
        said = line.rstrip()
        output.append(said)
        log.log(logging.WARNING if said.startswith(RANK) else logging.INFO, "%s", said)


def _how_it_ended(process: subprocess.Popen[str], output: Sequence[str]) -> str:
    """A sentence about processes that ended without one of their own."""
    found = next((match for line in output if (match := ENDED_BY.search(line))), None)
    if found is None:
        end = f"ended with exit code {process.returncode}"
    else:
        end = f"was ended by {signal.Signals(int(found[1])).name}"
        if int(found[1]) == signal.SIGKILL:
            end += ", as systems do where memory runs out"
    return f"A process that trained {end}; the log has what it said."
