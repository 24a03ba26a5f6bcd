"""Raters' own prompts, answered by the live policy while somebody waits for them.

    Asking.step  =  take what waits, two responses each, again with another seed where they are no
                    use, and queue the pairs for those who asked; or say why there is none

The page shows the progress, so it is written down while tokens are drawn. What cannot be answered
ends with one sentence; nothing that a rater types may fail an update.
"""

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.store import Store
from labeler.store.rating.asks import Asked
from trainer.fast.memory import is_out_of_memory
from trainer.gate.examine import Sample, logps
from trainer.policy.policy import LIVE, Policy
from trainer.sampling.local import batch_seed, worth_asking
from trainer.worker.supply import REFUSALS, Supply, first_line

MAX_ASKS = 8
MAX_SEEDS = 3
PROGRESS_SECONDS = 0.3
SAME = f"The model said the same twice, or nothing, in {MAX_SEEDS} tries; ask something else."
NOT_FINITE = "The model cannot answer: its probabilities are not finite."
NO_MEMORY = "There is no memory to answer this; ask something shorter."


class Asking:
    """Answers asks with what stands in the policy's live adapter. `say` tells what goes on."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        supply: Supply,
        settings: Settings,
        clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._store = store
        self._policy = policy
        self._supply = supply
        self._most_tokens = 2 * settings.max_new_tokens
        self._seed = settings.seed
        self._clock = clock
        self._say = say

    def step(self, version: int) -> bool:
        """Answer what waits with the live version, whose number is given; false if nothing does."""
        asked = self._store.asks.take(MAX_ASKS, now=self._clock())
        if not asked:
            return False
        self._say("Answering a rater's own prompt.")
        waiting = self._readable(asked)
        for attempt in range(MAX_SEEDS):
            if waiting:
                waiting = self._answer(waiting, version, attempt)
        for ask, _ in waiting:
            self._refuse(ask, SAME)
        return True

    def _readable(self, asked: Sequence[Asked]) -> list[tuple[Asked, list[int]]]:
        """The asks that this policy can take, with their tokens; the others end here."""
        readable = []
        for ask in asked:
            try:
                readable.append((ask, self._supply.tokens(ask.messages)))
            except REFUSALS as error:
                self._refuse(ask, f"The model cannot take this prompt: {first_line(error)}.")
        return readable

    def _answer(
        self, asked: Sequence[tuple[Asked, list[int]]], version: int, attempt: int
    ) -> list[tuple[Asked, list[int]]]:
        """Two responses each; returns those for which they are no use.

        Where asks fail together each is tried alone, so that one of them ends no other.
        """
        seed = batch_seed(self._seed, version, attempt, _number([ask.id for ask, _ in asked]))
        try:
            samples, reference = self._sampled(asked, seed)
        except (RuntimeError, MemoryError, FloatingPointError, BadInput) as error:
            trouble = _sentence(error)
        else:
            for (ask, _), sample in zip(asked, samples, strict=True):
                if (both := reference.get(ask.id)) is not None:
                    pair = self._supply.pair(0, sample, version, seed, both)
                    self._store.asks.answer(ask.id, pair, now=self._clock())
            return [(ask, tokens) for ask, tokens in asked if ask.id not in reference]
        if len(asked) > 1:
            return [left for one in asked for left in self._answer([one], version, attempt)]
        self._refuse(asked[0][0], trouble)
        return []

    def _sampled(
        self, asked: Sequence[tuple[Asked, list[int]]], seed: int
    ) -> tuple[list[Sample], dict[str, list[float]]]:
        """A sample for each, and by ask the log-probabilities (nats) of those of use.

        Raises what the sampler does, and FloatingPointError if the policy's reference is not
        finite.
        """
        tell = self._teller([ask.id for ask, _ in asked])
        samples = self._supply.answer([tokens for _, tokens in asked], LIVE, seed, progress=tell)
        useful = {
            ask.id: sample
            for (ask, _), sample in zip(asked, samples, strict=True)
            if worth_asking(sample.responses)
        }
        if not useful:
            return samples, {}
        reference = logps(self._policy, list(useful.values()), None)
        if not torch.isfinite(reference).all():
            raise FloatingPointError(NOT_FINITE)
        return samples, dict(zip(useful, reference.tolist(), strict=True))

    def _refuse(self, ask: Asked, reason: str) -> None:
        self._store.asks.refuse(ask.id, reason, now=self._clock())

    def _teller(self, ask_ids: Sequence[str]) -> Callable[[Mapping[int, int]], None]:
        """What writes the progress down, at once and then every so often."""
        written = -math.inf

        def tell(drawn: Mapping[int, int]) -> None:
            nonlocal written
            now = time.monotonic()
            if now - written >= PROGRESS_SECONDS:
                written = now
                done = {ask_id: drawn.get(place, 0) for place, ask_id in enumerate(ask_ids)}
                self._store.asks.progress(done, most=self._most_tokens)

        return tell


def _sentence(error: Exception) -> str:
    """What a rater is told of it. Raises the error again if it is no trouble with the prompt."""
    if is_out_of_memory(error):
        return NO_MEMORY
    if isinstance(error, FloatingPointError):
        return NOT_FINITE
    if isinstance(error, BadInput):
        return str(error)
    raise error


def _number(ask_ids: Sequence[str]) -> int:
    """A number of these asks, so that the same prompt asked again is answered anew."""
    return int.from_bytes(hashlib.sha256("\n".join(ask_ids).encode()).digest()[:8])
