"""What an unattended run of the starter gains, costs and spends its time on: `make bench-judge`.

`livedpo judge --judge starter --max-labels 512` as a user runs it, once a seed. Its last version
and the base answer 256 prompts twice that the run never sampled from, or has sampled from least,
and the grammar's score, which no judge knows, says how much better it became: the mean difference,
with an interval over the seeds (Student's t, 95 %). In turn with it TRL's OnlineDPOTrainer works on
as many pairs with the same reward model, at its fastest batch. Of ours the whole command is timed,
from its start to its summary; of TRL's only the loop, warm.

Overhead is what is neither sampling, judging, training nor gating: in all, and without the start of
the processes, which is over when the first pair is there.
"""

import argparse
import contextlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from sqlmodel import select
from tqdm import tqdm

from labeler.config.load import load_settings
from labeler.store import open_store
from labeler.store.database import Database
from labeler.store.tables import Pair, Prompt
from tests.benchmarks.loop_sides import alone
from tests.support.patience import wait_until
from tests.support.service import settings_environment
from trainer.policy.adapters import read_adapter
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE
from trainer.sampling.local import LocalSampler
from trainer.starter.grammar import score

PROMPTS = 256
TRL_BATCH = 16
# Student's t for a two-sided 95 % interval, by degrees of freedom.
T_95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}


@dataclass(frozen=True)
class JudgeRun:
    """One run. Seconds are of the whole command; shares are of its work, as it counted it."""

    seed: int
    seconds: float
    start_seconds: float
    shares: dict[str, float]
    loop_overhead: float
    versions: int
    rejected: int
    score_before: float
    score_after: float
    tokens_before: float
    tokens_after: float


def run(seed: int, labels: int, settings: Sequence[str]) -> JudgeRun:
    """Run the command, and examine what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        words = {"--judge": "starter", "--max-labels": labels, "--seed": seed, "--data-dir": folder}
        arguments = [str(word) for option in words.items() for word in option]
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "labeler.cli.main", "judge", *arguments, *settings],
            check=True,
            stdout=subprocess.DEVNULL,
            env=settings_environment(),
        )
        seconds = time.perf_counter() - begin
        return examined(Path(folder), seed, seconds)


def examined(folder: Path, seed: int, seconds: float) -> JudgeRun:
    """What is in the data dir of a run that has ended."""
    url = f"sqlite:///{folder / 'livedpo.sqlite'}"
    store = open_store(url)
    done = store.runs.last()
    assert done is not None
    with Database(url).read() as session:
        first = session.exec(select(Pair).order_by(Pair.id).limit(1)).one()  # type: ignore[arg-type]
        least = select(Prompt).order_by(Prompt.pairs_sampled, Prompt.digest)  # type: ignore[arg-type]
        prompts = [prompt.messages for prompt in session.exec(least.limit(PROMPTS))]
    start = first.created_at - done.started_at
    rest = done.seconds - sum(done.spent.values())
    updates = store.reports.status(max_staleness=2)["updates"]
    before, after = answers(folder, store.versions.live(), prompts)
    return JudgeRun(
        seed=seed,
        seconds=seconds,
        start_seconds=start,
        shares={kind: some / done.seconds for kind, some in done.spent.items()},
        loop_overhead=max(0.0, rest - start) / (done.seconds - start),
        versions=updates["done"],
        rejected=updates["rejected"],
        score_before=before[0],
        score_after=after[0],
        tokens_before=before[1],
        tokens_after=after[1],
    )


def answers(folder: Path, live: Any, prompts: Sequence[Any]) -> list[tuple[float, float]]:
    """Mean score and mean tokens of the base and of the live version."""
    settings = load_settings({"data_dir": str(folder)}, {})
    policy = load_policy(settings, folder / "adapters" / live.folder)
    policy.set_adapter_state(LIVE, read_adapter(folder / "adapters" / live.folder, live.sha256))
    sampler, rows = LocalSampler(policy), [policy.prompt_tokens(messages) for messages in prompts]
    found = []
    for adapter in (None, LIVE):
        said = sampler.draw(adapter, rows, settings, seed=7)
        scores = [
            score(messages[-1]["content"], response.text)
            for messages, some in zip(prompts, said, strict=True)
            for response in some
        ]
        tokens = [len(response.tokens) for some in said for response in some]
        found.append((statistics.fmean(scores), statistics.fmean(tokens)))
    return found


def trl_seconds(pairs: int) -> float:
    """TRL's trainer on as many pairs, warm: without imports, loading and first steps."""
    return pairs / alone("trl", judged=True, batch=TRL_BATCH, pairs=pairs).pairs_per_second


