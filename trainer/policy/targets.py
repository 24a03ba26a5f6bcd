"""Which weights of a model carry LoRA, and the words that say so.

All linear layers of the language part do, but for those that a plain adapter cannot change rightly:
the head, routers and other layers with a product of their own, layers of a state-space mixer whose
weights its kernels read past the layer, and those that peft takes for experts of an older layout.
Experts that are stacked in one tensor carry LoRA only if they are asked for: peft builds all of
them anew in each pass, and their adapters are larger than the rest of the model's together.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from peft import LoraConfig
from peft.tuners.lora.layer import ParamWrapper
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

ALL_LINEAR, EXPERTS = "all-linear", "experts"
SENSES = (
    "vision",
    "visual",
    "image",
    "audio",
    "video",
)  # in the names of parts that are no language


@dataclass(frozen=True)
class Targets:
    """What carries LoRA: `layers` by full names, `stacks` of experts by the ends of theirs."""

    layers: list[str]
    stacks: list[str]


def lora_targets(base: PreTrainedModel, asked: str) -> Targets:
    """What carries LoRA. Raises ValueError if something that is asked for cannot.

    `asked` has commas between its words: "all-linear", "experts", or the ends of layers' names.
    """
    able, words = _able(base), {word.strip() for word in asked.split(",") if word.strip()}
    stacks = _stacks(base) if EXPERTS in words else []
    names = words - {ALL_LINEAR, EXPERTS}
    for name in sorted(names):
        if not _named(able, {name}):
            known = ", ".join(sorted({layer.rpartition(".")[2] for layer in able}))
            raise ValueError(f"no layer '{name}' can carry LoRA; those that can are {known}")
    layers = able if ALL_LINEAR in words else _named(able, names)
    if EXPERTS in words and not stacks:
        raise ValueError("it has no experts")
    if not (layers or stacks):
        raise ValueError("it has no linear layer that can carry LoRA")
    return Targets(layers, stacks)


def same_targets(base: PreTrainedModel, asked: str, saved: LoraConfig) -> bool:
    """Whether a saved adapter changes what is asked for; peft shortens the names of layers."""
    layers = _named(_able(base), saved.target_modules)
    return lora_targets(base, asked) == Targets(layers, sorted(saved.target_parameters or ()))


def what_is_trained(base: PreTrainedModel) -> str:
    """How many weight matrices of a model with adapters carry one, and which stay as they are.

    Embeddings, head and convolutions are not counted; each expert of a stack is.
    """
    trained, left = _Tally(), _Tally()
    uncounted = {base.get_input_embeddings(), base.get_output_embeddings()}
    for path, module in _language_part(base):
        if isinstance(module, ParamWrapper):
            stack = path.replace(".base_layer", "")
            trained.add(f"{stack}.{module.parameter_name}", module.num_experts)
        elif isinstance(module, BaseTunerLayer):
            trained.add(path, 1)
        if ".lora_" in path or path.endswith(".base_layer") or module in uncounted:
            continue
        if isinstance(module, (nn.Embedding, nn.Conv1d)):
            continue
        for name, weight in module.named_parameters(recurse=False):
            if weight.dim() > 1 and min(weight.shape) > 1:
                left.add(f"{path}.{name}", len(weight) if weight.dim() == 3 else 1)
    total = trained.matrices + left.matrices
    words = f"LoRA on {trained.matrices} of {total} weight matrices: {trained.names()}."
    if left.matrices:
        words += f" As they are: {left.names()}."
    if _is_composite(base):
        words += " Only its language part is trained."
    return words


class _Tally:
    """Weight matrices, and what they are called in any layer."""

    def __init__(self) -> None:
        self.matrices = 0
        self._names: set[str] = set()

    def add(self, path: str, matrices: int) -> None:
        """Count one parameter."""
        self.matrices += matrices
        words = path.removesuffix(".weight").split(".")
        self._names.add(".".join(words[-2:]) if matrices > 1 else words[-1])

    def names(self) -> str:
        """All names, in order."""
        return ", ".join(sorted(self._names)) or "none"


def _stacks(base: PreTrainedModel) -> list[str]:
    """How the parameters are called that hold a matrix for each expert."""
    return sorted(
        {
            f"{path.rpartition('.')[2]}.{name}"
            for path, module in _language_part(base)
            for name, weight in module.named_parameters(recurse=False)
            if weight.dim() == 3 and min(weight.shape) > 1 and not isinstance(module, nn.Conv1d)
        }
    )


def _able(base: PreTrainedModel) -> list[str]:
    """Full names of the layers that can carry a plain adapter; packed rows read the head itself."""
    head = base.get_output_embeddings()
    layers = [(name, module) for name, module in _language_part(base) if module is not head]
    plain = [name for name, module in layers if _is_plain(module)]
    free = [name for name in plain if not _belongs_to_a_kernel(base, name)]
    leaves = {name.rpartition(".")[2] for name in free}
    kept = {leaf for leaf in leaves if _stays_a_layer(base, leaf)}
    return [name for name in free if name.rpartition(".")[2] in kept]


def _language_part(base: PreTrainedModel) -> list[tuple[str, nn.Module]]:
    """All modules of a language model; of one that sees or hears, its text decoder and head."""
    modules = [
        (name, module)
        for name, module in base.named_modules()
        if not any(sense in name for sense in SENSES)
    ]
    if not _is_composite(base):
        return modules
    parts = (base.get_decoder(), base.get_output_embeddings())
    inside = {module for part in parts if part is not None for module in part.modules()}
    return [(name, module) for name, module in modules if module in inside]


def _is_composite(base: PreTrainedModel) -> bool:
    """Whether it has more parts than a language model."""
    return base.config.get_text_config() is not base.config


def _is_plain(module: nn.Module) -> bool:
    """Whether it is a linear layer, and computes what one does."""
    if not isinstance(module, (nn.Linear, Conv1D)):
        return False
    if type(module).forward in (nn.Linear.forward, Conv1D.forward):
        return True
    if not type(module).__module__.startswith("transformers.models."):
        return True  # a quantised layer
    weight = module.weight
    row = torch.linspace(-1, 1, weight.shape[1], device=weight.device, dtype=weight.dtype)[None]
    with torch.no_grad():
        try:
            found = module(row)
        except RuntimeError:  # it wants an input of another shape
            return False
        return isinstance(found, torch.Tensor) and torch.allclose(
            found, nn.functional.linear(row, weight, module.bias)
        )


def _belongs_to_a_kernel(base: PreTrainedModel, name: str) -> bool:
    """Whether a state-space mixer's kernels may read this layer's weight past the layer."""
    parent = base.get_submodule(name.rpartition(".")[0])
    mixes = hasattr(parent, "A_log") and hasattr(parent, "D")
    return mixes and not name.endswith(".in_proj")


def _stays_a_layer(base: PreTrainedModel, leaf: str) -> bool:
    """Whether peft leaves a layer of this name one: in some models it takes it for an expert."""
    config = LoraConfig(target_modules=[leaf])
    try:
        convert_peft_config_for_transformers(config, base, conversions=None)
    except ValueError:  # it is fused with others there
        return False
    return leaf in (config.target_modules or ())


def _named(layers: list[str], names: Collection[str]) -> list[str]:
    """The layers whose names end in one of these."""
    return [layer for layer in layers if any(_ends(layer, name) for name in names)]


def _ends(layer: str, name: str) -> bool:
    return layer == name or layer.endswith("." + name)
