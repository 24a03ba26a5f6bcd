"""Which layers should carry LoRA, so that a few votes teach a taste and nothing else?

Run by `make bench-targets`. A policy answers prompts four times each; the gradient of each reply's
log-probability in the adapters is worked out once. From then on every update can be tried without a
model, to first order: the step that votes would make, and how it changes the log-probability of
replies to prompts that it was not made from. A vote is between two of the four, and a quarter of
them say the opposite. Like the optimiser's first steps, a step goes by the sign of each weight's
gradient.

    taste       correlation of that change with the taste's trait, within a prompt: the part of a
                step of a given KL that goes into what people asked for
    repetition  root mean square of its correlation with how much a reply repeats itself: what a
                step does besides, in whatever direction

Leaves out later steps, and what the gate makes of it; `make follow` has these.
"""

import argparse
import math
import random
import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from labeler.config.load import load_settings
from labeler.config.policies import first_prompts
from labeler.domain.response_stats import repetition
from labeler.files.prompts import read_prompts
from tests.benchmarks.follow.tastes import TASTES, Taste
from trainer.policy.load import load_policy
from trainer.policy.logps import row_logps
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.recommended import as_recommended
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Response

COPIES = 4  # replies to a prompt
ATTENTION = re.compile(r"\.(self_attn|attn|attention|self_attention)\.")
FLIPS = 0.25


def answers(
    policy_name: str, prompts: int, tokens: int
) -> tuple[Policy, list[list[Response]], list[list[int]]]:
    """The policy, its replies to each of so many prompts, and these prompts' tokens."""
    with tempfile.TemporaryDirectory() as folder:
        flags = {"policy": policy_name, "max_new_tokens": tokens, "data_dir": folder}
        settings = load_settings(flags | {"lora_targets": "all-linear"}, {})
        policy = load_policy(settings)
    settings, _ = as_recommended(settings, policy.shipped_generation_config)
    policy.temperature = settings.temperature
    policy.versions[LIVE] = 0
    known = read_prompts(Path(first_prompts(settings.policy))).prompts
    asked = [policy.prompt_tokens(one) for one in random.Random(7).sample(known, prompts)]
    drawn = LocalSampler(policy).sample(Version(0, None), asked, settings, seed=5, copies=COPIES)
    said = dict(tqdm(drawn, total=prompts, desc="replies"))
    return policy, [list(said[place]) for place in range(prompts)], asked


def gradients(
    policy: Policy, said: Sequence[Sequence[Response]], asked: Sequence[list[int]]
) -> dict[str, Tensor]:
    """Of each reply's log-probability in each layer's adapter, less their mean over the prompt's.

    A, of random values, stays as it is at first: B alone has a gradient. (P * COPIES, size) each.
    """
    policy.copy_adapter(LIVE, CANDIDATE)
    weights = {
        name: weight
        for name, weight in policy.model.named_parameters()
        if f".{CANDIDATE}." in name and "lora_B" in name
    }
    found: dict[str, list[Tensor]] = {name: [] for name in weights}
    rows = [
        (prompt, reply.tokens)
        for prompt, replies in zip(asked, said, strict=True)
        for reply in replies
    ]
    for row in tqdm(rows, desc="gradients"):
        with torch.enable_grad(), policy.adapter(CANDIDATE, trains=True):
            each = torch.autograd.grad(row_logps(policy, [row]).sum(), list(weights.values()))
        for name, gradient in zip(weights, each, strict=True):
            found[name].append(gradient.flatten())
    return {name: within(torch.stack(found.pop(name))) for name in weights}


def within(values: Tensor) -> Tensor:
    """By how much each reply's (P * COPIES, ...) differ from the mean of its prompt's."""
    by_prompt = values.view(-1, COPIES, *values.shape[1:])
    return (by_prompt - by_prompt.mean(dim=1, keepdim=True)).flatten(0, 1)


