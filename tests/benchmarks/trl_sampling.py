"""Sampling against transformers' own: `python -m tests.benchmarks.trl_sampling [--json]`.

The starter answers 256 prompts twice, at temperature 1 without a cut, with at most 160 tokens each,
on the same two threads. A token is useful if it comes before the end of its response, or is it.
`generate` runs on the plain model without any adapter, which is its best case, at its best batch
size; ours runs as the service does, with the adapter in a merged copy. The two take turns, and the
ratio is worked out within each round. TRL's trainers sample by `generate`.

The limit is arithmetic: all products at the rate that one product of a step's size reaches in this
run, and the cache read at the rate that one layer's cache is read in this run.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

from labeler.config.parts.model import Model
from labeler.config.parts.sampling import Sampling
from trainer.fast.matmul import linear, packed
from trainer.policy.batch import left_padded
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.samples import Response

ROOT = Path(__file__).resolve().parent.parent.parent
STARTER = ROOT / "data" / "starter" / "policy"
SETTINGS = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=160)
PROMPTS, COPIES, THREADS = 256, 2, 2
BATCHES = (8, 16, 32, 64, 128, 256)
FEW = 64  # prompts for what is slow, or only searched

Prompts = list[list[int]]


@dataclass(frozen=True)
class Figures:
    """Useful tokens a second, unless the name says otherwise."""

    ours: list[float]
    generate: list[float]
    ratio_median: float
    ratio_range: tuple[float, float]
    generate_by_batch: dict[int, float]
    generate_with_adapter: float
    generate_static_cache: float
    continuous_batching: float
    limit: float
    share_of_limit: float
    products_gflops: float
    cache_read_gb_s: float
    copy_gb_s: float
    time_by_kind: dict[str, float]  # shares of one run of ours


def measure(rounds: int) -> Figures:
    """Search `generate`'s batch size, then let both take turns."""
    torch.set_num_threads(THREADS)
    policy = _starter()
    prompts = _prompts(policy)
    plain = AutoModelForCausalLM.from_pretrained(STARTER).eval()
    sampler = LocalSampler(policy)
    steps = tqdm(total=len(BATCHES) + 4 + rounds, desc="sampling", unit="step")
    _ours(sampler, prompts, seed=0)  # kernels are prepared once
    steps.update()

    by_batch = {}
    for batch in BATCHES:
        some = prompts if batch > FEW else prompts[:FEW]
        by_batch[batch] = useful_rate(lambda b=batch, p=some: generated(plain, policy, p, b))
        steps.update()
    best = max(by_batch, key=lambda batch: by_batch[batch])

    ours, generate = [], []
    for number in range(rounds):
        ours.append(useful_rate(lambda n=number: _ours(sampler, prompts, seed=n)))
        generate.append(useful_rate(lambda: generated(plain, policy, prompts, best)))
        steps.update()

    others = []
    with policy.adapter(LIVE):
        others.append(useful_rate(lambda: generated(policy.model, policy, prompts[:FEW], best)))
    steps.update()
    static = {"cache_implementation": "static"}
    others.append(useful_rate(lambda: generated(plain, policy, prompts[:FEW], best, **static)))
    steps.update()
    others.append(useful_rate(lambda: _continuous(plain, policy, prompts[:FEW])))
    steps.update()
    steps.close()

    config = policy.model.config
    products = product_rate(config.hidden_size, config.intermediate_size, torch.float32)
    reading, copying = cache_rate(), _copy_rate()
    most = limit(policy, prompts, _ours(sampler, prompts, seed=0), products, reading)
    ratios = [mine / theirs for mine, theirs in zip(ours, generate, strict=True)]
    return Figures(
        ours=_rounded(ours),
        generate=_rounded(generate),
        ratio_median=round(statistics.median(ratios), 2),
        ratio_range=(round(min(ratios), 2), round(max(ratios), 2)),
        generate_by_batch={batch: round(rate) for batch, rate in by_batch.items()},
        generate_with_adapter=round(others[0]),
        generate_static_cache=round(others[1]),
        continuous_batching=round(others[2]),
        limit=round(most),
        share_of_limit=round(statistics.median(ours) / most, 3),
        products_gflops=round(products / 1e9),
        cache_read_gb_s=round(reading / 1e9, 1),
        copy_gb_s=round(copying / 1e9, 1),
        time_by_kind=shares_of(lambda: _ours(sampler, prompts, seed=0)),
    )


