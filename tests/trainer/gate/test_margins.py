"""Which labels live version and candidate are compared on."""

from dataclasses import replace

import pytest

from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from trainer.gate.margins import MarginCache, agreement_of
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
