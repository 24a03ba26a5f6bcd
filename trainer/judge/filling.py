"""Pairs that nobody rated: fresh responses, of which a reward model of the votes labels two.

    all votes  ->  Fit  ->  of each prompt's responses best and worst, the next best and the
                            next worst, ...                       ->  P(the better is better)
                        ->  of each pair that was voted on        ->  P(a is better)

The target is soft, the mean over the ensemble's members, so that unsure ones pull it to 1/2. But
few noisy votes leave all of them unsure, and targets near 1/2 teach nothing: DPO draws such pairs
back to the reference. So they are made as sure, on votes that they had not seen, as they were right
(`trainer.judge.trust`). How much a pair weighs follows from the same figure, and falls as votes
grow. By as much the votes of an update give way to what the model makes of their pairs,
having heard them. A single vote is often beside the point, and a few hard targets outweigh many
soft ones. One member takes no part. It is the witness: a policy that games the others gains less
with it (Coste et al. 2023, arXiv 2310.02743, on ensembles of reward models).

What scores owe to the length of replies counts less as that changes (`trainer.judge.length_guard`).

The judge `learned` must be sure before it speaks for people. Here a wrong label costs little, and
one is among many, so the model acts from MIN_DECIDED votes on. Leaves out the drawing of responses.
"""

import logging
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from labeler.domain.estimate import Estimate
from labeler.domain.judging import Cause, Example, Question
from labeler.domain.labels import Preference, TrainingLabel
from labeler.domain.messages import Messages
from labeler.domain.sentences.fill import (
    fitting,
    learns,
    no_better_than_chance,
    reading,
    since_turn,
    too_few_votes,
)
from labeler.domain.thought import without_thought
from trainer.judge.features import Features
from trainer.judge.features import Pause as ReadPause
from trainer.judge.fitting import Fit, Learner, Material, decided, fit
from trainer.judge.length_guard import LengthGuard
from trainer.judge.single import OneTrait
from trainer.judge.trust import sureness, weight_of
from trainer.judge.turning import turned

log = logging.getLogger(__name__)

MIN_DECIDED = 4  # votes
# Of a trait, where a block of hidden states counts 1. A simple taste is a trait, or nearly; where
# none tells what people like, traits stand in the way.
TRAIT_SHARES = (0.0, 4.0)
MAX_LABELS = 1024  # the newest
LOOK, LOOK_SHARE = 32, 0.1  # votes after which to look for a change of mind: so many, and of all
GAMED_BY_CHANCE = 0.01  # one-sided


@dataclass(frozen=True)
class Gain:
    """How often new responses beat older ones: say the members that taught, and the witness.

    `by_chance` is how likely one more member would be as far below the others by chance (t-test).
    """

    taught: float
    witness: float
    by_chance: float

    @property
    def is_gamed(self) -> bool:
        """Whether the witness sees less than half of the gain, and that is no chance."""
        gain = self.taught - 0.5
        return gain > 0 and self.witness - 0.5 < gain / 2 and self.by_chance < GAMED_BY_CHANCE


@dataclass(frozen=True)
class Choice:
    """Two of a prompt's responses, by their places, and P(best is better)."""

    best: int
    worst: int
    target: float


Pause = Callable[[str], None]  # is told what is done, in a sentence


def learners(
    features: Features, examples: Sequence[Example], pause: Pause | None = None
) -> list[Learner]:
    """What the reward model is the mean of; none if no example can be read.

    There is a `pause` between the parts of what is read.
    """
    told = _told(pause, votes=len(examples))
    materials = Material.each(features, examples, TRAIT_SHARES, told)
    return [*materials, *map(OneTrait, materials[-1:])]


