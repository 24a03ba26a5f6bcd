"""Pairs that nobody rated, for the update to learn from beside the votes: `--fill`.

    FillJob.step   =  hear new votes; while nobody needs the worker, draw candidates and read them
    FillJob.pairs  =  what an update trains on: hear all votes, better against worse

An update of people's votes waits for no candidates: it takes those that were drawn while they read.
Of each batch, those that would tell most go to people, where they are asked for that. What is drawn
stays in memory and is of the live version: a restart loses nothing but that. What a reward model
makes of it is in `trainer.judge.filling`.
"""

import math
import os
import statistics
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from labeler.domain.finding import Finding
from labeler.domain.judging import Example
from labeler.domain.labels import TrainingLabel
from labeler.domain.messages import Messages
from labeler.domain.sentences.fill import NO_CANDIDATES, NONE_DRAWN, gamed
from labeler.domain.sentences.loop import preparing
from labeler.domain.thought import without_thought
from labeler.store import tables
from labeler.store.records import Claim, Drawn, FilledPair
from labeler.store.views.filled import ROLE
from trainer.judge.features import Features
from trainer.judge.filling import FillModel, Pause
from trainer.sampling.samples import Sample, batch_seed, worth_asking
from trainer.worker.workplace import Workplace

BATCH_PROMPTS = 8
REFIT, REFIT_SHARE = 8, 0.1  # votes that are worth a fit between updates: so many, and of all
MIN_TEXTS = 16  # whose mean length is taken for that of the policy at its start
LAST_READ = 256  # responses that nobody was asked about, by which hints are judged
LAST_ASKED = 128  # pairs that people were asked about, likewise
DRAWING = "Drawing replies to learn from."


@dataclass(frozen=True)
class Filled:
    """What an update trains on: its `votes`, and pairs of the `candidates` that nobody rated.

    `labels` and `pairs` are these pairs, for training and for the record. Without any, `why_not`
    says why.
    """

    votes: Sequence[TrainingLabel]
    labels: Sequence[TrainingLabel] = ()
    pairs: Sequence[FilledPair] = ()
    candidates: Sequence[Sample] = ()
    why_not: str | None = None

    def share(self, claim: Claim) -> float:
        """What labels and pairs weigh, of what as many votes without a tie would."""
        weight = len(claim.labels) + sum(label.weight for label in self.labels)
        return weight / (len(claim.labels) + len(claim.weightless))


