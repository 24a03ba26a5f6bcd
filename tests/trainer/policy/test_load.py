"""What stands in the way of a policy is one sentence; tokenizer and embedding belong together."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from labeler.config.parts.sampling import Sampling
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.store import Store
from tests.support.architectures import tiny_of
from tests.support.tiny import save_tiny_policy, tiny_model, tiny_tokenizer
from tests.trainer.conftest import load
from trainer.policy.batch import make_batch
from trainer.policy.policy import LIVE
from trainer.programs.export import export
from trainer.sampling.local import LocalSampler


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(folder: Path) -> str:
    with pytest.raises(BadInput) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_code_that_a_policy_brings_is_neither_run_nor_asked_about(tmp_path: Path) -> None:
    save_tiny_policy(tmp_path)
    brought = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.OwnModel"}
    change_config(tmp_path, model_type="strange", auto_map=brought)
    (tmp_path / "own.py").write_text("raise SystemExit('it ran')")
    assert "brings code of its own; run it with --trust-remote-code" in refused(tmp_path)


def test_a_quantised_model_without_its_package_is_one_sentence(tmp_path: Path) -> None:
    save_tiny_policy(tmp_path)
    change_config(tmp_path, quantization_config={"quant_method": "gptq", "bits": 4})
    assert "cannot be loaded: Loading a GPTQ quantized model requires" in refused(tmp_path)


def test_an_architecture_that_nothing_knows_is_one_sentence(tmp_path: Path) -> None:
    save_tiny_policy(tmp_path)
    change_config(tmp_path, model_type="strange")
    assert "strange" in refused(tmp_path)


def test_an_adapter_whose_base_is_missing_is_one_sentence(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "base_model_name_or_path": str(tmp_path / "gone")}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    assert "There is no policy folder" in refused(tmp_path)


def test_a_tokenizer_larger_than_the_embedding_is_one_sentence(tmp_path: Path) -> None:
    save_tiny_policy(tmp_path)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([f"word{n}" for n in range(60)])
    tokenizer.save_pretrained(tmp_path)
    says = refused(tmp_path)
    assert "tokens, and its embedding has 320 rows; they do not belong together" in says


def test_a_template_that_writes_beyond_the_embedding_is_one_sentence(tmp_path: Path) -> None:
    save_tiny_policy(tmp_path)
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|{n}|>" for n in range(60)]})
    tokenizer.chat_template += "<|59|>"
    tokenizer.save_pretrained(tmp_path)
    assert "they do not belong together" in refused(tmp_path)


def test_padding_beyond_the_embedding_is_replaced_and_never_read(tmp_path: Path) -> None:
    save_tiny_policy(tmp_path)
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|{n}|>" for n in range(60)]})
    tokenizer.pad_token = "<|59|>"
    tokenizer.save_pretrained(tmp_path)
    policy = load(tmp_path)
    assert policy.tokenizer.pad_token_id >= 320
    assert policy.pad_token_id == policy.eos_token_ids[0]
    rows = [([3, 20, 30], [40, 0]), ([3], [50, 60, 0])]
    with torch.no_grad(), policy.adapter(LIVE):
        assert (
            policy.logps(make_batch(rows, pad=policy.pad_token_id, device="cpu")).isfinite().all()
        )


def test_an_id_that_no_token_has_is_no_text(tmp_path: Path) -> None:
    """The embedding is padded to 320 rows; a model may put weight on the last ones."""
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight[:] = model.lm_head.weight[-1]
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    policy = load(tmp_path)
    words = len(policy.tokenizer)
    assert words < 320
    settings = Sampling(max_new_tokens=40)
    [responses] = LocalSampler(policy).draw(LIVE, [[3, 20, 4]], settings, seed=1, copies=4)
    beyond = [token for response in responses for token in response.tokens if token >= words]
    assert beyond
    for response in responses:
        known = [token for token in response.tokens if token < words]
        text = policy.tokenizer.decode(known, skip_special_tokens=True).strip()
        assert response.text == text


def test_a_merged_version_keeps_the_dtype_of_the_policys_files(
    store: Store, tmp_path: Path
) -> None:
    tiny_model().bfloat16().save_pretrained(tmp_path / "policy")
    tiny_tokenizer().save_pretrained(tmp_path / "policy")
    settings = Settings(policy=str(tmp_path / "policy"), data_dir=tmp_path, device="cpu")
    policy = load(tmp_path / "policy")
    store.versions.adopt_base(base=policy.name, fingerprint=policy.fingerprint, now=time.time())
    export(store, settings, 0, tmp_path / "merged", "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert (merged.dtype, policy.model.dtype) == (torch.bfloat16, torch.float32)
    single = settings.model_copy(update={"dtype": "float32"})
    export(store, single, 0, tmp_path / "other", "merged")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "other").dtype == torch.float32


@pytest.mark.parametrize("kept", ["the whole", "its text model", "nothing"])
def test_a_model_goes_out_as_its_files_are_where_its_config_does_not_say(
    kept: str, tmp_path: Path
) -> None:
    """What says bfloat16 is the config of the whole, of the part that writes, or the files."""
    model = tiny_of("qwen2_vl").bfloat16()
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    if kept != "the whole":
        del config["dtype"]
    if kept == "nothing":
        config["text_config"].pop("dtype", None)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load(tmp_path).stored_dtype == torch.bfloat16
