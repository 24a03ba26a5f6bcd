"""Responses by the `generate` of transformers, for a model that `decoding` cannot take.

    generate_rows  =  prompts in parts, shortest first; `generate` feeds the model, and each token
                      is drawn here as in `drawing`, with its log-probability as it was drawn

Which rows may be computed at once is found out by trying (`fitting`): a model with a state may be
wrong in rows that are padded on the left (RWKV, RecurrentGemma), or in more than one row (RWKV).
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from enum import Enum

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from labeler.config.parts.sampling import Sampling
from trainer.policy.batch import left_padded
from trainer.policy.logps import row_logps
from trainer.policy.policy import Policy
from trainer.sampling.drawing import Job, Row, draw_tokens, summed_on
from trainer.sampling.origin import agrees
from trainer.sampling.samples import Progress

PROMPTS = 32
TRIAL_PROMPTS = (3, 3, 17)  # tokens of each
TRIAL_TOKENS = 8


class Together(Enum):
    """Which rows are computed at once."""

    ALL = "rows of any length"
    EQUAL = "rows of prompts of equal length"
    NONE = "one row"


def generate_rows(
    policy: Policy,
    jobs: Sequence[Job],
    settings: Sampling,
    *,
    copies: int,
    together: Together,
    seed: int,
    progress: Progress | None = None,
) -> Iterator[list[Row]]:
    """Yield the `copies` rows of each job, drawn under what is switched on.

    Every row has random numbers of its own. Raises FloatingPointError if logits are not finite.
    """
    numbers = torch.Generator().manual_seed(seed)
    drawn: Counter[int] = Counter()
    for part in _parts(jobs, together):
        rows = [Row(job, copy) for job in part for copy in range(copies)]
        shape = len(rows), settings.max_new_tokens
        uniform = torch.rand(shape, generator=numbers, dtype=torch.float64)
        uniform = uniform.to(summed_on(policy.device))
        size = 1 if together is Together.NONE else len(rows)
        for first in range(0, len(rows), size):
            some = slice(first, first + size)
            drawing = _Drawing(policy, rows[some], uniform[some], settings, drawn, progress)
            _generate(policy, rows[some], drawing)
        for first in range(0, len(rows), copies):
            yield rows[first : first + copies]


def fitting(policy: Policy) -> Together | None:
    """The most rows that give what each alone does, found out by trying; None if no way does."""
    lot = torch.Generator().manual_seed(0)
    words = len(policy.model.get_input_embeddings().weight)
    prompts = [torch.randint(words, (size,), generator=lot).tolist() for size in TRIAL_PROMPTS]
    return next((way for way in Together if _fits(policy, prompts, way)), None)


class _Drawing(LogitsProcessor):  # type: ignore[misc]
    """Draws the next token of each row, and leaves `generate` no other."""

    def __init__(
        self,
        policy: Policy,
        rows: Sequence[Row],
        uniform: Tensor,
        settings: Sampling,
        drawn: Counter[int],
        progress: Progress | None,
    ) -> None:
        """`uniform` (R, T) are random numbers in [0, 1). `drawn` counts the tokens of each job."""
        self._ends: Collection[int] = policy.eos_token_ids
        self._rows = rows
        self._uniform = iter(uniform.unbind(1))
        self._settings = settings
        self._drawn = drawn
        self._progress = progress

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (R, V) under which the tokens drawn are certain."""
        tokens, logps = draw_tokens(scores, next(self._uniform), self._settings)
        for row, token, logp in zip(self._rows, tokens.tolist(), logps.tolist(), strict=True):
            if not row.is_done(self._ends):
                row.tokens.append(token)
                row.logp += logp
                self._drawn[row.job.number] += 1
        if self._progress is not None:
            self._progress(self._drawn)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)


def _generate(policy: Policy, rows: Sequence[Row], drawing: _Drawing) -> None:
    """Let the rows be drawn to their ends."""
    prompts = [row.job.prompt for row in rows]
    ids, mask = left_padded(prompts, pad=policy.pad_token_id, device=policy.device)
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max(row.job.limit for row in rows),
        pad_token_id=policy.pad_token_id,
        eos_token_id=policy.eos_token_ids or None,
    )
    with torch.inference_mode():
        policy.model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=config,
            logits_processor=LogitsProcessorList([drawing]),
        )


def _parts(jobs: Sequence[Job], together: Together) -> Iterator[Sequence[Job]]:
    """Jobs whose prompts are computed at once: of like length, or of equal length."""
    ordered = sorted(jobs, key=lambda job: len(job.prompt))
    alike = [ordered]
    if together is not Together.ALL:
        grouped = itertools.groupby(ordered, key=lambda job: len(job.prompt))
        alike = [list(equal) for _, equal in grouped]
    for jobs in alike:
        yield from (jobs[first : first + PROMPTS] for first in range(0, len(jobs), PROMPTS))


def _fits(policy: Policy, prompts: Sequence[Sequence[int]], together: Together) -> bool:
    """Whether rows that are generated so have the log-probabilities that each alone has."""
    jobs = [Job(number, prompt, TRIAL_TOKENS) for number, prompt in enumerate(prompts)]
    settings = Sampling(temperature=policy.temperature, top_p=1.0, max_new_tokens=TRIAL_TOKENS)
    drawn = generate_rows(policy, jobs, settings, copies=2, together=together, seed=0)
    with torch.inference_mode():
        return all(
            agrees(row.logp, _alone(policy, row), tokens=len(row.tokens), dtype=policy.model.dtype)
            for rows in drawn
            for row in rows
        )


def _alone(policy: Policy, row: Row) -> float:
    return row_logps(policy, [(row.job.prompt, row.tokens)]).item()
