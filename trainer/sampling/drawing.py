"""Rows of responses in the making: what comes next in each, and when one is done.

    draw_rows  =  let waiting prompts in where rows are free, draw a token for every row,
                  let finished rows go, hand over each prompt whose rows are all complete

Every row has random numbers of its own, one a token, so what it becomes does not depend on which
other rows are under way (but for rounding).
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from labeler.config.parts.sampling import Sampling
from trainer.sampling.decoding import Cohort, Decoder
from trainer.sampling.samples import Progress

NUCLEUS_TOKENS = 64
NUCLEUS_GROWTH = 8


@dataclass(frozen=True)
class Job:
    """A prompt to answer. A response gets at most `limit` tokens."""

    number: int
    prompt: Sequence[int]
    limit: int


@dataclass
class Row:
    """One of a job's responses, so far. `copy` counts from 0; `logp` as in `Response`."""

    job: Job
    copy: int
    tokens: list[int] = field(default_factory=list)
    logp: float = 0.0

    def is_done(self, ends: Collection[int]) -> bool:
        """Whether it has come to one of these tokens, or to its limit."""
        return bool(self.tokens) and (self.tokens[-1] in ends or len(self.tokens) == self.job.limit)


@dataclass
class _Group:
    """A cohort and what its rows stand for."""

    cohort: Cohort
    rows: list[Row]
    uniform: Tensor  # (N, T), random numbers in [0, 1), one a token, where `summed_on` says
    logp: Tensor  # (N,), on the cohort's device


