"""A tiny policy in memory, and labels made from its own samples."""

from pathlib import Path

import pytest
import torch

from labeler.config.hub import Say
from labeler.config.parts.model import Model
from labeler.config.parts.sampling import Sampling
from labeler.domain.labels import TrainingLabel
from labeler.store.tables import Pair
from tests.support.samples import sample_pairs
from trainer.policy.load import load_policy
from trainer.policy.logps import logps_under, pair_logps
from trainer.policy.policy import LIVE, Policy

torch.set_num_threads(1)

QUESTIONS = ["hello", "how do you make good tea?", "how are you, world?", "tea?"]
SAMPLING = Sampling(max_new_tokens=12)


def load(
    folder: Path, adapter: Path | None = None, *, say: Say = print, **changes: object
) -> Policy:
    settings = {"device": "cpu", "lora_rank": 4, "lora_alpha": 8.0}
    return load_policy(Model(policy=str(folder), **(settings | changes)), adapter, say)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where merged adapters are kept, apart from the person's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def disturb(policy: Policy, adapter: str, *, scale: float = 0.5, seed: int = 0) -> None:
    """Give an adapter random weights, which change what the policy says."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in policy.parameters(adapter):
            weight.copy_(scale * torch.randn(weight.shape, generator=generator))


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two adapters have the very same weights."""
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def assert_measured(policy: Policy, pair: Pair) -> None:
    """A stored pair has its log-probabilities, under the reference and under the live version."""
    tokens = [(pair.prompt_tokens, pair.tokens_a, pair.tokens_b)]
    [reference] = logps_under(policy, None, tokens).tolist()
    [own] = logps_under(policy, LIVE, tokens).tolist()
    assert [pair.reference_logp_a, pair.reference_logp_b] == pytest.approx(reference, abs=1e-3)
    assert [pair.logp_a, pair.logp_b] == pytest.approx(own, abs=1e-3)


@pytest.fixture
def policy(tiny_policy: Path) -> Policy:
    return load(tiny_policy)


@pytest.fixture
def labels(policy: Policy) -> list[TrainingLabel]:
    """Labels that always prefer the first response, with reference log-probs from the policy."""
    prompts = [policy.prompt_tokens([{"role": "user", "content": text}]) for text in QUESTIONS]
    with policy.adapter(LIVE):
        pairs = sample_pairs(policy, prompts, SAMPLING, seed=1)
    made = []
    for number, (prompt, (a, b)) in enumerate(zip(prompts, pairs, strict=True)):
        with torch.no_grad(), policy.reference():
            [(logp_a, logp_b)] = pair_logps(policy, [(prompt, a.tokens, b.tokens)]).tolist()
        made.append(
            TrainingLabel((str(number),), 1.0, 1.0, prompt, a.tokens, b.tokens, logp_a, logp_b)
        )
    return made
