"""Which labels live version and candidate are compared on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from trainer.gate.margins import MarginCache, agreement_of
from trainer.policy.logps import logps_under
from trainer.policy.policy import Policy


def test_of_long_remembered_labels_only_the_last_are_asked_about(
    policy: Policy, labels: list[TrainingLabel], monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered = [replace(label, vote_ids=(str(n),)) for n, label in enumerate(labels)]
    room = sum(map(len, remembered[-1].tokens)) + sum(map(len, remembered[-2].tokens))
    pauses: list[int] = []
    for room_for, tokens in [(2, room), (1, room - 1), (len(labels), 10**6)]:
        monkeypatch.setattr("trainer.gate.margins.MAX_TOKENS", tokens)
        cache = MarginCache(policy)
        pause = lambda: pauses.append(1)  # noqa: E731
        agreed = agreement_of(cache, (0, 1), [], remembered, Training(), pause)
        assert agreed is not None
        assert agreed.labels == room_for
    held_out = agreement_of(MarginCache(policy), (0, 1), labels, [], Training())
    assert held_out is not None
    assert held_out.labels == len(labels), "those that no version has seen all count"
    assert pauses


def test_what_the_base_makes_of_shortened_labels_is_computed_once_and_with_pauses(
    policy: Policy, labels: list[TrainingLabel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the live version, by the candidate, and by the same taken half way back."""
    pauses, asked = list[int](), list[tuple[int, bool]]()

    def counting(policy: Policy, adapter: str | None, pairs: Sequence[Any], pause: Any) -> Any:
        if adapter is None:
            asked.append((len(pairs), pause is not None))
        return logps_under(policy, adapter, pairs, pause)

    monkeypatch.setattr("trainer.learning.examples.logps_under", counting)
    stale = [replace(label, vote_ids=(str(n),), temperature=0.5) for n, label in enumerate(labels)]
    cache, pause = MarginCache(policy), lambda: pauses.append(1)
    found = [
        agreement_of(cache, (0, number), stale[:-1], [], Training(), pause) for number in (1, 2)
    ]
    assert asked == [(len(stale) - 1, True)]
    assert found[0] == found[1]
    agreement_of(cache, (0, 3), stale, [], Training(), pause)
    assert asked[1:] == [(1, True)]
    assert pauses