def draw_rows(
    decoder: Decoder,
    jobs: Sequence[Job],
    settings: Sampling,
    *,
    copies: int,
    rows: int,
    ends: Collection[int],
    seed: int,
    progress: Progress | None = None,
) -> Iterator[list[Row]]:
    """Yield the `copies` rows of each job as soon as all are complete; at most `rows` at a time.

    A row ends with one of the tokens in `ends`, or at its limit. Short prompts come first, so that
    a cohort's prompts are of like length; new ones wait until half of the rows are free, for every
    cohort costs some time at each step. The `progress` is told after each token, and before each
    pass over prompts. Raises FloatingPointError if logits are not finite.
    """
    waiting = deque(sorted(jobs, key=lambda job: len(job.prompt)))
    numbers = torch.Generator().manual_seed(seed)
    groups: list[_Group] = []
    complete: dict[int, list[Row]] = defaultdict(list)
    drawn: dict[int, int] = defaultdict(int)
    while waiting or groups:
        free = rows - sum(len(group.rows) for group in groups)
        if waiting and (not groups or 2 * free >= rows):
            size = min(max(1, free // copies), len(waiting))
            admitted = [waiting.popleft() for _ in range(size)]
            pause = None if progress is None else partial(progress, drawn)
            groups.append(_admit(decoder, admitted, settings, numbers, copies, pause))
        for row in (row for group in groups for row in group.rows if progress):
            drawn[row.job.number] += 1
        done = _step(decoder, groups, settings, ends)
        if progress is not None:
            progress(drawn)
        for row in done:
            complete[row.job.number].append(row)
            if len(complete[row.job.number]) == copies:
                # By copy: in the order of completion, the first response would be the shorter one.
                yield sorted(complete.pop(row.job.number), key=lambda row: row.copy)
        groups = [group for group in groups if group.rows]


def draw_tokens(logits_RV: Tensor, uniform_R: Tensor, settings: Sampling) -> tuple[Tensor, Tensor]:
    """One token a row (R,), and its log-probability at this temperature, without the cut (R,).

    A token is where a uniform number falls in the cumulative distribution, summed in float64 so
    that rare tokens of a large vocabulary keep their share, and where the uniform numbers are.
    """
    logps_RV = (logits_RV.float() / settings.temperature).log_softmax(-1)
    if settings.top_p < 1:
        tokens_R = _from_nucleus(logps_RV, uniform_R, settings.top_p)
    else:
        tokens_R = _at(uniform_R, logps_RV.exp())
    return tokens_R, logps_RV.gather(1, tokens_R[:, None])[:, 0]


def summed_on(device: torch.device) -> torch.device:
    """Where shares are summed in float64: on the device itself, unless it has none, as Apple's."""
    return torch.device("cpu") if device.type == "mps" else device


def _from_nucleus(
    logps_RV: Tensor, uniform_R: Tensor, top_p: float, size: int = NUCLEUS_TOKENS
) -> Tensor:
    """A token a row (R,) of the smallest set of likeliest tokens that holds `top_p`.

    Holtzman et al. 2019 (arXiv 1904.09751), section 3.1. The set is looked for among the likeliest
    `size` tokens first, because sorting a vocabulary of 49,152 takes as long as SmolLM2's whole
    forward pass. Rows whose set is larger look again among more.
    """
    likeliest_RK, order_RK = logps_RV.topk(min(size, logps_RV.shape[1]))
    likeliest_RK = likeliest_RK.exp()
    # Written so that NaN is inside, and found there.
    inside_RK = ~(likeliest_RK.cumsum(-1) - likeliest_RK >= top_p)
    order_RK, by_token_RK = order_RK.sort(-1)
    kept_RK = likeliest_RK.masked_fill(~inside_RK, 0.0).gather(1, by_token_RK)
    tokens_R = order_RK.gather(1, _at(uniform_R, kept_RK)[:, None])[:, 0]
    wider_R = inside_RK[:, -1]
    if size < logps_RV.shape[1] and wider_R.any():
        wider = logps_RV[wider_R], uniform_R[wider_R.to(uniform_R.device)]
        tokens_R[wider_R] = _from_nucleus(*wider, top_p, NUCLEUS_GROWTH * size)
    return tokens_R


def _at(uniform_R: Tensor, shares_RK: Tensor) -> Tensor:
    """Where uniform numbers fall in the cumulative shares, (R,), on the device of the shares."""
    cumulative_RK = shares_RK.to(uniform_R.device).cumsum(-1, dtype=torch.float64)
    total_R1 = cumulative_RK[:, -1:]
    if not total_R1.isfinite().all():
        raise FloatingPointError("The policy gives no probabilities: its logits are not finite.")
    places_R1 = torch.searchsorted(cumulative_RK, uniform_R[:, None] * total_R1, right=True)
    return places_R1[:, 0].to(shares_RK.device)


def _admit(
    decoder: Decoder,
    jobs: Sequence[Job],
    settings: Sampling,
    numbers: torch.Generator,
    copies: int,
    pause: Callable[[], None] | None,
) -> _Group:
    """Start `copies` rows for each job."""
    room = max(job.limit for job in jobs)
    prompts = [job.prompt for job in jobs]
    cohort = decoder.prefill(prompts, copies=copies, tokens=room, pause=pause)
    rows = [Row(job, copy) for job in jobs for copy in range(copies)]
    # Drawn on the CPU, and as many for every row, so that a seed means the same everywhere.
    shape = len(rows), settings.max_new_tokens
    uniform = torch.rand(shape, generator=numbers, dtype=torch.float64)
    device = cohort.next_token.device
    logp = torch.zeros(len(rows), device=device)
    return _Group(cohort, rows, uniform.to(summed_on(device)), logp)


@torch.inference_mode()
def _step(
    decoder: Decoder, groups: Sequence[_Group], settings: Sampling, ends: Collection[int]
) -> list[Row]:
    """Give every row its next token. Returns the rows that are done; they have left."""
    logits = decoder.step([group.cohort for group in groups])
    uniform = [group.uniform[:, len(group.rows[0].tokens)] for group in groups]
    tokens, logps = draw_tokens(logits, torch.cat(uniform), settings)
    sizes = [len(group.rows) for group in groups]
    done: list[Row] = []
    parts = zip(groups, torch.split(tokens, sizes), torch.split(logps, sizes), strict=True)
    for group, new, logp in parts:
        group.cohort.next_token = new
        group.logp = group.logp + logp
        done += _advance(group, new.tolist(), ends)
    return done


def _advance(group: _Group, tokens: Sequence[int], ends: Collection[int]) -> list[Row]:
    """Write the new tokens down, and let the rows go that they complete. Returns those."""
    kept: list[int] = []
    left: list[int] = []
    for place, (row, token) in enumerate(zip(group.rows, tokens, strict=True)):
        row.tokens.append(token)
        (left if row.is_done(ends) else kept).append(place)
    if not left:
        return []
    logps = group.logp.tolist()
    done = [group.rows[place] for place in left]
    for place in left:
        group.rows[place].logp = logps[place]
    order = group.cohort.keep(kept)
    group.rows = [group.rows[place] for place in order]
    group.uniform, group.logp = group.uniform[order], group.logp[order]
    return done
