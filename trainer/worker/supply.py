"""Pairs for raters: prompts in turn, two responses each, with what training will need.

Leaves out which version is live and when the queue is full: the worker knows.
"""

import logging
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jinja2 import TemplateError

from labeler.config.parts.sampling import Sampling
from labeler.config.settings import Settings
from labeler.domain.judging import Judge
from labeler.domain.messages import Messages
from labeler.store import Store
from labeler.store.records import NewPair
from labeler.store.tables import Prompt
from trainer.gate.examine import Sample, logps
from trainer.judge.choosing import choose
from trainer.policy.policy import Policy
from trainer.sampling.drawing import Progress
from trainer.sampling.local import Response, Sampler, batch_seed, worth_asking

log = logging.getLogger(__name__)

ROLE = "worker"
EMPTY_BATCHES_BEFORE_ALARM = 5
DRAWN_BY = set(Sampling.model_fields)
# What a chat template says, in one way or another, of a prompt that it cannot take.
REFUSALS = (TemplateError, ValueError, TypeError)


@dataclass(frozen=True)
class Sampled:
    """Samples of one version, with their prompts. All were drawn with one seed.

    `candidates` are all responses to each prompt, the two of its sample first. `reference` are
    summed log-probabilities (nats) of the samples under the reference, where they are known.
    """

    prompts: list[Prompt]
    samples: list[Sample]
    seed: int
    candidates: list[tuple[Response, ...]] = field(default_factory=list)
    reference: list[list[float]] | None = None


