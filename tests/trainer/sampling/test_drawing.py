"""Tokens are drawn as the probabilities say, and rows come and go without touching each other."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from transformers import TopPLogitsWarper

from labeler.config.parts.sampling import Sampling
from tests.support.no_float64 import DEVICE, WithoutFloat64
from tests.support.tiny import tiny_model
from trainer.sampling.decoding import Cohort, Decoder
from trainer.sampling.drawing import Job, Row, draw_rows, draw_tokens, summed_on

PROMPTS = [[3, 20, 30, 0, 4], [3, 0, 4], [7], [9, 8, 7, 6, 5, 4, 3], [11, 12], [13, 14, 15]]
SETTINGS = Sampling(max_new_tokens=12)
END = set(range(0, 320, 16))  # so many ends that rows finish at all times


def jobs(limit: int = 12) -> list[Job]:
    return [Job(number, prompt, limit) for number, prompt in enumerate(PROMPTS)]


def drawn(decoder: Decoder, *, rows: int, seed: int = 0, copies: int = 2) -> dict[int, list[Row]]:
    found = draw_rows(decoder, jobs(), SETTINGS, copies=copies, rows=rows, ends=END, seed=seed)
    return {complete[0].job.number: complete for complete in found}


def tokens(found: dict[int, list[Row]]) -> dict[int, list[list[int]]]:
    return {number: [row.tokens for row in rows] for number, rows in found.items()}


class Watched(Decoder):
    """A decoder that notes at each step how many rows there are, and room for how many."""

    def __init__(self) -> None:
        super().__init__(tiny_model().eval())
        self.rows: list[int] = []
        self.capacity: list[int] = []

    def step(self, cohorts: Sequence[Cohort]) -> Tensor:
        self.rows.append(sum(len(cohort) for cohort in cohorts))
        self.capacity.append(sum(cohort.capacity for cohort in cohorts))
        return super().step(cohorts)


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
def test_tokens_come_with_the_probabilities_of_the_softmax(temperature: float) -> None:
    """Chi-square of 40,000 draws from 30 tokens; it has mean 29 and deviation sqrt(58)."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(30, generator=generator)
    uniform = torch.rand(40_000, generator=generator, dtype=torch.float64)
    settings = Sampling(temperature=temperature)
    drawn, logps = draw_tokens(logits.expand(40_000, -1), uniform, settings)
    expected = 40_000 * (logits / temperature).softmax(-1)
    chi_square = ((drawn.bincount(minlength=30) - expected) ** 2 / expected).sum().item()
    assert abs(chi_square - 29) < 4 * math.sqrt(58)
    assert torch.allclose(logps, (logits / temperature).log_softmax(-1)[drawn])


@pytest.mark.parametrize("spread", [1, 3, 9])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999])
def test_top_p_draws_from_the_tokens_that_transformers_keeps(top_p: float, spread: float) -> None:
    """Whether they are among the likeliest NUCLEUS_TOKENS or not: of 700, so many are kept.

    A number within rounding (1e-6) of the border of two tokens may fall to either side.
    """
    generator = torch.Generator().manual_seed(0)
    logits = (spread * torch.randn(50, 700, generator=generator)).repeat_interleave(40, dim=0)
    uniform = torch.rand(2000, generator=generator, dtype=torch.float64)
    cumulative = TopPLogitsWarper(top_p)(None, logits).double().softmax(-1).cumsum(-1)
    expected = torch.searchsorted(cumulative, uniform[:, None], right=True)[:, 0]
    found, logps = draw_tokens(logits, uniform, Sampling(top_p=top_p))
    assert (found != expected).sum() <= 2
    assert torch.equal(logps, logits.log_softmax(-1).gather(1, found[:, None])[:, 0])


def test_a_token_without_probability_is_never_drawn_even_at_the_ends() -> None:
    """Tokens 0, 3 and 5 have none; a number of 0 gives the first that has, the largest the last."""
    logits = torch.tensor([-math.inf, 0.0, 0.0, -math.inf, 0.0, -math.inf])
    uniform = torch.tensor([0.0, 1 / 3 - 1e-6, 1 / 3 + 1e-6, 1 - 2**-53], dtype=torch.float64)
    found, _ = draw_tokens(logits.expand(4, -1), uniform, SETTINGS)
    assert found.tolist() == [1, 1, 2, 4]


