"""Everything that a GPU is to show, in one script of under 8 minutes: `make bench-gpu`.

    checks     what the CPU's tests hold, on CUDA: packed rows, layers computed twice, the sampler's
               log-probabilities, an update, and with bitsandbytes a base in nf4 and in int8
    sampling   a model of Qwen2.5-0.5B's shape in bfloat16 beside `generate`
    update     the same beside TRL's DPOTrainer, and its memory
    memory     what that took, beside what `trainer.policy.memory` says
    loop       `livedpo judge` on the starter, from start to end

`--tiny` runs the same on tiny models on a CPU, which shows that the script works and nothing else.
Exits with 1 if a check fails, or where there is no GPU.
"""

import argparse
import gc
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labeler.config.parts.model import Model
from labeler.config.parts.sampling import Sampling
from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from labeler.store import open_store
from tests.benchmarks import trl_update
from tests.benchmarks.processes import peak_mb
from tests.benchmarks.trl_sampling import COPIES, generated, useful_rate
from tests.benchmarks.update_shapes import PAIRS, ROUNDS, Pairs, made_pairs, model_folder
from tests.support.service import settings_environment
from trainer.fast.checkpoints import compute_twice
from trainer.fast.memory import training_tokens
from trainer.learning.update import train
from trainer.policy.load import load_policy
from trainer.policy.logps import logps_under, pair_logps, row_logps
from trainer.policy.memory import Use, needs, sizes_of
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.local import LocalSampler

NO_GPU = "There is no CUDA GPU here, so nothing was measured; --tiny tries the script on a CPU."
COLUMNS = 64  # prompt and reply, where sampling is measured
LOOP = {"labels-per-update": 16, "max-labels": 64}
TINY_LOOP = {"labels-per-update": 4, "max-labels": 4, "gate-prompts": 2, "max-new-tokens": 16}


@dataclass(frozen=True)
class Check:
    """Holds if the figure is at most the limit."""

    name: str
    figure: float
    limit: float

    @property
    def holds(self) -> bool:
        """NaN is no figure that holds."""
        return self.figure <= self.limit


def load(folder: Path, dtype: str, device: str) -> Policy:
    """A policy whose candidate is not its reference."""
    policy = load_policy(Model(policy=str(folder), device=device, dtype=dtype))  # type: ignore[arg-type]
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in policy.parameters(CANDIDATE):
            weight.normal_(0, 0.01)
    return policy


def gradient(policy: Policy, pairs: Pairs) -> Tensor:
    """Of the sum of all margins in the candidate's weights."""
    with policy.adapter(CANDIDATE, trains=True):
        logps = pair_logps(policy, pairs)
        weights = policy.parameters(CANDIDATE)
        grads = torch.autograd.grad((logps[:, 0] - logps[:, 1]).sum(), weights)
    return torch.cat([grad.flatten().float() for grad in grads])


def apart(found: Tensor, expected: Tensor) -> float:
    """Their difference, as a share of what was expected."""
    return ((found - expected).norm() / expected.norm()).item()


def checks(folder: Path, pairs: Pairs, device: str) -> list[Check]:
    """What must hold, in bfloat16 unless the name says otherwise."""
    found = []
    policy = load(folder, "float32", device)
    found.append(Check("packed rows beside plain ones, float32", _rows_apart(policy, pairs), 1e-4))
    exact = gradient(policy, pairs)
    policy = load(folder, "bfloat16", device)
    found.append(Check("packed rows beside plain ones", _rows_apart(policy, pairs), 2e-2))
    once = gradient(policy, pairs)
    found.append(Check("gradient beside that in float32", apart(once, exact), 0.2))
    found.append(Check("drawn log-probabilities beside the policy's", _drawn_apart(policy), 3e-2))
    found.append(Check("loss after an update beside before", _learns(policy, pairs), 1.0))
    policy = load(folder, "bfloat16", device)
    compute_twice(policy.model.get_base_model())
    found.append(
        Check("gradient of layers computed twice", apart(gradient(policy, pairs), once), 1e-2)
    )
    for packing in ("nf4", "int8") if importlib.util.find_spec("bitsandbytes") else ():
        policy = load(folder, packing, device)
        found.append(Check(f"drawn log-probabilities, {packing}", _drawn_apart(policy), 0.1))
        found.append(Check(f"loss after an update, {packing}", _learns(policy, pairs), 1.0))
    return found


def _rows_apart(policy: Policy, pairs: Pairs) -> float:
    with torch.no_grad(), policy.adapter(CANDIDATE):
        packed = pair_logps(policy, pairs)
        plain = [row_logps(policy, [(prompt, a), (prompt, b)]) for prompt, a, b in pairs]
    assert policy.packs, "it is computed in plain rows"
    return apart(packed, torch.stack(plain))


def _drawn_apart(policy: Policy) -> float:
    settings = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=16)
    prompts = [[5, 6, 7], [8, 9, 10, 11]]
    drawn = LocalSampler(policy).draw(LIVE, prompts, settings, seed=0)
    pairs = [(prompt, a.tokens, b.tokens) for prompt, (a, b) in zip(prompts, drawn, strict=True)]
    said = torch.tensor([[a.logp, b.logp] for a, b in drawn])
    return apart(said, logps_under(policy, LIVE, pairs))


