"""A version goes out to other programs, and each folder is read again by another library."""

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, GenerationConfig

from labeler.config.load import as_environment
from labeler.config.settings import Settings
from labeler.domain.drawing import Drawing
from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.estimate import Estimate
from labeler.domain.finding import Finding
from labeler.store import Store
from tests.labeler.config.test_hub import use
from tests.support.architectures import save_policy, tiny_of
from tests.support.chats import tokenizer_of
from tests.support.command import fails, run
from tests.support.empty_store import new_store
from tests.support.gguf_file import write_gguf
from tests.support.hub import hub_with
from tests.trainer.conftest import disturb
from trainer.policy.adapters import read_adapter, write_adapter
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE
from trainer.programs import export as program
from trainer.programs.export import Exported, export

# peft 0.21 asks transformers 5 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

WON = Estimate(0.61, 0.52, 0.7, 120)
FINDING = Finding(labels=16, judged=4, held_out=4, win_rate=WON)


@dataclass
class Bench:
    """A data dir with one version of a tiny policy."""

    store: Store
    settings: Settings

    def export(self, out: Path, target: str) -> Exported:
        return export(self.store, self.settings, 1, out, target)


def bench_of(kind: str, folder: Path, **config: Any) -> Bench:
    """A policy of this architecture, and a version. `config` is what its config says besides."""
    file = save_policy(folder / "policy", kind) / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return tuned(folder)


def bench_of_family(name: str, folder: Path) -> Bench:
    """A Llama with the chat template and the tokenizer of a family, and a version of it."""
    tokenizer, model = tokenizer_of(name), tiny_of("llama")
    model.resize_token_embeddings(512, mean_resizing=False)
    model.generation_config.eos_token_id = model.config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder / "policy")
    tokenizer.save_pretrained(folder / "policy")
    return tuned(folder)


