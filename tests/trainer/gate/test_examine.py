"""What the examiner makes of labels and answers, on a tiny policy."""

from dataclasses import replace

import pytest

from labeler.config.parts.gate import Gate
from labeler.config.parts.training import Training
from labeler.domain.labels import TrainingLabel
from trainer.gate.examine import Answers, Candidate, Examiner
from trainer.learning.update import Step
from trainer.policy.policy import Policy
from trainer.sampling.samples import Prompt, Response, Sample

STEP = Step(1, 1, 0.69, 0.5, 1.0, 1e-4)


def said(length: int) -> Sample:
    """A pair of replies of so many tokens."""
    tokens = list(range(length))
    reply = Response("so", tokens, "stop", -1.0)
    return Sample(
        Prompt(1, [{"role": "user", "content": "tea?"}], [1, 2]),
        (reply, reply),
        0,
        reference=(-1.0, -1.0),
    )


def likes_the_longer(longer: bool, judged: bool) -> list[TrainingLabel]:
    """Sixteen labels, half of which have the longer reply first."""
    replies = [1] * 9, [1] * 3
    return [
        TrainingLabel(
            (str(number),),
            float((number % 2 == 0) == longer),
            1.0,
            [1, 2],
            *(replies if number % 2 == 0 else replies[::-1]),
            -1.0,
            -1.0,
            judged=judged,
        )
        for number in range(16)
    ]


@pytest.mark.parametrize(
    ("taught", "passes"),
    [
        (likes_the_longer(False, judged=False), True),
        (likes_the_longer(True, judged=False), False),
        (likes_the_longer(False, judged=True), False),
        ([], False),
    ],
    ids=["people like them short", "people like them long", "a judge likes them short", "none"],
)
def test_a_third_of_the_length_passes_only_where_people_asked_for_it(
    policy: Policy, taught: list[TrainingLabel], *, passes: bool
) -> None:
    examiner = Examiner(policy, Gate(gate_max_length_change=2.0), None)
    candidate = Candidate(1, 0, [STEP], Training(), taught, [])
    short, long = [said(20)] * 8, [said(60)] * 8
    finding = examiner.examine(candidate, short, Answers(short, long), long)
    if passes:
        assert not finding.objections
    else:
        assert "20 tokens on average instead of 60" in finding.objection


@pytest.mark.parametrize(("looping", "passes"), [(2, True), (6, False)])
def test_a_few_replies_that_go_round_are_chance(
    policy: Policy, looping: int, *, passes: bool
) -> None:
    """Of 16 replies one or two always do; the mean of two is beyond the limit already."""
    limits = Gate(gate_max_repetition_rise=0.1)
    goes_round = Response("so so", [5] * 20, "stop", -1.0)
    usual = [said(20)] * 8
    loops = [replace(one, responses=(goes_round, goes_round)) for one in usual[: looping // 2]]
    samples = [*loops, *usual[len(loops) :]]
    candidate = Candidate(1, 0, [STEP], Training(), [], [])
    finding = Examiner(policy, limits, None).examine(
        candidate, samples, Answers(samples, usual), usual
    )
    assert ("repeat earlier ones" in "; ".join(finding.objections)) is not passes
