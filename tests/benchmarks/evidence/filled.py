"""Pairs that nobody rated, as the service fills them in: `trainer.judge.filling`.

Leaves out the drawing ahead: here candidates are drawn when an update needs them.
"""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace

import torch

from labeler.domain.judging import Example
from labeler.domain.labels import Opinion, TrainingLabel, VoteRules, combine
from labeler.domain.messages import Messages
from tests.benchmarks.evidence.plan import Run
from tests.benchmarks.evidence.world import Pair, Prompts, World
from trainer.judge.features import Features
from trainer.judge.filling import FillModel
from trainer.policy.logps import pair_logps
from trainer.policy.policy import LIVE
from trainer.sampling.samples import Response, worth_asking

TIES_TEACH = VoteRules(ties="learn")


class Filler:
    """A reward model that hears every vote, and fills updates up."""

    def __init__(self, run: Run, world: World) -> None:
        self.model = FillModel(Features(world.policy), seed=run.seed)
        self._run = run
        self._world = world
        self._prompts = Prompts(world.training_prompts, random.Random(f"fill {run.seed}"))
        self._examples: list[Example] = []

    def hear(self, pairs: Sequence[Pair], opinions: Sequence[Opinion], *, first: int) -> None:
        """Votes on pairs, which are numbered from `first` on."""
        for number, (pair, opinion) in enumerate(zip(pairs, opinions, strict=True), start=first):
            said = combine([opinion], TIES_TEACH)
            if said is not None:
                self._examples.append(Example(number, pair.question, said))
        self.model.learn(self._examples)

    def best(self, messages: Messages, responses: Sequence[Response]) -> int:
        """The place of the best of several responses; of the first while the model is no use."""
        if self.model.why_not is not None:
            return 0
        [choices] = self.model.choose([(messages, [response.text for response in responses])])
        return choices[0].best if choices else 0

    def mixed(self, labels: Sequence[TrainingLabel]) -> list[TrainingLabel]:
        """The labels with what the model makes of their pairs, if it is of use."""
        return list(labels) if self.model.why_not is not None else self.model.mixed(labels)

    def labels(self, votes: int) -> list[TrainingLabel]:
        """So many times `run.fill` pairs, or fewer; none while the model is no use."""
        if self.model.why_not is not None:
            return []
        run, world = self._run, self._world
        asked = self._prompts.take(math.ceil(run.fill * votes / (run.fill_candidates // 2)))
        prompts = [world.policy.prompt_tokens(messages) for messages in asked]
        seed = run.seed * 10_000 + len(self._examples)
        drawn = world.sampler.draw(
            LIVE, prompts, world.settings, seed=seed, copies=run.fill_candidates
        )
        texts = [[response.text for response in some] for some in drawn]
        if self.model.length.start is None:  # nothing has been filled in yet
            self.model.length.start = statistics.fmean(len(one) for some in texts for one in some)
        chosen = self.model.choose(list(zip(asked, texts, strict=True)))
        found = [
            TrainingLabel(
                (), said.target, self.model.weight, prompt, best.tokens, worst.tokens, 0, 0
            )
            for prompt, some, choices in zip(prompts, drawn, chosen, strict=True)
            for said in choices
            if worth_asking((best := some[said.best], worst := some[said.worst]))
        ]
        with torch.no_grad(), world.policy.reference():
            logps = pair_logps(
                world.policy, [(one.prompt_tokens, one.tokens_a, one.tokens_b) for one in found]
            ).tolist()
        return [
            replace(one, reference_logp_a=a, reference_logp_b=b)
            for one, (a, b) in zip(found, logps, strict=True)
        ]
