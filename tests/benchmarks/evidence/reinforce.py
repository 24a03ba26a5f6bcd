"""REINFORCE on what a reward model of the votes makes of pairs, as in arXiv 2603.17378.

    loss = - (p - 1/2 + nudge) log pi(a) - (1/2 - p + nudge) log pi(b)
           + KL / 2 [(log pi(a) - log slow(a))^2 + (log pi(b) - log slow(b))^2]

`p` is P(a is better). The nudge is small and positive: without it a policy that can only make
responses unlikely breaks down. `slow` is a slow average of the policy. The pairs are those of
`online_fill`, so the two arms differ in nothing but what an update minimises.
"""

import random
from collections.abc import Sequence

import torch

from labeler.domain.labels import TrainingLabel
from tests.benchmarks.evidence.plan import Run
from tests.benchmarks.evidence.world import World
from trainer.policy.logps import logps_under, pair_logps
from trainer.policy.policy import CANDIDATE, LIVE

NUDGE = 0.01
KL = 0.02
SLOWNESS = 0.8  # what the average keeps of itself in an update
MICRO_PAIRS = 8


class Reinforce:
    """Updates in place of DPO's; remembers the slow average."""

    def __init__(self, run: Run, world: World) -> None:
        self._run = run
        self._world = world
        self._slow = world.untrained

    def update(self, labels: Sequence[TrainingLabel], *, used: int) -> None:
        """Climb on these pairs after `used` votes, and let the policy be what came of it."""
        policy, run = self._world.policy, self._run
        if not labels:
            return
        pairs = [label.tokens for label in labels]
        policy.set_adapter_state(CANDIDATE, self._slow)
        slow = logps_under(policy, CANDIDATE, pairs)
        advantage = torch.tensor([label.weight * (label.target - 0.5) for label in labels])
        policy.copy_adapter(LIVE, CANDIDATE)
        weights = policy.parameters(CANDIDATE)
        rate = run.learning_rate / (1 + used / run.decay_labels if run.decay_labels else 1)
        optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0, fused=True)
        rng = random.Random(f"{run.seed} {used}")
        for _ in range(run.passes):
            order = rng.sample(range(len(pairs)), len(pairs))
            for first in range(0, len(order), run.batch_pairs):
                batch = order[first : first + run.batch_pairs]
                with torch.enable_grad(), policy.adapter(CANDIDATE, trains=True):
                    for start in range(0, len(batch), MICRO_PAIRS):
                        some = batch[start : start + MICRO_PAIRS]
                        logps = pair_logps(policy, [pairs[place] for place in some])
                        gain = torch.stack([advantage[some], -advantage[some]], dim=1) + NUDGE
                        loss = -gain * logps + KL / 2 * (logps - slow[some]).square()
                        (loss.sum() / len(batch)).backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(weights, self._world.settings.max_grad_norm)
                optimizer.step()
                optimizer.zero_grad()
        policy.copy_adapter(CANDIDATE, LIVE)
        now = policy.adapter_state(LIVE)
        self._slow = {
            name: SLOWNESS * old + (1 - SLOWNESS) * now[name] for name, old in self._slow.items()
        }