class FillModel:
    """A reward model of people's votes, fitted anew as they come."""

    def __init__(self, features: Features, *, seed: int) -> None:
        self._features = features
        self._seed = seed
        self._known: dict[int, Preference] = {}
        self._own: list[Preference] = []
        self._asked: dict[int, Question] = {}
        self._overruled: set[int] = set()  # pairs on which people have changed their minds since
        self._sureness = 1.0
        self.length = LengthGuard()
        self.fit: Fit | None = None

    def learn(
        self,
        examples: Sequence[Example],
        pause: Pause | None = None,
    ) -> bool:
        """Fit anew if votes came or changed since the last time; whether it did.

        `examples` are all there are, the newest last, after those that were imported. There is a
        `pause` between the parts of that.
        """
        changed = False
        while self.learn_part(examples, pause):
            changed = True
        if changed:
            log.info("%s", self.says)
        return changed

    def learn_part(self, examples: Sequence[Example], pause: Pause | None = None) -> bool:
        """The same for some of the votes that are new; false if none is.

        Of many that are new, as all are after a restart, ever more are heard: fitted all at once,
        votes before and after a change of mind cancel, and nothing shows which are which. Imported
        pairs are heard at once, and have no part in that.
        """
        newest = self._standing(examples)[-MAX_LABELS:]
        if {example.pair_id: example.said for example in newest} == self._known:
            return False
        imported = [example for example in newest if example.imported]
        own = [example for example in newest if not example.imported]
        known = len(self._own)
        self._look([*imported, *own[: known + max(LOOK, int(LOOK_SHARE * known))]], pause)
        return True

    def _standing(self, examples: Sequence[Example]) -> list[Example]:
        """Those that people have not overruled since."""
        return [one for one in examples if one.pair_id not in self._overruled]

    def _look(self, examples: Sequence[Example], pause: Pause | None) -> None:
        """Fit to these; if people have changed their minds, to those since then alone."""
        self._fit_to(examples, pause)
        if self.fit is not None and (kept := turned(list(self.fit.each.values()))):
            since = list(self.fit.each)[-kept]
            numbers = [example.pair_id for example in examples]
            self._overruled |= set(numbers[: numbers.index(since)])
            self._fit_to(self._standing(examples), pause)

    def _fit_to(self, examples: Sequence[Example], pause: Pause | None) -> None:
        own, found = [example for example in examples if not example.imported], None
        if decided([example.said for example in own]) >= MIN_DECIDED:
            read = learners(self._features, examples, pause)
            tell = None if pause is None else partial(pause, fitting(len(examples)))
            found = fit(read, self._seed, tell)  # or a pause ends it
            self.length.hear(own)
        self._known = {example.pair_id: example.said for example in examples}
        self._own = [example.said for example in own]
        self._asked = {example.pair_id: example.question for example in examples}
        self.fit = found
        self._sureness = 1.0 if found is None else sureness(found)

    @property
    def weight(self) -> float:
        """What a pair weighs that it labels; 0 if it labels none."""
        return 0.0 if self.fit is None else weight_of(self.fit.right, len(self._own))

    @property
    def may_act(self) -> bool:
        """Whether responses are worth drawing: it labels them, or may do so once it has begun."""
        return self.fit is None or self.weight > 0

    @property
    def why_not(self) -> str | None:
        """Why it labels nothing, in a sentence; None if it does."""
        if self.fit is None:
            return too_few_votes(self._decided, MIN_DECIDED)
        return None if self.weight else no_better_than_chance(self.fit.right)

    @property
    def says(self) -> str:
        """How good it is, or why it labels nothing, in a sentence."""
        said = self.why_not or learns(self._right)
        return f"{since_turn(len(self._own))} {said}" if self._overruled else said

    def read(
        self, asked: Sequence[tuple[Messages, Sequence[str]]], pause: Pause | None = None
    ) -> None:
        """Read responses ahead, with a `pause` between parts of that."""
        said = [(messages, text) for messages, texts in asked for text in _read(texts)]
        self._features.of_each(said, _told(pause))

    def choose(
        self, asked: Sequence[tuple[Messages, Sequence[str]]], pause: Pause | None = None
    ) -> list[list[Choice]]:
        """Of the responses to each prompt best and worst, then of those left, no response twice.

        None where it reads one only. It labels something: `weight` is not 0. `pause` as in `read`.
        """
        if not asked:
            return []
        self.read(asked, pause)
        read = [(texts, *self._scores(messages, texts)) for messages, texts in asked]
        lengths = [
            torch.tensor([len(said) for said in _read([texts[n] for n in places])]).double()
            for texts, places, _ in read
        ]
        owed_M = self.length.owed(lengths, [scores for *_, scores in read])
        return [
            self._choices(places, scores - torch.outer(length, owed_M))
            for (_, places, scores), length in zip(read, lengths, strict=True)
        ]

    def mixed(
        self, labels: Sequence[TrainingLabel], pause: Pause | None = None
    ) -> list[TrainingLabel]:
        """The labels of pairs that it has heard of, mixed with what it makes of them, by `weight`.

        The others stay as they are. It labels something: `weight` is not 0. `pause` as in `read`.
        """
        assert self.fit is not None
        numbers = {one.pair_id for one in labels if one.pair_id is not None}
        known = {number: self._asked[number] for number in numbers if number in self._asked}
        found = self._features.of(list(known.values()), _told(pause, votes=len(known)))
        read = zip(known, found, strict=True)
        thinks = {
            number: self._beats(*(both @ self.fit.heads.weights))[:-1].mean().item()
            for number, both in read
            if isinstance(both, Tensor)
        }
        return [
            one
            if one.pair_id is None or one.pair_id not in thinks
            else _mixed(one, thinks[one.pair_id], self.weight)
            for one in labels
        ]

    def gains(
        self,
        after: Sequence[tuple[Messages, Sequence[str]]],
        before: Sequence[tuple[Messages, Sequence[str]]],
        pause: Pause | None = None,
    ) -> Gain | None:
        """How often responses `after` beat those `before`.

        Each against each, whatever prompt it answers; None if none can be read. `pause` as in
        `read`.
        """
        self.read([*after, *before], pause)
        new, old = (
            [row for messages, texts in asked for row in self._scores(messages, texts)[1]]
            for asked in (after, before)
        )
        if not new or not old:
            return None
        won = self._beats(torch.stack(new)[:, None], torch.stack(old)).mean(dim=(0, 1))  # (M,)
        return _gain(won[:-1].tolist(), won[-1].item())

    def _choices(self, places: Sequence[int], scores: Tensor) -> list[Choice]:
        ranked = scores[:, :-1].mean(dim=1).argsort(descending=True).tolist()
        return [
            Choice(
                places[best],
                places[worst],
                self._beats(scores[best], scores[worst])[:-1].mean().item(),
            )
            for best, worst in zip(ranked, ranked[::-1][: len(ranked) // 2], strict=False)
        ]

    @property
    def _right(self) -> Estimate:
        assert self.fit is not None
        return self.fit.right

    @property
    def _decided(self) -> int:
        return decided(self._own)

    def _scores(self, messages: Messages, texts: Sequence[str]) -> tuple[list[int], Tensor]:
        """The places of the responses that say something and can be read, and each member's scores
        of them (R, M).
        """
        assert self.fit is not None
        weights = self.fit.heads.weights
        found = self._features.of_each([(messages, text) for text in _read(texts)])
        read = {
            place: one
            for place, (one, text) in enumerate(zip(found, texts, strict=True))
            if not isinstance(one, Cause) and without_thought(text).strip()
        }
        if not read:
            return [], weights.new_empty(0, weights.shape[1])
        return list(read), torch.stack(list(read.values())) @ weights

    def _beats(self, one: Tensor, other: Tensor) -> Tensor:
        """P(one is better), says each member, of scores (..., M)."""
        assert self.fit is not None
        return self.fit.heads.probabilities(self._sureness * (one - other))


def _gain(taught: Sequence[float], witness: float) -> Gain:
    """As one more draw from a normal distribution, of which those who taught are a sample."""
    from scipy.stats import t as student

    mean, count = statistics.fmean(taught), len(taught)
    spread = statistics.stdev(taught) * math.sqrt(1 + 1 / count)
    by_chance = student.cdf((witness - mean) / max(spread, 1e-9), count - 1)
    return Gain(mean, witness, float(by_chance))


def _told(pause: Pause | None, *, votes: int | None = None) -> ReadPause | None:
    """The pause as `Features` calls it."""
    if pause is None:
        return None
    return lambda done, of: pause(reading(done, of, votes))


def _mixed(label: TrainingLabel, thinks: float, share: float) -> TrainingLabel:
    target = (1 - share) * label.target + share * thinks
    return replace(label, target=target, tie=(1 - share) * label.tie)


def _read(texts: Sequence[str]) -> list[str]:
    return [without_thought(text) for text in texts]
