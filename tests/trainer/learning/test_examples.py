"""What of a label an update reads."""

from dataclasses import replace

import pytest
import torch

from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from trainer.learning.examples import examples_of, without_end
from trainer.learning.update import train
from trainer.policy.logps import logps_under
from trainer.policy.policy import CANDIDATE, LIVE, Policy

END = 0
CUT, ENDED = [5, 6, 7, 8], [5, 9, END]
LABEL = TrainingLabel(("v",), 1.0, 1.0, [3], CUT, ENDED, -9.0, -8.0)


@pytest.mark.parametrize(
    ("a", "b", "target", "tie", "left_a", "left_b"),
    [
        (CUT, ENDED, 1.0, 0.0, CUT, ENDED[:-1]),
        (CUT, ENDED, 0.6, 0.0, CUT, ENDED[:-1]),
        (ENDED, CUT, 0.0, 0.0, ENDED[:-1], CUT),
        (ENDED, CUT, 0.1, 0.2, ENDED[:-1], CUT),
        (CUT, ENDED, 0.0, 0.0, CUT, ENDED),  # the better one ended
        (ENDED, CUT, 1.0, 0.0, ENDED, CUT),
        (ENDED, [8, END], 1.0, 0.0, ENDED, [8, END]),  # so did both
        (CUT, [5, 6, 7, 9], 1.0, 0.0, CUT, [5, 6, 7, 9]),  # neither did
        (CUT, ENDED, 0.5, 0.0, CUT, ENDED),  # neither is better
        (CUT, ENDED, 0.0, 1.0, CUT, ENDED),
        (CUT, [END], 1.0, 0.0, CUT, [END]),  # nothing would be left
    ],
)
def test_an_end_that_a_cut_response_was_better_than_is_not_taught_against(
    a: list[int], b: list[int], target: float, tie: float, left_a: list[int], left_b: list[int]
) -> None:
    found = without_end(replace(LABEL, tokens_a=a, tokens_b=b, target=target, tie=tie), [END])
    assert (found.tokens_a, found.tokens_b) == (left_a, left_b)


def censored(policy: Policy, labels: list[TrainingLabel]) -> list[TrainingLabel]:
    """The labels with a better response that was cut, and a worse one that ended."""
    ends = policy.eos_token_ids
    bare = lambda tokens: tokens[:-1] if tokens[-1] in ends else tokens  # noqa: E731
    return [
        replace(label, tokens_a=bare(label.tokens_a), tokens_b=[*bare(label.tokens_b), ends[0]])
        for label in labels
    ]


def end_logps(policy: Policy, adapter: str, labels: list[TrainingLabel]) -> float:
    """The mean log-probability of the end after what the worse response says, nats."""
    pairs = [(label.prompt_tokens, label.tokens_b, label.tokens_b[:-1]) for label in labels]
    whole, bare = logps_under(policy, adapter, pairs).unbind(1)
    return (whole - bare).mean().item()


def test_a_policy_that_learns_from_cut_responses_goes_on_to_end_its_own(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    """0.23 nats went where the end was taught against."""
    labels = censored(policy, labels)
    for _ in train(policy, labels, Training(learning_rate=0.1, passes=10, batch_pairs=2), seed=0):
        pass
    assert end_logps(policy, CANDIDATE, labels) > end_logps(policy, LIVE, labels) - 0.1


def test_the_reference_is_of_the_tokens_that_are_left(
    policy: Policy, labels: list[TrainingLabel]
) -> None:
    found = examples_of(policy, censored(policy, labels), Training())
    torch.testing.assert_close(found.reference, logps_under(policy, None, found.pairs))
