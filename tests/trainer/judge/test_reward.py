"""A reward model as judge: the shipped one, tiny ones, and folders that are none."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from labeler.errors import BadInput
from tests.tiny import save_tiny_policy, tiny_model, tiny_tokenizer
from trainer.judge.reward import RewardModel, load_judge

ASK = [{"role": "user", "content": "hello"}]
CPU = torch.device("cpu")


def save_reward(folder: Path, bias: float = 0.0) -> Path:
    """A tiny random reward model; a bias of NaN makes every score NaN."""
    config = tiny_model().config
    config.num_labels = 1
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        model.score.weight.mul_(20).add_(bias)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_the_starters_judge_prefers_a_whole_answer_to_half_a_sentence() -> None:
    judge = load_judge("starter", CPU)
    question = [{"role": "user", "content": "How do I make tea?"}]
    good = "Here is how to make tea. Boil the water. Put the tea bag in a cup. Enjoy your tea!"
    (p,) = judge.prefer([(question, good, "Boil the")])
    assert p is not None
    assert p > 0.5


def test_swapping_the_responses_swaps_the_preference(tmp_path: Path) -> None:
    judge = RewardModel(str(save_reward(tmp_path)), CPU)
    first, second = judge.prefer([(ASK, "tea", "good world"), (ASK, "good world", "tea")])
    assert first is not None
    assert second is not None
    assert first == pytest.approx(1 - second, abs=1e-6)
    assert abs(first - 0.5) > 1e-3


def test_padding_beside_a_longer_response_changes_no_preference(tmp_path: Path) -> None:
    judge = RewardModel(str(save_reward(tmp_path)), CPU)
    short = (ASK, "tea", "good")
    (alone,) = judge.prefer([short])
    beside, _ = judge.prefer([short, (ASK, "how do you make good tea? " * 3, "tea")])
    assert beside == pytest.approx(alone, abs=1e-5)


def test_a_score_that_is_no_number_makes_no_verdict(tmp_path: Path) -> None:
    judge = RewardModel(str(save_reward(tmp_path, bias=float("nan"))), CPU)
    assert judge.prefer([(ASK, "tea", "good")]) == [None]


def test_a_policy_is_no_reward_model(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="lacks score"):
        load_judge(f"rm:{save_tiny_policy(tmp_path)}", CPU)


def test_a_folder_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(BadInput, match="cannot be loaded") as caught:
        load_judge("rm:./nowhere", CPU)
    assert "\n" not in str(caught.value)
