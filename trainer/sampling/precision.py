"""In which dtype a sampling copy multiplies.

bfloat16 changes which tokens are drawn a little, and what is learned not at all: the policy that
trains stays as it is. Only linear layers and the head are rounded; attention, norms, softmax and
cache stay in the dtype of the policy.

int8 is left out: with a scale for each output channel and each token it is 1.3 times as fast again,
but moved SmolLM2-135M by 0.06 nats a token, sixty times as far as bfloat16.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from trainer.fast.precision import rounding_pays
from trainer.policy.policy import Policy

SamplingDtype = Literal["auto", "float32", "bfloat16"]

MAX_KL = 0.005  # nats a token
TRIAL_TEXT = (
    "Good tea begins with fresh water. Bring it to the boil, warm the pot, and give one spoon of "
    "leaves for each cup. Black tea takes about four minutes; green tea is better a little cooler, "
    "and is ready after two. Pour it through a strainer, and add milk or lemon as you like."
)


def chosen(policy: Policy, wanted: SamplingDtype) -> torch.dtype | None:
    """The dtype that a copy of the policy should multiply in; None: that of the policy."""
    if wanted == "auto":
        return torch.bfloat16 if rounding_pays(policy.model.get_base_model()) else None
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]
    return None if dtype == policy.model.dtype else dtype


def divergence(
    policy: Policy, copy: PreTrainedModel, adapter: str | None, temperature: float
) -> float:
    """Exact KL of a copy to the policy under the adapter it was made from, in nats a token.

    On a text of a few lines, so it is about what it is on replies.
    """
    ids = torch.tensor([policy.tokenizer(TRIAL_TEXT).input_ids], device=policy.device)
    ids = ids[:, : policy.context_tokens]
    switched = policy.reference() if adapter is None else policy.adapter(adapter)
    with torch.inference_mode():
        drawn = _logps(copy, ids, temperature)
        with switched:
            own = _logps(policy.model, ids, temperature)
        return (drawn.exp() * (drawn - own)).sum(-1).mean().item()


def _logps(model: nn.Module, ids: Tensor, temperature: float) -> Tensor:
    logits: Tensor = model(input_ids=ids, use_cache=False).logits
    return (logits[0].float() / temperature).log_softmax(-1)
