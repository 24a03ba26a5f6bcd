"""Tiny policies of many architectures, each once through the loop: sample, train, write, merge.

What is sampled, trained and written is held against plain transformers and plain peft, which
compute each response in a row of its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from peft import AutoPeftModel, AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from labeler.config.parts.sampling import Sampling
from labeler.config.parts.training import Training
from labeler.domain.errors import BadInput
from labeler.domain.labels import TrainingLabel
from tests.support.architectures import (
    DENSE,
    MIXTURES,
    SEEING,
    STATEFUL,
    TRANSLATING,
    logps_of,
    save_policy,
)
from tests.trainer.conftest import load
from trainer.learning.update import train
from trainer.policy.adapters import write_adapter
from trainer.policy.logps import logps_under
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.local import LocalSampler

# peft 0.21 asks transformers 5 by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

QUESTIONS = ["hello", "how do you make good tea?"]
SAMPLING = Sampling(max_new_tokens=8)
EXPERTS_TOO = [f"{kind} with experts" for kind in ("mixtral", "gpt_oss", "deepseek_v3")]
CLOSE = 1e-3  # nats, of a whole response
MOVED = 0.05

Row = tuple[list[int], list[int]]


@dataclass
class Run:
    """What came of a policy: rows of prompt and response, and their log-probabilities, nats."""

    policy: Policy
    sampled: list[Row]
    sampled_logps: list[float]
    base: list[float]  # of the sampled rows under the plain model
    reference: list[float]
    candidate: list[float]
    versions: list[float]  # the candidate under plain peft, from its folder
    of_candidate: list[Row]  # sampled from the candidate
    of_candidate_logps: list[float]
    of_candidate_plain: list[float]
    later: list[Row]  # sampled from the live version, after the candidate was refused
    later_logps: list[float]
    later_plain: list[float]
    merged: list[float]


@pytest.fixture(scope="module", params=[*DENSE, *MIXTURES, *STATEFUL, *SEEING, *EXPERTS_TOO])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An architecture through the loop; what it computed is looked at by the tests below."""
    kind, _, more = request.param.partition(" with ")
    folder = tmp_path_factory.mktemp(kind)
    save_policy(folder / "policy", kind)
    asked = "all-linear,experts" if more else "all-linear"
    return through_the_loop(folder, load(folder / "policy", lora_targets=asked))


def through_the_loop(folder: Path, policy: Policy) -> Run:
    sampler = LocalSampler(policy)
    prompts = [policy.prompt_tokens([{"role": "user", "content": text}]) for text in QUESTIONS]
    auto = (
        AutoModelForCausalLM if policy.adapter_config().task_type else AutoModelForImageTextToText
    )
    plain = auto.from_pretrained(folder / "policy").eval()

    sampled, sampled_logps = drawn(sampler, LIVE, prompts, seed=1)
    pairs = [(a[0], a[1], b[1]) for a, b in zip(sampled[::2], sampled[1::2], strict=True)]
    reference = logps_under(policy, None, pairs)
    labels = [
        TrainingLabel((str(number),), 1.0, 1.0, *pair, *reference[number].tolist())
        for number, pair in enumerate(pairs)
    ]
    list(train(policy, labels, Training(learning_rate=1e-2), seed=0))
    state, config = policy.adapter_state(CANDIDATE), policy.adapter_config()
    write_adapter(folder / "v0001", state, config, base=policy.base_name)
    auto_peft = AutoPeftModelForCausalLM if config.task_type else AutoPeftModel
    version = auto_peft.from_pretrained(folder / "v0001").eval()
    candidate = logps_under(policy, CANDIDATE, pairs).flatten().tolist()
    of_candidate, of_candidate_logps = drawn(sampler, CANDIDATE, prompts, seed=2)
    later, later_logps = drawn(sampler, LIVE, prompts, seed=3)

    merged = policy.model.merge_and_unload(adapter_names=[CANDIDATE])
    merged.generation_config = policy.shipped_generation_config
    merged.save_pretrained(folder / "merged")
    return Run(
        policy=policy,
        sampled=sampled,
        sampled_logps=sampled_logps,
        base=logps_of(plain, sampled),
        reference=reference.flatten().tolist(),
        candidate=candidate,
        versions=logps_of(version, sampled),
        of_candidate=of_candidate,
        of_candidate_logps=of_candidate_logps,
        of_candidate_plain=logps_of(version, of_candidate),
        later=later,
        later_logps=later_logps,
        later_plain=logps_of(plain, later),
        merged=logps_of(auto.from_pretrained(folder / "merged").eval(), sampled),
    )


def drawn(
    sampler: LocalSampler, adapter: str, prompts: list[list[int]], *, seed: int
) -> tuple[list[Row], list[float]]:
    """Two responses to each prompt, and the log-probabilities that are stored with them."""
    found = sampler.draw(adapter, prompts, SAMPLING, seed=seed)
    rows = [(prompt, r.tokens) for prompt, two in zip(prompts, found, strict=True) for r in two]
    return rows, [response.logp for two in found for response in two]


