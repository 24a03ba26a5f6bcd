"""Weights rounded by lot are right on average, and those that need no rounding stay."""

import pytest
import torch

from trainer.fast.rounding import rounded, rounded_by_lot


def test_a_number_that_the_dtype_has_stays_and_others_become_one_of_their_neighbours() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        exact = torch.linspace(-3, 3, 1001).to(dtype).float()
        assert torch.equal(rounded_by_lot(exact, dtype).float(), exact)
        eps = torch.finfo(dtype).eps
        found = rounded_by_lot(torch.full((1000, 40), -1 - eps / 4), dtype).float()
        assert set(found.unique().tolist()) == {-1 - eps, -1.0}
        assert (found != -1).float().mean() == pytest.approx(0.25, abs=0.01)  # 4.6 deviations


def test_rounding_leaves_what_it_was_given() -> None:
    weights = torch.full((4, 4), 1.001)
    rounded_by_lot(weights, torch.bfloat16)
    assert torch.equal(weights, torch.full((4, 4), 1.001))


def test_only_float32_that_loses_bits_is_rounded_by_lot() -> None:
    weights = torch.full((40, 40), 1.001)
    assert len(rounded(weights, torch.bfloat16).unique()) == 2
    assert torch.equal(rounded(weights, torch.float32), weights)
    halves = weights.half()
    assert torch.equal(rounded(halves, torch.bfloat16), halves.bfloat16())
