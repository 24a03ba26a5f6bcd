"""Configs of models in GGUF files: what transformers leaves out of them is put in, or refused."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from labeler.domain.errors import BadInput
from tests.support import gguf_file
from tests.support.architectures import DENSE
from tests.support.tiny import tiny_tokenizer
from trainer.policy.gguf import unpacked
from trainer.policy.gguf_config import llama3_of
from trainer.programs.outgoing.gguf_file import rope_factors, write_gguf
from trainer.programs.outgoing.gguf_vocabulary import Vocabulary

WIDE = {"head_dim": 64, "max_position_embeddings": 16_384}
LLAMA_31 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LLAMA_32 = LLAMA_31 | {"factor": 32.0}
LINEAR = {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0}
SLIDING = {"rope_type": "default", "rope_theta": 1e4}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama 3.1": ("llama", WIDE | {"rope_parameters": LLAMA_31}),
    "llama 3.2": ("llama", WIDE | {"rope_parameters": LLAMA_32}),
    "linear": ("qwen2", {"rope_parameters": LINEAR}),
    "wide heads": ("qwen3", {"head_dim": 16}),
    "gemma 2 of 27 billion": (
        "gemma2",
        {"num_hidden_layers": 46, "head_dim": 16, "query_pre_attn_scalar": 8},
    ),
    "gemma 3 of 4 billion": (
        "gemma3_text",
        {
            "num_hidden_layers": 6,
            "rope_parameters": {"full_attention": LINEAR, "sliding_attention": SLIDING},
        },
    ),
}


def quiet(_: str) -> None:
    """Hears how far it is."""


def model_of(kind: str, **changed: Any) -> Any:
    """A random model whose attention is sharp, so that positions matter."""
    torch.manual_seed(0)
    usual = {"vocab_size": 320, "initializer_range": 0.15, "max_position_embeddings": 512}
    ids = {"eos_token_id": 0, "pad_token_id": 1, "bos_token_id": None}
    config = AutoConfig.for_model(kind, **(usual | ids | DENSE[kind] | changed))
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_out_as_it_went_in(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To the rounding of half precision; read without the scaling they are 0.01 nats apart or more.

    Nothing is said to be left out.
    """
    kind, changed = MODELS[name]
    model = model_of(kind, **changed)
    file = tmp_path / "tiny.gguf"
    vocabulary = Vocabulary(tiny_tokenizer(), 320, [0], adds_bos=False)
    write_gguf(file, model, vocabulary, packing="f16", name="tiny")
    with caplog.at_level(logging.WARNING, logger="trainer.policy.gguf"):
        folder = unpacked(str(file), quiet)
    back = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = torch.randint(320, (1, 400), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        went, came = (one(tokens).logits.log_softmax(-1) for one in (model, back))
    assert float((went.exp() * (went - came)).sum(-1).mean()) < 1e-4
    assert caplog.messages == []


@pytest.mark.parametrize("parameters", [LLAMA_31, LLAMA_32, LLAMA_31 | {"rope_theta": 1e4}])
def test_the_parameters_of_llama_3_are_found_in_its_factors(parameters: dict[str, Any]) -> None:
    config = AutoConfig.for_model("llama", **(DENSE["llama"] | WIDE))
    config.rope_parameters = parameters
    factors = rope_factors(config)
    assert factors is not None
    found = llama3_of(factors.double(), parameters["rope_theta"])
    assert parameters | found == {**parameters, "factor": pytest.approx(parameters["factor"])}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"llama__rope__scaling__type": "yarn"}, r"scaled in a way of their own \(yarn\)"),
        ({"extra": {"rope_factors_long.weight": 4}}, "LongRoPE"),
        ({"llama__attention__key_length": 16}, "8 of the 16 numbers of a head turn"),
    ],
)
def test_positions_that_are_not_read_are_refused_in_one_sentence(
    more: dict[str, Any], words: str, tmp_path: Path
) -> None:
    file = gguf_file.write_gguf(tmp_path / "tiny.gguf", **more)
    with pytest.raises(BadInput, match=words) as refused:
        unpacked(str(file), quiet)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_factors_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="not those of Llama 3"):
        llama3_of(torch.tensor([1.0, 5.0, 2.0, 7.0, 8.0]).double(), 1e4)


def test_a_factor_without_a_name_is_that_of_linear_scaling(tmp_path: Path) -> None:
    """As in files of 2023."""
    file = gguf_file.write_gguf(tmp_path / "tiny.gguf", llama__rope__scale_linear=4.0)
    config = AutoConfig.from_pretrained(unpacked(str(file), quiet))
    assert (config.rope_parameters["rope_type"], config.rope_parameters["factor"]) == ("linear", 4)
