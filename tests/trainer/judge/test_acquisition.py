"""D-optimal design on what a person would notice of two responses."""

import math
import random

import torch

from trainer.judge.acquisition import Design, pick, worths
from trainer.judge.traits import TRAITS, traits

PLAIN = [
    "Tea is made with hot water and leaves.",
    "Put the leaves in a pot and pour water on them.",
    "You need leaves, a pot and hot water for tea.",
    "Boil some water and pour it on the leaves.",
]
ASKS = "Boil some water. Do you have leaves?"
LIST = "Take:\n- leaves\n- water\n- a pot"


def plain_pairs(count: int) -> list[tuple[str, str]]:
    rng = random.Random(0)
    return [tuple(rng.sample(PLAIN, 2)) for _ in range(count)]  # type: ignore[misc]


def test_pairs_that_differ_in_something_rare_are_worth_most() -> None:
    pairs = [*plain_pairs(12), (ASKS, PLAIN[0]), (PLAIN[1], LIST)]
    found = worths([], pairs)
    assert sorted(range(14), key=found.__getitem__)[-2:] in ([12, 13], [13, 12])


def test_what_was_asked_before_and_what_is_asked_twice_is_worth_less() -> None:
    pairs = [*plain_pairs(12), (ASKS, PLAIN[0]), (ASKS, PLAIN[0])]
    first, second = worths([], pairs)[-2:]
    assert 0 < second < first
    assert worths([(ASKS, PLAIN[0])] * 3, pairs)[-2] < second


def test_two_responses_that_are_alike_tell_nothing() -> None:
    assert worths([], [(ASKS, ASKS), (ASKS, LIST)])[0] == 0.0
    assert worths([], []) == []
    assert worths([], [("tea", "tea")]) == [0.0]


def test_what_the_pairs_add_comes_to_the_log_determinant_of_the_design() -> None:
    """log det (I + sum of x x^T), each x in units of its spread: the definition."""
    pairs = [*plain_pairs(5), (ASKS, PLAIN[0]), (PLAIN[1], LIST)]
    read = torch.tensor([[traits(a), traits(b)] for a, b in pairs], dtype=torch.float64)
    spread = read.flatten(0, 1).std(dim=0, correction=0)
    x = ((read[:, 0] - read[:, 1]) / spread.where(spread > 0, 1.0)).double()
    whole = torch.logdet(torch.eye(len(TRAITS), dtype=torch.float64) + x.T @ x).item()
    assert math.isclose(sum(worths([], pairs)), whole, rel_tol=1e-9)


def test_each_prompt_gives_the_pair_that_tells_most_and_no_prompt_gives_two() -> None:
    candidates = [[PLAIN[0], PLAIN[1], PLAIN[2]], [PLAIN[3], ASKS, PLAIN[0]], [LIST, PLAIN[1]]]
    found = pick([], candidates, 2)
    assert sorted(prompt for prompt, _, _ in found) == [1, 2]
    (first, second) = next((a, b) for prompt, a, b in found if prompt == 1)
    assert ASKS in (candidates[1][first], candidates[1][second])
    assert len(pick([], candidates, 9)) == 3
    assert pick([], [], 4) == pick([], [["alone"]], 4) == []


def test_thoughts_are_not_what_a_person_would_notice() -> None:
    thought = f"<think>{LIST} Really?</think>{PLAIN[0]}"
    assert Design([], [(thought, PLAIN[0]), (LIST, PLAIN[0])]).adds[0] == 0
