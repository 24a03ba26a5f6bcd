"""Sampling: what is kept of a response, and that it is reproducible and on-policy."""

import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig

from tests.tiny import save_tiny_policy
from tests.trainer.conftest import SAMPLING, load
from trainer.policy import LIVE, Policy
from trainer.sampling import Response, SamplingSettings, batch_seed, sample_pairs, worth_asking

PROMPTS = [[3, 20, 30, 0, 4], [3, 0, 4]]


def test_the_same_seed_gives_the_same_pairs_and_another_gives_others(policy: Policy) -> None:
    with policy.adapter(LIVE):
        first, again, other = (
            sample_pairs(policy, PROMPTS, SAMPLING, seed=seed) for seed in (1, 1, 2)
        )
    assert first == again
    assert first != other


def test_a_response_ends_in_its_eos_or_at_the_limit_without_one(policy: Policy) -> None:
    with policy.adapter(LIVE):
        pairs = sample_pairs(policy, PROMPTS * 100, SAMPLING, seed=1)
    responses = [response for pair in pairs for response in pair]
    assert {response.finish for response in responses} == {"stop", "length"}
    for response in responses:
        ended = response.finish == "stop"
        assert (response.tokens[-1] == 0) is ended
        assert 0 not in response.tokens[:-1]
        assert ended or len(response.tokens) == SAMPLING.max_new_tokens


def test_the_penalties_and_cuts_that_a_model_ships_are_not_applied(tmp_path: Path) -> None:
    plain = load(save_tiny_policy(tmp_path / "plain"))
    folder = save_tiny_policy(tmp_path / "penalised")
    own = GenerationConfig(
        eos_token_id=0, repetition_penalty=5.0, min_p=0.5, no_repeat_ngram_size=1, do_sample=True
    )
    own.save_pretrained(folder)
    shipped = load(folder)
    assert shipped.eos_token_ids == plain.eos_token_ids == [0]
    drawn = []
    for policy in (plain, shipped):
        with policy.adapter(LIVE):
            drawn.append(sample_pairs(policy, PROMPTS * 4, SAMPLING, seed=1))
    assert drawn[0] == drawn[1]


def test_first_tokens_come_with_the_probabilities_that_the_policy_gives(policy: Policy) -> None:
    """Chi-square of 4000 first tokens against the model's own softmax at temperature 0.7."""
    prompt = PROMPTS[0]
    one_token = SamplingSettings(temperature=0.7, top_p=1.0, max_new_tokens=1)
    with policy.adapter(LIVE), torch.no_grad():
        logits = policy.model(torch.tensor([prompt])).logits[0, -1] / 0.7
        pairs = sample_pairs(policy, [prompt] * 2000, one_token, seed=3)
    probabilities = logits.softmax(-1).tolist()
    counts = Counter(response.tokens[0] for pair in pairs for response in pair)
    expected = [4000 * probability for probability in probabilities]
    chi_square = sum(
        (counts.get(token, 0) - mean) ** 2 / mean for token, mean in enumerate(expected)
    )
    freedom = len(probabilities) - 1
    assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)


@pytest.mark.parametrize(
    ("first", "second", "worth"),
    [("yes", "no", True), ("yes", " yes\n", False), ("", "no", False), (" \n", "no", False)],
)
def test_pairs_that_no_one_could_choose_between_are_not_worth_asking(
    first: str, second: str, worth: bool
) -> None:
    pair = Response(first, [1], "stop"), Response(second, [2], "stop")
    assert worth_asking(pair) is worth


def test_a_batch_seed_differs_with_every_part_and_fits_31_bits() -> None:
    seeds = {batch_seed(0, version, prompt) for version in range(20) for prompt in range(20)}
    assert len(seeds) == 400
    assert max(seeds) < 2**31
    assert batch_seed(0, 1, 2) == batch_seed(0, 1, 2)
