"""What all runs share: the policy, its prompts, who scores its responses, other models' pairs.

On the starter the grammar scores; on any policy a reward model can (`--rater rm:...`). Leaves out
how people answer by that score: `rater`.
"""

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from labeler.config.load import load_settings
from labeler.config.settings import Settings
from labeler.config.starter import STARTER_POLICY, STARTER_PROMPTS
from labeler.domain.errors import BadInput
from labeler.domain.judging import Question
from labeler.domain.labels import VoteRules
from labeler.domain.messages import Messages
from labeler.files.pairs import read_pairs
from labeler.files.prompts import read_prompts
from trainer.judge.reward import RewardModel
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE, Policy
from trainer.sampling.local import LocalSampler
from trainer.sampling.samples import worth_asking
from trainer.starter.grammar import held_out_prompts, score

HELD_OUT_SHARE = 0.2  # of the prompts of another policy than the starter
MAX_ATTEMPTS = 20


@dataclass(frozen=True)
class Place:
    """Where a policy, its prompts and its rater come from; `static` are another model's pairs."""

    policy: str = str(STARTER_POLICY)
    prompts: str = str(STARTER_PROMPTS)
    rater: str = "grammar"
    static: str | None = None
    threads: int = 1

    @property
    def settings(self) -> Settings:
        """How the policy is sampled and trained, unless a run says otherwise.

        The policy's own, and what the environment says (`LIVEDPO_DEVICE`, ...).
        """
        return load_settings({"policy": self.policy}, os.environ)

    @property
    def is_starter(self) -> bool:
        """Whether the policy is the one that the grammar has made."""
        return self.policy == str(STARTER_POLICY)


class Pair(NamedTuple):
    """Two responses to a prompt with their tokens, and by how much the first scores higher."""

    question: Question
    prompt_tokens: list[int]
    tokens: tuple[list[int], list[int]]
    margin: float


class NothingToAsk(BadInput):
    """The two answers to a prompt are the same too often."""


@dataclass
class World:
    """A policy in memory, with what surrounds it. One process has one."""

    place: Place
    policy: Policy = field(init=False)
    sampler: LocalSampler = field(init=False)

    def __post_init__(self) -> None:
        torch.set_num_threads(self.place.threads)
        self.settings = self.place.settings
        self.policy = load_policy(self.settings)
        self.policy.temperature = self.settings.temperature
        self.sampler = LocalSampler(self.policy)
        self.untrained = self.policy.adapter_state(LIVE)
        self.training_prompts, self.held_out = _split(self.place)

    def score(self, questions: Sequence[Question]) -> list[tuple[float, float]]:
        """The scores of both responses. Raises BadInput if a reward model gives none."""
        if self._reward is None:
            return [
                (
                    score(q.messages[-1]["content"], q.first),
                    score(q.messages[-1]["content"], q.second),
                )
                for q in questions
            ]
        found = [judgement.scores for judgement in self._reward.judge(questions)]
        if any(scores is None for scores in found):
            raise BadInput(f"The rater '{self.place.rater}' gave no score for a response.")
        return [scores for scores in found if scores is not None]

    @cached_property
    def _reward(self) -> RewardModel | None:
        if self.place.rater == "grammar":
            return None
        kind, _, name = self.place.rater.partition(":")
        if kind != "rm" or not name:
            raise BadInput(f"The rater '{self.place.rater}' is neither 'grammar' nor 'rm:FOLDER'.")
        return RewardModel(name, self.policy.device)

    def prompts(self, seed: int, kind: Literal["training", "tuning"] = "training") -> "Prompts":
        """The training prompts in the order of a seed, round and round."""
        return Prompts(self.training_prompts, random.Random(f"{kind} {seed}"))

    def sample(self, adapter: str, prompts: "Prompts", pairs: int, *, seed: int) -> list[Pair]:
        """So many pairs that somebody could choose from. Raises NothingToAsk if there are fewer."""
        found: list[Pair] = []
        for attempt in range(MAX_ATTEMPTS):
            found += self._sample(adapter, prompts.take(pairs - len(found)), seed * 100 + attempt)
            if len(found) == pairs:
                return found
        raise NothingToAsk(f"The policy '{self.place.policy}' gives the same answers twice.")

    def _sample(self, adapter: str, asked: Sequence[Messages], seed: int) -> list[Pair]:
        tokens = [self.policy.prompt_tokens(messages) for messages in asked]
        drawn = self.sampler.draw(adapter, tokens, self.settings, seed=seed)
        both = [(a, b) for a, b in drawn]
        questions = [
            Question(messages, a.text, b.text) for messages, (a, b) in zip(asked, both, strict=True)
        ]
        rows = zip(questions, tokens, both, self.score(questions), strict=True)
        return [
            Pair(question, prompt, (a.tokens, b.tokens), first - second)
            for question, prompt, (a, b), (first, second) in rows
            if worth_asking((a, b))
        ]

    def static_pairs(self, seed: int, pairs: int) -> list[Pair]:
        """Another model's pairs, in the order of a seed, either response first by lot."""
        assert self.place.static is not None
        rng = random.Random(f"static {seed}")
        known = read_pairs(Path(self.place.static), VoteRules()).pairs
        if len(known) < pairs:
            raise BadInput(f"{self.place.static} holds {len(known)} pairs, and {pairs} are needed.")
        questions, tokens = [], []
        for pair in rng.sample(known, pairs):
            said = [(pair.response_a, pair.ended_a), (pair.response_b, pair.ended_b)]
            rng.shuffle(said)
            (first, _), (second, _) = said
            questions.append(Question(pair.messages, first, second))
            a, b = (self.policy.response_tokens(text, ended=ended) for text, ended in said)
            tokens.append((self.policy.prompt_tokens(pair.messages), (a, b)))
        rows = zip(questions, tokens, self.score(questions), strict=True)
        return [Pair(q, prompt, both, one - two) for q, (prompt, both), (one, two) in rows]


class Prompts:
    """Prompts in random order, each once before any comes twice."""

    def __init__(self, prompts: Sequence[Messages], rng: random.Random) -> None:
        self._prompts = prompts
        self._rng = rng
        self._left: list[Messages] = []

    def take(self, count: int) -> list[Messages]:
        """The next ones."""
        while len(self._left) < count:
            self._left += self._rng.sample(list(self._prompts), len(self._prompts))
        taken, self._left = self._left[:count], self._left[count:]
        return taken


def _split(place: Place) -> tuple[list[Messages], list[Messages]]:
    """Prompts to learn on, and prompts to be measured on, which no run learns on."""
    known = read_prompts(Path(place.prompts)).prompts
    if place.prompts == str(STARTER_PROMPTS):
        return known, [[{"role": "user", "content": text}] for text, _ in held_out_prompts()]
    shuffled = sorted(known, key=json.dumps)
    random.Random(0).shuffle(shuffled)
    held_out = max(1, int(HELD_OUT_SHARE * len(shuffled)))
    if len(shuffled) - held_out < 1:
        raise BadInput(f"{place.prompts} holds too few prompts to hold some of them out.")
    return shuffled[held_out:], shuffled[:held_out]