def tuned(folder: Path, policy_name: str = "policy", *, scale: float = 0.3) -> Bench:
    """A version with random adapters on the policy that is in this folder."""
    settings = Settings(
        policy=str(folder / policy_name),
        data_dir=folder / "data",
        device="cpu",
        lora_rank=4,
        lora_alpha=8.0,
    )
    (folder / "data" / "adapters").mkdir(parents=True)
    policy = load_policy(settings)
    disturb(policy, LIVE, scale=scale)
    written = settings.adapters_dir / "v0001"
    state, lora = policy.adapter_state(LIVE), policy.adapter_config()
    sha256 = write_adapter(written, state, lora, base=policy.base_name)
    store = new_store(settings.database_url)
    store.versions.adopt_base(base=policy.name, fingerprint=policy.fingerprint, now=1.0)
    store.versions.add_candidate(folder="v0001", sha256=sha256, finding=FINDING, parent=0, now=2.0)
    return Bench(store, settings)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A Llama; what the tests write goes elsewhere."""
    return bench_of("llama", tmp_path_factory.mktemp("llama"))


def test_an_adapter_goes_out_with_its_tokenizer_its_end_of_turn_and_its_evidence(
    bench: Bench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    [line] = bench.export(out, "adapter").checked
    assert re.match(r"peft .*: same tokens .* 4 of 4 greedy answers the same", line)
    assert {"adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"} < {
        path.name for path in out.iterdir()
    }
    assert GenerationConfig.from_pretrained(out).eos_token_id == [0]
    card = (out / "README.md").read_text()
    told = ("It wins 61 % [52, 70] of 120 comparisons with version 0", "16 labels, from version 0")
    told += ("It passed the gate.", "Raters agree: unknown", "0 raters", line)
    assert [words for words in told if words not in card] == []
    assert re.search(r"sha256 of `model.safetensors`: `[0-9a-f]{64}`", card)


def test_a_card_names_the_file_of_a_policy_and_its_command_the_folder_of_the_weights(
    tmp_path: Path,
) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    [command] = tuned(tmp_path, file.name).export(tmp_path / "out", "vllm").commands
    assert f"\n# Version 1 of {file}\n" in (tmp_path / "out" / "README.md").read_text()
    assert command.startswith(f"vllm serve {tmp_path / 'cache'}")


def test_an_adapter_for_vllm_names_its_base_to_the_letter(bench: Bench, tmp_path: Path) -> None:
    [command] = bench.export(tmp_path / "My model", "vllm").commands
    config = json.loads((tmp_path / "My model" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == bench.settings.policy
    assert command.startswith(
        f"vllm serve {bench.settings.policy} --enable-lora --max-lora-rank 8 "
        f"--lora-modules my-model='{tmp_path}/My model'"
    )


MAKERS = {"temperature": 0.6, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.1}


def bench_by_makers(folder: Path) -> Bench:
    """A Llama whose makers cut and penalise, and do not say that they sample."""
    bench = bench_of("llama", folder)
    file = folder / "policy" / "generation_config.json"
    file.write_text(json.dumps(MAKERS | {"bos_token_id": 3, "eos_token_id": 0}))
    return bench


@pytest.mark.parametrize("target", ["adapter", "merged"])
def test_a_folder_draws_as_the_service_draws(target: str, tmp_path: Path) -> None:
    """Before a worker has said so, too; no top-k and no penalty, which the service leaves out."""
    bench = bench_by_makers(tmp_path)
    for recorded, out in ((None, tmp_path / "first"), (0.8, tmp_path / "then")):
        if recorded is not None:
            drawing = Drawing(recorded, "as set", 0.7, "as set", 256)
            bench.store.versions.note_drawing(drawing)
        bench.export(out, target)
        said = json.loads((out / "generation_config.json").read_text())
        said.pop("transformers_version")
        drawn = {"temperature": 0.6, "top_p": 0.9} if recorded is None else {}
        assert said == {
            **{"bos_token_id": 3, "eos_token_id": [0], "pad_token_id": 1, "do_sample": True},
            **{"temperature": 0.8, "top_p": 0.7, "top_k": 0, "repetition_penalty": 1.0},
            **drawn,
        }


def test_a_command_draws_as_the_service_draws_where_no_file_tells(tmp_path: Path) -> None:
    [command] = bench_by_makers(tmp_path).export(tmp_path / "out", "gguf").commands
    assert command.endswith("model-q8_0.gguf --temp 0.6 --top-p 0.9 --top-k 0 --min-p 0")


LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 10.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("llama", {"rope_parameters": LLAMA_3}),
        ("qwen2", {}),
        ("qwen3", {}),
        ("mistral", {"sliding_window": None}),
        ("gemma2", {}),
        ("gemma3_text", {}),
    ],
)
def test_a_model_goes_out_as_gguf_files_that_say_the_same(
    kind: str, config: dict[str, Any], tmp_path: Path
) -> None:
    """transformers reads both files; llama.cpp too, where it is installed."""
    found = bench_of(kind, tmp_path, **config).export(tmp_path / "out", "gguf").checked
    readers = 2 if importlib.util.find_spec("xllamacpp") else 1
    assert [line.split(": ")[0].split(" from ")[1] for line in found] == [
        name for name in ("model-f16.gguf", "model-q8_0.gguf") for _ in range(readers)
    ]
    fields = GGUFReader(tmp_path / "out" / "model-f16.gguf").fields
    ids = ("eos_token_id", "eot_token_id", "padding_token_id")
    assert [fields[f"tokenizer.ggml.{name}"].contents() for name in ids] == [0, 0, 1]
    assert "<|assistant|>" in fields["tokenizer.chat_template"].contents()


@pytest.mark.parametrize("name", ["llama-2", "llama-3", "mistral", "gemma"])
def test_chat_templates_and_tokenizers_go_out_as_gguf_files(name: str, tmp_path: Path) -> None:
    """Byte-level ones, and pieces with a BOS that the template writes."""
    bench = bench_of_family(name, tmp_path)
    assert bench.export(tmp_path / "out", "ollama").checked


def test_a_modelfile_writes_conversations_in_the_words_of_ollama_and_stops_them(
    bench: Bench, tmp_path: Path
) -> None:
    bench.export(tmp_path / "out", "ollama")
    lines = (tmp_path / "out" / "Modelfile").read_text().splitlines()
    assert lines[0] == "FROM ./model-f16.gguf"
    assert '{{ if eq .Role "system" }}<|system|>{{ .Content }}<|end|>' in lines[1]
    assert lines[1].endswith(
        '{{ if and $last (ne .Role "assistant") }}<|assistant|>{{ end }}{{ end }}"""'
    )
    assert 'PARAMETER stop "<|end|>"' in lines


def test_a_merged_model_names_its_positions_as_older_programs_know_them(tmp_path: Path) -> None:
    bench_of("llama", tmp_path, rope_parameters=LLAMA_3).export(tmp_path / "out", "merged")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["rope_theta"], config["rope_scaling"]) == (LLAMA_3["rope_theta"], LLAMA_3)
    assert config["rope_parameters"] == LLAMA_3


SEES = {"preprocessor_config.json": '{"size": 16}', "processor_config.json": "{}"}


def seeing(folder: Path) -> Path:
    """A tiny model that also sees, with how it takes images."""
    save_policy(folder, "qwen2_vl")
    for name, text in SEES.items():
        (folder / name).write_text(text)
    return folder


def sight(folder: Path) -> dict[str, str]:
    """What a folder says of images."""
    return {name: (folder / name).read_text() for name in SEES if (folder / name).is_file()}


def test_a_merged_model_of_the_hub_keeps_how_it_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = tuned(seeing(tmp_path / "policy").parent)
    settings = bench.settings.model_copy(update={"policy": "somebody/model"})
    with hub_with("somebody/model", tmp_path / "policy") as address:
        use(address, tmp_path, monkeypatch)
        export(bench.store, settings, 1, tmp_path / "out", "merged")
    assert sight(tmp_path / "out") == SEES


