"""Training in bfloat16 products: the gradient of float32 to rounding, and where it is chosen."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.tiny import save_tiny_policy
from tests.trainer.conftest import disturb, load
from trainer.fast.precision import gain, rounding_pays
from trainer.policy.logps import pair_logps
from trainer.policy.policy import CANDIDATE, Policy

PAIRS = [([3, 20, 30, 0, 4], [9, 8, 7], [5, 6]), ([3, 0, 4], [50, 60, 70, 0], [11, 12, 13])]
BF16 = torch.bfloat16


def gradient(policy: Policy) -> tuple[Tensor, Tensor]:
    """Of the margin of two pairs in the weights of an adapter, and their log-probabilities."""
    disturb(policy, CANDIDATE, scale=0.2)
    with policy.adapter(CANDIDATE, trains=True):
        logps = pair_logps(policy, PAIRS)
        (logps[:, 0] - logps[:, 1]).sum().backward()
    found = [weight.grad for weight in policy.parameters(CANDIDATE)]
    return torch.cat([part.flatten() for part in found if part is not None]), logps.detach()


def rounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Policy:
    monkeypatch.setattr("trainer.policy.load.rounding_pays", lambda base: True)
    policy = load(folder)
    assert policy.products == BF16
    return policy


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma2"])
def test_the_gradient_in_bfloat16_products_is_that_of_float32_to_rounding(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact, logps = gradient(load(save_tiny_policy(tmp_path, kind)))
    found, near = gradient(rounded(tmp_path, monkeypatch))
    assert torch.cosine_similarity(found.double(), exact.double(), 0) > 0.999
    assert abs(found.norm() / exact.norm() - 1) < 0.05
    assert not torch.equal(found, exact), "or nothing was rounded"
    assert torch.allclose(near, logps, rtol=0.01)


def test_what_is_measured_for_no_gradient_is_not_rounded(
    tiny_policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps and gates compare log-probabilities that are closer than bfloat16 can tell."""
    found = []
    for policy in (load(tiny_policy), rounded(tiny_policy, monkeypatch)):
        disturb(policy, CANDIDATE, scale=0.2)
        with torch.no_grad(), policy.adapter(CANDIDATE):
            found.append(pair_logps(policy, PAIRS))
    assert torch.equal(*found)


def test_a_small_model_and_one_whose_dtype_is_set_are_not_rounded(
    tiny_policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(tiny_policy).products is None
    monkeypatch.setattr("trainer.policy.load.rounding_pays", lambda base: True)
    assert load(tiny_policy, dtype="float32").products is None


@pytest.mark.parametrize(("times", "pays"), [(1.0, False), (1.8, True)])
def test_rounding_pays_where_it_is_found_to_be_faster(
    times: float, pays: bool, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = policy.model.get_base_model()
    monkeypatch.setattr("trainer.fast.precision.gain", lambda weight: times)
    assert not rounding_pays(base), "it is small"
    monkeypatch.setattr("trainer.fast.precision.MIN_WEIGHTS", 0)
    assert rounding_pays(base) is pays


def test_how_much_faster_it_is_is_measured() -> None:
    """On whatever processor this is: the answer is a number, and of a sensible size."""
    assert 0.001 < gain(torch.randn(64, 64)) < 1000


def test_a_bfloat16_base_trains_float32_adapters_about_as_exactly_as_in_peft(
    tiny_policy: Path,
) -> None:
    exact, _ = gradient(load(tiny_policy))
    policy = load(tiny_policy, dtype="bfloat16")
    lean, _ = gradient(policy)
    policy.model.zero_grad()
    for module in policy.model.modules():
        vars(module).pop("forward", None)
    plain, _ = gradient(policy)
    assert not torch.equal(lean, plain), "or peft has computed both"
    assert (lean - exact).norm() < 1.5 * (plain - exact).norm()
    assert torch.cosine_similarity(lean.double(), plain.double(), 0) > 0.99


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("trains", [True, False])
def test_what_a_small_adapter_adds_to_a_bfloat16_base_is_not_rounded_away(
    tiny_policy: Path, trains: bool, biased: bool
) -> None:
    """It adds some ten thousandths of a product, whose numbers have 8 bits. Added to one that is
    rounded, or to a bias of the same size, most of it is lost; in a sum of both products that is
    rounded then it is there on average.
    """
    policy = load(tiny_policy, dtype="bfloat16")
    disturb(policy, CANDIDATE, scale=0.05)
    layer = policy.model.get_base_model().model.layers[1].mlp.up_proj
    A, B = (part[CANDIDATE].weight for part in (layer.lora_A, layer.lora_B))
    x = torch.randn(512, A.shape[1], generator=torch.Generator().manual_seed(1)).bfloat16()
    with torch.no_grad():
        size = (x @ layer.base_layer.weight.T).float().std()
        if biased:
            bias = size * torch.randn(len(B), generator=torch.Generator().manual_seed(2))
            layer.base_layer.bias = torch.nn.Parameter(bias.bfloat16(), requires_grad=False)
        B *= 2e-4 * size / (x.float() @ A.T @ B.T).std()
        added = layer.scaling[CANDIDATE] * (x.float() @ A.T @ B.T)
        with policy.reference():
            plain = layer(x).float()
    with policy.adapter(CANDIDATE, trains=trains), torch.set_grad_enabled(trains):
        found = layer(x).detach().float()
    assert ((found - plain) * added).sum() / added.square().sum() == pytest.approx(1, abs=0.1)
