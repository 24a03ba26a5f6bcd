"""Sampling SmolLM2 beside `generate` and llama.cpp, by turns.

Two replies to each of SmolLM2's own prompts. `generate` runs the plain model without an adapter;
its dtype and batch, and llama.cpp's slots and attention, are searched on a few prompts first.
"""

import itertools
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import AutoModelForCausalLM

from labeler.config.parts.model import Model
from labeler.config.parts.sampling import Sampling
from labeler.config.policies import SMOLLM2, first_prompts, gguf_file
from labeler.files.prompts import read_prompts
from tests.benchmarks.real import llama_cpp
from tests.benchmarks.real.rows import Row, absent, row
from tests.benchmarks.trl_sampling import (
    COPIES,
    cache_rate,
    generated,
    limit,
    product_rate,
    shares_of,
    useful_rate,
)
from trainer.policy.gguf import unpacked
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE
from trainer.sampling.local import LocalSampler
from trainer.sampling.precision import chosen

DTYPES = (torch.float32, torch.bfloat16)
SEARCHED_TOKENS = 16  # a reply, where a peer is only searched
SETTINGS = Sampling(temperature=0.6, top_p=0.9)


class Ours:
    """The sampler as the service has it."""

    def __init__(self, prompts: int, tokens: int) -> None:
        self.policy = load_policy(Model(policy=SMOLLM2, device="cpu"))
        asked = read_prompts(first_prompts(SMOLLM2)).prompts
        some = itertools.islice(itertools.cycle(asked), prompts)
        self.prompts = [self.policy.prompt_tokens(messages) for messages in some]
        self.settings = SETTINGS.model_copy(update={"max_new_tokens": tokens})
        self._sampler = LocalSampler(self.policy)

    def replies(self, seed: int) -> list[list[int]]:
        """The tokens of all."""
        drawn = self._sampler.draw(LIVE, self.prompts, self.settings, seed=seed, copies=COPIES)
        return [response.tokens for answer in drawn for response in answer]

    def limit(self) -> float:
        """Tokens a second, were there nothing but products and reading of the cache."""
        config = self.policy.model.config
        dtype = chosen(self.policy, "auto") or torch.float32
        products = product_rate(config.hidden_size, config.intermediate_size, dtype)
        return limit(self.policy, self.prompts, self.replies(0), products, cache_rate())


class Generate:
    """`generate` at its fastest dtype and batch."""

    def __init__(self, ours: Ours, batches: tuple[int, ...]) -> None:
        self._ours = ours
        folder = Path(unpacked(SMOLLM2, lambda _: None))
        models = {
            dtype: AutoModelForCausalLM.from_pretrained(folder, dtype=dtype) for dtype in DTYPES
        }
        ways = list(itertools.product(DTYPES, batches))
        short = ours.settings.model_copy(update={"max_new_tokens": SEARCHED_TOKENS})

        def search(dtype: torch.dtype, batch: int) -> float:
            some = ours.prompts[: max(batch, *batches[:2])]
            return useful_rate(lambda: generated(models[dtype], ours.policy, some, batch, short))

        rates = {way: search(*way) for way in tqdm(ways, desc="generate, its best", unit="run")}
        dtype, self._batch = max(rates, key=lambda way: rates[way])
        self._model = models[dtype]
        self.name = (
            f"generate in {str(dtype).removeprefix('torch.')}, {self._batch} prompts at once"
        )

    def rate(self) -> float:
        """Useful tokens a second."""
        ours = self._ours
        return useful_rate(
            lambda: generated(self._model, ours.policy, ours.prompts, self._batch, ours.settings)
        )


class LlamaCpp:
    """llama.cpp at its fastest number of slots, with or without flash attention."""

    def __init__(self, ours: Ours, slots: tuple[int, ...], threads: int, work: Path) -> None:
        source = gguf_file(SMOLLM2)
        assert source is not None
        llama_cpp.quantised(source, work / "q8_0.gguf")
        (work / "prompts.json").write_text(json.dumps(ours.prompts))
        self._work, self._prompts = work, len(ours.prompts)
        self._common = {"copies": COPIES, "threads": threads}
        self._common |= {"temperature": SETTINGS.temperature, "top_p": SETTINGS.top_p}
        self._tokens = ours.settings.max_new_tokens
        ways = list(itertools.product(slots, (0, 1)))
        found: dict[tuple[int, int], dict[str, Any]] = {}
        for way in tqdm(ways, desc="llama.cpp, its best", unit="run"):
            found[way] = self._run(
                *way, prompts=min(max(slots), self._prompts), tokens=SEARCHED_TOKENS
            )
        self._best = max(found, key=lambda way: found[way]["tokens_per_second"])
        self.name = (
            f"llama.cpp in Q8_0, {self._best[0]} slots, flash attention "
            f"{'on' if self._best[1] else 'off'}, built for {found[self._best]['build']}"
        )

    def rate(self) -> float:
        """Useful tokens a second."""
        found = self._run(*self._best, prompts=self._prompts, tokens=self._tokens)
        return float(found["tokens_per_second"])

    def _run(self, slots: int, flash: int, *, prompts: int, tokens: int) -> dict[str, Any]:
        values = {"slots": slots, "flash": flash, "tokens": tokens}
        return llama_cpp.alone(self._work, prompts=prompts, **values, **self._common)


def compare(
    prompts: int,
    tokens: int,
    rounds: int,
    *,
    batches: tuple[int, ...],
    slots: tuple[int, ...],
    threads: int,
) -> dict[str, Row]:
    """Both rows. `batches` and `slots` are what the peers are tried at."""
    ours = Ours(prompts, tokens)
    ours.replies(0)  # kernels are prepared once
    missing = absent("xllamacpp")
    with tempfile.TemporaryDirectory() as folder:
        generate = Generate(ours, batches)
        llama = None if missing else LlamaCpp(ours, slots, threads, Path(folder))
        mine, plain, packed = [], [], []
        for number in tqdm(range(rounds), desc="sampling", unit="round"):
            mine.append(useful_rate(lambda seed=number: ours.replies(seed)))
            plain.append(generate.rate())
            packed += [llama.rate()] if llama else []
    most = ours.limit()
    share = statistics.median(mine) / most
    profile = sorted(((s, kind) for kind, s in shares_of(lambda: ours.replies(0)).items()))[::-1]
    more = {
        "share_of_limit": share,
        "limit_tokens_per_second": most,
        "profile": [(kind, s) for s, kind in profile],
    }
    rows = {"sampling_vs_generate": row(mine, plain, generate.name, **more)}
    rows["sampling_vs_llama_cpp"] = missing or row(
        mine, packed, llama.name if llama else "", share_of_limit=share
    )
    return rows