def test_a_merged_model_on_an_adapter_keeps_how_its_base_sees(tmp_path: Path) -> None:
    policy = load_policy(Settings(policy=str(seeing(tmp_path / "base")), device="cpu"))
    disturb(policy, LIVE, scale=0.1)
    state, lora = policy.adapter_state(LIVE), policy.adapter_config()
    write_adapter(tmp_path / "policy", state, lora, base=policy.base_name)
    tuned(tmp_path).export(tmp_path / "out", "merged")
    assert sight(tmp_path / "out") == SEES


needs_mlx = pytest.mark.skipif(
    importlib.util.find_spec("mlx_lm") is None, reason="mlx and mlx-lm are not installed"
)


@needs_mlx
def test_an_adapter_for_mlx_is_read_by_mlx(bench: Bench, tmp_path: Path) -> None:
    [line] = bench.export(tmp_path / "out", "mlx").checked
    assert line.startswith("mlx-lm")


@needs_mlx
def test_a_base_that_mlx_reads_otherwise_is_told_with_what_it_reads_rightly(tmp_path: Path) -> None:
    """mlx-lm takes 10,000 for a theta that only `rope_parameters` has."""
    import mlx.core as mx
    from mlx_lm import load

    theta = {"rope_type": "default", "rope_theta": 10.0}
    bench = bench_of("llama", tmp_path, rope_parameters=theta)
    with pytest.raises(LivedpoError, match=r"apart, .* A model of --to merged is whole") as it:
        bench.export(tmp_path / "out", "mlx")
    assert it.value.exit_code == 1
    bench.export(tmp_path / "out", "merged")
    tokens = [list(range(2, 42))]
    theirs = torch.tensor(load(str(tmp_path / "out"))[0](mx.array(tokens)).tolist())
    with torch.no_grad():
        ours = AutoModelForCausalLM.from_pretrained(tmp_path / "out")(torch.tensor(tokens)).logits
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_a_file_that_cannot_tell_all_of_a_model_is_thrown_away(tmp_path: Path) -> None:
    """A window of 16 tokens, which llama.cpp's Mistral does not have."""
    bench = bench_of("mistral", tmp_path, sliding_window=16)
    with pytest.raises(
        LivedpoError, match=r"not what the service says: .* nats a token apart"
    ) as it:
        bench.export(tmp_path / "out", "gguf")
    assert it.value.exit_code == 1
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("phi3", "the architecture phi3 is not among those"), ("gpt2", "convert_hf_to_gguf.py")],
)
def test_a_model_that_is_not_written_here_is_refused_with_the_command_that_writes_it(
    kind: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        bench_of(kind, tmp_path).export(tmp_path / "out", "ollama")
    assert "--to merged" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_the_base_has_no_adapter_to_go_out(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Version 0 is the base policy and has no adapter"):
        export(bench.store, bench.settings, 0, tmp_path / "out", "vllm")


def test_the_command_says_how_it_was_checked_and_what_serves_it(
    bench: Bench, tmp_path: Path
) -> None:
    environment, out = as_environment(bench.settings), tmp_path / "out"
    done = run(program.main, "export", 1, out, "merged", **environment)
    assert done.returncode == 0, done.stderr
    assert f"Version 1 is in {out}.\nChecked by transformers" in done.stdout
    assert f"  vllm serve {out}" in done.stdout
    fails(run(program.main, "export", 1, out, "merged", **environment), 2, "exists already")


def test_a_folder_that_cannot_be_looked_for_is_one_sentence(bench: Bench) -> None:
    environment = as_environment(bench.settings)
    fails(run(program.main, "export", 1, "x" * 300, "merged", **environment), 1, "name too long.")


@pytest.mark.parametrize(("target", "scale"), [("merged", 0.003), ("gguf", 0.001)])
def test_a_small_update_of_a_policy_in_bfloat16_is_in_what_goes_out(
    target: str, scale: float, tmp_path: Path
) -> None:
    """The nearest number to a weight and what the version adds to it would be the weight, nearly
    always. What is read again has moved as far as the version, by the slope of one over the other.
    """
    save_policy(tmp_path / "policy", "llama")
    AutoModelForCausalLM.from_pretrained(tmp_path / "policy").bfloat16().save_pretrained(
        tmp_path / "policy"
    )
    bench = tuned(tmp_path, scale=scale)
    bench.export(tmp_path / "out", target)
    policy = load_policy(bench.settings)
    policy.set_adapter_state(LIVE, read_adapter(bench.settings.adapters_dir / "v0001"))
    file = {"gguf_file": "model-f16.gguf"} if target == "gguf" else {}
    read = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32, **file)
    name = "model.layers.1.mlp.down_proj"
    layer = policy.model.get_base_model().get_submodule(name)
    added = layer.get_delta_weight(LIVE).detach()
    kept = read.get_submodule(name).weight.detach() - layer.base_layer.weight
    assert (kept * added).sum() / added.square().sum() == pytest.approx(1, abs=0.2)
