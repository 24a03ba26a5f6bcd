"""The layers of a base split over the ranks, by FSDP2: each is gathered while it is computed.

    kept by each rank: 1/N of every layer; embedding, head and adapters as a whole

Zhao et al. 2023, "PyTorch FSDP", arXiv 2304.11277. The adapters are not split: they are small, and
their gradients are summed as without this. So every rank ends with the whole candidate.
"""

from collections.abc import Sequence

import torch
from torch import distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers.modeling_layers import GradientCheckpointingLayer

from labeler.domain.errors import LivedpoError
from trainer.policy.logps import logps_under
from trainer.policy.policy import CANDIDATE, LIVE, Policy


def split(policy: Policy, device: str) -> float:
    """Keep a share of each layer on this rank's device, and all else there as a whole.

    Returns the share of the policy's weights that are kept. The policy is on the CPU, so that no
    device ever holds the whole base. Everyone calls this. Raises LivedpoError if it cannot be
    split.
    """
    layers = layers_of(policy.model.get_base_model())
    if (why_not := _why_not(policy, layers)) is not None:
        raise LivedpoError(f"--shard cannot split the policy '{policy.name}': {why_not}.")
    whole_size = _size(policy)
    mesh = init_device_mesh(torch.device(device).type, (dist.get_world_size(),))
    adapters = {*policy.parameters(LIVE), *policy.parameters(CANDIDATE)}
    for layer in layers:
        whole = adapters & set(layer.parameters())
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
    policy.model.to(device)
    return _size(policy) / whole_size


def _why_not(policy: Policy, layers: Sequence[nn.Module]) -> str | None:
    """In a few words; None if it can be split."""
    if policy.packing is not None:
        return f"its weights are packed as {policy.packing}"
    if not layers:
        return "it has no layers that are known"
    logps_under(policy, LIVE, [([1], [2], [3])])  # tries it
    return None if policy.packs else "its pairs cannot be computed in one pass each"


def _size(policy: Policy) -> int:
    """How many weights are kept here."""
    held = (w.to_local() if isinstance(w, DTensor) else w for w in policy.model.parameters())
    return sum(weight.numel() for weight in held)


def layers_of(base: nn.Module) -> list[GradientCheckpointingLayer]:
    """Its layers, from the first to the last; not what stands within another."""
    known: list[GradientCheckpointingLayer] = []
    within: set[int] = set()
    for part in base.modules():  # the outer ones come first
        if isinstance(part, GradientCheckpointingLayer) and id(part) not in within:
            known.append(part)
            within.update(map(id, part.modules()))
    return known