def _learns(policy: Policy, pairs: Pairs) -> float:
    """The last loss as a share of the first one: eight passes over two pairs."""
    reference = logps_under(policy, None, pairs[:2]).tolist()
    labels = [
        TrainingLabel((str(n),), 1.0, 1.0, *pair, *both)  # type: ignore[arg-type]
        for n, (pair, both) in enumerate(zip(pairs, reference, strict=False))
    ]
    steps = list(train(policy, labels, Training(learning_rate=1e-4, passes=8), seed=0))
    return steps[-1].loss / steps[0].loss


def sampling(folder: Path, dtype: str, device: str, prompts: int, rounds: int) -> dict[str, Any]:
    """Useful tokens a second beside `generate`, on all prompts at once, which a GPU likes best."""
    policy = load(folder, dtype, device)
    rows = [prompt for prompt, _, _ in made_pairs("tiny", prompts)]
    settings = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=COLUMNS - len(rows[0]))
    sampler, plain = LocalSampler(policy), policy.model.get_base_model()

    def ours(seed: int) -> list[list[int]]:
        drawn = sampler.draw(LIVE, rows, settings, seed=seed, copies=COPIES)
        return [response.tokens for answer in drawn for response in answer]

    ours(0)
    mine = [useful_rate(lambda seed=n: ours(seed)) for n in range(rounds)]
    with policy.reference():
        theirs = [
            useful_rate(lambda: generated(plain, policy, rows, prompts, settings))
            for _ in range(rounds + 1)
        ][1:]
    return {"ours": mine, "generate": theirs, "ratio": max(mine) / max(theirs)}


def memory(folder: Path, dtype: str, device: str, pairs: Pairs, rows: int) -> dict[str, float]:
    """MB at most of a policy that samples and makes an update, and what was expected."""
    gc.collect()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    before = peak_mb(device)
    policy = load(folder, dtype, device)
    prompts = [pairs[0][0]] * (rows // COPIES)
    settings = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=16)
    LocalSampler(policy).draw(LIVE, prompts, settings, seed=0, copies=COPIES)
    base = policy.model.get_base_model()
    _learns(policy, pairs)
    use = Use(
        dtype,
        sampling_dtype=dtype,
        tokens=min(sum(map(len, (*pairs[0], *pairs[1]))), training_tokens(base)),
        rows=rows,
        columns=len(pairs[0][0]) + 16,
    )
    expected = needs(sizes_of(base), use).total / 2**20
    return {"measured_mb": peak_mb(device) - before, "expected_mb": expected}


def loop(device: str, settings: dict[str, int]) -> dict[str, Any]:
    """Seconds of `livedpo judge` on the starter, and how it spent them."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"judge": "starter", "device": device, "data-dir": folder, **settings}
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        begin = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-m", "labeler.cli.main", "judge", *words],
            capture_output=True,
            text=True,
            check=False,
            env=settings_environment(),
        )
        seconds = time.perf_counter() - begin
        if run.returncode:
            raise RuntimeError(f"livedpo judge failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
        store = open_store(f"sqlite:///{Path(folder, 'livedpo.sqlite')}")
        done, updates = store.runs.last(), store.reports.status(max_staleness=2)["updates"]
        store.close()
    assert done is not None
    return {"seconds": seconds, "updates": updates["done"], "spent": done.spent}


def measure(shape: str, device: str, *, peers: bool = True) -> dict[str, Any]:
    """All parts. Without `peers`, only what this process does by itself."""
    tiny = shape == "tiny"
    dtype = "float32" if tiny else "bfloat16"
    with tempfile.TemporaryDirectory() as work:
        folder = model_folder(shape, Path(work))
        pairs = made_pairs(shape, 2)
        held = checks(folder, pairs, device)
        found: dict[str, Any] = {
            "checks": [asdict(check) | {"holds": check.holds} for check in held]
        }
        found["sampling"] = sampling(folder, dtype, device, 4 if tiny else 128, 1 if tiny else 3)
        found["memory"] = memory(folder, dtype, device, pairs, 4 if tiny else 64)
    if peers:
        threads = torch.get_num_threads()
        found["update"] = trl_update.compare(
            shape, PAIRS[shape], ROUNDS[shape], threads, device=device
        )
        found["loop"] = loop(device, TINY_LOOP if tiny else LOOP)
    return found


def report(found: dict[str, Any]) -> str:
    """The figures, for people."""
    lines = [
        f"{'holds' if check['holds'] else 'FAILS'}  {check['name']}: {check['figure']:.3g}, "
        f"at most {check['limit']:g}"
        for check in found["checks"]
    ]
    drawn, took, run = found["sampling"], found["memory"], found["loop"]
    spent = ", ".join(f"{kind} {some:.0f}" for kind, some in run["spent"].items())
    return "\n".join(
        [
            *lines,
            f"sampling: {max(drawn['ours']):.0f} useful tokens/s, {drawn['ratio']:.2f}x `generate`",
            f"memory: {took['measured_mb']:.0f} MB, expected {took['expected_mb']:.0f} MB",
            trl_update.report(found["update"]),
            f"loop: {run['seconds']:.0f} s, {run['updates']} updates; of it {spent} s",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="tiny models, on a CPU")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(arguments)
    if not (options.tiny or torch.cuda.is_available()):
        sys.exit(NO_GPU)
    found = measure("tiny", "cpu") if options.tiny else measure("gpu", "cuda")
    print(json.dumps(found) if options.json else report(found))
    if not all(check["holds"] for check in found["checks"]):
        sys.exit(1)


if __name__ == "__main__":
    main()
