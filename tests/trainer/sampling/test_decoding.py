"""Decoding row by row gives what a plain forward pass gives, for every kind of model we know."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from tests.support.tiny import tiny_model
from trainer.sampling.decoding import ATTENTION, Cohort, Decoder, objection

KINDS = ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gpt2"]
VOCABULARY = 320


def strong(kind: str) -> Any:
    """A tiny model whose attention matters: as they are made, weights are so small that it hardly
    moves the logits, and a wrong mask would go unseen."""
    model = tiny_model(kind).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(5)
    return model


def random_tokens(*lengths: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(VOCABULARY, (n,), generator=generator).tolist() for n in lengths]


@torch.inference_mode()
def plain_logits(model: Any, sequence: list[int]) -> Tensor:
    logits: Tensor = model(torch.tensor([sequence]), use_cache=False).logits[0, -1]
    return logits


class Rows:
    """Cohorts fed with random tokens, and the sequences that their rows then stand for."""

    def __init__(self, model: Any) -> None:
        self.decoder = Decoder(model)
        self.cohorts: list[Cohort] = []
        self.sequences: list[list[list[int]]] = []
        self.generator = torch.Generator().manual_seed(1)

    def add(self, prompts: list[list[int]], *, copies: int = 2, tokens: int = 20) -> None:
        self.cohorts.append(self.decoder.prefill(prompts, copies=copies, tokens=tokens))
        self.sequences.append([list(prompt) for prompt in prompts for _ in range(copies)])

    def keep(self, cohort: int, rows: list[int]) -> None:
        order = self.cohorts[cohort].keep(rows)
        self.sequences[cohort] = [self.sequences[cohort][row] for row in order]

    def step(self) -> float:
        """Largest difference of any row's logits from a plain forward pass, as a share of them."""
        logits = self.decoder.step(self.cohorts)
        sequences = [sequence for cohort in self.sequences for sequence in cohort]
        assert len(logits) == len(sequences)
        plain = torch.stack([plain_logits(self.decoder.model, one) for one in sequences])
        for cohort, some in zip(self.cohorts, self.sequences, strict=True):
            cohort.next_token = torch.randint(VOCABULARY, (len(some),), generator=self.generator)
            for sequence, token in zip(some, cohort.next_token.tolist(), strict=True):
                sequence.append(token)
        return ((logits - plain).abs().max() / plain.abs().max()).item()


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_gives_the_logits_of_a_plain_forward_pass(kind: str) -> None:
    """Prompts of 1 to 21 tokens and 14 more, past the window of 16 that mistral and gemma2 have.

    Float32 rounds to 6e-8; sums of a few dozen terms in two layers, in another order, stay well
    below 1e-4 of the largest logit, and a wrong mask or position is far above (see below).
    """
    rows = Rows(strong(kind))
    rows.add(random_tokens(1, 7, 21, 3))
    differences = [rows.step() for _ in range(14)]
    assert max(differences) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_leave_and_rows_that_join_change_nothing_for_the_others(kind: str) -> None:
    rows = Rows(strong(kind))
    rows.add(random_tokens(9, 2, 17))
    differences = [rows.step() for _ in range(3)]
    rows.keep(0, [1, 3, 4, 5])
    rows.add(random_tokens(5, 12, seed=2), copies=3)
    differences += [rows.step() for _ in range(3)]
    rows.keep(0, [2])
    rows.keep(1, [0, 5])
    rows.add(random_tokens(4, seed=3), copies=1)
    differences += [rows.step() for _ in range(12)]
    assert max(differences) < 1e-4


@pytest.mark.parametrize("kind", ["mistral", "gemma2"])
def test_a_window_that_is_not_heeded_would_be_seen(kind: str) -> None:
    """The tests above mean something: with the window left out, the logits are far off."""
    model = strong(kind)
    rows = Rows(model)
    rows.add(random_tokens(21))
    plain = plain_logits(model, rows.sequences[0][0])
    model.config.sliding_window = None
    for layer in model.model.layers:
        layer.self_attn.sliding_window = None
    logits = rows.decoder.step(rows.cohorts)
    assert (logits[0] - plain).abs().max() / plain.abs().max() > 1e-2


def test_long_prompts_are_read_in_parts_with_a_pause_before_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder, pauses = Decoder(strong("llama")), list[int]()
    prompts = random_tokens(9, 7, 5, 8)
    whole = decoder.prefill(prompts, copies=1, tokens=4)
    monkeypatch.setattr("trainer.sampling.decoding.CPU_PREFILL_TOKENS", 16)
    parts = decoder.prefill(prompts, copies=1, tokens=4, pause=lambda: pauses.append(1))
    assert len(pauses) == 2
    torch.testing.assert_close(decoder.step([parts]), decoder.step([whole]))


def test_many_prompts_are_prefilled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.sampling.decoding.PREFILL_TOKENS", 16)
    rows = Rows(strong("llama"))
    rows.add(random_tokens(8, 3, 8, 5, 2, 6, 8))
    assert rows.step() < 1e-4


def test_a_step_leaves_the_models_attention_as_it_was_even_when_it_fails() -> None:
    model = strong("llama")
    decoder = Decoder(model)
    cohort = decoder.prefill(random_tokens(4), copies=1, tokens=1)
    before = model.config._attn_implementation
    decoder.step([cohort])
    assert model.config._attn_implementation == before != ATTENTION
    with pytest.raises(IndexError):  # the cohort has room for one token only
        decoder.step([cohort])
    assert model.config._attn_implementation == before


def test_a_cohort_gives_half_empty_memory_back() -> None:
    cohort = Decoder(tiny_model()).prefill(random_tokens(4, 4, 4, 4), copies=2, tokens=3)
    assert cohort.capacity == 8
    cohort.keep([0, 1, 2, 3, 7])
    assert (len(cohort), cohort.capacity) == (5, 8)
    cohort.keep([0, 2, 4])
    assert (len(cohort), cohort.capacity) == (3, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_known_architectures_can_be_decoded(kind: str) -> None:
    assert objection(Decoder(tiny_model(kind).eval())) is None


SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SINKS = SMALL | {"num_local_experts": 2, "num_experts_per_tok": 1, "head_dim": 8} | {
    "intermediate_size": 32, "num_key_value_heads": 2, "pad_token_id": 0
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "sizes", "why"),
    [
        ("mamba", {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1}, "state"),
        ("bloom", {"vocab_size": 64, "hidden_size": 32, "n_layer": 2, "n_head": 4}, "attention"),
        ("gpt_oss", SINKS, "apart"),  # attention sinks, which our attention does not know
    ],
)
def test_other_architectures_are_refused_with_a_reason(
    kind: str, sizes: dict[str, Any], why: str
) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).eval()
    reason = objection(Decoder(model))
    assert reason is not None
    assert why in reason
