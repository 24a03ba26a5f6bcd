"""Whether a server's log-probabilities are those of the policy, before a pair is drawn there.

    base     a few replies that the server draws from its base; their log-probabilities there and
             here may differ by no more than half precision rounds, or it is another base
    version  the same under an adapter, within three times of what the base differs by; and where
             the adapter moves them here, it must move them there

The second part of the second one is there because vLLM answers 200 and serves the base if it does
not know where the weights of an adapter belong (vllm #34186, #34591, #48019, #55193).

Differences are root mean squares over the tokens of all replies, in nats.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from trainer.policy.batch import make_batch
from trainer.policy.policy import Policy
from trainer.sampling.origin import MAX_APART

PROBES = 4
PROBE_TOKENS = 16
SCORED_EVERY = 4
PROBE_TEMPERATURE = 0.8  # so that it shows if a server's log-probabilities are at another than 1
MIN_MATCH = 1e-3
ROUNDINGS = 3.0
MIN_MOVED = 1e-5
MOVED_SHARE = 0.5

Row = tuple[Sequence[int], Sequence[int]]  # tokens of a prompt and of a reply
Logps = list[list[float]]  # of each token of each reply


@dataclass(frozen=True)
class Apart:
    """How far a server's base is from the policy's, and the dtype whose rounding explains it."""

    nats: float
    dtype: torch.dtype


def logps_of(policy: Policy, adapter: str | None, rows: Sequence[Row]) -> Logps:
    """Log-probabilities at temperature 1 under an adapter, or under the reference (None).

    A row at a time, which is right for every architecture.
    """
    switched = policy.reference() if adapter is None else policy.adapter(adapter)
    with torch.inference_mode(), at_temperature(policy, 1.0), switched:
        return [
            policy.token_logps(make_batch([row], pad=policy.pad_token_id, device=policy.device))[0]
            .float()
            .tolist()
            for row in rows
        ]


@contextmanager
def at_temperature(policy: Policy, temperature: float) -> Iterator[None]:
    """Compute log-probabilities at another temperature."""
    usual, policy.temperature = policy.temperature, temperature
    try:
        yield
    finally:
        policy.temperature = usual


def base_apart(there: Logps, here: Logps, policy: Policy) -> Apart | None:
    """How far a base is apart; None if it is another one."""
    nats = difference(there, here)
    for dtype in (policy.model.dtype, torch.float16, torch.bfloat16):
        if nats <= MAX_APART[dtype] / (2 if dtype == torch.float32 else 1):
            return Apart(nats, dtype)
    return None


def version_objection(
    drawn: Logps, scored: Logps, base: Logps, here: Logps, base_here: Logps, apart: float
) -> str | None:
    """Why a server does not draw from a version, in words that follow "because"; None if it does.

    `drawn` is what the server says of replies as it draws them under the version; `scored` and
    `base` what it says of some of their tokens when it is asked, under the version and its base.
    `here` and `base_here` are the policy's, of all tokens.
    """
    asked, base_asked = (
        [[logps[place] for place in scored_places(logps)] for logps in whole]
        for whole in (here, base_here)
    )
    moved, moved_there = difference(asked, base_asked), difference(scored, base)
    if moved > max(MIN_MOVED, apart / 10) and not moved_there >= MOVED_SHARE * moved:
        return (
            f"it answers as the base does: the version moves log-probabilities by {moved:.2g} nats "
            f"a token, and the server's move by {moved_there:.2g}. vLLM does so for models whose "
            "adapters it cannot place (vllm #34186, #48019); take --sampler local, or another "
            "vLLM"
        )
    bound = max(MIN_MATCH, ROUNDINGS * apart)
    off = max(difference(drawn, here), difference(scored, asked))
    if not off <= bound:
        return (
            f"its log-probabilities are {off:.2g} nats a token from the version's, where "
            f"{bound:.2g} is allowed"
        )
    return None


def scored_places(reply: Sequence[object]) -> range:
    """Which tokens of a reply are asked for: each costs a request."""
    return range(0, len(reply), SCORED_EVERY)


def difference(one: Logps, other: Logps) -> float:
    """The root mean square over all tokens; not finite if one of them is not."""
    both = [
        (a, b)
        for first, second in zip(one, other, strict=True)
        for a, b in zip(first, second, strict=True)
    ]
    return math.sqrt(sum((a - b) ** 2 for a, b in both) / len(both))