def test_what_is_sampled_is_stored_with_the_log_probability_that_the_plain_model_gives(
    run: Run,
) -> None:
    assert run.sampled_logps == pytest.approx(run.base, abs=CLOSE)


def test_the_reference_is_the_plain_model(run: Run) -> None:
    assert run.reference == pytest.approx(run.base, abs=CLOSE)


def test_an_update_moves_it_and_plain_peft_loads_the_version_and_computes_the_same(
    run: Run,
) -> None:
    assert run.candidate != pytest.approx(run.base, abs=MOVED)
    assert run.versions == pytest.approx(run.candidate, abs=CLOSE)


def test_what_the_candidate_says_is_its_own(run: Run) -> None:
    assert run.of_candidate_logps == pytest.approx(run.of_candidate_plain, abs=CLOSE)


def test_after_a_candidate_that_was_refused_the_live_version_speaks_again(run: Run) -> None:
    assert run.later_logps == pytest.approx(run.later_plain, abs=CLOSE)


def test_the_merged_model_is_the_version(run: Run) -> None:
    assert run.merged == pytest.approx(run.candidate, abs=CLOSE)


@pytest.mark.parametrize("kind", SEEING)
def test_the_vision_tower_carries_no_adapter(kind: str, tmp_path: Path) -> None:
    policy = load(save_policy(tmp_path, kind))
    adapted = [name for name, _ in policy.model.named_parameters() if f".{LIVE}." in name]
    assert adapted
    assert not [name for name in adapted if "vision" in name or "visual" in name]
    assert policy.context_tokens == 128


@pytest.mark.parametrize("kind", TRANSLATING)
def test_an_encoder_decoder_is_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"it is an encoder-decoder \({kind}\)"):
        load(save_policy(tmp_path, kind))


SAID: dict[str, str] = {
    "llama": "LoRA on 14 of 14 weight matrices: down_proj, gate_proj, k_proj, o_proj, q_proj, "
    "up_proj, v_proj.",
    "mixtral": "LoRA on 8 of 26 weight matrices: k_proj, o_proj, q_proj, v_proj. As they are: "
    "experts.down_proj, experts.gate_up_proj, gate.",
    "mixtral with experts": "LoRA on 24 of 26 weight matrices: experts.down_proj, "
    "experts.gate_up_proj, k_proj, o_proj, q_proj, v_proj. As they are: gate.",
    "mamba2": "LoRA on 2 of 4 weight matrices: in_proj. As they are: out_proj.",
    "llava": "LoRA on 14 of 14 weight matrices: down_proj, gate_proj, k_proj, o_proj, q_proj, "
    "up_proj, v_proj. Only its language part is trained.",
}


@pytest.mark.parametrize("kind", SAID)
def test_one_line_says_what_is_trained(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, _, more = kind.partition(" with ")
    asked = "all-linear,experts" if more else "all-linear"
    with caplog.at_level("INFO", logger="trainer.policy.load"):
        load(save_policy(tmp_path, name), lora_targets=asked)
    assert [words for words in caplog.messages if words.startswith("LoRA on")] == [SAID[kind]]


def trained(policy: Policy) -> set[str]:
    """The last names of the layers that carry LoRA."""
    found: Any = policy.adapter_config().target_modules
    return {name.rpartition(".")[2] for name in found}


def test_lora_goes_where_it_is_told(tmp_path: Path) -> None:
    folder = save_policy(tmp_path, "llama")
    assert trained(load(folder, lora_targets="q_proj, v_proj")) == {"q_proj", "v_proj"}
    assert trained(load(folder, lora_targets="self_attn.o_proj")) == {"o_proj"}


def test_the_layers_of_a_version_stay_and_this_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_policy(tmp_path / "policy", "llama")
    first = load(folder, lora_targets="q_proj,v_proj")
    state, config = first.adapter_state(LIVE), first.adapter_config()
    write_adapter(tmp_path / "v0001", state, config, base=first.base_name)
    other = load(folder)
    assert first.fits(tmp_path / "v0001")
    assert not other.fits(tmp_path / "v0001")
    says = "The adapter v0001 changes other layers than --lora-targets all-linear; these stay."
    again = load(folder, tmp_path / "v0001", lora_targets="q_proj,v_proj")
    assert says not in caplog.messages
    assert trained(load(folder, tmp_path / "v0001")) == trained(again) == {"q_proj", "v_proj"}
    assert says in caplog.messages


def test_experts_of_a_model_that_has_none_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot carry LoRA: it has no experts"):
        load(save_policy(tmp_path, "llama"), lora_targets="experts")


@pytest.mark.parametrize("name", ["gate", "lm_head", "q_prooj"])
def test_a_layer_that_cannot_carry_lora_is_one_sentence(name: str, tmp_path: Path) -> None:
    folder = save_policy(tmp_path, "mixtral")
    with pytest.raises(BadInput, match=f"no layer '{name}' can carry LoRA; those that can are k_"):
        load(folder, lora_targets=f"q_proj,{name}")
