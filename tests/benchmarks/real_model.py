"""A real model beside its peers: `python -m tests.benchmarks.real_model [--quick] [--json]`.

SmolLM2-135M on two threads, ours as the service runs it. `generate` and TRL get their best dtype
and batch, searched first. Sides take turns, and ratios are worked out within each round.

    sampling_vs_generate    useful tokens a second, two replies to each of SmolLM2's own prompts
    update_vs_trl           pairs a second of an update, prompt 64 and responses 128 tokens
    update_memory_vs_trl    peak memory of the same, above the loaded model

`--quick` takes fewer prompts, pairs and rounds. Other work on the machine blurs the figures.
"""

import argparse
import itertools
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import AutoModelForCausalLM

from labeler.config.parts.model import Model
from labeler.config.parts.sampling import Sampling
from labeler.config.policies import SMOLLM2, first_prompts
from labeler.files.prompts import read_prompts
from tests.benchmarks import trl_update
from tests.benchmarks.trl_sampling import COPIES, generated, useful_rate
from trainer.policy.gguf import unpacked
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE
from trainer.sampling.local import LocalSampler

THREADS = 2
DTYPES, BATCHES = (torch.float32, torch.bfloat16), (4, 16, 64)
SEARCHED_TOKENS = 16  # a reply, where `generate` is only searched
GOALS = {"sampling_vs_generate": 4.0, "update_vs_trl": 4.0, "update_memory_vs_trl": 0.5}


def sampling(prompts: int, tokens: int, rounds: int) -> dict[str, Any]:
    """Ours against `generate` on the plain model without an adapter."""
    policy = load_policy(Model(policy=SMOLLM2, device="cpu"))
    folder = Path(unpacked(SMOLLM2, lambda _: None))
    plain = {dtype: AutoModelForCausalLM.from_pretrained(folder, dtype=dtype) for dtype in DTYPES}
    asked = read_prompts(first_prompts(SMOLLM2)).prompts
    rows = [policy.prompt_tokens(messages) for messages in itertools.islice(asked, prompts)]
    settings = Sampling(temperature=0.6, top_p=0.9, max_new_tokens=tokens)
    short = settings.model_copy(update={"max_new_tokens": SEARCHED_TOKENS})
    sampler = LocalSampler(policy)

    def ours(seed: int) -> list[list[int]]:
        drawn = sampler.draw(LIVE, rows, settings, seed=seed, copies=COPIES)
        return [response.tokens for answer in drawn for response in answer]

    def search(dtype: torch.dtype, batch: int) -> float:
        some = rows[: max(batch, BATCHES[0])]
        return useful_rate(lambda: generated(plain[dtype], policy, some, batch, short))

    searched = {
        way: search(*way) for way in itertools.product(DTYPES, BATCHES) if way[1] <= prompts
    }
    dtype, batch = max(searched, key=lambda way: searched[way])
    mine, theirs = [], []
    for number in tqdm(range(rounds), desc="sampling"):
        mine.append(useful_rate(lambda seed=number: ours(seed)))
        theirs.append(useful_rate(lambda: generated(plain[dtype], policy, rows, batch, settings)))
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    return row(ratios) | {"ours": mine, "generate": theirs, "peer": f"{dtype}, {batch} prompts"}


def row(ratios: list[float]) -> dict[str, Any]:
    """What `--json` has of each comparison."""
    low, high = min(ratios), max(ratios)
    return {
        "ratio": statistics.median(ratios),
        "low": low,
        "high": high,
        "rounds": len(ratios),
    }


def measure(*, quick: bool) -> dict[str, Any]:
    """All rows, by name."""
    prompts, tokens, rounds = (16, 32, 1) if quick else (128, 128, 3)
    found = {"sampling_vs_generate": sampling(prompts, tokens, rounds)}
    pairs, batches = (16, (1, 4)) if quick else (64, None)
    update = trl_update.compare("smollm2", pairs, rounds, THREADS, batches)
    for name, ratios in (("update_vs_trl", "speed"), ("update_memory_vs_trl", "memory")):
        low, middle, high = update[f"{ratios}_ratio"]
        found[name] = {"ratio": middle, "low": low, "high": high, "rounds": update["rounds"]}
        found[name] |= {"peer": update["best_of_trl"]}
    found["update_vs_trl"] |= {
        "share_of_limit": update["share_of_limit"],
        "profile": update["profile"],
    }
    return found


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer prompts, pairs and rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    found = measure(quick=options.quick)
    if options.json:
        print(json.dumps(found))
        return
    for name, line in found.items():
        print(
            f"{name:24}{line['ratio']:6.2f}x [{line['low']:.2f}, {line['high']:.2f}], goal "
            f"{GOALS[name]}x, against {line['peer']}"
        )
    print(f"update: {found['update_vs_trl']['share_of_limit']:.0%} of the arithmetic limit; of it")
    for kind, share in found["update_vs_trl"]["profile"]:
        print(f"  {share:6.1%}  {kind}")


if __name__ == "__main__":
    main()
