"""Responses from the policy in this process, with the very tokens that were sampled.

It draws from a merged copy of the policy where memory allows, so that it leaves the policy
that trains alone; else from the policy itself. A model that cannot be decoded by
`trainer.sampling.decoding` goes through transformers' `generate`. Each is said once, in the log.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from transformers import GenerationConfig, StoppingCriteriaList

from labeler.config.parts.sampling import Sampling
from labeler.domain.errors import BadInput, LivedpoError
from trainer.policy.adapters import read_adapter
from trainer.policy.batch import left_padded, make_batch
from trainer.policy.policy import OTHER, Policy
from trainer.sampling.decoding import Decoder, objection
from trainer.sampling.drawing import Job, draw_rows
from trainer.sampling.merged import MergedCopy, copy_fits, free_bytes
from trainer.sampling.sampler import Version
from trainer.sampling.samples import Progress, Response, batch_seed

log = logging.getLogger(__name__)

ROWS = 512
CACHE_SHARE_OF_FREE_MEMORY = 0.2
GENERATE_PROMPTS = 32

Answers = Iterator[tuple[int, tuple[Response, ...]]]


class LocalSampler:
    """Draws responses of one policy. `rows` bounds how many are decoded at the same time."""

    def __init__(self, policy: Policy, *, rows: int = ROWS, merge: bool = True) -> None:
        self._policy = policy
        self._rows = rows
        self._copy = _merged_copy(policy) if merge else None
        self._decoder = _decoder(policy, self._copy)

    def sample(
        self,
        version: Version,
        prompts: Sequence[Sequence[int]],
        settings: Sampling,
        *,
        seed: int,
        copies: int = 2,
        progress: Progress | None = None,
    ) -> list[tuple[Response, ...]]:
        """As in `Sampler`, from the adapter that holds the version, or else from its folder.

        Raises LivedpoError, too, if the folder is damaged or does not fit the policy.
        """
        adapter = self._adapter_of(version)
        return self.draw(adapter, prompts, settings, seed=seed, copies=copies, progress=progress)

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
        """As `sample`, under an adapter as it is now, or the reference (None)."""
        jobs = _jobs(self._policy, prompts, settings)
        if self._copy is not None:
            self._copy.refresh(adapter)
        with self._weights(adapter):
            answers = _answers(
                self._policy,
                self._decoder,
                jobs,
                settings,
                seed=seed,
                copies=copies,
                rows=self._rows,
                progress=progress,
            )
            found = dict(answers)
        return [found[number] for number in range(len(prompts))]

    def _adapter_of(self, version: Version) -> str | None:
        """The adapter with the version's weights; None for a base that stands in no adapter."""
        policy, adapter = self._policy, self._policy.adapter_with(version.number)
        if adapter is not None or version.folder is None:
            return adapter
        state = read_adapter(version.folder)
        if not policy.fits(version.folder):
            raise LivedpoError(f"The adapter {version.folder} has another LoRA rank or scaling.")
        policy.set_adapter_state(OTHER, state, version=version.number)
        return OTHER

    def _weights(self, adapter: str | None) -> AbstractContextManager[None]:
        """Compute under the adapter; the merged copy does so already."""
        if self._copy is not None:
            return nullcontext()
        return self._policy.reference() if adapter is None else self._policy.adapter(adapter)


def refuse_small_context(settings: Sampling, policy: Policy) -> None:
    """Raise BadInput if responses alone would fill the policy's context."""
    if settings.max_new_tokens >= policy.context_tokens:
        raise BadInput(
            f"'max_new_tokens' cannot be {settings.max_new_tokens}: the context of the policy is "
            f"{policy.context_tokens} tokens, and prompts need some of it."
        )


def _merged_copy(policy: Policy) -> MergedCopy | None:
    """A copy to sample from, if memory and the kind of adapter allow."""
    if not copy_fits(policy.model, free_bytes(policy.device)):
        log.warning("There is no memory for a merged copy of the policy; sampling is slower.")
        return None
    try:
        return MergedCopy(policy.model)
    except ValueError as error:
        log.warning("There is no merged copy of the policy, because %s; sampling is slower.", error)
        return None


def _decoder(policy: Policy, copy: MergedCopy | None) -> Decoder | None:
    """What decodes the copy, or the policy itself; None if `generate` must."""
    decoder = Decoder(policy.model.get_base_model() if copy is None else copy.model)
    reason = objection(decoder)
    if reason is None:
        return decoder
    log.warning(
        "Responses come from `generate`, which is slower, because of the model: %s.", reason
    )
    return None


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


