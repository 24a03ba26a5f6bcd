"""What another library says is compared with what the service says, and rounding is no mismatch."""

from dataclasses import replace

import pytest
import torch

from labeler.domain.errors import LivedpoError
from trainer.programs.outgoing.probe import Compared, Probe, Slack, compare
from trainer.programs.outgoing.saying import Answer, Asked, Said

SPELLED = ["<end>", "tea", "milk", "water"]
OWN = Said(
    "the service",
    prompts=[[1, 2], [1, 3]],
    ends=frozenset({0}),
    answers=[Answer([1, 2], ended=True), Answer([3, 3], ended=False)],
    logps=[[-1.0, -2.0], [-3.0]],
)
# Log-probabilities of end, tea, milk and water at each place of the two answers.
OPTIONS = [
    torch.tensor([[-9.0, -0.1, -5.0, -5.0], [-9.0, -5.0, -0.7, -0.75], [-0.1, -5.0, -5.0, -5.0]]),
    torch.tensor([[-9.0, -5.0, -5.0, -0.1], [-0.9, -5.0, -5.0, -0.8], [-0.1, -5.0, -5.0, -5.0]]),
]
BASE = [[-1.0, -2.3], [-3.3]]
PROBE = Probe(Asked([], [], {}), OWN, OPTIONS, BASE)
SLACK = Slack(logp=0.02, gap=0.2)
OTHER = replace(OWN, by="peft")


def mismatch(said: Said) -> str:
    with pytest.raises(LivedpoError) as caught:
        compare(PROBE, said, SLACK, SPELLED)
    assert caught.value.exit_code == 1
    assert str(caught.value).startswith("Read again by peft, it is not what the service says: ")
    return str(caught.value)


def test_the_same_words_are_the_same_model() -> None:
    assert compare(PROBE, OTHER, SLACK, SPELLED) == Compared("peft", 2, [], 0.0)


def test_log_probabilities_are_compared_token_by_token() -> None:
    """They are 0.01, 0.01 and 0.01 off; signs do not cancel out."""
    off = replace(OTHER, logps=[[-1.01, -1.99], [-3.01]])
    assert compare(PROBE, off, SLACK, SPELLED).nats == pytest.approx(0.01)
    wrong = mismatch(replace(OTHER, logps=[[-1.1, -1.9], [-3.0]]))
    assert "log-probabilities are 0.0667 nats a token apart, and 0.02 would be rounding" in wrong


def test_words_that_are_nearly_as_likely_may_change_places() -> None:
    parted = replace(OTHER, answers=[Answer([1, 3], ended=True), OWN.answers[1]])
    assert compare(PROBE, parted, SLACK, SPELLED).parted == pytest.approx([0.05])


def test_an_end_in_place_of_a_word_is_weighed_like_a_word() -> None:
    early = replace(OTHER, answers=[OWN.answers[0], Answer([3], ended=True)])
    assert compare(PROBE, early, SLACK, SPELLED).parted == pytest.approx([0.1])


def test_an_answer_that_does_not_end_is_another_one() -> None:
    endless = replace(OTHER, answers=[Answer([1, 2, 3], ended=False), OWN.answers[1]])
    assert "greedy answer 1 is another one; where they part, the words are 4.9 nats" in mismatch(
        endless
    )


def test_a_chat_template_that_gives_other_tokens_is_named_with_them() -> None:
    wrong = mismatch(replace(OTHER, prompts=[[1, 2], [0, 1, 3]]))
    assert "'<end>' 'tea' 'water' in place of 'tea' 'water' after 0 that are the same" in wrong


def test_another_end_of_turn_is_named() -> None:
    wrong = mismatch(replace(OTHER, ends=frozenset({0, 1})))
    assert "a reply ends with '<end>' 'tea' there, and with '<end>' here" in wrong


def test_what_is_nearer_to_the_base_is_not_the_version_though_it_may_be_rounding() -> None:
    """The base is 0.2 from the version, and this 0.12 from the version and 0.08 from the base."""
    assert PROBE.moved == pytest.approx(0.2)
    between = replace(OTHER, logps=[[-1.0, -2.18], [-3.18]])
    with pytest.raises(LivedpoError, match="nearer to the base than to the version"):
        compare(PROBE, between, Slack(logp=0.15, gap=0.2), SPELLED)
    assert compare(PROBE, between, Slack(logp=0.25, gap=0.2), SPELLED).nats == pytest.approx(0.12)


def test_nothing_that_is_not_a_number_passes() -> None:
    assert "nan nats" in mismatch(replace(OTHER, logps=[[float("nan"), -2.0], [-3.0]]))
