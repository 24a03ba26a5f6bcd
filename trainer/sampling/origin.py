"""Where a response comes from: the adapter with its version, and proof that it drew the tokens.

A sampler says how likely its tokens were as it drew them. The policy works this out again under the
version that the response is stored under. A sampler that drew from other weights is found out,
whichever it is.
"""

import math
import random
from collections.abc import Sequence

import torch

from labeler.domain.errors import LivedpoError
from trainer.policy.adapters import read_adapter
from trainer.policy.logps import row_logps
from trainer.policy.policy import OTHER, Policy
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Response

# How far the two may be apart, in nats a token. Both round, and neither is the truth: a merged copy
# rounds its weights, and a cache changes the order of the sums. SmolLM2-135M came to 1e-5 at most
# in float32, and to 2e-2 in bfloat16.
MAX_APART = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


class WrongVersionError(LivedpoError):
    """A response was drawn from other weights than those of its version."""


def adapter_of(policy: Policy, version: Version) -> str | None:
    """The adapter with the version's weights; None for a base that stands in no adapter.

    A version that no adapter holds is read from its folder.
    Raises LivedpoError if the folder is damaged or does not fit the policy.
    """
    adapter = policy.adapter_with(version.number)
    if adapter is not None or version.folder is None:
        return adapter
    state = read_adapter(version.folder)
    if not policy.fits(version.folder):
        raise LivedpoError(f"The adapter {version.folder} has another LoRA rank or scaling.")
    policy.set_adapter_state(OTHER, state, version=version.number)
    return OTHER


def refuse_others(
    policy: Policy,
    version: Version,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[Response]],
    *,
    seed: int,
) -> None:
    """Raise WrongVersionError if one response of the batch, drawn by lot, is not the version's.

    One is enough, for a batch is drawn from one set of weights, and costs little beside it: one
    forward pass over tokens that took a pass each to draw.
    """
    if not answers:
        return
    lot = random.Random(seed)
    place = lot.randrange(len(answers))
    response = lot.choice(answers[place])
    adapter = adapter_of(policy, version)
    switched = policy.reference() if adapter is None else policy.adapter(adapter)
    with torch.inference_mode(), switched:
        logp = row_logps(policy, [(prompts[place], response.tokens)]).item()
    dtype = response.dtype or policy.model.dtype
    if not agrees(response.logp, logp, tokens=len(response.tokens), dtype=dtype):
        raise WrongVersionError(
            f"The sampler does not draw from version {version.number}: it gives a reply a "
            f"log-probability of {response.logp:.2f}, and the version one of {logp:.2f}. Nothing "
            "of this batch was kept."
        )


def agrees(drawn: float, computed: float, *, tokens: int, dtype: torch.dtype) -> bool:
    """Whether two log-probabilities of a response (nats) differ by no more than rounding."""
    return math.isfinite(computed) and abs(drawn - computed) <= tokens * MAX_APART[dtype]
