"""The whole loop against TRL's OnlineDPOTrainer: `python -m tests.benchmarks.trl_loop [--json]`.

The starter answers 512 prompts twice, the grammar's score says which answer is preferred (the first
if they are equal), and the policy learns from it: at temperature 1 without a cut, at most 160 new
tokens, one pass, sigmoid loss with the starter's beta and learning rate, LoRA of rank 16 on all
linear layers, in float32, on the same two threads.

TRL makes one step a batch, of pairs that the weights of that moment said. It runs without gradient
checkpointing, which is what lets it use a cache, at each of several batch sizes; the fastest on the
first pairs is compared. Ours runs in two ways with optimiser batches of the same size:

    every step     samples one batch, labels it, makes one step: as on-policy as TRL
    every update   samples and labels 64 pairs, then makes an update of as many steps as they fill:
                   as the service does, where people label a few dozen pairs of one version

AdamW starts afresh with each update of ours, while TRL's goes on: that changes what is learned, not
what it costs. Both work the reference log-probabilities out as part of the loop. Each run is a
process of its own, all take turns, and ratios are worked out within each round. A few pairs
beforehand, which are not timed, warm every side up. Peak memory is the kernel's high-water mark
less what the process held after its imports.

Absolute figures are those of the machine it ran on; ratios are what counts.

Seen on two quiet cores of an AMD EPYC, with 512 pairs, one round: 2.3x every step and 3.4x every
update, short of the goal; memory 0.28x and 0.30x.
"""

import argparse
import json
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from tests.benchmarks.loop_sides import Measured, alone
from tests.benchmarks.loop_tasks import TASKS
from tests.benchmarks.processes import ratios

SEARCH_PAIRS = 128
TRL_BATCHES = (8, 16, 32, 64)
GOAL = 5.0


class Rounds:
    """Runs the sides by turns, each in a process of its own."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def best_batch(self) -> tuple[int, dict[int, float]]:
        """TRL's fastest batch size on a few pairs, and the pairs a second of all."""
        found = {
            batch: alone(
                "trl", batch=batch, pairs=SEARCH_PAIRS, threads=self._threads
            ).pairs_per_second
            for batch in tqdm(TRL_BATCHES, desc="TRL's best batch", unit="run")
        }
        return max(found, key=lambda batch: found[batch]), found

    def all(self, batch: int, pairs: int, rounds: int) -> dict[str, list[Measured]]:
        """Every side at this optimiser batch, round by round."""
        found: dict[str, list[Measured]] = {"TRL": [], "every step": [], "every update": []}
        for _ in tqdm(range(rounds), desc="loop", unit="round"):
            common = {"batch": batch, "pairs": pairs, "threads": self._threads}
            found["TRL"].append(alone("trl", **common))
            for way, size in (
                ("every step", batch),
                ("every update", TASKS["starter"].update_pairs),
            ):
                found[way].append(alone("ours", update_pairs=size, **common))
        return found


def compare(pairs: int, rounds: int, threads: int) -> dict[str, Any]:
    """Search TRL's batch, let all take turns, and put them beside each other."""
    turns = Rounds(threads)
    batch, searched = turns.best_batch()
    sides = turns.all(batch, pairs, rounds)
    theirs = sides["TRL"]
    ways = [way for way in sides if way != "TRL"]
    return {
        "pairs": pairs,
        "rounds": rounds,
        "batch": batch,
        "trl_by_batch": searched,
        "runs": {side: [asdict(run) for run in runs] for side, runs in sides.items()},
        "speed_ratio": {
            way: ratios(
                [run.pairs_per_second for run in sides[way]],
                [run.pairs_per_second for run in theirs],
            )
            for way in ways
        },
        "memory_ratio": {
            way: ratios([run.peak_mb for run in sides[way]], [run.peak_mb for run in theirs])
            for way in ways
        },
    }


def report(found: dict[str, Any]) -> str:
    """The figures as a table, for people."""
    searched = ", ".join(f"{batch}: {rate:.1f}" for batch, rate in found["trl_by_batch"].items())
    lines = [
        f"{found['pairs']} pairs, {found['rounds']} rounds, optimiser batch {found['batch']}",
        f"  TRL's pairs/s by batch: {searched}",
    ]
    for side, runs in found["runs"].items():
        for run in runs:
            shares = ", ".join(f"{kind} {share:.0%}" for kind, share in run["shares"].items())
            lines.append(
                f"  {side:<13} {run['pairs_per_second']:7.1f} pairs/s {run['peak_mb']:6.0f} MB  "
                f"{shares}; score {run['score']:.2f}"
            )
    for way, (low, median, high) in found["speed_ratio"].items():
        lines.append(f"{way}: {median:.2f}x [{low:.2f}, {high:.2f}], goal at least {GOAL}x")
    for way, (low, median, high) in found["memory_ratio"].items():
        lines.append(f"{way}: memory {median:.2f}x [{low:.2f}, {high:.2f}]")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, and run or be one of the children."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    found = compare(options.pairs, options.rounds, options.threads)
    print(json.dumps(found) if options.json else report(found))


if __name__ == "__main__":
    main()
