"""An adapter in MLX's layout: what mlx-lm computes from it is what peft computes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from labeler.domain.errors import BadInput
from trainer.programs.outgoing.mlx import write_mlx_adapter

Q = "base_model.model.model.layers.1.self_attn.q_proj"


def test_the_factors_are_transposed_and_layers_are_named_once_for_all(tmp_path: Path) -> None:
    """peft adds alpha / r * x A^T B^T, and mlx-lm scale * x a b."""
    torch.manual_seed(0)
    a, b, x = torch.randn(2, 6), torch.randn(4, 2), torch.randn(3, 6)
    state = {f"{Q}.lora_A.weight": a, f"{Q}.lora_B.weight": b}
    state |= {f"{Q.replace('1', '0')}.lora_A.weight": a}
    write_mlx_adapter(tmp_path, state, rank=2, scale=2.0, layers=2, base="org/base")
    stored = load_file(tmp_path / "adapters.safetensors")
    name = "model.layers.1.self_attn.q_proj"
    ours = x @ stored[f"{name}.lora_a"] @ stored[f"{name}.lora_b"]
    assert torch.allclose(ours, x @ a.T @ b.T)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["model"], config["num_layers"]) == ("org/base", 2)
    assert config["lora_parameters"] == {
        "rank": 2,
        "scale": 2.0,
        "dropout": 0.0,
        "keys": ["self_attn.q_proj"],
    }


def test_an_adapter_that_mlx_has_no_place_for_is_refused(tmp_path: Path) -> None:
    experts = {"base_model.model.model.layers.0.mlp.experts.lora_A.default": torch.ones(2, 2)}
    with pytest.raises(BadInput, match="mlx-lm has no place for the adapter's"):
        write_mlx_adapter(tmp_path, experts, rank=2, scale=2.0, layers=1, base="org/base")
