"""Processes that train one candidate together, each on a share of the pairs.

    share            what is computed apart: each has pairs of about as many tokens
    summed           what is put together: everyone gets the same sum, to the last bit

A gradient is a sum over pairs, so the sum of the shares is the gradient of the whole batch; it
differs from that of one process by rounding alone. All else (the order of the labels, clipping,
AdamW) is computed by everyone from the same numbers, and needs no telling.

`trainer.learning.ranks` starts such processes. One alone sums nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist


@dataclass(frozen=True)
class Team:
    """This process is `rank` of `size`, which meet in a `group` of torch.distributed.

    `in_step` says that the base is split among them: every pass of one needs a pass of all.
    """

    rank: int = 0
    size: int = 1
    group: dist.ProcessGroup | None = None
    in_step: bool = False

    def share(self, sizes: Sequence[int]) -> list[int]:
        """Places of what this process computes, in order, of things of these sizes.

        The largest are dealt out first, each to whoever has the least.
        """
        loads, mine = [0] * self.size, []
        for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
            least = loads.index(min(loads))
            loads[least] += sizes[place]
            if least == self.rank:
                mine.append(place)
        return sorted(mine)

    def most(self, count: int) -> int:
        """The largest of everyone's counts."""
        counts = torch.zeros(self.size)
        counts[self.rank] = count
        return int(self.summed(counts).max())

    def summed(self, values: Tensor) -> Tensor:
        """The sum of everyone's values, in place."""
        if self.group is not None:
            self.group.allreduce([values]).wait()
        return values

    def sum_gradients(
        self, weights: Sequence[nn.Parameter], values: Sequence[float]
    ) -> list[float]:
        """Put everyone's gradients together, in place, and these values likewise."""
        if self.group is None:
            return list(values)
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        parts = torch.split(self.summed(flat), [weight.numel() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight.grad = part.view_as(weight)
        return self.summed(torch.tensor(values, dtype=torch.float64)).tolist()

    def agrees(self, weights: Sequence[Tensor]) -> bool:
        """Whether these float32 values are the same for everyone, to the last bit."""
        if self.group is None:
            return True
        mine = torch.cat([weight.detach().flatten() for weight in weights]).view(torch.int32)
        first = mine.clone()
        self.group.broadcast(first, 0).wait()
        differing = torch.tensor(float(not torch.equal(mine, first)))
        return not self.summed(differing).item()


ALONE = Team()
