"""Packed rows against plain ones: the same log-probabilities and gradients, to float32 rounding."""

import copy
import logging
from pathlib import Path

import pytest
import torch
from peft.tuners import lora
from torch import Tensor, nn

from tests.support.tiny import save_tiny_policy
from tests.trainer.conftest import disturb, load
from trainer.fast import attention
from trainer.fast.attention import pair_attention
from trainer.fast.head import Head
from trainer.fast.layout import FILL, TokenPair, pack
from trainer.fast.lora import make_lean
from trainer.policy.logps import pair_logps, parts_of
from trainer.policy.policy import CANDIDATE, Policy
from trainer.policy.token_logps import token_logps

KINDS = ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gpt2"]
PAIRS: list[TokenPair] = [
    ([3, 20, 30, 0, 4], [40, 41, 42, 0], [43, 0]),
    ([3, 0, 4], [50, 51, 52, 53, 54], [50, 51, 60, 61]),  # a common prefix
    ([3, 60, 4], [7, 8], [7, 8, 9, 10]),  # one response is the other's prefix
    (list(range(100, 130)), list(range(5, 25)), list(range(30, 48))),  # beyond a window of 16
    ([9], [8], [7]),
]
FACTORS = torch.tensor([1.0, -0.7])
CPU = torch.device("cpu")


def spread(policy: Policy) -> Policy:
    """The policy with a candidate adapter that does something."""
    disturb(policy, CANDIDATE, scale=0.1)
    return policy


def gradients(policy: Policy, total: Tensor) -> list[Tensor]:
    weights = policy.parameters(CANDIDATE)
    return list(torch.autograd.grad(total, weights))


def row_by_row(policy: Policy, pairs: list[TokenPair]) -> Tensor:
    """Each response after its prompt in a row of its own, through all of transformers and peft."""
    logps = []
    for prompt, *responses in pairs:
        for response in responses:
            ids = torch.tensor([[*prompt, *response]])
            logits = policy.model(ids, use_cache=False).logits[:, len(prompt) - 1 : -1]
            logps.append(token_logps(logits, ids[:, len(prompt) :]).sum())
    return torch.stack(logps).view(-1, 2)


def plain_peft(policy: Policy) -> None:
    """Take the lean forward passes away again."""
    for module in policy.model.modules():
        if isinstance(module, lora.Linear):
            vars(module).pop("forward", None)