def votes(
    taste: Taste, texts: Sequence[str], count: int, rng: random.Random
) -> tuple[Tensor, Tensor]:
    """+1 and -1 for the replies that a vote prefers and not, 0 for the others, (P * COPIES,); and
    which of them are of prompts that nobody was asked about.
    """
    prompts = list(range(len(texts) // COPIES))
    rng.shuffle(prompts)
    side, unseen = torch.zeros(len(texts)), torch.ones(len(texts), dtype=torch.bool)
    for prompt in prompts[:count]:
        unseen[prompt * COPIES : (prompt + 1) * COPIES] = False
        one, other = (prompt * COPIES + place for place in rng.sample(range(COPIES), 2))
        margin = taste.likes(texts[one]) - taste.likes(texts[other])
        if margin:
            likes = 1.0 if (margin > 0) != (rng.random() < FLIPS) else -1.0
            side[one], side[other] = likes, -likes
    return side, unseen


def correlation(one: Tensor, other: Tensor) -> float:
    """Of two values of replies (R,), within their prompts."""
    one, other = within(one), within(other)
    return float(one @ other / (one.norm() * other.norm()).clamp(min=1e-12))


def arms(names: Sequence[str]) -> dict[str, set[str]]:
    """Which layers' adapters make a step."""
    attention = {name for name in names if ATTENTION.search(name)}
    return {
        "all linear layers": set(names),
        "feed-forward layers": set(names) - attention,
        "attention": attention,
    }


def tries(
    texts: Sequence[str], counts: Sequence[int], draws: int
) -> Iterator[tuple[int, str, Tensor, Tensor]]:
    """Number of votes, taste, the votes, and the replies that tell what came of them."""
    for count in counts:
        for name, taste in TASTES.items():
            for draw in range(draws):
                side, unseen = votes(taste, texts, count, random.Random(draw))
                if side.any():
                    yield count, name, side, unseen


def table(
    layers: dict[str, Tensor], said: Sequence[Sequence[Response]], counts: Sequence[int], draws: int
) -> list[str]:
    """One row for each number of votes and each arm, of the gradients in each layer."""
    replies = [reply for answered in said for reply in answered]
    texts = [reply.text for reply in replies]
    repeats = torch.tensor([repetition(reply.tokens) for reply in replies])
    done = list(tries(texts, counts, draws))
    traits = {
        name: torch.tensor([float(taste.trait(text)) for text in texts]) * taste.sign
        for name, taste in TASTES.items()
    }
    parts = arms(list(layers))
    changes = {arm: torch.zeros(len(done), len(texts)) for arm in parts}
    sides = torch.stack([side for *_, side, _ in done])
    for name, gradient in layers.items():
        change = (sides @ gradient).sign() @ gradient.T
        for arm in parts:
            if name in parts[arm]:
                changes[arm] += change
    lines = ["| votes | LoRA on | " + " | ".join(TASTES) + " | mean | repetition |"]
    lines.append("|---|---|" + "---:|" * (len(TASTES) + 2))
    for count in counts:
        for arm, change in changes.items():
            rows = [
                (name, row, unseen)
                for row, (voted, name, _, unseen) in zip(change, done, strict=True)
                if voted == count
            ]
            found = {
                taste: [
                    correlation(row[unseen], traits[taste][unseen])
                    for name, row, unseen in rows
                    if name == taste
                ]
                for taste in TASTES
            }
            by_taste = [mean(each) for each in found.values()]
            besides = [correlation(row[unseen], repeats[unseen]) ** 2 for _, row, unseen in rows]
            figures = [*by_taste, mean(by_taste), mean(besides) ** 0.5]
            lines.append(f"| {count} | {arm} | " + " | ".join(map(shown, figures)) + " |")
    return lines


def mean(values: Sequence[float]) -> float:
    """NaN where there is none: no vote preferred anything."""
    return statistics.fmean(values) if values else math.nan


def shown(figure: float) -> str:
    return "-" if math.isnan(figure) else f"{figure:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.targets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--policy", default="smollm2")
    parser.add_argument("--prompts", type=int, default=112, help="which the policy answers")
    parser.add_argument("--tokens", type=int, default=128, help="of a reply, at most")
    parser.add_argument("--votes", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--draws", type=int, default=10, help="of votes, for each taste")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    policy, said, asked = answers(args.policy, args.prompts, args.tokens)
    for line in table(gradients(policy, said, asked), said, args.votes, args.draws):
        print(line)


if __name__ == "__main__":
    main()
