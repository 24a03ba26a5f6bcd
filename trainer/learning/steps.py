"""How far an optimiser step goes: at a given learning rate, or as far as its KL may be.

A learning rate says little of how far it moves a policy: that depends on its width, on the rank and
scale of the adapter, and on how sure it is of its words. So where none is given the step that the
optimiser proposes is measured and scaled. Distances are sqrt(2 KL), the length of a small step in
the Fisher metric; by the triangle inequality, n steps of a distance D / n stay within D of where
they began, whatever their directions.

KL is measured on a few responses, which the policy or one like it has drawn: E[(log new - log
old)^2] / 2 a token, exact to second order (Schulman 2020, "Approximating KL divergence", k2). They
are not trained on if that can be helped: those that are move three times as far as others.

On a base of less than float32 the log-probabilities of two policies differ by rounding, too, and by
more than small steps do: in SmolLM2-135M in bfloat16 by 0.1, where an update may go 0.24. So there
a step is first made so long that it stands out, and then shortened in proportion. What it is apart
then, beyond its length, is rounding, and is taken off the square of the way that was gone.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainer.fast.layout import TokenPair
from trainer.learning.team import ALONE, Team
from trainer.policy.logps import response_logps
from trainer.policy.policy import CANDIDATE, Policy

PROBE_PAIRS = 4
FIRST_RATE = 1e-3  # of the first proposal; it is scaled at once
MAX_RATE = 0.05
MAX_FACTOR = 16.0
TRIES = 3
NEAR_ENOUGH = 1.25  # a factor
NEARLY = 1.6  # where later steps make up for it
LEAST_FACTOR = 1e-4
STANDS_OUT = 0.4  # sqrt(2 KL)


class GivenRate:
    """Steps at the learning rate that the optimiser has."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    def step(self, *, left: int) -> float:
        """One step; the rate. `left` is how many there are, this one among them."""
        del left
        self._optimizer.step()
        return _rate(self._optimizer)


class MeasuredSteps:
    """Steps that take the candidate to `kl` (nats a token) from where it is now, or less far."""

    def __init__(
        self,
        policy: Policy,
        optimizer: torch.optim.Optimizer,
        probe: Sequence[TokenPair],
        *,
        kl: float,
        go_on: Callable[[], None] | None = None,
        team: Team = ALONE,
    ) -> None:
        """`go_on` is called before each measurement of a pair; it may switch adapters, and raise.

        Each of the `team` measures a share of the probe, or in step all of it, and all come to the
        same distance.
        """
        self._policy = policy
        self._optimizer = optimizer
        self._team = team
        self._probe = list(probe)
        if not team.in_step:
            sizes = [sum(map(len, pair)) for pair in probe]
            self._probe = [probe[place] for place in team.share(sizes)]
        self._goal = math.sqrt(2 * kl)
        self._go_on = go_on
        self._weights = policy.parameters(CANDIDATE)
        self._start = self._now = self._logps()
        self._rounds = policy.model.dtype != torch.float32
        self._rounding = 0.0  # its part of the square of a distance
        _set_rate(optimizer, FIRST_RATE)

    def step(self, *, left: int) -> float:
        """One step of its share of what is left to go; the rate that it came to."""
        goal = max(0.0, self._goal - self._distance(self._start, self._now)) / left
        before = [weight.detach().clone() for weight in self._weights]
        self._optimizer.step()
        seen = max(goal, STANDS_OUT) if self._rounds else goal
        logps = self._reach(seen, before, NEAR_ENOUGH if left == 1 else NEARLY)
        rate = _rate(self._optimizer)
        if seen > goal:
            rate, logps = self._shorten(goal, before, logps)
        self._now = logps
        return rate

    def _shorten(
        self, goal: float, before: Sequence[Tensor], logps: Tensor
    ) -> tuple[float, Tensor]:
        """Shorten the step since `before`, which came to `logps`; its rate, and what it comes to.

        The next step is proposed at the rate at which this one stood out.
        """
        stood_out = _rate(self._optimizer)
        distance = self._distance(self._now, logps)
        if not 0 < distance < math.inf:
            self._scale(before, 1 / MAX_FACTOR)
            return _rate(self._optimizer), self._logps()
        factor = min(max(goal / distance, LEAST_FACTOR), 1.0)
        self._scale(before, factor)
        logps = self._logps()
        rounding = self._square(self._now, logps) - (factor * distance) ** 2
        if math.isfinite(rounding):
            self._rounding = max(0.0, rounding)
        _set_rate(self._optimizer, stood_out)
        return factor * stood_out, logps

    def _reach(self, goal: float, before: Sequence[Tensor], near: float) -> Tensor:
        """Scale the step since `before` until it is about so long; the log-probabilities then."""
        for _ in range(TRIES):
            logps = self._logps()
            factor = self._factor(goal, self._distance(self._now, logps))
            if 1 / near <= factor <= near:
                return logps
            self._scale(before, factor)
        return self._logps()

    def _factor(self, goal: float, distance: float) -> float:
        """By what to scale the step. One that broke the policy is made much smaller."""
        if not math.isfinite(distance):
            return 1 / MAX_FACTOR
        room = MAX_RATE / _rate(self._optimizer)
        wanted = goal / distance if distance else MAX_FACTOR
        return min(max(wanted, 1 / MAX_FACTOR), MAX_FACTOR, room)

    def _scale(self, before: Sequence[Tensor], factor: float) -> None:
        """Scale the step since `before`, and the rate of those to come."""
        with torch.no_grad():
            for weight, old in zip(self._weights, before, strict=True):
                weight.copy_(torch.lerp(old, weight, factor))
        _set_rate(self._optimizer, _rate(self._optimizer) * factor)

    def _logps(self) -> Tensor:
        found = [self._logps_of(pair) for pair in self._probe]
        return torch.cat(found) if found else torch.zeros(0)

    def _logps_of(self, pair: TokenPair) -> Tensor:
        if self._go_on is not None:
            self._go_on()  # which may switch adapters
        with torch.no_grad(), self._policy.adapter(CANDIDATE):
            return response_logps(self._policy, [pair])

    def _distance(self, old: Tensor, new: Tensor) -> float:
        """sqrt(2 KL) between two policies, from log-probabilities (T,) of the same tokens."""
        square = self._square(old, new)
        return math.sqrt(max(0.0, square - self._rounding)) if square >= 0 else math.nan

    def _square(self, old: Tensor, new: Tensor) -> float:
        """The mean square of their differences; less than 0 or NaN if a policy is broken."""
        squares = (new - old).cpu().double().square()
        sums = torch.tensor([squares.sum(), len(squares)], dtype=torch.float64)
        total, tokens = self._team.summed(sums).tolist()
        return float(total / tokens)


def _rate(optimizer: torch.optim.Optimizer) -> float:
    return float(optimizer.param_groups[0]["lr"])


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
