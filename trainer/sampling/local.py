"""Responses from the policy in this process, with the very tokens that were sampled.

It draws from a merged copy of the policy where memory allows, so that it leaves the policy
that trains alone; else from the policy itself. The copy multiplies in bfloat16 where that is
faster (`trainer.sampling.precision`). A model that cannot be decoded by
`trainer.sampling.decoding` goes through transformers' `generate`, under the adapter that is asked
for. Each is said once, in the log.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch

from labeler.config.parts.sampling import Sampling
from labeler.domain.errors import BadInput
from trainer.fast.memory import free_bytes
from trainer.policy.policy import Policy
from trainer.sampling.decoding import Decoder, objection
from trainer.sampling.drawing import Job, Row, draw_rows
from trainer.sampling.generating import Together, fitting, generate_rows
from trainer.sampling.merged import MergedCopy, copy_fits
from trainer.sampling.origin import adapter_of
from trainer.sampling.precision import MAX_KL, SamplingDtype, chosen, divergence
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Progress, Response

log = logging.getLogger(__name__)

ROWS = 512
CACHE_SHARE_OF_FREE_MEMORY = 0.2


class LocalSampler:
    """Draws responses of one policy. `rows` bounds how many are decoded at the same time."""

    def __init__(
        self,
        policy: Policy,
        *,
        rows: int = ROWS,
        merge: bool = True,
        dtype: SamplingDtype = "auto",
    ) -> None:
        """`dtype` is what a merged copy multiplies in.

        Raises BadInput if there is no way to sample from the policy.
        """
        self._policy = policy
        self._rows = rows
        self._copy = _merged_copy(policy, dtype) if merge else None
        self._excess: dict[float, float] = {}
        self._decoder = _decoder(policy, self._copy)
        self._together = Together.ALL
        if self._decoder is None:
            self._copy = None  # `generate` runs the policy itself
            self._together = _together(policy)

    def sample(
        self,
        version: Version,
        prompts: Sequence[Sequence[int]],
        settings: Sampling,
        *,
        seed: int,
        copies: int = 2,
        progress: Progress | None = None,
    ) -> Iterator[tuple[int, tuple[Response, ...]]]:
        """As in `Sampler`, from the adapter that holds the version, or else from its folder.

        Raises LivedpoError, too, if the folder is damaged or does not fit the policy.
        """
        adapter = adapter_of(self._policy, version)
        return self._stream(adapter, prompts, settings, seed, copies, progress)

    def draw(
        self,
        adapter: str | None,
        prompts: Sequence[Sequence[int]],
        settings: Sampling,
        *,
        seed: int,
        copies: int = 2,
        progress: Progress | None = None,
    ) -> list[tuple[Response, ...]]:
        """All at once, under an adapter as it is now, or the reference (None)."""
        found = dict(self._stream(adapter, prompts, settings, seed, copies, progress))
        return [found[place] for place in range(len(prompts))]

    def _stream(
        self,
        adapter: str | None,
        prompts: Sequence[Sequence[int]],
        settings: Sampling,
        seed: int,
        copies: int,
        progress: Progress | None,
    ) -> Iterator[tuple[int, tuple[Response, ...]]]:
        """Each prompt as soon as it is complete if the copy draws, else when all are.

        Whoever computes with the policy in between switches its adapters.
        """
        jobs = _jobs(self._policy, prompts, settings)
        with self._weights(adapter, None if progress is None else partial(progress, {})):
            drawn = self._draw(jobs, settings, seed=seed, copies=copies, progress=progress)
            if self._copy is None:
                drawn = iter(list(drawn))
        dtype = None if self._copy is None else self._copy.dtype
        excess = 0.0 if dtype is None else self._excess_of(adapter, settings.temperature)
        for rows in drawn:
            answers = (_response(self._policy, row, dtype, excess) for row in rows)
            yield rows[0].job.number, tuple(answers)

    def _draw(
        self,
        jobs: Sequence[Job],
        settings: Sampling,
        *,
        seed: int,
        copies: int,
        progress: Progress | None,
    ) -> Iterator[list[Row]]:
        """The rows of each job, as soon as they are complete."""
        if self._decoder is None:
            return generate_rows(
                self._policy,
                jobs,
                settings,
                copies=copies,
                together=self._together,
                seed=seed,
                progress=progress,
            )
        return draw_rows(
            self._decoder,
            jobs,
            settings,
            copies=copies,
            rows=_rows_that_fit(self._decoder, jobs, self._rows),
            ends=self._policy.eos_token_ids,
            seed=seed,
            progress=progress,
        )

    def _weights(
        self, adapter: str | None, pause: Callable[[], None] | None
    ) -> AbstractContextManager[None]:
        """Draw under the adapter: the merged copy becomes it, or else the policy switches to it."""
        if self._copy is not None:
            if self._copy.refresh(adapter, pause):
                self._excess.clear()
            return nullcontext()
        return self._policy.reference() if adapter is None else self._policy.adapter(adapter)

    def _excess_of(self, adapter: str | None, temperature: float) -> float:
        """By how much a rounded copy is surer of its own tokens than the policy, nats a token.

        That is its divergence. Taken off, log-probabilities are the policy's on average.
        """
        assert self._copy is not None
        if temperature not in self._excess:
            found = divergence(self._policy, self._copy.model, adapter, temperature)
            self._excess[temperature] = found
        return self._excess[temperature]


def refuse_small_context(settings: Sampling, policy: Policy) -> None:
    """Raise BadInput if responses alone would fill the policy's context."""
    if settings.max_new_tokens >= policy.context_tokens:
        raise BadInput(
            f"'max_new_tokens' cannot be {settings.max_new_tokens}: the context of the policy is "
            f"{policy.context_tokens} tokens, and prompts need some of it."
        )