def _answers(
    policy: Policy,
    decoder: Decoder | None,
    jobs: Sequence[Job],
    settings: Sampling,
    *,
    seed: int,
    copies: int,
    rows: int,
    progress: Progress | None = None,
) -> Answers:
    """Each job's number and responses, in the order of their completion."""
    if decoder is None:
        yield from _generated(policy, jobs, settings, seed=seed, copies=copies, progress=progress)
        return
    drawn = draw_rows(
        decoder,
        jobs,
        settings,
        copies=copies,
        rows=_rows_that_fit(decoder, jobs, rows),
        ends=policy.eos_token_ids,
        seed=seed,
        progress=progress,
    )
    for complete in drawn:
        responses = tuple(_response(policy, row.tokens, row.logp) for row in complete)
        yield complete[0].job.number, responses


def _rows_that_fit(decoder: Decoder, jobs: Sequence[Job], rows: int) -> int:
    """As many rows as there is memory for: the limit, or half of it, a quarter, ..."""
    columns = max((len(job.prompt) + job.limit for job in jobs), default=0)
    share = CACHE_SHARE_OF_FREE_MEMORY * free_bytes(decoder.model.device)
    while rows > 1 and rows * columns * decoder.column_bytes > share:
        rows //= 2
    return rows


def _generated(
    policy: Policy,
    jobs: Sequence[Job],
    settings: Sampling,
    *,
    seed: int,
    copies: int,
    progress: Progress | None = None,
) -> Answers:
    """Answers by transformers' `generate`, for a model that our decoder cannot take."""
    for first in range(0, len(jobs), GENERATE_PROMPTS):
        chunk = jobs[first : first + GENERATE_PROMPTS]
        prompts = [job.prompt for job in chunk]
        ids, mask = left_padded(prompts, pad=policy.pad_token_id, device=policy.device)
        config = GenerationConfig(
            do_sample=True,
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=0,
            max_new_tokens=max(job.limit for job in chunk),
            num_return_sequences=copies,
            pad_token_id=policy.pad_token_id,
            eos_token_id=policy.eos_token_ids or None,
        )
        torch.manual_seed(batch_seed(seed, first))
        with torch.inference_mode():
            rows = policy.model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                stopping_criteria=_telling(progress, chunk, ids.shape[1], copies),
            )
        jobs_R = [job for job in chunk for _ in range(copies)]
        tokens_R = [
            _ended(policy, row[: job.limit])
            for job, row in zip(jobs_R, rows[:, ids.shape[1] :].tolist(), strict=True)
        ]
        logps_R = _logps(policy, jobs_R, tokens_R)
        responses = [_response(policy, *row) for row in zip(tokens_R, logps_R, strict=True)]
        for place, job in enumerate(chunk):
            yield job.number, tuple(responses[place * copies : (place + 1) * copies])


def _telling(
    progress: Progress | None, jobs: Sequence[Job], prompt_columns: int, copies: int
) -> StoppingCriteriaList:
    """What tells the progress of `generate`: it counts on in rows that have ended, up to the limit.

    As a criterion that never stops anything, for `generate` asks those after each token.
    """

    def tell(ids: Tensor, _scores: object, **_more: object) -> Tensor:
        assert progress is not None
        tokens = ids.shape[1] - prompt_columns
        progress({job.number: copies * min(tokens, job.limit) for job in jobs})
        return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

    return StoppingCriteriaList([tell] if progress is not None else [])


def _logps(policy: Policy, jobs: Sequence[Job], responses: Sequence[list[int]]) -> list[float]:
    """Summed log-probability of each response, under what is switched on."""
    rows = [(job.prompt, tokens) for job, tokens in zip(jobs, responses, strict=True)]
    batch = make_batch(rows, pad=policy.pad_token_id, device=policy.device)
    with torch.inference_mode():
        logps: list[float] = policy.logps(batch).tolist()
    return logps


def _ended(policy: Policy, tokens: list[int]) -> list[int]:
    """Up to and including the first EOS."""
    ends = [place for place, token in enumerate(tokens) if token in policy.eos_token_ids]
    return tokens[: ends[0] + 1] if ends else tokens


def _response(policy: Policy, tokens: list[int], logp: float) -> Response:
    text = policy.tokenizer.decode(tokens, skip_special_tokens=True).strip()
    finish = "stop" if tokens[-1] in policy.eos_token_ids else "length"
    return Response(text=text, tokens=tokens, finish=finish, logp=logp)
