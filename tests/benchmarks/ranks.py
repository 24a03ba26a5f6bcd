"""An update by two processes of one thread beside one process of two threads, in turns.

    python -m tests.benchmarks.ranks --shape 0.5b

Both are the program that `--nproc` starts, over the same job. What is timed is from the first
optimiser step to the last, so without the start of Python and the loading of the base, which are
told apart. On a machine that does other things the ratio of the fastest rounds says most.
"""

import argparse
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from labeler.config.parts.model import Model
from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from tests.benchmarks.update_shapes import BATCH_PAIRS, RANDOM, made_pairs, model_folder
from trainer.learning.ranks.launch import train_apart
from trainer.policy.load import load_policy

# Processes, and threads of all of them together.
SIDES = {"1 x 2 threads": (1, 2), "2 x 1 thread": (2, 2)}


def processor_seconds() -> float:
    """Of the processes that this one has started, alive."""
    spent = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            spent += times.user + times.system
    return spent


def main(shape: str, steps: int, rounds: int) -> None:
    """Print seconds of a step for each side and round, and the ratio of the fastest."""
    batch = BATCH_PAIRS[shape]
    with tempfile.TemporaryDirectory() as made:
        folder = model_folder(shape, Path(made) / "model")
        pairs = made_pairs(shape, batch * steps)
        labels = [
            TrainingLabel((str(n),), 1.0, 1.0, *pair, -10.0, -11.0) for n, pair in enumerate(pairs)
        ]
        training = Training(learning_rate=1e-4, batch_pairs=batch)
        model = Model(policy=str(folder), device="cpu", dtype="float32")
        policy = load_policy(model)
        best: dict[str, float] = {}
        for turn in range(rounds):
            for name, (nproc, threads) in SIDES.items():
                torch.set_num_threads(threads)
                settings = model.model_copy(update={"nproc": nproc})
                began, ends, spent = time.perf_counter(), [], []
                jobs = Path(made) / "jobs"
                learning = train_apart(
                    policy, labels, training, settings=settings, jobs=jobs, seed=turn
                )
                for _ in learning:
                    ends.append(time.perf_counter())
                    spent.append(processor_seconds())
                each = (ends[-1] - ends[0]) / (steps - 1)
                work = (spent[-2] - spent[0]) / (steps - 2)  # after the last step a rank ends
                best[name] = min(each, best.get(name, each))
                print(
                    f"{name}: {each:.2f} s a step of {batch} pairs, {work:.2f} s of the "
                    f"processors; first step after {ends[0] - began:.1f} s",
                    flush=True,
                )
    one, two = best.values()
    print(f"two processes take {two / one:.2f} of the time of one")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=["starter", *RANDOM], default="0.5b")
    parser.add_argument("--steps", type=int, default=4, help="three or more")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    main(asked.shape, asked.steps, asked.rounds)