def _merged_copy(policy: Policy, wanted: SamplingDtype) -> MergedCopy | None:
    """A copy to sample from, if memory and the kind of adapter allow."""
    if policy.packing is not None:
        log.info("Replies are drawn from the policy itself, whose weights stay %s.", policy.packing)
        return None
    dtype = chosen(policy, wanted)
    try:
        if not copy_fits(policy.model, free_bytes(policy.device), dtype):
            raise ValueError("there is no memory for one")
        copy = MergedCopy(policy.model, dtype)
    except ValueError as error:
        log.warning("There is no merged copy of the policy, because %s; sampling is slower.", error)
        return None
    if dtype is None:
        return copy
    name = str(dtype).removeprefix("torch.")
    apart = divergence(policy, copy.model, None, temperature=1.0)
    if wanted == "auto" and not apart <= MAX_KL:
        log.info("Replies are not drawn in %s: it moves them by %.4f nats a token.", name, apart)
        return MergedCopy(policy.model)
    log.info("Replies are drawn in %s, which moves them by %.4f nats a token.", name, apart)
    return copy


def _decoder(policy: Policy, copy: MergedCopy | None) -> Decoder | None:
    """What decodes the copy, or the policy itself; None if `generate` must."""
    decoder = Decoder(policy.model.get_base_model() if copy is None else copy.model)
    reason = objection(decoder, None if copy is None else copy.dtype)
    if reason is None:
        return decoder
    log.warning(
        "Responses come from `generate`, which is slower, because of the model: %s.", reason
    )
    return None


def _together(policy: Policy) -> Together:
    """Which rows `generate` may compute at once. Raises BadInput if it is always wrong."""
    together = fitting(policy)
    if together is None:
        raise BadInput(
            f"The policy '{policy.name}' cannot be sampled from: the tokens that `generate` draws "
            "are not those of its own probabilities."
        )
    if together is not Together.ALL:
        log.warning(
            "`generate` is right for the policy '%s' only with %s at a time; sampling is slower.",
            policy.name,
            together.value,
        )
    return together


def _jobs(policy: Policy, prompts: Sequence[Sequence[int]], settings: Sampling) -> list[Job]:
    """Each prompt, with the tokens that a response may have in the context beside it."""
    context = policy.context_tokens
    for prompt in prompts:
        if not 0 < len(prompt) < context:
            raise BadInput(
                f"A prompt of {len(prompt)} tokens cannot be answered: the context of the policy "
                f"is {context} tokens."
            )
    limits = [min(settings.max_new_tokens, context - len(prompt)) for prompt in prompts]
    pairs = zip(prompts, limits, strict=True)
    return [Job(number, prompt, limit) for number, (prompt, limit) in enumerate(pairs)]


def _rows_that_fit(decoder: Decoder, jobs: Sequence[Job], rows: int) -> int:
    """As many rows as there is memory for: the limit, or half of it, a quarter, ..."""
    columns = max((len(job.prompt) + job.limit for job in jobs), default=0)
    share = CACHE_SHARE_OF_FREE_MEMORY * free_bytes(decoder.model.device)
    while rows > 1 and rows * columns * decoder.column_bytes > share:
        rows //= 2
    return rows


def _response(policy: Policy, row: Row, dtype: torch.dtype | None, excess: float) -> Response:
    """What became of a row."""
    finish = "stop" if row.tokens[-1] in policy.eos_token_ids else "length"
    logp = row.logp - excess * len(row.tokens)
    return Response(policy.text_of(row.job.prompt, row.tokens), row.tokens, finish, logp, dtype)
