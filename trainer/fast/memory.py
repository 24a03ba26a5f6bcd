"""How much is computed at once in training: by an estimate, and less after an out-of-memory error.

What a training pass keeps grows with its tokens. The estimate counts the inputs and outputs of all
linear layers, half as much again for what lies between them, in the dtype of the weights.
"""

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from trainer.fast.layout import FILL

CPU_BYTES = 2**30
CPU_TOKENS = 640  # a few pairs fill the cores; more at once would only take more memory
GPU_SHARE = 0.3  # of the whole device; the model, its cache and other processes have the rest
BETWEEN = 1.5
CPU_MESSAGES = (  # of torch's allocator, and of oneDNN
    "can't allocate memory",
    "not enough memory",
    "could not create a primitive",
    "could not create a memory",
)


def training_tokens(base: PreTrainedModel) -> int:
    """How many tokens one forward and backward pass may take. The same on every like machine."""
    if base.device.type == "cuda":
        room = GPU_SHARE * torch.cuda.get_device_properties(base.device).total_memory
        return max(1, int(room / token_bytes(base)))
    return max(1, min(CPU_TOKENS, int(CPU_BYTES / token_bytes(base))))


def row_tokens(tokens: int, budget: int) -> int:
    """What a row of so many tokens is filled up to a multiple of, where `budget` may be computed.

    Rows of a small model are all of one length: tensors of one size take each other's memory, and
    kernels are prepared for that size alone. Any other row is filled up sparingly.
    """
    return budget if tokens <= budget == CPU_TOKENS else FILL


def token_bytes(base: PreTrainedModel) -> float:
    """What a training pass keeps of one token, about. `base` may carry adapters."""
    head = base.get_output_embeddings()
    sizes = [
        sum(module.weight.shape)
        for name, module in base.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and module is not head and "lora_" not in name
    ]
    itemsize: int = base.dtype.itemsize
    return BETWEEN * sum(sizes) * itemsize


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory, on a GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in CPU_MESSAGES)
