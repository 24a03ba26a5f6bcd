"""What the comparison of a real model with its peers stands on."""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, dequantize

from tests.benchmarks.loop_tasks import lot, lot_prefers
from tests.benchmarks.real.llama_cpp import quantised
from tests.benchmarks.real.rows import absent, line_of, row
from tests.support.gguf_file import write_gguf


def test_a_peer_that_is_not_installed_is_a_row_that_says_so() -> None:
    missing = absent("no_such_peer")
    assert missing is not None
    assert missing.keys() >= {"ratio", "low", "high", "rounds"}
    assert "no_such_peer is not installed" in line_of("loop_vs_trl", missing)
    assert absent("torch") is None


def test_a_row_has_the_median_of_its_rounds_and_their_range() -> None:
    found = row([2.0, 3.0, 8.0], [1.0, 1.0, 2.0], "a peer")
    assert [found[key] for key in ("ratio", "low", "high", "rounds")] == [3.0, 2.0, 4.0, 3]


def test_llama_cpp_gets_the_same_model_with_its_matrices_in_eight_bits(tmp_path: Path) -> None:
    """Q8_0 keeps 127 steps of the largest weight of each 32: at most half a step is lost."""
    source = write_gguf(tmp_path / "plain.gguf")
    plain, packed = GGUFReader(source), GGUFReader(quantised(source, tmp_path / "packed.gguf"))
    names = {name for name in plain.fields if not name.startswith("GGUF.")}
    assert {name for name in packed.fields if not name.startswith("GGUF.")} == names
    for before, after in zip(plain.tensors, packed.tensors, strict=True):
        assert before.name == after.name
        matrix = len(before.shape) > 1
        assert after.tensor_type == (
            GGMLQuantizationType.Q8_0 if matrix else GGMLQuantizationType.F32
        )
        weight = dequantize(before.data, before.tensor_type)
        lost = np.abs(dequantize(after.data, after.tensor_type) - weight).reshape(-1, 32)
        largest = np.abs(weight).reshape(-1, 32).max(axis=1, keepdims=True)
        assert (lost <= 0.51 / 127 * largest + 1e-3 * largest).all()


def test_the_judge_by_lot_agrees_with_the_lots_and_with_itself() -> None:
    messages = [{"role": "user", "content": "Why?"}]
    first, second = "Because.", "No reason."
    assert lot_prefers(messages, first, second) == (lot("Why?", first) > lot("Why?", second))
    assert lot_prefers(messages, first, second) != lot_prefers(messages, second, first)