def seconds_to_end(words: str, settings: Sequence[str]) -> float:
    """From Ctrl-C to the end of the command, while its worker says that it does this."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["judge", "--judge", "starter", "--max-labels", "512", "--data-dir", folder]
        run = subprocess.Popen(
            [sys.executable, "-m", "labeler.cli.main", *command, *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=settings_environment(),
        )
        wait_until(lambda: says(Path(folder) / "livedpo.sqlite", words), words)
        begin = time.perf_counter()
        run.send_signal(signal.SIGINT)
        run.wait()
        return time.perf_counter() - begin


def says(database: Path, words: str) -> bool:
    """Whether one of a run's processes says that it does this."""
    if not database.exists():
        return False
    with contextlib.closing(open_store(f"sqlite:///{database}")) as store:
        return any(words in role.says for role in store.processes.all())


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean with its 95 % interval by Student's t."""
    mean, count = statistics.fmean(values), len(values)
    if count < 2:
        return mean, -math.inf, math.inf
    half = T_95[min(count - 1, max(T_95))] * statistics.stdev(values) / math.sqrt(count)
    return mean, mean - half, mean + half


def line_of(one: JudgeRun) -> str:
    """One run, for people."""
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in one.shares.items())
    return (
        f"  seed {one.seed}: {one.seconds:.0f} s ({one.start_seconds:.1f} to start; {shares}; "
        f"loop overhead {one.loop_overhead:.1%}), {one.versions} versions, "
        f"{one.rejected} rejected, score {one.score_before:.2f} -> {one.score_after:.2f}, "
        f"tokens {one.tokens_before:.0f} -> {one.tokens_after:.0f}"
    )


def report(runs: Sequence[JudgeRun], trl: Sequence[float], labels: int) -> str:
    """The figures as a table, for people."""
    lines = [f"{labels} labels, {len(runs)} seeds", *(line_of(one) for one in runs)]
    gain = interval([one.score_after - one.score_before for one in runs])
    length = [one.tokens_after / one.tokens_before for one in runs]
    lines.append(f"score gained: {gain[0]:.2f} [{gain[1]:.2f}, {gain[2]:.2f}], goal above 0")
    lines.append(f"length: {statistics.fmean(length):.2f}x, at most {max(length):.2f}x, goal 1.3x")
    if trl:
        found = [other / one.seconds for one, other in zip(runs, trl, strict=False)]
        spread = f"[{min(found):.2f}, {max(found):.2f}]"
        lines.append(f"TRL takes {statistics.median(found):.2f}x as long {spread}, goal 5x")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, run all seeds, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--labels", type=int, default=512)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trl", type=int, default=1, help="in how many rounds TRL runs too")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options, settings = parser.parse_known_args()
    torch.set_num_threads(os.cpu_count() or 1)
    runs, trl = [], []
    for seed in tqdm(range(options.seeds), desc="judge", unit="seed"):
        runs.append(run(seed, options.labels, settings))
        tqdm.write(line_of(runs[-1]), file=sys.stderr)
        if seed < options.trl:
            trl.append(trl_seconds(options.labels))
    ends = {words: seconds_to_end(words, settings) for words in ("Sampling pairs", "Training on")}
    if options.json:
        found = {"runs": [asdict(one) for one in runs], "trl_seconds": trl, "seconds_to_end": ends}
        print(json.dumps(found))
    else:
        print(report(runs, trl, options.labels))
        for words, seconds in ends.items():
            print(f"Ctrl-C while it says '{words}': {seconds:.1f} s to the end, goal 10 s")


if __name__ == "__main__":
    main()
