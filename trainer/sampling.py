"""Responses from the live policy: two for each prompt, with the very tokens that were sampled."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import GenerationConfig

from trainer.batch import left_padded
from trainer.policy import Policy


@dataclass(frozen=True)
class SamplingSettings:
    """How responses are drawn. Nothing but these shapes the distribution: no top-k, no penalty."""

    temperature: float
    top_p: float
    max_new_tokens: int


@dataclass(frozen=True)
class Response:
    """`tokens` end in EOS if `finish` is "stop"; if it is "length", none is added."""

    text: str
    tokens: list[int]
    finish: str


def sample_pairs(
    policy: Policy, prompts: Sequence[Sequence[int]], settings: SamplingSettings, *, seed: int
) -> list[tuple[Response, Response]]:
    """Two responses for each prompt (token ids), under the adapter that is switched on.

    The same prompts, settings, seed and weights give the same responses.
    """
    ids, mask = left_padded(prompts, pad=policy.pad_token_id, device=policy.device)
    config = GenerationConfig(
        do_sample=True,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=0,
        max_new_tokens=settings.max_new_tokens,
        num_return_sequences=2,
        pad_token_id=policy.pad_token_id,
        eos_token_id=policy.eos_token_ids or None,
    )
    torch.manual_seed(seed)
    with torch.inference_mode():
        rows = policy.model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    responses = [_response(policy, row) for row in rows[:, ids.shape[1] :].tolist()]
    return list(zip(responses[::2], responses[1::2], strict=True))


def worth_asking(pair: tuple[Response, Response]) -> bool:
    """Whether someone could prefer one: both say something, and not the same."""
    first, second = (response.text.strip() for response in pair)
    return bool(first) and bool(second) and first != second


def batch_seed(seed: int, *parts: int) -> int:
    """A seed of 31 bits that differs with every part, and is the same in every run."""
    return random.Random(repr((seed, parts))).getrandbits(31)


def _response(policy: Policy, tokens: list[int]) -> Response:
    ends = [place for place, token in enumerate(tokens) if token in policy.eos_token_ids]
    kept = tokens[: ends[0] + 1] if ends else tokens
    text = policy.tokenizer.decode(kept, skip_special_tokens=True).strip()
    return Response(text=text, tokens=kept, finish="stop" if ends else "length")