def _starter() -> Policy:
    return load_policy(
        Model(
            policy=str(STARTER), device="cpu", dtype="auto", lora_rank=16, lora_alpha=32.0, seed=0
        )
    )


def _prompts(policy: Policy) -> Prompts:
    lines = (ROOT / "data" / "prompts.jsonl").read_text().splitlines()[:PROMPTS]
    texts = [json.loads(line)["prompt"] for line in lines]
    return [policy.prompt_tokens([{"role": "user", "content": text}]) for text in texts]


def useful_rate(run: Callable[[], list[list[int]]]) -> float:
    """Useful tokens a second of one run."""
    begin = time.perf_counter()
    tokens = sum(len(response) for response in run())
    return tokens / (time.perf_counter() - begin)


def _ours(sampler: LocalSampler, prompts: Prompts, *, seed: int) -> list[list[int]]:
    answers: list[tuple[Response, ...]] = sampler.draw(
        LIVE, prompts, SETTINGS, seed=seed, copies=COPIES
    )
    return [response.tokens for answer in answers for response in answer]


def _config(policy: Policy, settings: Sampling, **changes: Any) -> GenerationConfig:
    return GenerationConfig(
        do_sample=True,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=0,
        max_new_tokens=settings.max_new_tokens,
        use_cache=True,
        pad_token_id=policy.pad_token_id,
        eos_token_id=policy.eos_token_ids,
        **changes,
    )


def generated(
    model: Any,
    policy: Policy,
    prompts: Prompts,
    batch: int,
    settings: Sampling = SETTINGS,
    **changes: Any,
) -> list[list[int]]:
    """Prompts of like length share a batch, as is best for `generate`."""
    config = _config(policy, settings, num_return_sequences=COPIES, **changes)
    prompts = sorted(prompts, key=len)
    responses = []
    for first in range(0, len(prompts), batch):
        some = prompts[first : first + batch]
        ids, mask = left_padded(some, pad=policy.pad_token_id, device=policy.device)
        with torch.inference_mode():
            rows = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        responses += [_useful(row, policy) for row in rows[:, ids.shape[1] :].tolist()]
    return responses


def _continuous(model: Any, policy: Policy, prompts: Prompts) -> list[list[int]]:
    """transformers' continuous batching; its default cache takes half of the memory there is."""
    limits = ContinuousBatchingConfig(num_blocks=256, max_batch_tokens=256)
    with _attention(model, "sdpa"):
        outputs = model.generate_batch(
            inputs=[prompt for prompt in prompts for _ in range(COPIES)],
            generation_config=_config(policy, SETTINGS),
            continuous_batching_config=limits,
        )
    return [output.generated_tokens for output in outputs.values()]


@contextmanager
def _attention(model: Any, name: str) -> Any:
    """Continuous batching changes the attention and leaves it so."""
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    yield
    model.set_attn_implementation(before)


def _useful(tokens: list[int], policy: Policy) -> list[int]:
    ends = [place for place, token in enumerate(tokens) if token in policy.eos_token_ids]
    return tokens[: ends[0] + 1] if ends else tokens


def limit(
    policy: Policy,
    prompts: Prompts,
    responses: Sequence[Sequence[int]],
    products: float,
    reading: float,
) -> float:
    """Tokens a second if there were nothing but products and reading of the cache."""
    config = policy.model.config
    weights = sum(
        module.weight.numel()
        for name, module in policy.model.named_modules()
        if isinstance(module, torch.nn.Linear) and "lora_" not in name
    )
    head = config.head_dim * config.num_hidden_layers
    columns_bytes = 2 * 4 * head * config.num_key_value_heads
    repeated = [prompt for prompt in prompts for _ in range(COPIES)]
    read = seconds = 0.0
    for prompt, response in zip(repeated, responses, strict=True):
        length, end = len(prompt), len(prompt) + len(response)
        columns = sum(range(length, end))
        read += columns * columns_bytes
        seconds += 2 * weights * len(response) / products
        seconds += 2 * weights * length / COPIES / products
    return sum(map(len, responses)) / (seconds + read / reading)