def assert_close(found: list[Tensor], expected: list[Tensor]) -> None:
    """To 1e-4 of the largest gradient: float32 sums of some hundred terms, in another order."""
    scale = max(gradient.abs().max().item() for gradient in expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_pairs_have_the_log_probs_and_gradients_of_rows_of_their_own(
    kind: str, tmp_path: Path
) -> None:
    policy = spread(load(save_tiny_policy(tmp_path, kind)))
    with policy.adapter(CANDIDATE, trains=True):
        packed = pair_logps(policy, PAIRS)
        found = gradients(policy, (packed * FACTORS).sum())
        assert policy.packs, "the trial on loading must not have turned packing off"
        plain_peft(policy)
        plain = row_by_row(policy, PAIRS)
        expected = gradients(policy, (plain * FACTORS).sum())
    torch.testing.assert_close(packed, plain, rtol=1e-5, atol=1e-4)
    assert_close(found, expected)


def test_attention_weights_of_long_pairs_are_worked_out_again_with_the_same_result(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread(policy)
    with policy.adapter(CANDIDATE, trains=True):
        kept = gradients(policy, (pair_logps(policy, PAIRS) * FACTORS).sum())
        monkeypatch.setattr(attention, "KEPT_TOKENS", 0)
        again = gradients(policy, (pair_logps(policy, PAIRS) * FACTORS).sum())
    assert_close(again, kept)


def test_a_micro_batch_changes_no_log_probability_of_a_pair(policy: Policy) -> None:
    with torch.no_grad(), policy.reference():
        together = pair_logps(policy, PAIRS)
        alone = torch.cat([pair_logps(policy, [pair]) for pair in PAIRS])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_packing_leaves_plain_forward_passes_and_generate_as_they_were(tmp_path: Path) -> None:
    policy = load(save_tiny_policy(tmp_path, "gemma2"))
    ids = torch.tensor([[3, 20, 30, 0, 4]])

    def use() -> tuple[Tensor, Tensor, set[str]]:
        names = {module.config._attn_implementation for module in configured(policy.model)}
        with torch.no_grad(), policy.adapter(CANDIDATE):
            generated = policy.model.generate(ids, max_new_tokens=4, do_sample=False)
            return policy.model(ids).logits, generated, names

    logits, generated, names = use()
    with policy.adapter(CANDIDATE, trains=True):
        pair_logps(policy, PAIRS).sum().backward()  # type: ignore[no-untyped-call]
    logits_after, generated_after, names_after = use()
    assert torch.equal(logits, logits_after)
    assert torch.equal(generated, generated_after)
    assert names == names_after == {"eager"}


def configured(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if hasattr(module, "config")]


def test_the_attention_is_restored_after_an_error(policy: Policy) -> None:
    base = policy.model.get_base_model()
    before = base.config._attn_implementation
    with pytest.raises(RuntimeError, match="in the middle"), pair_attention(base):
        raise RuntimeError("in the middle")
    assert base.config._attn_implementation == before


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("lfm2", "Packed rows do not fit"),
        ("bloom", "Packed rows do not fit"),
        ("recurrent_gemma", "Padding on the left changes"),
        ("rwkv", "Padding on the left changes"),
    ],
)
def test_an_architecture_that_cannot_be_packed_is_computed_in_plain_rows_and_it_is_said_once(
    kind: str, says: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """LFM2 has convolutions, through which b would see a; Bloom does without position ids.

    RecurrentGemma and RWKV read padding on the left into their state.
    """
    policy = spread(load(save_tiny_policy(tmp_path, kind)))
    found, wanted = [], []
    with caplog.at_level(logging.WARNING), policy.adapter(CANDIDATE, trains=True):
        for _ in range(2):
            logps, expected = pair_logps(policy, PAIRS[:3]), row_by_row(policy, PAIRS[:3])
            torch.testing.assert_close(logps, expected, rtol=1e-5, atol=1e-4)
            found.append(gradients(policy, (logps * FACTORS).sum()))
            wanted.append(gradients(policy, (expected * FACTORS).sum()))
    assert policy.packs is False
    assert_close(found[0], wanted[0])
    assert_close(found[1], found[0])
    ours = [record for record in caplog.records if record.name.startswith("trainer")]
    assert [record.message.startswith(says) for record in ours] == [True]


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_plain_rows_have_the_gradients_of_packed_ones(kind: str, tmp_path: Path) -> None:
    policy = spread(load(save_tiny_policy(tmp_path, kind)))
    found = []
    with policy.adapter(CANDIDATE, trains=True):
        for policy.packs in (True, False):
            logps = pair_logps(policy, PAIRS)
            found.append(gradients(policy, (logps * FACTORS).sum()))
    assert_close(*found)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("block_bytes", [1, 4 * 7 * 9 + 1, 2**20])
def test_a_head_in_blocks_equals_one_with_full_logits(
    temperature: float, softcap: float | None, block_bytes: int
) -> None:
    """9 tokens, 20 words: blocks of 1 word, of 7 words (7, 7, 6), and one of all words.

    The first hidden states are large, so that the largest logit changes from block to block.
    """
    torch.manual_seed(0)
    hidden = (torch.randn(9, 6) * torch.logspace(1, -1, 9)[:, None]).requires_grad_()
    weight, bias, targets = torch.randn(20, 6), torch.randn(20), torch.randint(20, (9,))
    factors = torch.randn(9)
    logits = nn.functional.linear(hidden, weight, bias)
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    expected = token_logps(logits / temperature, targets)
    logps = Head(weight, bias, softcap, temperature, block_bytes).token_logps(hidden, targets)
    torch.testing.assert_close(logps, expected, rtol=1e-5, atol=1e-5)
    (found,) = torch.autograd.grad((logps * factors).sum(), hidden)
    (wanted,) = torch.autograd.grad((expected * factors).sum(), hidden)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


# peft 0.21 asks transformers 5 by an old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("bias", [True, False])
def test_a_lean_lora_layer_equals_pefts(bias: bool) -> None:
    torch.manual_seed(0)
    config = lora.LoraConfig(r=4, lora_alpha=12, init_lora_weights=False)
    peft = lora.Linear(nn.Linear(10, 7, bias=bias), "live", config=config, r=4, lora_alpha=12)
    peft.base_layer.requires_grad_(False)
    lean = copy.deepcopy(peft)
    make_lean(lean)
    assert "forward" in vars(lean)
    factors, results = torch.randn(2, 3, 7), []
    x = torch.randn(2, 3, 10, requires_grad=True)
    for layer in (lean, peft):
        y = layer(x)
        weights = [layer.lora_A["live"].weight, layer.lora_B["live"].weight, x]
        results.append([y, *torch.autograd.grad((y * factors).sum(), weights)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("changes", [{"lora_dropout": 0.5}, {"use_dora": True}])
def test_a_layer_that_is_not_plain_lora_is_left_to_peft(changes: dict[str, object]) -> None:
    config = lora.LoraConfig(r=4, init_lora_weights=False, **changes)
    layer = lora.Linear(nn.Linear(10, 7), "live", config=config, r=4, lora_alpha=1).eval()
    plain = copy.deepcopy(layer)
    make_lean(layer)
    x = torch.randn(3, 10)
    layer.train()
    plain.train()
    results = []
    for module in (layer, plain):
        torch.manual_seed(0)
        results.append(module(x))
    assert torch.equal(*results)


def test_frozen_weights_take_no_gradient(policy: Policy) -> None:
    spread(policy)
    with policy.adapter(CANDIDATE, trains=True):
        pair_logps(policy, PAIRS).sum().backward()  # type: ignore[no-untyped-call]
    taking = {name for name, p in policy.model.named_parameters() if p.grad is not None}
    assert taking
    assert all(f".{CANDIDATE}." in name for name in taking)


@pytest.mark.parametrize("fill", [FILL, 200])
def test_a_row_is_filled_up_to_sizes_that_repeat(fill: int) -> None:
    packed = pack(PAIRS, CPU, fill=fill)
    assert packed.input_ids.shape[1] % fill == packed.targets.shape[0] % fill == 0
    assert packed.spans[-1].end == sum(sum(map(len, pair)) for pair in PAIRS)


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("pair", [([], [1], [2]), ([3], [], [2]), ([3], [1], [])])
def test_a_response_or_prompt_without_tokens_is_refused(
    policy: Policy, pair: TokenPair, packs: bool
) -> None:
    policy.packs = packs
    with pytest.raises(ValueError, match="no tokens"):
        pair_logps(policy, [*PAIRS, pair])


def test_parts_are_filled_longest_first_and_a_pair_that_is_too_long_is_alone() -> None:
    """Sizes 11, 12, 9, 68, 3: with room for 21 they part as (68), (12, 9), (11, 3)."""
    assert parts_of(PAIRS, 21) == [[3], [1, 2], [0, 4]]


def test_without_gradients_any_number_of_pairs_is_computed_in_parts(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad(), policy.reference():
        whole = pair_logps(policy, PAIRS)
        monkeypatch.setattr("trainer.policy.logps.PART_TOKENS", 21)
        parts = pair_logps(policy, PAIRS)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "gated"), [("llama", 2), ("qwen3", 2), ("gemma2", 0)])
def test_gated_blocks_are_lean_where_they_are_silu_ones(
    kind: str, gated: int, tmp_path: Path
) -> None:
    """Gemma's gate is a GELU, so its blocks stay as they are; results are tested above."""
    model = load(save_tiny_policy(tmp_path, kind)).model
    lean = [name for name, module in model.named_modules() if "forward" in vars(module)]
    assert len([name for name in lean if name.endswith("mlp")]) == gated
    assert len([name for name in lean if name.endswith("_proj")]) == 2 * 7
