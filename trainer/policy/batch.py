"""Token lists to tensors. Prompts end, and responses begin, at the same column in every row.

    pad pad p p p | r r r pad
    p   p   p p p | r r pad pad

So one slice of the logits covers all response tokens, and the LM head runs on nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """R rows of prompt and response. `response_mask` is 1 on the tokens that were sampled."""

    input_ids: Tensor  # (R, P + T)
    attention_mask: Tensor  # (R, P + T)
    position_ids: Tensor  # (R, P + T)
    response_ids: Tensor  # (R, T)
    response_mask: Tensor  # (R, T), float


def left_padded(
    prompts: Sequence[Sequence[int]], *, pad: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (R, P), for `generate`."""
    width = max(len(prompt) for prompt in prompts)
    ids = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def make_batch(
    rows: Sequence[tuple[Sequence[int], Sequence[int]]], *, pad: int, device: torch.device
) -> Batch:
    """Collate (prompt tokens, response tokens) rows. Responses need at least one token."""
    prompt_ids, prompt_mask = left_padded([prompt for prompt, _ in rows], pad=pad, device=device)
    longest = max(len(response) for _, response in rows)
    responses = [list(response) + [pad] * (longest - len(response)) for _, response in rows]
    masks = [[1] * len(response) + [0] * (longest - len(response)) for _, response in rows]
    response_ids = torch.tensor(responses, device=device)
    response_mask = torch.tensor(masks, device=device)
    attention_mask = torch.cat([prompt_mask, response_mask], dim=1)
    return Batch(
        input_ids=torch.cat([prompt_ids, response_ids], dim=1),
        attention_mask=attention_mask,
        position_ids=(attention_mask.cumsum(dim=1) - 1).clamp(min=0),
        response_ids=response_ids,
        response_mask=response_mask.float(),
    )
