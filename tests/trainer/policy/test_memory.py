"""Whether a policy fits, by arithmetic, beside what policies take on this machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.peak_memory import SHAPES, USES, config_of
from tests.support.tiny import tiny_model
from tests.support.what_fits import table
from tests.trainer.conftest import load
from trainer.policy.memory import Use, needs, sizes_of, skeleton

README = Path(__file__).parents[3] / "trainer" / "README.md"

# What does not grow with the model: kernels that oneDNN prepares, and what the heap cannot reuse.
FIXED = 64 * 2**20
TOLERANCE = 0.25


@pytest.fixture(scope="module")
def peaks() -> dict[str, int]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.peak_memory"],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, int] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_the_estimate_is_close_to_what_a_policy_takes(name: str, peaks: dict[str, int]) -> None:
    expected = needs(sizes_of(skeleton(config_of(name))), USES[name]).total
    assert abs(peaks[name] - FIXED - expected) < TOLERANCE * expected


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma2", "gpt2", "gpt_oss", "rwkv"])
def test_all_weights_are_counted_but_the_biases_of_linear_layers(kind: str) -> None:
    model = tiny_model(kind)
    biases = sum(weight.numel() for name, weight in model.named_parameters() if "bias" in name)
    sizes = sizes_of(model)
    assert model.num_parameters() - biases <= sizes.linear + sizes.rest <= model.num_parameters()


def test_adapters_change_no_count(tiny_policy: Path) -> None:
    policy = load(tiny_policy)
    assert sizes_of(policy.model.get_base_model()) == sizes_of(tiny_model())


def test_a_packed_weight_of_nf4_takes_half_a_byte_and_its_share_of_two_scales() -> None:
    """4 bits, 8 bits for 64 weights and 32 bits for 64 x 256: 4 + 0.125 + 0.001953 bits."""
    sizes = sizes_of(tiny_model())
    use = Use("nf4", sampling_dtype=None, tokens=0, rows=0, columns=0, rank=0)
    plain = 2 * sizes.rest
    assert needs(sizes, use).total == pytest.approx(plain + sizes.linear * 4.126953125 / 8)


def test_a_policy_says_at_its_start_what_it_takes(
    tiny_policy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    load(tiny_policy, dtype="bfloat16")
    assert "The policy takes about 0.00 GB" in caplog.text
    assert "MB a token; " in caplog.text


def test_the_table_of_what_fits_is_what_the_arithmetic_says() -> None:
    assert "\n".join(table()) in README.read_text()
