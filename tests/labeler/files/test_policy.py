"""A policy that can never be tuned is found out by its files, before anything starts."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from labeler.config.settings import Settings
from labeler.config.starter import STARTER_POLICY
from labeler.domain.errors import BadInput
from labeler.files.policy import refuse_unfit_policy
from labeler.roles.serve import serve
from labeler.roles.unattended.run import judge

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}


def write(folder: Path, config: dict[str, Any] | None, template: str | None = "tokenizer") -> Path:
    """A policy's folder without weights."""
    folder.mkdir(exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if template == "tokenizer":
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ x }}"}))
    elif template is not None:
        (folder / template).write_text("{{ x }}")
    return folder


def adapter(folder: Path, base: str, template: str | None = None) -> Path:
    write(folder, None, template)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    return folder


def quantised(method: str) -> dict[str, Any]:
    return LLAMA | {"quantization_config": {"quant_method": method}}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (LLAMA | {"model_type": "bart", "is_encoder_decoder": True}, "an encoder-decoder"),
        (LLAMA | {"architectures": ["LlamaForSequenceClassification"]}, "SequenceClassification"),
        (quantised("gptq"), r"quantised \(gptq\), which needs gptqmodel and optimum"),
        (quantised("bitsandbytes"), "which needs .*bitsandbytes"),
        (LLAMA | {"model_type": "strange"}, "does not know its architecture 'strange'"),
        (LLAMA | {"model_type": "strange", "auto_map": {"AutoConfig": "a.B"}}, "code of its own"),
        (None, r"has no config\.json"),
    ],
)
def test_a_model_that_cannot_be_tuned_is_one_sentence(
    config: dict[str, Any] | None, says: str, tmp_path: Path
) -> None:
    policy = write(tmp_path / "policy", config)
    with pytest.raises(BadInput, match=says) as caught:
        refuse_unfit_policy(Settings(policy=str(policy)))
    assert "\n" not in str(caught.value)


def test_a_config_that_is_no_json_is_one_sentence(tmp_path: Path) -> None:
    policy = write(tmp_path / "policy", LLAMA)
    (policy / "config.json").write_text("{")
    with pytest.raises(BadInput, match=r"config\.json is no JSON"):
        refuse_unfit_policy(Settings(policy=str(policy)))


@pytest.mark.parametrize("template", ["tokenizer", "chat_template.jinja"])
def test_a_chat_template_is_found_where_tokenizers_look(template: str, tmp_path: Path) -> None:
    refuse_unfit_policy(Settings(policy=str(write(tmp_path / "policy", LLAMA, template))))
    bare = write(tmp_path / "bare", LLAMA, None)
    with pytest.raises(BadInput, match="has no chat template"):
        refuse_unfit_policy(Settings(policy=str(bare)))


def test_an_adapter_is_judged_by_its_base_and_brings_a_template_of_its_own(tmp_path: Path) -> None:
    bare = write(tmp_path / "bare", LLAMA, None)
    refuse_unfit_policy(Settings(policy=str(adapter(tmp_path / "a", str(bare), "tokenizer"))))
    with pytest.raises(BadInput, match="has no chat template"):
        refuse_unfit_policy(Settings(policy=str(adapter(tmp_path / "b", str(bare)))))
    refuse_unfit_policy(Settings(policy=str(adapter(tmp_path / "c", "somebody/on-the-hub"))))


def test_what_can_be_tuned_passes(tmp_path: Path) -> None:
    refuse_unfit_policy(Settings(policy=str(STARTER_POLICY)))
    strange = LLAMA | {"model_type": "strange", "auto_map": {"AutoConfig": "a.B"}}
    policy = write(tmp_path / "policy", strange)
    refuse_unfit_policy(Settings(policy=str(policy), trust_remote_code=True))


def test_what_is_not_there_is_one_sentence() -> None:
    with pytest.raises(BadInput, match="There is no policy folder"):
        refuse_unfit_policy(Settings(policy="/nowhere/at/all"))
    with pytest.raises(BadInput, match="the Hugging Face hub cannot be reached"):
        refuse_unfit_policy(Settings(policy="somebody/on-the-hub"))


@pytest.mark.parametrize("run", [serve, judge])
def test_nothing_starts_with_such_a_policy(run: Any, tmp_path: Path) -> None:
    policy = write(tmp_path / "policy", LLAMA, None)
    settings = Settings(policy=str(policy), data_dir=tmp_path / "data", judge="starter")
    with pytest.raises(BadInput, match="has no chat template"):
        run(settings, threading.Event(), print)
    assert not (tmp_path / "data").exists()
