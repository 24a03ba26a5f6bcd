"""How live version and candidate rank labels that the update was not trained on."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from trainer.gate.gate import Agreement
from trainer.learning.examples import Examples, examples_of, margins_of
from trainer.learning.objective import Objective
from trainer.policy.policy import CANDIDATE, LIVE, Policy

Label = tuple[tuple[str, ...], float, float]
Pause = Callable[[], None]

# Of remembered labels, so that long responses make an update no longer than it needs to be.
MAX_TOKENS = 16_384


class MarginCache:
    """Each version's margins for what people preferred, measured from the base.

    Most labels are asked about twice: first of a candidate, then of what it has become. A version's
    weights never change, so what is known of the live one is kept. So is what each label is by
    the base.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._known: dict[int, dict[Label, float]] = {}
        self._by_base: dict[Label, tuple[TrainingLabel, Tensor]] = {}

    def of_live(
        self,
        version: int,
        labels: Sequence[TrainingLabel],
        training: Training,
        pause: Pause | None = None,
    ) -> list[float]:
        """The margins of the live version, of each label."""
        known = self._known.get(version, {})
        new = [label for label in labels if _key(label) not in known]
        known |= self._measured(LIVE, new, training, pause)
        self._known = {version: known}
        return [known[_key(label)] for label in labels]

    def of_candidate(
        self,
        version: int,
        labels: Sequence[TrainingLabel],
        training: Training,
        pause: Pause | None = None,
    ) -> list[float]:
        """The margins of the candidate, which is to be this version."""
        found = self._known[version] = self._measured(CANDIDATE, labels, training, pause)
        self._by_base = {key: self._by_base[key] for key in map(_key, labels)}
        return [found[_key(label)] for label in labels]

    def _measured(
        self,
        adapter: str,
        labels: Sequence[TrainingLabel],
        training: Training,
        pause: Pause | None,
    ) -> dict[Label, float]:
        """From the base whatever the update's reference is: from itself, live would have none."""
        if not labels:
            return {}
        from_base = training.model_copy(update={"reference": "base"})
        examples = self._examples(labels, from_base, pause)
        found = margins_of(self._policy, adapter, examples, from_base, pause).tolist()
        return {
            _key(label): margin if label.target > 1 - label.target - label.tie else -margin
            for margin, label in zip(found, labels, strict=True)
        }

    def _examples(
        self, labels: Sequence[TrainingLabel], from_base: Training, pause: Pause | None
    ) -> Examples:
        """As `examples_of`, each label once: live version and candidate are asked about most."""
        new = [label for label in labels if _key(label) not in self._by_base]
        if new:
            read = examples_of(self._policy, new, from_base, pause)
            both = zip(read.labels, read.reference, strict=True)
            self._by_base |= dict(zip(map(_key, new), both, strict=True))
        taught, reference = zip(*(self._by_base[_key(label)] for label in labels), strict=True)
        return Examples(taught, torch.stack(reference))


def _decided(labels: Sequence[TrainingLabel]) -> list[TrainingLabel]:
    """The labels with a direction: ties and even splits rank nothing."""
    return [label for label in labels if label.target != 1 - label.target - label.tie]


def _last(labels: Sequence[TrainingLabel]) -> list[TrainingLabel]:
    """The last labels, which have MAX_TOKENS together at most."""
    tokens = itertools.accumulate(sum(map(len, label.tokens)) for label in reversed(labels))
    fitting = sum(total <= MAX_TOKENS for total in tokens)
    return list(labels[len(labels) - fitting :])


def agreement_of(
    margin_cache: MarginCache,
    versions: tuple[int, int],
    held_out: Sequence[TrainingLabel],
    remembered: Sequence[TrainingLabel],
    training: Training,
    pause: Pause | None = None,
) -> Agreement | None:
    """Of the versions with these numbers, live and candidate; None if there is no such label.

    `held_out` labels are ones that no version has trained on, `remembered` ones were used by
    earlier updates; of these the last are asked about, as far as MAX_TOKENS goes.
    """
    held_out, remembered = _decided(held_out), _last(_decided(remembered))
    labels = [*held_out, *remembered]
    if not labels:
        return None
    live = margin_cache.of_live(versions[0], labels, training, pause)
    candidate = margin_cache.of_candidate(versions[1], labels, training, pause)
    rounding = Objective(training).rounding
    right = [[_right(favour, rounding) for favour in version] for version in (live, candidate)]
    changes = [after - before for before, after in zip(*right, strict=True)]
    return Agreement(
        live=sum(right[0]) / len(labels),
        candidate=sum(right[1]) / len(labels),
        lost=sum(change < 0 for change in changes),
        won=sum(change > 0 for change in changes),
        labels=len(labels),
        against=sum(
            after < before
            for before, after in zip(live[: len(held_out)], candidate[: len(held_out)], strict=True)
        ),
        held_out=len(held_out),
    )


def _key(label: TrainingLabel) -> Label:
    return label.vote_ids, label.target, label.tie


def _right(favour: float, rounding: float) -> float:
    """1 if the pair is ranked as people did, 0 if not, 0.5 if it is undecided."""
    return 0.5 if abs(favour) < rounding else float(favour > 0)
