"""A real model beside its peers: `python -m tests.benchmarks.real_model [--quick] [--json]`.

SmolLM2-135M on two threads, ours as the service runs it. Every peer gets its best dtype, batch and
number of slots, searched first and said. Sides take turns, and ratios are worked out within each
round. What is not installed is a row that says so.

    sampling_vs_generate    useful tokens a second, two replies to each of SmolLM2's own prompts
    sampling_vs_llama_cpp   the same beside llama.cpp, weights in Q8_0
    update_vs_trl           pairs a second of an update, prompt 64 and responses 128 tokens
    update_memory_vs_trl    peak memory of the same, above the loaded model
    loop_vs_trl             pairs a second of the whole loop, in updates of 16
    judge_time_vs_trl       seconds of `livedpo judge` with a `py:` judge, its gate included

The share of the limit is how much of the time products alone would take at the rate of this
machine's best ones (and in sampling, reading the cache). `--quick` takes fewer prompts, pairs and
rounds, and tries peers at fewer sizes. Other work on the machine blurs the figures.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass

import torch

from tests.benchmarks.real import loop, sampling, update
from tests.benchmarks.real.rows import GOALS, Row, line_of, profile_of


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and what peers are tried at."""

    rounds: int
    prompts: int  # each answered twice
    tokens: int  # of a reply, where sampling is measured
    generate_batches: tuple[int, ...]
    slots: tuple[int, ...]
    update_pairs: int
    update_batches: tuple[int, ...]
    loop_pairs: int
    warm_pairs: int
    searched_pairs: int
    loop_batches: tuple[int, ...]
    labels: int


FULL = Sizes(
    rounds=3,
    prompts=128,
    tokens=128,
    generate_batches=(4, 16, 64),
    slots=(4, 8, 16, 32),
    update_pairs=64,
    update_batches=(1, 2, 4),
    loop_pairs=128,
    warm_pairs=16,
    searched_pairs=16,
    loop_batches=(4, 8, 16),
    labels=256,
)
QUICK = Sizes(
    rounds=1,
    prompts=16,
    tokens=32,
    generate_batches=(4, 16),
    slots=(4, 8),
    update_pairs=8,
    update_batches=(4,),
    loop_pairs=16,
    warm_pairs=2,
    searched_pairs=4,
    loop_batches=(8,),
    labels=16,
)


def measure(sizes: Sizes, threads: int) -> dict[str, Row]:
    """All rows, by name; each part is told on stderr as it ends."""
    began = time.perf_counter()
    found: dict[str, Row] = {}

    def told(rows: dict[str, Row]) -> None:
        for name, row in rows.items():
            print(f"[{time.perf_counter() - began:5.0f} s] {line_of(name, row)}", file=sys.stderr)
        found.update(rows)

    told(
        sampling.compare(
            sizes.prompts,
            sizes.tokens,
            sizes.rounds,
            batches=sizes.generate_batches,
            slots=sizes.slots,
            threads=threads,
        )
    )
    told(
        update.compare(
            sizes.update_pairs, sizes.rounds, batches=sizes.update_batches, threads=threads
        )
    )
    told(
        loop.compare(
            sizes.loop_pairs,
            sizes.labels,
            sizes.rounds,
            warm=sizes.warm_pairs,
            searched=sizes.searched_pairs,
            batches=sizes.loop_batches,
            sampled_at_most=found["sampling_vs_generate"]["limit_tokens_per_second"],
            threads=threads,
        )
    )
    return {name: found[name] for name in GOALS}


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer prompts, pairs and rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--threads", type=int, default=2, help="of ours and of every peer")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = measure(QUICK if options.quick else FULL, options.threads)
    if options.json:
        print(json.dumps(found))
        return
    print("\n".join(line_of(name, row) for name, row in found.items()))
    for name, row in found.items():
        print("\n".join(profile_of(name, row)))


if __name__ == "__main__":
    main()
