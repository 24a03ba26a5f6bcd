"""A device without float64, as Apple's GPUs are, made of this CPU's memory.

It bears the name of the device without data, for which torch needs no driver.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")


class There(Tensor):
    """A tensor on that device."""

    _held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "There":
        if held.dtype == torch.float64:
            raise TypeError("the device has no float64")
        there: There = Tensor._make_wrapper_subclass(
            cls, held.shape, dtype=held.dtype, device=DEVICE, strides=held.stride()
        )
        there._held = held
        return there

    @classmethod
    def __torch_dispatch__(cls, *_: Any) -> Any:
        return NotImplemented  # the mode knows


class WithoutFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it lasts there is such a device; tensors get there by `to`, and back."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        are_there = [isinstance(one, There) for one in given if one.dim() > 0]
        asked = kwargs.pop("device", None)
        if any(are_there) and not all(are_there):
            raise RuntimeError(f"{func} is given tensors of two devices")
        there = any(are_there) if asked is None else asked == DEVICE
        if not there and asked is not None:
            kwargs["device"] = asked
        found = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        return tree_map(_there, found) if there else found


def _held(one: Any) -> Any:
    return one._held if isinstance(one, There) else one


def _there(one: Any) -> Any:
    return There(one) if isinstance(one, Tensor) else one