def _best_seconds(run: Callable[[], object], times: int = 30) -> float:
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def product_rate(width: int, wide: int, dtype: torch.dtype, rows: int = 256) -> float:
    """FLOP a second of one product as in an MLP of these widths, at the rows of a step."""
    x, weight = torch.randn(rows, width, dtype=dtype), packed(torch.randn(wide, width, dtype=dtype))
    return 2 * rows * width * wide / _best_seconds(lambda: linear(x, weight))


def cache_rate(rows: int = 256, columns: int = 80) -> float:
    """Bytes a second in the scores of one layer, over four layers' caches in turn."""
    layers = [torch.randn(rows * 2, 176, 48) for _ in range(8)]
    query = torch.randn(rows * 2, 2, 48)

    def read() -> None:
        for layer in layers:
            torch.bmm(query, layer[:, :columns].transpose(1, 2))

    return len(layers) * rows * 2 * columns * 48 * 4 / _best_seconds(read)


def _copy_rate(megabytes: int = 128) -> float:
    source = torch.randn(megabytes * 2**18)
    target = torch.empty_like(source)
    return source.nbytes / _best_seconds(lambda: target.copy_(source), times=8)


KINDS = {
    "linear layers and head": ("mkldnn::_linear_pointwise", "aten::mm", "aten::addmm"),
    "attention's products": ("aten::bmm",),
    "attention's softmax": ("aten::_softmax",),
    "cache written and closed up": ("aten::copy_", "aten::index", "aten::_index_put_impl_"),
    "drawing tokens": ("aten::_log_softmax", "aten::exp", "aten::cumsum", "aten::searchsorted"),
}


def shares_of(run: Callable[[], object]) -> dict[str, float]:
    """Share of each kind of work in the time on the main thread; the rest is Python."""
    begin = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        run()
        seconds = time.perf_counter() - begin
    spent = {event.key: event.self_cpu_time_total / 1e6 for event in recorded.key_averages()}
    shares = {kind: sum(spent.get(op, 0.0) for op in ops) for kind, ops in KINDS.items()}
    shares["norms, rotations and other small operations"] = sum(spent.values()) - sum(
        shares.values()
    )
    shares["Python"] = max(0.0, seconds - sum(spent.values()))
    return {kind: round(share / seconds, 3) for kind, share in shares.items()}


def _rounded(rates: Sequence[float]) -> list[float]:
    return [round(rate) for rate in rates]


def _print(figures: Figures) -> None:
    rows = [
        ("livedpo, merged copy (median)", statistics.median(figures.ours)),
        ("generate, best batch (median)", statistics.median(figures.generate)),
        *((f"generate, batch {b}", rate) for b, rate in figures.generate_by_batch.items()),
        ("generate, with the adapter on", figures.generate_with_adapter),
        ("generate, static cache", figures.generate_static_cache),
        ("generate_batch (continuous batching)", figures.continuous_batching),
        ("arithmetic limit", figures.limit),
    ]
    for name, rate in rows:
        print(f"{name:44}{rate:10,.0f} useful tokens/s")
    low, high = figures.ratio_range
    print(f"ratio to generate: {figures.ratio_median} (rounds {low} to {high}); goal 4")
    print(
        f"share of the limit: {figures.share_of_limit:.0%} (products {figures.products_gflops} "
        f"GFLOP/s, cache read at {figures.cache_read_gb_s} GB/s; plain copy {figures.copy_gb_s})"
    )
    for kind, share in figures.time_by_kind.items():
        print(f"  {kind:44}{share:6.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=5, help="turns of the two")
    arguments = parser.parse_args()
    figures = measure(arguments.rounds)
    if arguments.json:
        print(json.dumps(asdict(figures)))
    else:
        _print(figures)
