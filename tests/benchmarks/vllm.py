"""Sampling by a vLLM server on this CPU beside the worker's own sampler, in one run.

    VLLM_PYTHON=... python -m tests.benchmarks.vllm --policy smollm2

The server has one thread, and so has the worker's own sampler; the server's front end takes a part
of a second processor. Sides take turns. "First pair" is from the moment that the folder of a new
version is complete to the moment that its first pair is there: for the server it has the loading
and the check in it, for the worker the merged copy.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import torch

from labeler.config.parts.model import Model
from labeler.config.parts.sampling import Sampling
from tests.benchmarks.update_shapes import model_folder
from tests.benchmarks.vllm_server import real_server
from trainer.policy.load import load_policy
from trainer.policy.policy import CANDIDATE, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.sampler import Sampler, Version
from trainer.sampling.vllm.sampler import VllmSampler
from trainer.worker.candidate import write_candidate

QUESTIONS = ("How do I make tea?", "What is a good book?", "Why is the sky blue?", "Name a city.")


def new_version(policy: Policy, number: int, folder: Path) -> Version:
    """A version whose weights are a little away from the base's."""
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for weight in policy.parameters(CANDIDATE):
            weight.copy_(0.01 * torch.randn(weight.shape, generator=generator))
    return write_candidate(policy, number, folder / f"v{number:04d}")[0]


def main(shape: str, prompts: int, tokens: int, rounds: int) -> None:
    """Print pairs and tokens a second, and seconds to the first pair of a version, by side."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        given = Path(shape)
        model = given if given.is_dir() else model_folder(shape, folder / "model")
        policy = load_policy(Model(policy=str(model), device="cpu", lora_rank=16))
        asked = [
            policy.prompt_tokens([{"role": "user", "content": f"{n}. {text}"}])
            for n in range(prompts)
            for text in [QUESTIONS[n % len(QUESTIONS)]]
        ]
        settings = Sampling(max_new_tokens=tokens)
        with real_server(model, folder / "vllm.log") as (url, _):
            far = VllmSampler(
                policy, [url], folder=folder / "vllm", versions=4, timeout_seconds=600, tell=_tell
            )
            with closing(far):
                far.start()
                sides: dict[str, Sampler] = {"worker": LocalSampler(policy), "vLLM": far}
                for number in range(1, rounds + 1):
                    version = new_version(policy, number, folder)
                    for name, sampler in sides.items():
                        for what in ("new version", "again"):
                            measured = _measure(sampler, version, asked, settings, seed=number)
                            print(f"round {number}  {name:6}  {what:11}  {measured}", flush=True)


def _tell(said: str | None) -> None:
    """What is wrong with the server."""
    if said is not None:
        print(said, flush=True)


def _measure(
    sampler: Sampler,
    version: Version,
    prompts: list[list[int]],
    settings: Sampling,
    *,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    began, first, drawn = clock(), 0.0, 0
    for _, pair in sampler.sample(version, prompts, settings, seed=seed):
        first = first or clock() - began
        drawn += sum(len(response.tokens) for response in pair)
    took = clock() - began
    return f"{len(prompts) / took:5.2f} pairs/s  {drawn / took:6.0f} tokens/s  first {first:5.2f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--policy", default="starter", help="starter, smollm2, or a folder")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    main(given.policy, given.prompts, given.tokens, given.rounds)
