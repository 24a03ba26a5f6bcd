"""SmolLM2's whole loop, and `livedpo judge`, beside TRL's OnlineDPOTrainer.

Updates of 16 pairs, replies of at most 128 tokens, labels by lot, so that replies stay as long as
they are on both sides. Ours measures its steps, as the service does.

    loop    both warm, start-up and imports left out
    judge   both as a user runs them, from the start of the command to its end, ours with its gate
"""

import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from labeler.store import open_store
from tests.benchmarks.loop_sides import Measured, alone
from tests.benchmarks.loop_tasks import TASKS
from tests.benchmarks.real.rows import Row, absent, row
from tests.benchmarks.update_shapes import flops_of_a_pair, matmul_flops_per_second
from tests.support.service import settings_environment

TASK = TASKS["smollm2"]
DTYPES = ("float32", "bfloat16")


class Peer:
    """TRL's trainer at its fastest dtype and batch; steps are of 16 pairs at any batch."""

    def __init__(self, pairs: int, warm: int, batches: tuple[int, ...], threads: int) -> None:
        self._common, self._warm = {"task": "smollm2", "threads": threads}, warm
        ways = list(itertools.product(DTYPES, batches))
        rates = {
            (dtype, batch): self._run(pairs, warm=warm, dtype=dtype, batch=batch)
            for dtype, batch in tqdm(ways, desc="TRL's loop, its best", unit="run")
        }
        best = max(rates, key=lambda way: rates[way].pairs_per_second)
        self._best = {"dtype": best[0], "batch": best[1]}
        self.name = f"OnlineDPOTrainer in {best[0]}, {best[1]} prompts at once"

    def loop(self, pairs: int) -> Measured:
        """The loop, warm."""
        return self._run(pairs, warm=self._warm, **self._best)

    def seconds(self, pairs: int) -> float:
        """The whole command."""
        begin = time.perf_counter()
        self._run(pairs, warm=0, **self._best)
        return time.perf_counter() - begin

    def _run(self, pairs: int, **values: Any) -> Measured:
        return alone("trl", pairs=pairs, **values, **self._common)


def judged(labels: int, threads: int) -> tuple[float, dict[str, float]]:
    """Seconds of `livedpo judge`, and how it spent them, as it counted it itself."""
    settings = {
        "policy": TASK.policy,
        "judge": "py:tests.benchmarks.loop_tasks:lot_prefers",
        "max-labels": labels,
        "labels-per-update": TASK.update_pairs,
        "max-new-tokens": TASK.max_new_tokens,
        "threads": threads,
    }
    with tempfile.TemporaryDirectory() as folder:
        words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
        begin = time.perf_counter()
        run = subprocess.run(
            [*(sys.executable, "-m", "labeler.cli.main", "judge"), "--data-dir", folder, *words],
            check=False,
            capture_output=True,
            text=True,
            env=settings_environment(),
        )
        seconds = time.perf_counter() - begin
        if run.returncode:
            raise RuntimeError(f"livedpo judge failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
        store = open_store(f"sqlite:///{Path(folder, 'livedpo.sqlite')}")
        done = store.runs.last()
        store.close()
    assert done is not None
    return seconds, done.spent


def compare(
    pairs: int,
    labels: int,
    rounds: int,
    *,
    warm: int,
    searched: int,
    batches: tuple[int, ...],
    sampled_at_most: float,
    threads: int,
) -> dict[str, Row]:
    """Both rows. TRL is tried at these batches, on the `searched` pairs; `warm` pairs go before.

    `sampled_at_most` is the limit of sampling, in tokens a second.
    """
    missing = absent("trl")
    if missing:
        return {"loop_vs_trl": missing, "judge_time_vs_trl": missing}
    peer = Peer(searched, warm, batches, threads)
    mine: list[Measured] = []
    theirs: list[Measured] = []
    commands: list[tuple[float, dict[str, float]]] = []
    others: list[float] = []
    for _ in tqdm(range(rounds), desc="loop and judge", unit="round"):
        ours = {"batch": TASK.step_pairs, "update_pairs": TASK.update_pairs, "threads": threads}
        mine.append(alone("ours", task="smollm2", pairs=pairs, warm=warm, **ours))
        theirs.append(peer.loop(pairs))
        commands.append(judged(labels, threads))
        others.append(peer.seconds(labels))
    least = least_seconds(mine[0], sampled_at_most)
    rates = [run.pairs_per_second for run in mine]
    seconds, spent = [command[0] for command in commands], commands[-1][1]
    return {
        "loop_vs_trl": row(
            rates,
            [run.pairs_per_second for run in theirs],
            peer.name,
            share_of_limit=least * statistics.median(rates),
            profile=sorted(mine[-1].shares.items(), key=lambda share: -share[1]),
        ),
        "judge_time_vs_trl": row(
            seconds,
            others,
            peer.name,
            share_of_limit=least * labels / statistics.median(seconds),
            profile=[(kind, some / seconds[-1]) for kind, some in spent.items()],
        ),
    }


def least_seconds(run: Measured, sampled_at_most: float) -> float:
    """Of a pair, were there nothing but the products of sampling and of the update."""
    prompt, reply = round(run.prompt_tokens), round(run.reply_tokens)
    pair = [0] * prompt, [0] * reply, [0] * reply
    products = matmul_flops_per_second(torch.float32, torch.bfloat16)
    update = flops_of_a_pair([pair], TASK.folder()) / products
    return 2 * run.reply_tokens / sampled_at_most + update
