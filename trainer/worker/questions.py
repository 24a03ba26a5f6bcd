"""In which order people are asked: first what tells most, and some by lot.

The rule is in `trainer.judge.acquisition`; the queue hands pairs out by it. Leaves out how many
pairs there should be: `trainer.worker.pace`.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from labeler.config.settings import Settings
from labeler.domain.rules import D_OPTIMAL, Acquisition
from labeler.store import Store
from labeler.store.rating.next_pairs import AT_RANDOM
from labeler.store.records import NewPair
from trainer.judge.acquisition import pick, worths
from trainer.sampling.samples import Sample, worth_asking

TOLD_PAIRS = 256  # what people said of late; older answers are of other versions


class Questions:
    """Sorts the pairs of this store by what people have told already."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self.are_sorted = settings.acquisition == D_OPTIMAL and not settings.unattended
        self._candidates = settings.fill_candidates

    def sort(
        self, pairs: Sequence[NewPair], rng: random.Random, *, picked: bool = False
    ) -> list[NewPair]:
        """The same pairs, each with its worth; some by lot have none, unless they were `picked`."""
        if not self.are_sorted or not pairs:
            return list(pairs)
        at_random = 0.0 if picked else AT_RANDOM
        told = [(pair.response_a, pair.response_b) for pair in pairs]
        more = {"candidates": self._candidates, "candidate_pair": D_OPTIMAL} if picked else {}
        return [
            _by("random", None, pair, more)
            if rng.random() < at_random
            else _by(D_OPTIMAL, worth, pair, more)
            for pair, worth in zip(pairs, worths(self._told(), told), strict=True)
        ]

    def pick(self, samples: Sequence[Sample], most: int) -> tuple[list[Sample], list[Sample]]:
        """Up to so many samples, cut to the pair that tells most, and the other samples."""
        texts = [[response.text for response in sample.responses] for sample in samples]
        picked = {}
        for place, first, second in pick(self._told(), texts, most):
            sample = samples[place]
            both = sample.responses[first], sample.responses[second]
            if worth_asking(both):
                picked[place] = replace(sample, responses=both, reference=None)
        others = [sample for place, sample in enumerate(samples) if place not in picked]
        return list(picked.values()), others

    def _told(self) -> list[tuple[str, str]]:
        return self._store.queue.voted(TOLD_PAIRS)


def _by(
    acquisition: Acquisition, worth: float | None, pair: NewPair, more: dict[str, Any]
) -> NewPair:
    sampling = pair.sampling | {"acquisition": acquisition} | more
    return replace(pair, worth=worth, sampling=sampling)
