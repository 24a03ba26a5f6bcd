"""Bases whose weights stay packed. Without bitsandbytes only the refusals can be tried."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from labeler.config.parts.sampling import Sampling
from labeler.config.parts.training import Training
from labeler.domain.errors import BadInput
from labeler.domain.labels import TrainingLabel
from tests.trainer.conftest import disturb, load
from trainer.learning.update import train
from trainer.policy.logps import logps_under, pair_logps
from trainer.policy.policy import CANDIDATE, LIVE, Policy
from trainer.sampling.local import LocalSampler

PAIRS = [([3, 20, 21, 4], [30, 31, 32, 0], [40, 41, 0]), ([3, 22, 4], [33, 0], [42, 43, 44, 0])]


def gradient(policy: Policy) -> Tensor:
    """Of what an update maximises in all weights of the candidate, in one row."""
    disturb(policy, CANDIDATE)
    with policy.adapter(CANDIDATE, trains=True):
        margin = (pair_logps(policy, PAIRS) * torch.tensor([1.0, -1.0])).sum()
        grads = torch.autograd.grad(margin, policy.parameters(CANDIDATE))
    return torch.cat([grad.flatten().float() for grad in grads])


def unpack(policy: Policy) -> None:
    """Give each packed layer of four bits the plain weights that it stands for."""
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    base = policy.model.get_base_model()
    for name, module in list(base.named_modules()):
        if isinstance(module, Linear4bit):
            plain = torch.nn.Linear(module.in_features, module.out_features, bias=False)
            plain.weight.data = dequantize_4bit(module.weight.data, module.weight.quant_state)
            base.set_submodule(name, plain.bfloat16().requires_grad_(False))


def test_without_bitsandbytes_the_remedy_is_named(
    tiny_policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(BadInput, match="--dtype nf4 takes the package bitsandbytes; run"):
        load(tiny_policy, dtype="nf4")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_refused_unless_the_cpu_is_asked_for(
    tiny_policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ModuleType("bitsandbytes")
    there.__spec__ = ModuleSpec("bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes", there)
    with pytest.raises(BadInput, match="--dtype int8 is for a GPU, and none is here"):
        load(tiny_policy, dtype="int8", device="auto")


def test_weights_that_are_packed_already_are_not_packed_again(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    from tests.support.tiny import save_tiny_policy

    folder = save_tiny_policy(tmp_path)
    config = folder / "config.json"
    config.write_text(
        config.read_text().replace(
            "{", '{"quantization_config": {"quant_method": "gptq", "bits": 4},', 1
        )
    )
    with pytest.raises(BadInput, match=r"packed already \(gptq\); leave out --dtype nf4"):
        load(folder, dtype="nf4")


def test_the_gradient_is_that_of_the_weights_which_are_packed(tiny_policy: Path) -> None:
    """A pass without gradients goes first: it must not change how weights are laid out."""
    pytest.importorskip("bitsandbytes")
    policy = load(tiny_policy, dtype="nf4")
    logps_under(policy, None, PAIRS)
    packed = gradient(policy)
    unpack(policy)
    plain = gradient(policy)
    assert torch.cosine_similarity(packed, plain, dim=0) > 0.995
    assert packed.norm().item() == pytest.approx(plain.norm().item(), rel=0.03)


@pytest.mark.parametrize("dtype", ["nf4", "int8"])
def test_a_packed_policy_samples_and_learns(
    dtype: str, tiny_policy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("bitsandbytes")
    caplog.set_level("INFO")
    policy = load(tiny_policy, dtype=dtype)
    sampler = LocalSampler(policy)
    assert f"whose weights stay {dtype}" in caplog.text
    assert {weight.dtype for weight in policy.parameters(LIVE)} == {torch.float32}
    settings = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=12)
    prompts = [
        policy.prompt_tokens([{"role": "user", "content": text}]) for text in ("tea?", "you?")
    ]
    drawn = sampler.draw(LIVE, prompts, settings, seed=0)
    pairs = [(prompt, a.tokens, b.tokens) for prompt, (a, b) in zip(prompts, drawn, strict=True)]
    logps = logps_under(policy, LIVE, pairs)
    said = torch.tensor([[a.logp, b.logp] for a, b in drawn])
    assert (logps - said).abs().max() < 0.5  # of some 70 nats
    labels = [
        TrainingLabel((str(number),), 1.0, 1.0, *pair, *both)
        for number, (pair, both) in enumerate(zip(pairs, logps.tolist(), strict=True))
    ]
    steps = list(train(policy, labels, Training(learning_rate=1e-2, passes=3), seed=0))
    assert steps[-1].loss < steps[0].loss
