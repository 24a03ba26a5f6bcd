"""How many tokens a policy takes, and that no row within them changes another."""

import logging
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.support.architectures import CONTEXT, DENSE, tiny_of
from tests.support.tiny import tiny_tokenizer
from tests.trainer.conftest import load
from trainer.policy.context import context_of, shortened
from trainer.policy.logps import logps_under

LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0] * 4,
    "long_factor": [2.0, 4.0, 8.0, 16.0],
    "original_max_position_embeddings": 32,
}


def save_longrope(folder: Path) -> Path:
    """A tiny phi3 with factors for up to 32 positions, and others for up to 512."""
    config = AutoConfig.for_model(
        "phi3",
        **DENSE["phi3"],
        **{"vocab_size": 320, "eos_token_id": 0, "pad_token_id": 1, "bos_token_id": None},
        max_position_embeddings=512,
        original_max_position_embeddings=32,
        initializer_range=0.15,
        rope_parameters=LONGROPE,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_the_longest_pair_changes_no_other_one(tmp_path: Path) -> None:
    """Its positions would choose other factors for all rows if it were longer."""
    policy = load(save_longrope(tmp_path / "phi3"))
    lot = torch.Generator().manual_seed(3)

    def words(count: int) -> list[int]:
        return torch.randint(2, 320, (count,), generator=lot).tolist()

    short = words(10), words(6), words(6)
    long = words(policy.context_tokens - 6), words(6), words(6)
    [alone] = logps_under(policy, None, [short]).tolist()
    beside, _ = logps_under(policy, None, [short, long]).tolist()
    assert beside == pytest.approx(alone, abs=1e-4)


def test_a_context_that_is_shorter_than_the_makers_say_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="trainer.policy.load"):
        policy = load(save_longrope(tmp_path / "phi3"))
    assert policy.context_tokens == 32
    assert [line for line in caplog.messages if "LongRoPE" in line] == [
        "The policy is used up to 32 tokens: beyond these its rotary positions (LongRoPE) change, "
        "for all replies that are computed together."
    ]


@pytest.mark.parametrize("kind", ["llama", "gemma3_text", "gemma3", "gpt2"])
def test_other_models_take_what_their_makers_say(kind: str) -> None:
    config = tiny_of(kind).config
    assert context_of(config) == CONTEXT
    assert shortened(config) is None


def test_a_model_without_positions_has_no_limit() -> None:
    assert context_of(AutoConfig.for_model("mamba2")) == 1_000_000