class Supply:
    """Draws pairs from the policy for the store's prompts.

    With more than two candidates a prompt, the judge chooses which two make the pair.
    """

    def __init__(
        self, store: Store, policy: Policy, settings: Settings, judge: Judge | None = None
    ) -> None:
        self._store = store
        self._policy = policy
        self._settings = settings
        self._judge = judge
        self._sampler = Sampler(policy)
        self._useless_batches = 0

    def sample(self, count: int, adapter: str, version: int) -> Sampled:
        """Responses to each of up to `count` prompts, under this adapter."""
        taken = self._take(count)
        if not taken:
            return Sampled([], [], 0)
        prompts = [prompt for prompt, _ in taken]
        seed = batch_seed(
            self._settings.seed, version, prompt_id(prompts[0]), prompts[0].pairs_sampled
        )
        rows = [tokens for _, tokens in taken]
        drawn = self._draw(rows, adapter, seed, copies=self._settings.candidates)
        samples = [
            Sample(tokens, (some[0], some[1])) for tokens, some in zip(rows, drawn, strict=True)
        ]
        return Sampled(prompts, samples, seed, drawn)

    def answer(
        self,
        prompts: Sequence[list[int]],
        adapter: str,
        seed: int,
        progress: Progress | None = None,
    ) -> list[Sample]:
        """Two responses to each prompt (token ids), under this adapter."""
        pairs = self._draw(prompts, adapter, seed, copies=2, progress=progress)
        return [Sample(tokens, (a, b)) for tokens, (a, b) in zip(prompts, pairs, strict=True)]

    def pairs(self, sampled: Sampled, version: int) -> list[NewPair]:
        """Those pairs that are worth asking about, with their log-probs under the reference."""
        samples, reference = self._chosen(sampled)
        kept = [place for place, sample in enumerate(samples) if worth_asking(sample.responses)]
        self._notice_useless_batches(bool(kept))
        if not kept:
            return []
        if reference is None:
            found = logps(self._policy, [samples[place] for place in kept], None).tolist()
        else:
            found = [reference[place] for place in kept]
        rng = random.Random(sampled.seed)
        return [
            self._for_the_queue(
                self.pair(
                    prompt_id(sampled.prompts[place]), samples[place], version, sampled.seed, both
                ),
                rng,
            )
            for place, both in zip(kept, found, strict=True)
            if all(math.isfinite(logp) for logp in both)
        ]

    def pair(
        self,
        prompt_number: int,
        sample: Sample,
        version: int,
        seed: int,
        reference: Sequence[float],
    ) -> NewPair:
        """A sample as a pair; `reference` are its log-probs (nats) under the reference."""
        a, b = sample.responses
        return NewPair(
            prompt_id=prompt_number,
            version_id=version,
            response_a=a.text,
            response_b=b.text,
            prompt_tokens=sample.prompt_tokens,
            tokens_a=a.tokens,
            tokens_b=b.tokens,
            finish_a=a.finish,
            finish_b=b.finish,
            reference_logp_a=reference[0],
            reference_logp_b=reference[1],
            logp_a=a.logp,
            logp_b=b.logp,
            sampling=self._settings.model_dump(include=DRAWN_BY) | {"seed": seed},
        )

    def _draw(
        self,
        prompts: Sequence[list[int]],
        adapter: str,
        seed: int,
        *,
        copies: int,
        progress: Progress | None = None,
    ) -> list[tuple[Response, ...]]:
        return self._sampler.sample(
            adapter, prompts, self._settings, seed=seed, copies=copies, progress=progress
        )

    def _chosen(self, sampled: Sampled) -> tuple[list[Sample], list[list[float]] | None]:
        """The samples that become pairs, and their log-probs under the reference if known."""
        if self._settings.candidates == 2 or self._judge is None:
            return sampled.samples, sampled.reference
        places = choose(
            self._judge,
            [prompt.messages for prompt in sampled.prompts],
            [[response.text for response in some] for some in sampled.candidates],
            self._settings.candidate_pair,
            random.Random(sampled.seed),
        )
        chosen = [
            Sample(sample.prompt_tokens, (some[first], some[second]))
            for sample, some, (first, second) in zip(
                sampled.samples, sampled.candidates, places, strict=True
            )
        ]
        return chosen, None

    def _for_the_queue(self, pair: NewPair, rng: random.Random) -> NewPair:
        """The pair with how it was chosen, and drawn by lot whether it checks the judge."""
        check = self._settings.judge is not None
        return replace(
            pair,
            double=check and rng.random() < self._settings.judge_check_share,
            sampling=pair.sampling | self._candidates(),
        )

    def _candidates(self) -> dict[str, Any]:
        """How the pair was chosen, where there was a choice."""
        if self._settings.candidates == 2:
            return {}
        return {
            "candidates": self._settings.candidates,
            "candidate_pair": self._settings.candidate_pair,
        }

    def _take(self, count: int) -> list[tuple[Prompt, list[int]]]:
        """The next prompts, with others in place of those that had to be set aside."""
        usable: list[tuple[Prompt, list[int]]] = []
        while len(usable) < count:
            taken = self._store.prompts.take(count - len(usable))
            good = self._usable(taken)
            usable += good
            if len(good) == len(taken):
                break
        return usable

    def tokens(self, messages: Messages) -> list[int]:
        """A prompt's token ids. Raises one of `REFUSALS` if this policy cannot take it."""
        room = self._policy.context_tokens - self._settings.max_new_tokens
        tokens = self._policy.prompt_tokens(messages)
        if len(tokens) > room:
            raise ValueError(f"{len(tokens)} tokens, but there is room for {room}")
        return tokens

    def _usable(self, prompts: Sequence[Prompt]) -> list[tuple[Prompt, list[int]]]:
        """Prompts with their tokens; those that this policy cannot take are set aside."""
        usable = []
        for prompt in prompts:
            try:
                usable.append((prompt, self.tokens(prompt.messages)))
            except REFUSALS as error:
                log.warning("Prompt %s is set aside: %s.", prompt.id, first_line(error))
                self._store.prompts.set_aside(prompt_id(prompt), first_line(error))
        return usable

    def _notice_useless_batches(self, useful: bool) -> None:
        self._useless_batches = 0 if useful else self._useless_batches + 1
        if not self._store.prompts.any_usable():
            alarm = (
                "There is no prompt that this policy can take; `livedpo prompts list` says why, "
                "`livedpo prompts add FILE` adds more."
            )
        elif self._useless_batches >= EMPTY_BATCHES_BEFORE_ALARM:
            alarm = "The policy gives only identical or empty responses; raise --temperature."
        else:
            alarm = None
        self._store.roles.alarm(f"{ROLE}: pairs", alarm)


def prompt_id(prompt: Prompt) -> int:
    """The number of a prompt that came from the database."""
    assert prompt.id is not None
    return prompt.id


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
