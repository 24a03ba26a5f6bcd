"""Pairs for raters: prompts in turn, two responses each, with what training will need.

Leaves out which version is live and when the queue is full: the worker knows.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import TemplateError

from labeler.settings import Settings
from labeler.store import Store
from labeler.store.records import NewPair
from labeler.tables import Prompt
from trainer.examine import Sample, logps
from trainer.policy import Policy
from trainer.sampling import Sampler, batch_seed, worth_asking
from trainer.setup import sampling_settings

log = logging.getLogger(__name__)

ROLE = "worker"
EMPTY_BATCHES_BEFORE_ALARM = 5


@dataclass(frozen=True)
class Sampled:
    """Samples of one version, with their prompts. All were drawn with one seed."""

    prompts: list[Prompt]
    samples: list[Sample]
    seed: int


class Supply:
    """Draws pairs from the policy for the store's prompts."""

    def __init__(self, store: Store, policy: Policy, settings: Settings) -> None:
        self._store = store
        self._policy = policy
        self._settings = settings
        self._sampling = sampling_settings(settings)
        self._sampler = Sampler(policy)
        self._useless_batches = 0

    def sample(self, count: int, adapter: str, version: int) -> Sampled:
        """Two responses to each of up to `count` prompts, under this adapter."""
        taken = self._take(count)
        if not taken:
            return Sampled([], [], 0)
        prompts = [prompt for prompt, _ in taken]
        seed = batch_seed(
            self._settings.seed, version, prompt_id(prompts[0]), prompts[0].pairs_sampled
        )
        samples = self.answer([tokens for _, tokens in taken], adapter, seed)
        return Sampled(prompts, samples, seed)

    def answer(self, prompts: Sequence[list[int]], adapter: str, seed: int) -> list[Sample]:
        """Two responses to each prompt (token ids), under this adapter."""
        pairs = self._sampler.sample(adapter, prompts, self._sampling, seed=seed)
        return [Sample(tokens, (a, b)) for tokens, (a, b) in zip(prompts, pairs, strict=True)]

    def pairs(self, sampled: Sampled, version: int) -> list[NewPair]:
        """Those pairs that are worth asking about, with their log-probs under the reference."""
        kept = [
            (prompt, sample)
            for prompt, sample in zip(sampled.prompts, sampled.samples, strict=True)
            if worth_asking(sample.responses)
        ]
        self._notice_useless_batches(bool(kept))
        if not kept:
            return []
        reference = logps(self._policy, [sample for _, sample in kept], None).tolist()
        return [
            self._new_pair(prompt, sample, version, sampled.seed, both)
            for (prompt, sample), both in zip(kept, reference, strict=True)
            if all(math.isfinite(logp) for logp in both)
        ]

    def _new_pair(
        self, prompt: Prompt, sample: Sample, version: int, seed: int, reference: Sequence[float]
    ) -> NewPair:
        a, b = sample.responses
        return NewPair(
            prompt_id=prompt_id(prompt),
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
            sampling=vars(self._sampling) | {"seed": seed},
        )

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

    def _usable(self, prompts: Sequence[Prompt]) -> list[tuple[Prompt, list[int]]]:
        """Prompts with their tokens; those that this policy cannot take are set aside."""
        usable = []
        room = self._policy.context_tokens - self._settings.max_new_tokens
        for prompt in prompts:
            try:
                tokens = self._policy.prompt_tokens(prompt.messages)
                if len(tokens) > room:
                    raise ValueError(f"{len(tokens)} tokens, but there is room for {room}")
                usable.append((prompt, tokens))
            except (TemplateError, ValueError, TypeError) as error:
                log.warning("Prompt %s is set aside: %s.", prompt.id, one_line(error))
                self._store.prompts.set_aside(prompt_id(prompt), one_line(error))
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


def one_line(error: Exception) -> str:
    """The first line of what an error says, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
