"""Raters' own prompts, answered by the live policy while somebody waits for them.

    AskJob.step  =  take what waits, two responses each, again with another seed where they are no
                    use, and queue the pairs for those who asked; or say why there is none

The page shows the progress, so it is written down while tokens are drawn. What cannot be answered
ends with one sentence; nothing that a rater types may fail an update.
"""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence

from labeler.domain.errors import BadInput, first_line
from labeler.store.rating.asks import Asked
from trainer.fast.memory import is_out_of_memory
from trainer.policy.chat import Refused
from trainer.sampling.samples import Progress, Prompt, Sample, batch_seed, worth_asking
from trainer.worker.workplace import Workplace

MAX_ASKS = 8
MAX_SEEDS = 3
PROGRESS_SECONDS = 0.3
SAME = f"The model gave the same reply twice, or none, in {MAX_SEEDS} tries; ask something else."
NOT_FINITE = "The model cannot answer: its probabilities are not finite."
NO_MEMORY = "There is no memory to answer this; ask something shorter."


class AskJob:
    """Answers asks with the version in the policy's live adapter."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._asks = place.store.asks

    def step(self, now: float) -> bool:
        """Answer what waits; false if nothing does."""
        asked = self._asks.take(MAX_ASKS, now=now, worker=self._place.asker)
        if not asked:
            return False
        self._place.say("Answering a rater's own prompt.")
        waiting = self._readable(asked)
        for attempt in range(MAX_SEEDS):
            if waiting:
                waiting = self._answer(waiting, attempt)
        for ask, _ in waiting:
            self._refuse(ask, SAME)
        return True

    def _readable(self, asked: Sequence[Asked]) -> list[tuple[Asked, Prompt]]:
        """The asks that this policy can take, with their tokens; the others end here."""
        readable = []
        for ask in asked:
            try:
                tokens = self._place.supply.prompts.tokens(ask.messages)
            except Refused as error:
                self._refuse(ask, f"The model cannot take this prompt: {first_line(error)}.")
            else:
                readable.append((ask, Prompt(0, ask.messages, tokens)))
        return readable

    def _answer(
        self, asked: Sequence[tuple[Asked, Prompt]], attempt: int
    ) -> list[tuple[Asked, Prompt]]:
        """Two responses each; returns those for which they are no use.

        Where asks fail together each is tried alone, so that one of them ends no other.
        """
        version, ids = self._place.live.version, [ask.id for ask, _ in asked]
        seed = batch_seed(self._place.settings.seed, version.number, attempt, _number(ids))
        try:
            samples = self._useful([prompt for _, prompt in asked], seed, self._teller(ids))
        except (RuntimeError, MemoryError, FloatingPointError, BadInput) as error:
            trouble = _sentence(error)
        else:
            for place, sample in samples.items():
                pair = self._place.supply.pair(sample, version)
                self._asks.answer(
                    ids[place],
                    pair,
                    now=self._place.clock(),
                    worker=self._place.asker,
                    max_staleness=self._place.may_lag,
                )
            return [one for place, one in enumerate(asked) if place not in samples]
        if len(asked) > 1:
            return [left for one in asked for left in self._answer([one], attempt)]
        self._refuse(asked[0][0], trouble)
        return []

    def _useful(
        self, prompts: Sequence[Prompt], seed: int, progress: Progress
    ) -> dict[int, Sample]:
        """Samples with log-probabilities under the reference, by the place of the prompt.

        Where the responses are no use there is none. Raises what the sampler does, and
        FloatingPointError if the policy's reference is not finite.
        """
        supply, version = self._place.supply, self._place.live.version
        samples = supply.answer(prompts, version, seed, progress=progress)
        places = [place for place, sample in enumerate(samples) if worth_asking(sample.pair)]
        useful = supply.measured([samples[place] for place in places])
        if not all(math.isfinite(logp) for sample in useful for logp in sample.reference or ()):
            raise FloatingPointError(NOT_FINITE)
        return dict(zip(places, useful, strict=True))

    def _refuse(self, ask: Asked, reason: str) -> None:
        now, worker = self._place.clock(), self._place.asker
        self._asks.refuse(ask.id, reason, now=now, worker=worker)

    def _teller(self, ask_ids: Sequence[str]) -> Progress:
        """What writes the progress down, at once and then every so often."""
        written = -math.inf
        most = 2 * self._place.settings.max_new_tokens

        def tell(drawn: Mapping[int, int]) -> None:
            nonlocal written
            now = time.monotonic()
            if now - written >= PROGRESS_SECONDS:
                written = now
                done = {ask_id: drawn.get(place, 0) for place, ask_id in enumerate(ask_ids)}
                told_at, worker = self._place.clock(), self._place.asker
                self._asks.progress(done, most=most, now=told_at, worker=worker)

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
