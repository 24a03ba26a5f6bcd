"""Features are read in the dtype that updates multiply in, nothing else is; and in parts."""

from pathlib import Path

import pytest
import torch

from tests.support.tiny import save_tiny_policy
from tests.trainer.conftest import load
from trainer.fast.lora import make_lean
from trainer.judge.features import Features
from trainer.policy.logps import logps_under
from trainer.policy.policy import LIVE, Policy

ASKED = [{"role": "user", "content": "how do you make good tea?"}]
SAID = [(ASKED, text) for text in ("hello world", "tea", "how do you do?", "you make it good")]
PAIRS = [([3, 20, 21, 4], [30, 31, 32, 0], [40, 41, 0])]


def read(policy: Policy) -> torch.Tensor:
    found = Features(policy).of_each(SAID)
    return torch.stack([one for one in found if isinstance(one, torch.Tensor)])


def test_features_are_rounded_where_updates_multiply_in_bfloat16(tmp_path: Path) -> None:
    """bfloat16 has 8 bits: a product is off by some 2^-9, and a few layers add up to a percent."""
    policy = load(save_tiny_policy(tmp_path))
    plain = read(policy)
    make_lean(policy.model, torch.bfloat16)
    policy.products = torch.bfloat16
    rounded = read(policy)
    assert rounded.shape == plain.shape == (len(SAID), plain.shape[1])
    assert not torch.equal(rounded, plain)
    assert (rounded - plain).norm() < 0.02 * plain.norm()


def test_the_reference_stays_exact(tmp_path: Path) -> None:
    policy = load(save_tiny_policy(tmp_path))
    before = logps_under(policy, None, PAIRS)
    make_lean(policy.model, torch.bfloat16)
    policy.products = torch.bfloat16
    read(policy)
    assert torch.equal(logps_under(policy, None, PAIRS), before)


def test_features_of_a_policy_that_rounds_nothing_are_exact(tmp_path: Path) -> None:
    policy = load(save_tiny_policy(tmp_path))
    assert policy.products is None
    assert torch.equal(read(policy), read(policy))


def test_between_the_parts_that_are_read_others_have_the_policy_and_may_read_too(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each text is a part here. Whoever reads in a pause may push out what was known."""
    whole = read(policy)
    monkeypatch.setattr("trainer.judge.rows.CPU_TOKENS", 1)
    monkeypatch.setattr("trainer.judge.features.MAX_CACHED", 1)
    features, told = Features(policy), list[tuple[int, int]]()
    features.of_each(SAID[:1])

    def pause(done: int, of: int) -> None:
        told.append((done, of))
        logps_under(policy, LIVE, PAIRS)
        features.of_each([(ASKED, f"something else {done}")])

    found = features.of_each(SAID, pause)
    assert told == [(0, 3), (1, 3), (2, 3)]
    alike = torch.stack([one for one in found if isinstance(one, torch.Tensor)])
    torch.testing.assert_close(alike, whole, atol=1e-4, rtol=1e-3)


def test_what_was_read_before_a_pause_ended_it_is_not_read_again(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.judge.rows.CPU_TOKENS", 1)
    features, left = Features(policy), list[int]()

    def stop(done: int, of: int) -> None:
        left.append(of - done)
        if done == 2:
            raise InterruptedError

    for _ in range(2):
        with pytest.raises(InterruptedError):
            features.of_each([*SAID, (ASKED, "one"), (ASKED, "more")], stop)
    assert left == [6, 5, 4, 4, 3, 2]
