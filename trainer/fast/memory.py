"""How much is computed at once in training: by an estimate, and less after an out-of-memory error.

What a training pass keeps grows with its tokens. The estimate counts the inputs and outputs of all
linear layers and of the experts that a token goes through, half as much again for what lies between
them, in the dtype of the weights. What a pass has freed, `give_back` returns to the system.
"""

import ctypes

import psutil
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from trainer.fast.layout import FILL

CPU_BYTES = 2**30
CPU_TOKENS = 640  # a few pairs fill the cores; more at once would only take more memory
GPU_SHARE = 0.3  # of the whole device; the model, its cache and other processes have the rest
FREE_SHARE = 0.8  # of what is free, where that is less
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
        return max(1, int(min(room, FREE_SHARE * free_bytes(base.device)) / token_bytes(base)))
    return max(1, min(CPU_TOKENS, int(CPU_BYTES / token_bytes(base))))


def fits_at_once(base: PreTrainedModel, tokens: int) -> bool:
    """Whether a pass may keep so many tokens. What cannot be taken apart is the longest pair."""
    return tokens * token_bytes(base) <= FREE_SHARE * free_bytes(base.device)


def free_bytes(device: torch.device) -> int:
    """Memory that could still be taken on this device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def give_back() -> None:
    """Return to the system what is free within the heap.

    glibc keeps all that lies below a block in use, which after an update is some hundred megabytes.
    Where its call is missing, nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def row_tokens(tokens: int, budget: int) -> int:
    """What a row of so many tokens is filled up to a multiple of, where `budget` may be computed.

    Rows of a small model are all of one length: tensors of one size take each other's memory, and
    kernels are prepared for that size alone. Any other row is filled up sparingly.
    """
    return budget if tokens <= budget == CPU_TOKENS else FILL


def token_bytes(base: PreTrainedModel) -> float:
    """What a training pass keeps of one token, about. `base` may carry adapters."""
    widths = sum(map(sum, layer_shapes(base))) + expert_widths(base)
    return kept_bytes(widths, base.dtype.itemsize)


def kept_bytes(widths: float, itemsize: int) -> float:
    """The same from the inputs and outputs of all that a token goes through, added up."""
    return BETWEEN * widths * itemsize


def layer_shapes(base: PreTrainedModel) -> list[tuple[int, int]]:
    """Inputs and outputs of each linear layer but the head, packed or not, without adapters."""
    head = base.get_output_embeddings()
    return [
        (module.in_features, module.out_features)
        if isinstance(module, nn.Linear)
        else (module.nx, module.nf)
        for name, module in base.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and module is not head and "lora_" not in name
    ]


def expert_widths(base: PreTrainedModel) -> int:
    """Inputs and outputs of the stacked experts that one token goes through, added up.

    A stack has a matrix for each expert: (experts, outputs, inputs), or the other way round.
    """
    config = base.config.get_text_config()
    chosen = getattr(config, "num_experts_per_tok", None) or 0
    stacks = [
        weight.shape
        for module in base.modules()
        if not isinstance(module, nn.Conv1d)
        for weight in module.parameters(recurse=False)
        if weight.dim() == 3
    ]
    return sum(min(chosen, experts) * (rows + columns) for experts, rows, columns in stacks)


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory, on a GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in CPU_MESSAGES)
