"""The gradient of an optimiser batch, computed in micro-batches that fit into memory.

    batch -> this process's share -> parts of so many tokens -> gradients, which add up

If memory runs out, the parts become smaller, and then each layer is computed twice. Processes that
share a base (`Team.in_step`) make as many passes each, so there none can make its parts smaller.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from labeler.config.parts.training import Training
from labeler.domain.errors import LivedpoError
from trainer.fast.checkpoints import compute_twice
from trainer.fast.memory import fits_at_once, is_out_of_memory, row_tokens, training_tokens
from trainer.learning.examples import Examples, size_of
from trainer.learning.objective import Objective
from trainer.learning.team import Team
from trainer.policy.logps import pair_logps, parts_of
from trainer.policy.policy import CANDIDATE, Policy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """Of an optimiser batch: its loss, and the share of its pairs that is ranked right."""

    loss: float
    accuracy: float


class MicroBatches:
    """Computes optimiser batches in parts that fit into memory."""

    def __init__(
        self,
        policy: Policy,
        settings: Training,
        mean_weight: float,
        go_on: Callable[[], None] | None,
        team: Team,
    ) -> None:
        self._policy = policy
        self._go_on = go_on
        self._team = team
        self._mean_weight = max(mean_weight, torch.finfo(torch.float32).tiny)
        self._objective = Objective(settings)
        self._base = policy.model.get_base_model()
        self._tokens = settings.micro_tokens or training_tokens(self._base)

    def accumulate(self, examples: Examples) -> Outcome:
        """Add up the gradients of a batch, each of the team those of its share."""
        mine = examples[self._team.share(list(map(size_of, examples.pairs)))]
        total = self._mean_weight * len(examples.labels)
        longest = max(map(size_of, examples.pairs))
        if not (self._policy.computes_twice or fits_at_once(self._base, longest)):
            self._compute_twice(f"{longest} tokens at once would not fit into the memory")
        if self._team.in_step:
            loss, right = self._in_step(mine, examples[[0]], total)
        else:
            loss, right = self._share(mine, total) if mine.labels else (0.0, 0.0)
        weights = self._policy.parameters(CANDIDATE)
        loss, right = self._team.sum_gradients(weights, [loss, right])
        return Outcome(loss, right / len(examples.labels))

    def _share(self, examples: Examples, total_weight: float) -> tuple[float, float]:
        """Loss and right ones of this process's pairs, in smaller parts if memory runs out."""
        while True:
            parts = parts_of(examples.pairs, self._tokens)
            outcome = self._try([(examples[part], total_weight) for part in parts])
            if outcome is not None:
                return outcome
            if all(len(part) == 1 for part in parts):
                if self._compute_twice("memory ran out"):
                    continue
                longest = max(map(size_of, examples.pairs))
                raise LivedpoError(
                    f"The update ran out of memory on a single pair of up to {longest} tokens; "
                    "give it a machine with more memory, or a smaller policy."
                )
            self._tokens //= 2
            log.warning("Out of memory; going on with %s tokens at once.", self._tokens)

    def _in_step(
        self, examples: Examples, another: Examples, total_weight: float
    ) -> tuple[float, float]:
        """As `_share`, in as many passes as everyone makes, so there is no second attempt.

        What is left of them are passes over `another` example, which weighs nothing.
        """
        parts = parts_of(examples.pairs, self._tokens)
        idle = self._team.most(len(parts)) - len(parts)
        passes = [(examples[part], total_weight) for part in parts]
        outcome = self._try([*passes, *[(another, math.inf)] * idle])
        if outcome is None:
            raise LivedpoError(
                f"The update ran out of memory on {self._tokens} tokens at once; set "
                "--micro-tokens to fewer, or share the base among more processes (--nproc)."
            )
        return outcome

    def _compute_twice(self, reason: str) -> bool:
        """From now on keep less and compute more. False if the policy does already, or cannot."""
        if self._policy.computes_twice or not compute_twice(self._base):
            return False
        self._policy.computes_twice = True
        log.warning("Training computes each layer twice, which is slower: %s.", reason)
        return True

    def _try(self, passes: Sequence[tuple[Examples, float]]) -> tuple[float, float] | None:
        """One attempt at examples with the weight that their losses are divided by.

        None, with no gradient left behind, if memory ran out.
        """
        loss = right = 0.0
        for examples, total_weight in passes:
            if self._go_on is not None:
                self._go_on()  # which may switch adapters
            try:
                with torch.enable_grad(), self._policy.adapter(CANDIDATE, trains=True):
                    some, several = self._backward(examples, total_weight)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                for weight in self._policy.parameters(CANDIDATE):
                    weight.grad = None
                return None
            loss += some
            right += several if math.isfinite(total_weight) else 0.0
        return loss, right

    def _backward(self, examples: Examples, total_weight: float) -> tuple[float, float]:
        """The part's share of the batch's loss, and how many of its pairs are ranked right."""
        target, tie = examples.column("target"), examples.column("tie")
        tokens = sum(sum(map(len, pair)) for pair in examples.pairs)
        fill = row_tokens(tokens, self._tokens)
        logps = examples.logps(pair_logps(self._policy, examples.pairs, fill=fill))
        losses = self._objective.losses(logps, target, tie)
        loss = (losses * examples.column("weight")).sum() / total_weight
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            right = self._objective.accuracy(logps, target, tie).sum()
        return loss.item(), right.item()
