"""The script for a GPU, on tiny models on a CPU: its own logic, without other processes."""

import pytest
import torch

from tests.benchmarks import gpu


def test_all_checks_hold_on_a_tiny_model() -> None:
    found = gpu.measure("tiny", "cpu", peers=False)
    assert {check["name"]: check["holds"] for check in found["checks"]} == {
        check["name"]: True for check in found["checks"]
    }
    assert len(found["checks"]) >= 6
    assert found["sampling"]["ratio"] > 0
    assert found["memory"]["expected_mb"] > 0


def test_a_check_without_a_number_does_not_hold() -> None:
    assert not gpu.Check("a difference", float("nan"), 1.0).holds


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_a_sentence() -> None:
    with pytest.raises(SystemExit, match="There is no CUDA GPU here, so nothing was measured"):
        gpu.main([])