class FillJob:
    """Draws candidates of the live version while nobody needs the worker."""

    def __init__(self, place: Workplace, features: Features, *, people_wait: bool = True) -> None:
        """`people_wait`: this process also draws what people need, which comes first."""
        self._place = place
        self._people_wait = people_wait
        self._model = FillModel(features, seed=place.settings.seed)
        self._heard = (0, 0, 0)
        self._drawn: list[Sample] = []
        self._read: deque[Drawn] = deque(maxlen=LAST_READ)
        self._version = -1
        self._seen: set[int] = set()  # prompts, since they were last all through
        self.offered = 0  # prompts of the live version whose candidates went to people
        self._batches = 0
        self._mark: int | None = None
        self._ready = 0  # pairs, when the batch began

    @property
    def drawn(self) -> int:
        """Prompts whose candidates are there."""
        return len(self._of_live())

    def step(self, now: float) -> bool:
        """Draw a batch; false if there are enough, or the reward model is no use."""
        del now
        place, store, settings = self._place, self._place.store, self._place.settings
        if self._has_news(said := store.judging.have_said(by_judges=settings.unattended)):
            if self._hear_part():
                return True  # whoever waits comes first
            self._heard = said
        missing = self._prompts_for(settings.labels_per_update) - self.drawn
        if missing <= 0 or not self._model.may_act:
            return False
        self._ready, self._mark = store.queue.ready(), store.change_mark()
        return self._draw(missing, is_wanted=self._is_wanted, pause=place.between.begin())

    def pairs(self, claim: Claim, *, pause: Pause) -> Filled:
        """What this update is to train on; `pause` is called between the parts of that."""
        self._hear(claim.update_id, pause)
        if self._model.why_not is not None:
            return Filled(claim.labels, why_not=self._model.why_not)
        settings = self._place.settings
        wanted = self._prompts_for(claim.fresh + len(claim.weightless))
        while settings.unattended and (missing := wanted - self.drawn) > 0:
            if not self._draw(missing, is_wanted=lambda: False, pause=pause):
                break
            pause(DRAWING)
        if not self.drawn:
            return Filled(self._model.mixed(claim.labels, pause), why_not=NONE_DRAWN)
        return self._label(claim.labels, self._of_live()[:wanted], pause)

    def found(
        self, finding: Finding, filled: Filled, answers: Sequence[Sample], pause: Callable[[], None]
    ) -> Finding:
        """The finding with what there is to say of these pairs; `answers` are the candidate's.

        `pause` is called between the parts of that.
        """
        if filled.why_not is not None:
            return replace(finding, not_filled=filled.why_not)
        assert self._model.fit is not None
        known = replace(
            finding,
            filled=len(filled.pairs),
            fill_weight=round(self._model.weight, 4),
            fill_right=self._model.fit.right,
        )
        before = _as_they_come(filled.candidates)
        gain = self._model.gains(_asked(answers), before, lambda _: pause())
        if gain is None:
            return known
        objections = known.objections
        if gain.is_gamed:
            objections = (*objections, gamed(gain.taught, gain.witness))
        return replace(
            known,
            fill_gain=round(gain.taught, 4),
            fill_witness=round(gain.witness, 4),
            objections=objections,
        )

    @property
    def _pairs_each(self) -> int:
        """Of a prompt."""
        return self._place.settings.fill_candidates // 2

    def _prompts_for(self, votes: int) -> int:
        """To how many prompts candidates are wanted."""
        return math.ceil(self._place.settings.fill * votes / self._pairs_each)

    def _of_live(self) -> list[Sample]:
        """What is drawn of the version that is live now."""
        version = self._place.live.version.number
        if version != self._version:
            self._version, self._drawn, self._seen, self.offered = version, [], set(), 0
        return self._drawn

    def _draw(self, missing: int, *, is_wanted: Callable[[], bool], pause: Pause) -> bool:
        """Draw a batch of candidates, and read them; false if there is no prompt for it."""
        place, version = self._place, self._place.live.version
        prompts = self._prompts(min(missing, BATCH_PROMPTS))
        if not prompts:
            return False
        place.say(DRAWING)
        self._batches += 1
        seed = batch_seed(place.settings.seed, version.number, self._batches)
        with place.stopwatch.timing("sampling"):
            drawn = place.supply.candidates(
                prompts,
                version,
                seed,
                copies=place.settings.fill_candidates,
                is_wanted=is_wanted,
            )
        self._seen |= {sample.prompt.id for sample in drawn}
        left = self._offer(drawn)
        self._of_live().extend(left)
        self._model.read(_asked(left), pause)
        self._read.extend(
            Drawn(sample.prompt.messages, said.text, said.after.hint if said.after else None)
            for sample in left
            for said in sample.responses
        )
        return True

    def _offer(self, drawn: list[Sample]) -> list[Sample]:
        """Let people be asked about those that tell most; returns the others, to learn from.

        One prompt for as many others as a vote asks for, and no more than an update takes.
        """
        place, settings = self._place, self._place.settings
        most = min(
            round(len(drawn) / (1 + settings.fill / self._pairs_each)),
            settings.labels_per_update - self.offered,
        )
        questions = place.supply.questions
        if most <= 0 or settings.mode == "iterative" or not questions.are_sorted:
            return drawn
        picked, others = questions.pick(drawn, most)
        pairs = place.supply.pairs(picked, place.live.version, picked=True)
        place.store.queue.add(pairs, now=place.clock(), votes_wanted=settings.votes_per_pair)
        self.offered += len(picked)
        return others

    def _wins(self) -> dict[str, float]:
        """P(a reply under a hint beats one without) as the reward model has it, each shrunk to a
        half by two replies; of none if it labels nothing.
        """
        if self._model.why_not is not None:
            return {}
        kinds: defaultdict[str | None, list[tuple[Messages, list[str]]]] = defaultdict(list)
        for drawn in (*self._read, *self._place.store.queue.kinds(LAST_ASKED)):
            kinds[drawn.hint].append((drawn.messages, [drawn.text]))
        wins, plain = {}, kinds.pop(None, [])
        for hint, said in kinds.items():
            gain = self._model.gains(said, plain)
            if hint is not None and gain is not None:
                wins[hint] = (gain.taught * len(said) + 1) / (len(said) + 2)
        return wins

    def _prompts(self, count: int) -> list[tables.Prompt]:
        """Prompts that nobody is asked about, each once before any comes twice."""
        unasked = self._place.store.prompts.unasked
        version = self._place.live.version.number
        found = unasked(count, version=version, besides=self._seen)
        if found:
            return found
        self._seen = set()
        return unasked(count, version=version)

    def _label(
        self, votes: Sequence[TrainingLabel], samples: Sequence[Sample], pause: Pause
    ) -> Filled:
        """The better responses to each prompt against the worse, as the reward model has it."""
        plain = [text for _, texts in _as_they_come(samples) for text in texts]
        lengths = [len(reply) for text in plain if (reply := without_thought(text)).strip()]
        self._model.length.now = statistics.fmean(lengths) if lengths else None
        kept: list[Sample] = []
        targets: list[float] = []
        chosen = self._model.choose(_asked(samples), pause)
        for sample, choices in zip(samples, chosen, strict=True):
            for said in choices:
                both = sample.responses[said.best], sample.responses[said.worst]
                if worth_asking(both):
                    kept.append(replace(sample, responses=both, reference=None))
                    targets.append(said.target)
        measured = self._place.supply.measured(kept, partial(pause, preparing(len(kept))))
        found = [
            (sample, target)
            for sample, target in zip(measured, targets, strict=True)
            if sample.reference is not None and all(map(math.isfinite, sample.reference))
        ]
        if not found:
            return Filled(self._model.mixed(votes, pause), why_not=NO_CANDIDATES)
        weight = self._model.weight
        return Filled(
            self._model.mixed(votes, pause),
            [self._training_label(sample, target, weight) for sample, target in found],
            [_record(sample, target, weight) for sample, target in found],
            list(samples),
        )

    def _training_label(self, sample: Sample, target: float, weight: float) -> TrainingLabel:
        assert sample.reference is not None
        prompt, best, worst = sample.tokens
        return TrainingLabel(
            vote_ids=(),
            target=target,
            weight=weight,
            prompt_tokens=list(prompt),
            tokens_a=list(best),
            tokens_b=list(worst),
            reference_logp_a=sample.reference[0],
            reference_logp_b=sample.reference[1],
            temperature=self._place.policy.temperature,
        )

    def _start_length(self) -> float | None:
        """Of what the first version has said, in characters; None if that is too little.

        As scores and votes have it: of replies that say something, without their thoughts.
        """
        texts = [text for said in self._place.store.queue.answers(0) for text in said.texts]
        if self._place.live.version.number == 0:
            texts += [text for _, texts in _as_they_come(self._of_live()) for text in texts]
        said = [reply for text in texts if (reply := without_thought(text)).strip()]
        return statistics.fmean(map(len, said)) if len(said) >= MIN_TEXTS else None

    def _is_wanted(self) -> bool:
        """Whether somebody waits, an update does, or half of the queue is gone."""
        store = self._place.store
        before, self._mark = self._mark, store.change_mark()
        if self._mark == before:
            return False
        if store.updates.is_one_open():
            return True
        if not self._people_wait:
            return False
        waits = store.asks.any_waits(now=self._place.clock(), worker=self._place.asker)
        return waits or 2 * store.queue.ready() <= self._ready

    def _has_news(self, heard: tuple[int, int, int]) -> bool:
        """Whether a fit is worth its time: with all votes it takes longer, and changes less."""
        (votes, undone, imported), (before, undone_before, imported_before) = heard, self._heard
        changed = abs(votes - before) + undone - undone_before
        return imported != imported_before or changed >= max(REFIT, REFIT_SHARE * votes)

    def _hear(self, update: int, pause: Pause) -> None:
        """Let the reward model hear all votes but those that test this update."""
        self._heard = self._place.store.judging.have_said(by_judges=self._place.settings.unattended)
        if self._model.learn(self._examples(update), pause):
            self._tell()

    def _hear_part(self) -> bool:
        """Let it hear some of what is new; false if nothing is."""
        if not self._model.learn_part(self._examples(), self._place.between.begin()):
            return False
        self._tell()
        return True

    def _examples(self, but_held_out_of: int | None = None) -> list[Example]:
        """What was said, and before it how long replies were at the start."""
        if self._model.length.start is None or self._place.live.version.number == 0:
            self._model.length.start = self._start_length()
        return self._place.weighing.examples(
            by_judges=self._place.settings.unattended, but_held_out_of=but_held_out_of
        )

    def _tell(self) -> None:
        """What it has heard shows which hints are liked, and people are told how good it is."""
        place = self._place
        if place.supply.hints:
            place.supply.hints.prefer(self._wins())
        place.store.processes.say(ROLE, self._model.says, pid=os.getpid(), now=place.clock())


def _record(sample: Sample, target: float, weight: float) -> FilledPair:
    best, worst = sample.pair
    return FilledPair(sample.prompt.id, best.text, worst.text, target, weight)


def _asked(samples: Sequence[Sample]) -> list[tuple[Messages, list[str]]]:
    """Prompts and responses, for the reward model."""
    return [
        (sample.prompt.messages, [response.text for response in sample.responses])
        for sample in samples
    ]


def _as_they_come(samples: Sequence[Sample]) -> list[tuple[Messages, list[str]]]:
    """The same of responses that were drawn under no hint."""
    return [
        (sample.prompt.messages, [said.text for said in sample.responses if said.after is None])
        for sample in samples
    ]
