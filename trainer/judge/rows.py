"""Token rows for models that read whole responses: of like length together, within a budget.

Leaves out what the model makes of them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from labeler.domain.messages import Messages
from trainer.judge.fence import neutral

CPU_TOKENS = 1024  # more at once is no faster, and takes memory
GPU_TOKENS = 4096  # the hidden states of all layers of an 8B model take 1 GB then


def budget(device: torch.device) -> int:
    """How many tokens, padding included, are computed at once."""
    return CPU_TOKENS if device.type == "cpu" else GPU_TOKENS


def by_length(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Places of rows in parts of like length, each of at most `tokens` padded ones, or one row.

    >>> by_length([5, 1, 4, 1], 10)
    [[1, 3], [2, 0]]
    """
    parts: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if not parts or lengths[place] * (len(parts[-1]) + 1) > tokens:
            parts.append([])
        parts[-1].append(place)
    return parts


def right_padded(
    rows: Sequence[Sequence[int]], *, pad: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (R, T)."""
    width = max(map(len, rows))
    ids = [list(row) + [pad] * (width - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def without_control(messages: Messages) -> Messages:
    """The conversation with no turn in what anyone says; see `trainer.judge.fence`.

    No tokenizer reads one there, but some templates write turns as plain text, as "[INST]".
    """
    return [message | {"content": neutral(message["content"])} for message in messages]
