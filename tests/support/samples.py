"""Pairs for tests that only need some: drawn once, from whatever is switched on."""

from collections.abc import Sequence

from labeler.config.parts.sampling import Sampling
from trainer.policy.policy import Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.samples import Response


def sample_pairs(
    policy: Policy, prompts: Sequence[Sequence[int]], settings: Sampling, *, seed: int
) -> list[tuple[Response, Response]]:
    """Two responses for each prompt (token ids), under the adapter that is switched on."""
    adapter = policy.model.active_adapter
    drawn = LocalSampler(policy, merge=False).draw(adapter, prompts, settings, seed=seed)
    return [(a, b) for a, b in drawn]