def test_rare_tokens_of_a_large_vocabulary_keep_their_share() -> None:
    """Token 0 has half; 2^18 - 1 others share the rest evenly, 1.9e-6 each.

    The last of them begins at 1 - 1.9e-6. Float32 sums would be off by more than that.
    """
    size = 2**18
    logits = torch.zeros(1, size)
    logits[0, 0] = math.log(size - 1)
    uniform = torch.tensor([1 - 0.5 / (2 * (size - 1))], dtype=torch.float64)
    found, _ = draw_tokens(logits, uniform, SETTINGS)
    assert abs(found.item() - (size - 1)) <= 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_logits_that_are_not_finite_are_an_error(bad: float, top_p: float) -> None:
    logits = torch.zeros(2, 4)
    logits[1, 2] = bad
    with pytest.raises(FloatingPointError):
        draw_tokens(logits, torch.zeros(2, dtype=torch.float64), Sampling(top_p=top_p))


def test_how_many_rows_there_are_at_a_time_changes_no_response() -> None:
    decoder = Decoder(tiny_model().eval())
    few, some, all_ = (drawn(decoder, rows=rows) for rows in (2, 5, 64))
    assert tokens(few) == tokens(some) == tokens(all_)


def test_each_job_gets_its_copies_and_they_differ() -> None:
    found = drawn(Decoder(tiny_model().eval()), rows=64, copies=5)
    assert sorted(found) == list(range(len(PROMPTS)))
    for rows in found.values():
        assert len(rows) == 5
        assert len({tuple(row.tokens) for row in rows}) > 1


def test_the_copies_of_a_job_are_not_in_the_order_of_their_completion() -> None:
    """Or the first response of a pair would always be the shorter one."""
    pairs = drawn(Decoder(tiny_model().eval()), rows=64, seed=1).values()
    assert {len(a.tokens) > len(b.tokens) for a, b in pairs} == {True, False}


def test_a_row_ends_with_an_end_or_at_its_limit_and_not_before() -> None:
    finished = [
        row for rows in drawn(Decoder(tiny_model().eval()), rows=4).values() for row in rows
    ]
    for row in finished:
        assert not END & set(row.tokens[:-1])
        assert row.tokens[-1] in END or len(row.tokens) == 12
    assert {row.tokens[-1] in END for row in finished} == {True, False}


def test_rows_and_their_memory_stay_within_the_limit() -> None:
    """Memory is given back once it is half empty, so there is room for at most twice the rows."""
    decoder = Watched()
    drawn(decoder, rows=4)
    assert max(decoder.rows) == 4
    assert max(decoder.capacity) <= 8


def test_finished_rows_are_replaced_before_the_others_are_done() -> None:
    decoder = Watched()
    drawn(decoder, rows=4)
    joined = [b > a for a, b in zip(decoder.rows, decoder.rows[1:], strict=False)]
    assert any(rise and rows > 0 for rise, rows in zip(joined, decoder.rows, strict=False))


def test_the_log_probability_of_a_row_is_that_of_a_plain_forward_pass() -> None:
    model = tiny_model().eval()
    for rows in drawn(Decoder(model), rows=4).values():
        for row in rows:
            prompt = list(row.job.prompt)
            with torch.no_grad():
                logits = model(torch.tensor([prompt + row.tokens])).logits[0, len(prompt) - 1 : -1]
            each = logits.log_softmax(-1).gather(1, torch.tensor(row.tokens)[:, None])
            assert row.logp == pytest.approx(each.sum().item(), abs=1e-4)


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_a_device_without_float64_draws_the_same_tokens(top_p: float) -> None:
    """Apple's; some sets are larger than what is looked through first."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 700, generator=generator)
    uniform = torch.rand(50, generator=generator, dtype=torch.float64)
    settings = Sampling(top_p=top_p)
    expected, _ = draw_tokens(logits, uniform, settings)
    with WithoutFloat64():
        tokens, logps = draw_tokens(logits.to(DEVICE), uniform, settings)
        assert tokens.device == logps.device == DEVICE
        assert tokens.cpu().tolist() == expected.tolist()


def test_shares_are_summed_on_the_device_where_it_can() -> None:
    there = [summed_on(torch.device(name)).type for name in ("cpu", "cuda", "mps")]
    assert there == ["cpu", "cuda", "cpu"]
