"""A reward model fitted to the labels so far: to choose pairs by, and for the peer to climb.

The service's own (`trainer.judge.learned`): heads on what the frozen base notices of a response.
Its scores are used whether or not it would be trusted to label.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from labeler.domain.judging import Cause, Example, Question
from labeler.domain.labels import Preference
from tests.benchmarks.evidence.plan import Choice
from tests.benchmarks.evidence.world import Pair
from trainer.judge.features import Features
from trainer.judge.learned import LearnedJudge
from trainer.policy.policy import Policy


class FittedReward:
    """Learns from votes, and scores."""

    def __init__(self, policy: Policy, seed: int) -> None:
        self._features = Features(policy)
        self._judge = LearnedJudge(self._features, seed=seed)
        self._examples: list[Example] = []
        self._waiting: list[Pair] = []

    def hear(self, pairs: Sequence[Pair], said: Sequence[Preference | None]) -> None:
        """Votes on pairs, those that say nothing left out; fits anew if they are enough."""
        for pair, one in zip(pairs, said, strict=True):
            if one is not None:
                self._examples.append(Example(len(self._examples), pair.question, one))
        self._judge.learn(self._examples)

    @property
    def is_fitted(self) -> bool:
        """Whether there have been labels enough."""
        return self._judge.fit is not None

    def choose(self, pairs: Sequence[Pair], count: int, by: Choice) -> list[Pair]:
        """Those whose scores lie furthest apart, or on which the ensemble's members differ most.

        The first ones until there are labels enough to fit anything.
        """
        fit = self._judge.fit
        if fit is None:
            return list(pairs[:count])
        margins = self._both([pair.question for pair in pairs])
        margins_NM = (margins[:, 0] - margins[:, 1]) @ fit.heads.weights
        if by == "widest":
            worth = margins_NM.mean(dim=1).abs()
        else:
            worth = fit.heads.probabilities(margins_NM).std(dim=1)
        return [pairs[place] for place in sorted(worth.topk(count).indices.tolist())]

    def scores(self, questions: Sequence[Question]) -> Tensor:
        """The members' mean score of both responses (N, 2)."""
        fit = self._judge.fit
        assert fit is not None
        return (self._both(questions) @ fit.heads.weights).mean(dim=2)

    def _both(self, questions: Sequence[Question]) -> Tensor:
        """Features (N, 2, D); of a response that cannot be read, zeros."""
        found = self._features.of(questions)
        blank = torch.zeros(2, len(self._features.scale(1.0)), dtype=torch.float64)
        return torch.stack([blank if isinstance(one, Cause) else one for one in found])
