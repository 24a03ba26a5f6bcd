"""An adapter as the policy: it is the reference, and versions load on it with plain peft."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from tests.support.architectures import logps_of
from tests.support.tiny import tiny_model, tiny_tokenizer
from tests.trainer.conftest import disturb, load
from trainer.policy.adapters import write_adapter
from trainer.policy.logps import logps_under
from trainer.policy.merging import place_of
from trainer.policy.policy import CANDIDATE

# peft 0.21 asks transformers 5 by an old name, and warns of what `merging` takes care of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Model (has|with) `tie_word_embeddings=True`:UserWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file:UserWarning"),
    pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning"),
]

PAIR = ([3, 20, 30, 0, 4], [40, 41, 42, 0], [50, 60, 0])
ROWS = [(PAIR[0], PAIR[1]), (PAIR[0], PAIR[2])]
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": "all-linear"},
    "rsLoRA": {"target_modules": "all-linear", "use_rslora": True, "lora_alpha": 3},
    "DoRA": {"target_modules": "all-linear", "use_dora": True},
    "LoRA on a tied head": {"target_modules": ["q_proj", "lm_head"]},
    "LoRA on a tied embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "a head of its own": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "embeddings of its own": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
}


def tuned(
    kind: str, folder: Path, rows: int = 320, dtype: torch.dtype = torch.float32, by: float = 0.2
) -> Any:
    """An adapter on a tied gemma2, saved, with all that it trains so far from where it began."""
    base = tiny_model("gemma2").to(dtype)
    base.save_pretrained(folder / "base")
    tiny_tokenizer().save_pretrained(folder / "base")
    if rows != 320:
        base.resize_token_embeddings(rows)
    model = get_peft_model(base, LoraConfig(r=2, task_type="CAUSAL_LM", **KINDS[kind]))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(by * torch.randn_like(parameter))
    model.peft_config["default"].base_model_name_or_path = str(folder / "base")
    model.save_pretrained(folder / "adapter")
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_versions_on_an_adapter_load_with_plain_peft_on_the_base_that_they_name(
    kind: str, tmp_path: Path
) -> None:
    given = tuned(kind, tmp_path)
    policy = load(tmp_path / "adapter")
    reference = logps_under(policy, None, [PAIR])[0].tolist()
    assert reference == pytest.approx(logps_of(given, ROWS), abs=1e-4)
    disturb(policy, CANDIDATE, scale=0.2)
    state, config = policy.adapter_state(CANDIDATE), policy.adapter_config()
    write_adapter(tmp_path / "v0001", state, config, base=policy.base_name)
    ours = logps_under(policy, CANDIDATE, [PAIR])[0].tolist()
    plain = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "v0001").eval()
    assert ours == pytest.approx(logps_of(plain, ROWS), abs=1e-4)
    assert ours != pytest.approx(reference, abs=1e-2)


def test_an_adapter_with_a_larger_vocabulary_brings_it_along(tmp_path: Path) -> None:
    given = tuned("embeddings of its own", tmp_path, rows=328)
    policy = load(tmp_path / "adapter")
    assert len(policy.model.get_input_embeddings().weight) == 328
    reference = logps_under(policy, None, [PAIR])[0].tolist()
    assert reference == pytest.approx(logps_of(given, ROWS), abs=1e-4)


def test_an_adapter_is_merged_once_and_again_if_its_files_are_others(tmp_path: Path) -> None:
    tuned("plain", tmp_path)
    told: list[str] = []
    first = load(tmp_path / "adapter", say=told.append)
    again = load(tmp_path / "adapter", say=told.append)
    assert (first.base_name, len(told)) == (again.base_name, 1)
    tuned("rsLoRA", tmp_path)
    other = load(tmp_path / "adapter", say=told.append)
    assert other.base_name != first.base_name
    assert other.fingerprint != first.fingerprint


def test_the_merged_base_keeps_the_dtype_of_its_files(tmp_path: Path) -> None:
    tuned("plain", tmp_path, dtype=torch.bfloat16)
    policy = load(tmp_path / "adapter")
    kept = AutoModelForCausalLM.from_pretrained(policy.base_name)
    assert (kept.dtype, policy.model.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("kind", ["plain", "DoRA"])
def test_what_a_small_adapter_adds_to_a_bfloat16_base_is_merged_on_average(
    kind: str, tmp_path: Path
) -> None:
    """Most of it is less than half the distance to the next number, which the nearest one drops."""
    given = tuned(kind, tmp_path, dtype=torch.bfloat16, by=2.5e-5)
    layer = given.get_base_model().model.layers[1].mlp.down_proj
    base = layer.base_layer.weight.detach().clone().float()
    layer.base_layer.float()
    layer.merge()
    change = layer.base_layer.weight.detach() - base
    policy = load(tmp_path / "adapter")
    merged = policy.model.get_base_model().model.layers[1].mlp.down_proj.base_layer.weight
    assert torch.equal(merged, merged.bfloat16().float())
    spacing = 2**-7 * 2.0 ** base.abs().log2().floor()
    size = change.square().sum()
    nearest = ((base + change).bfloat16().float() - base) * change
    assert nearest.sum() / size < 0.6
    deviation = (spacing * change).square().sum().sqrt() / 2 / size
    assert abs(((merged - base) * change).sum() / size - 1) < 4 * deviation < 0.5


def test_what_was_once_rounded_to_the_nearest_numbers_is_merged_anew(tmp_path: Path) -> None:
    tuned("plain", tmp_path)
    folders = tmp_path / "adapter", tmp_path / "base"
    places = [place_of(*folders, dtype) for dtype in (torch.float32, torch.bfloat16)]
    assert places[0] != places[1]


def test_an_adapter_on_an_adapter_is_merged_into_both(tmp_path: Path) -> None:
    tuned("plain", tmp_path)
    lower = load(tmp_path / "adapter")
    upper = get_peft_model(
        AutoModelForCausalLM.from_pretrained(lower.base_name),
        LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=["q_proj"]),
    )
    with torch.no_grad():
        for name, parameter in upper.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.3)
    upper.peft_config["default"].base_model_name_or_path = str(tmp_path / "adapter")
    upper.save_pretrained(tmp_path / "upper")
    reference = logps_under(load(tmp_path / "upper"), None, [PAIR])[0].tolist()
    assert isinstance(upper, PeftModel)
    assert reference == pytest.approx(logps_of(upper.eval(), ROWS), abs=1e-4)
