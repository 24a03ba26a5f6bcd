"""Measures a candidate: what it says now, how far it moved, whose votes it agrees with.

Samples and labels in, a finding out. The responses it is measured on are the first pairs of its
version, if it goes live: nothing is sampled twice. KL is estimated from them, E[log candidate -
log other] a token, which is the exact divergence on average because they are the candidate's own
(at top-p 1).
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from labeler.config.parts.gate import Gate
from labeler.config.parts.training import Training
from labeler.domain.estimate import Estimate
from labeler.domain.finding import Finding
from labeler.domain.judging import Judge, ask, question
from labeler.domain.labels import TrainingLabel
from labeler.domain.response_stats import Said, Style, repetition, style
from labeler.stats.equal_length import at_equal_length
from labeler.stats.length_leaning import length_leaning
from labeler.stats.permutation import as_high_by_chance
from trainer.gate.examples import examples_of, shortest_prompts
from trainer.gate.gate import (
    Evidence,
    broken,
    finite,
    misleads,
    objections,
    unchanged,
)
from trainer.gate.margins import MarginCache, Pause, agreement_of
from trainer.learning.update import Step
from trainer.policy.logps import logps_under
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.samples import Sample

# On fewer pairs of the live version than this, its style is measured on new ones.
MIN_PAIRS = 8
NO_JUDGE = Estimate.none("no judge is set, so nobody has compared them")
SILENT_JUDGE = "the judge gave no answer"


@dataclass(frozen=True)
class Candidate:
    """What was trained: the number it may get, that of the live version, and how it learned.

    `taught` are the labels that it was trained on. `held_out` and `remembered` are others: no
    version was trained on them, or earlier ones were.
    """

    number: int
    parent: int
    steps: Sequence[Step]
    training: Training
    taught: Sequence[TrainingLabel]
    held_out: Sequence[TrainingLabel]
    remembered: Sequence[TrainingLabel] = ()


@dataclass(frozen=True)
class Answers:
    """What candidate and live version answered to the same prompts, in the same order."""

    candidate: Sequence[Sample]
    live: Sequence[Sample]


class Examiner:
    """Examines what stands in the candidate adapter of a policy, beside the live one.

    `prompts` is how many the candidate is to answer.
    """

    def __init__(self, policy: Policy, limits: Gate, judge: Judge | None) -> None:
        self.prompts = limits.gate_prompts
        self._policy = policy
        self._limits = limits
        self._judge = judge
        self._margin_cache = MarginCache(policy)

    def refuse_unseen(self, candidate: Candidate) -> Finding | None:
        """The finding on a candidate that is not worth sampling from; None if it is."""
        trained, live = (self._policy.adapter_state(name) for name in (CANDIDATE, LIVE))
        found = broken(trained, [step.loss for step in candidate.steps])
        if found:
            return replace(_learned(candidate), broken=True, objections=tuple(found))
        if unchanged(trained, live):
            return replace(_learned(candidate), objections=("training changed nothing",))
        return None

    def refuse_speechless(self, candidate: Candidate) -> Finding:
        """The finding on a candidate from which nothing can be sampled."""
        why = ("it gives no probabilities",)
        return replace(_learned(candidate), broken=True, objections=why)

    def again(self, said: Sequence[Sample]) -> list[Sample]:
        """Of what the live version said of late, that to compare the candidate's answers with.

        None if the live version is to answer all prompts that the candidate does.
        """
        return [] if self._measures_live(said) else shortest_prompts(said)

    def examine(
        self,
        candidate: Candidate,
        samples: Sequence[Sample],
        both: Answers,
        said: Sequence[Sample],
        pause: Pause | None = None,
    ) -> Finding:
        """Measure a candidate by its `samples`, and say what speaks against it.

        Their log-probabilities under the reference are known. `both` answered the same prompts:
        those of the samples, or where `again` gave some, these. There is a `pause` every few
        seconds, which may switch adapters.
        """
        kl_reference = _kl_reference(samples)
        of_live = both.live if self._measures_live(said) else said
        win_rate, equal_length = self._win_rate(both, pause)
        evidence = Evidence(
            live=style_of(of_live),
            candidate=style_of(samples),
            counts=(2 * len(of_live), 2 * len(samples)),
            # The first version is the reference.
            kl_live=self._kl_live(samples, pause) if candidate.parent else kl_reference,
            kl_reference=kl_reference,
            agreement=agreement_of(
                self._margin_cache,
                (candidate.parent, candidate.number),
                candidate.held_out,
                candidate.remembered,
                candidate.training,
                pause,
            ),
            win_rate=win_rate,
            equal_length=equal_length,
            repeats_by_chance=as_high_by_chance(_repetitions(samples), _repetitions(of_live)),
            length_leaning=_length_leaning([*candidate.taught, *candidate.held_out]),
        )
        learned = _learned(candidate)
        found = tuple(objections(evidence, self._limits))
        return replace(
            evidence.as_finding(),
            loss_first=learned.loss_first,
            loss_last=learned.loss_last,
            too_far=bool(found) and not misleads(evidence, self._limits),
            objections=found,
            examples=examples_of(both.candidate, both.live),
        )

    def _measures_live(self, said: Sequence[Sample]) -> bool:
        """Whether the live version must answer every prompt that the candidate did."""
        return self._judge is not None or len(said) < MIN_PAIRS

    def _win_rate(self, both: Answers, pause: Pause | None) -> tuple[Estimate, Estimate]:
        """The share that the candidate wins, half-wins counting half, and the same at equal length.

        The candidate stands first in one of its two responses to a prompt, by lot, and second in
        the other: a judge that goes by the place prefers neither version.
        """
        if self._judge is None:
            return NO_JUDGE, NO_JUDGE
        lot = random.Random(both.candidate[0].seed)
        stands_first, longer, questions = [], [], []
        for new, old in zip(both.candidate, both.live, strict=True):
            first = lot.random() < 0.5
            for mine, other in zip(new.pair, old.pair, strict=True):
                texts = (mine.text, other.text) if first else (other.text, mine.text)
                questions.append(question(new.prompt.messages, *texts))
                longer.append(math.log(max(1, len(mine.tokens)) / max(1, len(other.tokens))))
                stands_first.append(first)
                first = not first
        said = [
            (judged.probability if first else 1 - judged.probability, more)
            for judged, first, more in zip(
                ask(self._judge, questions, pause), stands_first, longer, strict=True
            )
            if judged.probability is not None
        ]
        wins = [1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0 for p, _ in said]
        return (
            Estimate.share(sum(wins), len(wins), SILENT_JUDGE),
            at_equal_length(wins, [more for _, more in said]),
        )

    def _kl_live(self, samples: Sequence[Sample], pause: Pause | None) -> float:
        live = logps_under(self._policy, LIVE, [sample.tokens for sample in samples], pause)
        return _mean_gap(samples, live)


def style_of(samples: Sequence[Sample]) -> Style:
    """How these responses look."""
    return style(
        [
            Said(r.tokens, r.finish, None if math.isnan(r.logp) else r.logp)
            for sample in samples
            for r in sample.pair
        ]
    )


def _repetitions(samples: Sequence[Sample]) -> list[float]:
    """Of each response by itself."""
    return [repetition(response.tokens) for sample in samples for response in sample.pair]


def _length_leaning(labels: Sequence[TrainingLabel]) -> float:
    """What people's votes prove of length, in tokens. A judge's love of length proves nothing."""
    of_people = [label for label in labels if not label.judged]
    won_by = [2 * label.target + label.tie - 1 for label in of_people]
    longer_by = [len(label.tokens_a) - len(label.tokens_b) for label in of_people]
    return length_leaning(won_by, longer_by)


def _learned(candidate: Candidate) -> Finding:
    """What is known of it before anything is sampled."""
    first, last = candidate.steps[0], candidate.steps[-1]
    return Finding(loss_first=finite(first.loss), loss_last=finite(last.loss))


def _kl_reference(samples: Sequence[Sample]) -> float:
    return _mean_gap(samples, torch.tensor([sample.reference for sample in samples]))


def _mean_gap(samples: Sequence[Sample], other: Tensor) -> float:
    """KL to another policy, in nats a token, from its log-probabilities (S, 2) of the pairs.

    An estimate below zero is chance, for no divergence is; NaN stays NaN.
    """
    own = torch.tensor([[response.logp for response in sample.pair] for sample in samples])
    tokens = sum(len(response.tokens) for sample in samples for response in sample.pair)
    gap: float = (own - other).sum().item() / max(tokens, 1)
    return 0.0 if gap < 0 else gap
