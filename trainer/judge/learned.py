"""A reward model fitted to this service's own human labels: the judge `learned`.

    labels  ->  features of both responses  ->  cross-validation: how good is it?  ->  an ensemble

It abstains in two ways. UNTRAINED: until it has beaten chance on labels that it had not seen, by
MARGIN: the lower 95 % bound of its accuracy lies above 0.55, on 32 decided labels at least, and did
so without the newest 8 and 16 labels. UNSURE: where its members disagree, that is, where P(first)
averaged over them is no further from 0.5 than one standard deviation among them.

Looking again every few labels gives luck many chances, which a single interval does not allow for:
coin flips passed some one look in 30 of 288 runs of 128 labels, and three in a row in none of 192
runs of 160. Leaves out which labels there are, and when to look; nothing is saved, for a fit takes
about a second.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from labeler.domain.estimate import Estimate
from labeler.domain.judging import Cause, Example, Judgement, Question
from labeler.domain.labels import Preference
from labeler.domain.sentences.judge import imported, trained, untrained
from trainer.judge.features import Features, Pause
from trainer.judge.fitting import Material, decided, fit
from trainer.judge.heads import Heads

log = logging.getLogger(__name__)

MARGIN = 0.05  # above 0.5
MIN_DECIDED = 32  # labels
TRAIT_SHARES = (0.0,)  # with traits it took more votes to learn what makes a good answer
MAX_LABELS = 1024  # the newest; two responses each fit into the cache of features
REFIT = 8  # labels that came or changed, and
REFIT_SHARE = 0.04  # at least this share of all
LOOKS_AGO = (REFIT, 2 * REFIT)  # labels, without the newest of which it must be good as well
LUCKY = 256  # labels beyond which luck does not pass even one look


@dataclass(frozen=True)
class Fit:
    """An ensemble on features as they are, and its accuracy on labels that it had not seen.

    `is_trusted` says whether that beats chance by the margin, and did so before. `imported` is what
    an imported pair weighed.
    """

    heads: Heads  # weights (D, M)
    imported: float
    right: Estimate
    is_trusted: bool


class LearnedJudge:
    """Learns from people, and answers where it knows."""

    spec = "learned"
    waits = False
    one_by_one = False
    requests_spent = 0

    def __init__(self, features: Features, *, seed: int = 0) -> None:
        self.features = features
        self._seed = seed
        self._known: dict[int, Preference] = {}
        self._decided = 0
        self._imported = 0
        self.fit: Fit | None = None

    @property
    def says(self) -> str:
        """How good it is, in a sentence."""
        if self.fit is None:
            return untrained(MIN_DECIDED, self._decided)
        said = trained(self.fit.right, None if self.fit.is_trusted else 0.5 + MARGIN)
        return said + imported(self._imported, self.fit.imported)

    def learn(self, examples: Sequence[Example], pause: Callable[[], None] | None = None) -> bool:
        """Fit anew if enough has changed since the last time; whether it did.

        `examples` are all labels there are, the newest last, after those that were imported. One
        that is gone, or says something else now, counts as a change. There is a `pause` between
        the parts of that; one that raises leaves the judge as it was.
        """
        newest = {example.pair_id: example for example in examples[-MAX_LABELS:]}
        known = {pair: example.said for pair, example in newest.items()}
        changed = {pair for pair, _ in known.items() ^ self._known.items()}
        if not changed or len(changed) < max(REFIT, REFIT_SHARE * len(known)):
            return False
        own = [example.said for example in newest.values() if not example.imported]
        enough = decided(own) >= MIN_DECIDED
        self.fit = self._fit(list(newest.values()), pause) if enough else None
        self._known = known
        self._decided, self._imported = decided(own), len(newest) - len(own)
        log.info("The judge 'learned' is %s.", self.says)
        return True

    def close(self) -> None:
        """It waits for nobody."""

    def judge(
        self, questions: Sequence[Question], pause: Callable[[], None] | None = None
    ) -> list[Judgement]:
        """One judgement a question; the scores are the mean of the members'."""
        fit = self.fit
        if fit is None or not fit.is_trusted:
            return [Judgement(None, Cause.UNTRAINED)] * len(questions)
        return [
            Judgement(None, found) if isinstance(found, Cause) else _judgement(fit.heads, found)
            for found in self.features.of(questions, _told(pause))
        ]

    def _fit(self, examples: Sequence[Example], pause: Callable[[], None] | None) -> Fit | None:
        """None if too few of the examples can be read."""
        materials = Material.each(self.features, examples, TRAIT_SHARES, _told(pause))
        found = fit(materials, self._seed, pause)
        if found is None:
            return None
        trusted = _is_good(found.right) and self._was_good(materials[0], pause)
        return Fit(found.heads, found.imported, found.right, trusted)

    def _was_good(self, material: Material, pause: Callable[[], None] | None) -> bool:
        """Whether it was good at earlier looks already, where one look could be luck."""
        if material.own > LUCKY:
            return True
        skills = (material.without_newest(ago).skill(self._seed, pause) for ago in LOOKS_AGO)
        return all(skill is not None and _is_good(skill.right) for skill in skills)


def _told(pause: Callable[[], None] | None) -> Pause | None:
    """The pause as `Features` calls it."""
    return None if pause is None else lambda *_: pause()


def _is_good(right: Estimate) -> bool:
    """Whether it beats chance by the margin."""
    return right.low is not None and right.count >= MIN_DECIDED and right.low > 0.5 + MARGIN


def _judgement(heads: Heads, features: Tensor) -> Judgement:
    """What the members make of both responses (2, D)."""
    margins = (features[0] - features[1]) @ heads.weights  # (M,)
    probabilities = heads.probabilities(margins)
    probability = probabilities.mean().item()
    first, second = (features @ heads.weights).mean(dim=1).tolist()
    if abs(probability - 0.5) < probabilities.std(unbiased=False).item():
        return Judgement(None, Cause.UNSURE, scores=(first, second))
    return Judgement(probability, scores=(first, second))
