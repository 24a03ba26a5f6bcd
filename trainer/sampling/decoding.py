"""Decode many rows at once: the model's own forward pass, with a key-value cache of our own.

A cohort is a set of rows that started together. Its cache is laid out once and written in place:

    column    0 ... P-1             P ... P+t-1          P+t ... P+T-1
    holds     prompt, right-padded  what came since      nothing yet

    Decoder.prefill   run the prompts through the model once, a row in the cache for each copy
    Decoder.step      one token for every row of every cohort: the model's linear layers see all
                      rows as one batch, attention sees each cohort at its own length
    Cohort.keep       rows that have finished leave, and the others close up

So nothing is concatenated, copied or read in vain at a step, and each cohort's new rows can start
while older ones go on. Grouped queries meet their key-value head as one small matrix, so no key is
repeated. Rotary embeddings, norms, biases and soft caps stay the model's: only attention over the
cache is ours, through transformers' attention interface. `objection` compares it with a plain
forward pass, and says why a model cannot be decoded here.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from labeler.domain.errors import first_line

ATTENTION = "livedpo_cohorts"
PREFILL_TOKENS = 16_384
CPU_PREFILL_TOKENS = 1024  # more at once is no faster, and takes seconds
# Matrix libraries prepare a kernel for every new number of rows: let there be few such numbers.
ROWS_MULTIPLE = 16
ATTENTION_LAYERS = {"full_attention", "sliding_attention"}


@dataclass
class Cohort:
    """N rows with the same number of tokens since their prompts. L is layers, C is columns, P + T.

    The last token of a prompt is not in the cache: it is what the first step reads.
    """

    keys: list[Tensor]  # L of (N or more, KV heads, C, D)
    values: list[Tensor]  # L of (N or more, KV heads, C, D)
    prompt_tokens: Tensor  # (N,), those in the cache, at most P
    next_token: Tensor  # (N,), what each row reads at the next step
    prompt_columns: int  # P
    columns: int  # in use: P + t
    padded: bool  # whether any row's prompt is shorter than P

    def __len__(self) -> int:
        return len(self.prompt_tokens)

    @property
    def positions(self) -> Tensor:
        """Where the next token of each row stands in its sequence, (N,)."""
        return self.prompt_tokens + (self.columns - self.prompt_columns)

    @property
    def capacity(self) -> int:
        """Rows for which there is memory."""
        return len(self.keys[0])

    def write(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Put the keys and values of one new token a row, (N, KV, 1, D), into the next column."""
        rows = slice(0, len(self))
        self.keys[layer][rows, :, self.columns] = keys[:, :, 0]
        self.values[layer][rows, :, self.columns] = values[:, :, 0]

    def bias(self, window: int | None) -> Tensor | None:
        """What is added to the scores, (N, columns + 1): 0, or -inf where a row must not look.

        Rows look at their prompt and at what came since, at most `window` tokens back.
        """
        newest = self.columns - self.prompt_columns
        if not self.padded and (window is None or self.columns < window):
            return None
        column = torch.arange(self.columns + 1, device=self.prompt_tokens.device)
        cached = self.prompt_tokens[:, None]
        in_prompt = column < self.prompt_columns
        seen = ~in_prompt | (column < cached)
        if window is not None:
            position = torch.where(in_prompt, column, column - self.prompt_columns + cached)
            seen &= cached + newest - position < window
        bias = torch.zeros(seen.shape, dtype=self.keys[0].dtype, device=seen.device)
        return bias.masked_fill_(~seen, -torch.inf)

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> list[int]:
        """Let all other rows go. Returns the rows kept, in their new order.

        Rows from the end move into the holes, so that each row that leaves costs one copied row.
        Memory that is half empty is given back.
        """
        kept = set(rows)
        holes = [row for row in range(len(rows)) if row not in kept]
        movers = [row for row in rows if row >= len(rows)]
        order = list(range(len(rows)))
        for hole, mover in zip(holes, movers, strict=True):
            order[hole] = mover
        for cache in (*self.keys, *self.values) if holes else ():
            cache[holes, :, : self.columns] = cache[movers, :, : self.columns]
        index = torch.tensor(order, device=self.prompt_tokens.device, dtype=torch.long)
        self.prompt_tokens, self.next_token = self.prompt_tokens[index], self.next_token[index]
        if 2 * len(rows) <= self.capacity:
            self.keys = [keys[: len(rows)].clone() for keys in self.keys]
            self.values = [values[: len(rows)].clone() for values in self.values]
        return order


class _Step(Cache):  # type: ignore[misc]
    """The cache as a model sees it during one step: it takes new keys, and gives them back."""

    def __init__(self, cohorts: Sequence[Cohort]) -> None:
        super().__init__(layers=[])
        self.cohorts = cohorts
        self.sizes = [len(cohort) for cohort in cohorts]
        self.layer = 0
        self._bias: dict[int | None, list[Tensor | None]] = {}

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write (R, KV, 1, D) into the cohorts; attention finds them there."""
        self.layer = layer_idx
        rows = sum(self.sizes)
        keys, values = (
            torch.split(states[:rows], self.sizes) for states in (key_states, value_states)
        )
        for cohort, key, value in zip(self.cohorts, keys, values, strict=True):
            cohort.write(layer_idx, key, value)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns of the fullest cohort."""
        return max(cohort.columns for cohort in self.cohorts)

    def bias(self, window: int | None) -> list[Tensor | None]:
        """The bias of each cohort; worked out once a step, not once a layer."""
        if window not in self._bias:
            self._bias[window] = [cohort.bias(window) for cohort in self.cohorts]
        return self._bias[window]


_step: ContextVar[_Step] = ContextVar("_step")


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of one new token a row, (R, heads, 1, D), over the cohorts of this step."""
    step = _step.get()
    scaled = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    parts = [
        _attend_cohort(cohort, step.layer, q, bias, softcap)
        for cohort, q, bias in zip(
            step.cohorts,
            torch.split(scaled[: sum(step.sizes)], step.sizes),
            step.bias(sliding_window),
            strict=True,
        )
    ]
    padding = len(query) - sum(step.sizes)
    if padding:
        parts.append(query.new_zeros(padding, *parts[0].shape[1:]))
    return torch.cat(parts)[:, None], None


def _attend_cohort(
    cohort: Cohort, layer: int, query: Tensor, bias: Tensor | None, softcap: float | None
) -> Tensor:
    """Scaled queries (N, heads, 1, D) to outputs (N, heads, D). G queries share a key-value head.

    The softmax is taken in float32, as transformers' own functions do.
    """
    rows, heads, _, _ = query.shape
    keys = cohort.keys[layer][:rows, :, : cohort.columns + 1].flatten(0, 1)  # (N KV, L, D), a view
    values = cohort.values[layer][:rows, :, : cohort.columns + 1].flatten(0, 1)
    grouped = query.reshape(len(keys), -1, query.shape[-1])  # (N KV, G, D)
    scores = torch.bmm(grouped, keys.transpose(1, 2))  # (N KV, G, L)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = (scores.view(rows, heads, -1) + bias[:, None]).view(scores.shape)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(values.dtype)
    return torch.bmm(weights, values).view(rows, heads, -1)


AttentionInterface.register(ATTENTION, _attend)


class Decoder:
    """One model, driven a step at a time. The caller owns the cohorts."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        # Since transformers 5.24, models of its own call it `cache`; others may not yet.
        takes = inspect.signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in takes else "past_key_values"

    @cached_property
    def column_bytes(self) -> int:
        """What one token takes in the cache of one row."""
        cohort = self.prefill([[0]], copies=1, tokens=0)
        return sum(part.nbytes for part in (*cohort.keys, *cohort.values))

    @torch.inference_mode()
    def prefill(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        copies: int,
        tokens: int,
        pause: Callable[[], None] | None = None,
    ) -> Cohort:
        """A cohort with `copies` rows for each prompt, one after the other, and room for `tokens`.

        There is a `pause` before each of its passes.

        A prompt is right-padded, which needs no mask: no token looks to its right.
        """
        device = self.model.device
        lengths = [len(prompt) - 1 for prompt in prompts]
        width = max(1, *lengths)  # one at least: the pass that fills it tells the cache's shapes
        last = torch.tensor([prompt[-1] for prompt in prompts], device=device)
        cohort = Cohort(
            keys=[],
            values=[],
            prompt_tokens=torch.tensor(lengths, device=device).repeat_interleave(copies),
            next_token=last.repeat_interleave(copies),
            prompt_columns=width,
            columns=width,
            padded=min(lengths) < width,
        )
        ids = [[*prompt, *[prompt[0]] * width][:width] for prompt in prompts]
        most = CPU_PREFILL_TOKENS if device.type == "cpu" else PREFILL_TOKENS
        size = max(1, most // width)
        for first in range(0, len(ids), size):
            if pause is not None:
                pause()
            chunk = torch.tensor(ids[first : first + size], device=device)
            cache = DynamicCache()
            self.model(
                input_ids=chunk,
                attention_mask=torch.ones_like(chunk),
                use_cache=True,
                **{self._cache_name: cache},
                logits_to_keep=1,
            )
            if not cohort.keys:
                _allocate(cohort, cache, rows=len(ids) * copies, columns=width + tokens)
            _fill(cohort, cache, first=first * copies, copies=copies)
        return cohort

    @torch.inference_mode()
    def step(self, cohorts: Sequence[Cohort]) -> Tensor:
        """Logits (R, V) after the next token of every row, the cohorts' rows one after the other.

        The caller sets each cohort's `next_token` to what it makes of them.
        """
        cache = _Step(cohorts)
        token = _step.set(cache)
        try:
            with self._attention():
                output = self.model(
                    input_ids=_padded([cohort.next_token for cohort in cohorts])[:, None],
                    position_ids=_padded([cohort.positions for cohort in cohorts])[:, None],
                    # Four dimensions: models take it for a finished mask, and make none themselves.
                    attention_mask=cohorts[0].next_token.new_ones(1, 1, 1, 1),
                    use_cache=True,
                    **{self._cache_name: cache},
                )
        finally:
            _step.reset(token)
        for cohort in cohorts:
            cohort.columns += 1
        logits: Tensor = output.logits[: sum(cache.sizes), -1]
        return logits

    @contextmanager
    def _attention(self) -> Iterator[None]:
        """Attend over the cohorts; afterwards, as the model did before."""
        config = self.model.config
        own = config._attn_implementation
        config._attn_implementation = ATTENTION
        try:
            yield
        finally:
            config._attn_implementation = own


def _allocate(cohort: Cohort, cache: DynamicCache, *, rows: int, columns: int) -> None:
    """Make room in a cohort for keys and values like those of the cache."""
    for layer in cache.layers:
        for parts, like in ((cohort.keys, layer.keys), (cohort.values, layer.values)):
            parts.append(like.new_empty(rows, like.shape[1], columns, like.shape[3]))


def _fill(cohort: Cohort, cache: DynamicCache, *, first: int, copies: int) -> None:
    """Copy what is cached of some prompts into their rows, which begin at `first`."""
    for number, layer in enumerate(cache.layers):
        rows = slice(first, first + copies * len(layer.keys))
        columns = slice(0, cohort.prompt_columns)
        for part, prompts in (
            (cohort.keys[number], layer.keys),
            (cohort.values[number], layer.values),
        ):
            part[rows, :, columns] = prompts.repeat_interleave(copies, dim=0)


def _padded(parts: Sequence[Tensor]) -> Tensor:
    """One row of numbers, filled with zeros to a multiple of ROWS_MULTIPLE."""
    missing = -sum(map(len, parts)) % ROWS_MULTIPLE
    return torch.cat([*parts, parts[0].new_zeros(missing)])


def objection(decoder: Decoder, dtype: torch.dtype | None = None) -> str | None:
    """Why this model cannot be decoded here, in words that follow "because"; None if it can.

    `dtype` is that of its linear layers, where it is not the model's own.

    Models say what they are made of, and then the decoder's logits are held against those of a
    plain forward pass, for prompts of different lengths.
    """
    model = decoder.model
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or []) - ATTENTION_LAYERS
    if model._is_stateful or kinds:
        return f"its state is more than keys and values ({', '.join(sorted(kinds)) or 'stateful'})"
    if not model._supports_attention_backend:
        return "its attention cannot be replaced"
    generator = torch.Generator().manual_seed(0)
    prompts = [
        torch.randint(config.vocab_size, (tokens,), generator=generator).tolist()
        for tokens in (1, 5, 12)
    ]
    try:
        difference = _difference(decoder, prompts)
    except (AttributeError, TypeError, RuntimeError) as error:  # it asks a cache for more than ours
        return f"its forward pass refuses our cache ({first_line(error)})"
    tolerance = 1e-3 if (dtype or model.dtype) == torch.float32 else 5e-2
    # Written so that NaN objects, too.
    return None if difference < tolerance else f"its logits come out {difference:.1%} apart"


@torch.inference_mode()
def _difference(decoder: Decoder, prompts: Sequence[Sequence[int]], steps: int = 3) -> float:
    """Largest difference from a plain forward pass, as a share of the largest logit there is."""
    cohort = decoder.prefill(prompts, copies=2, tokens=steps)
    sequences = [list(prompt) for prompt in prompts for _ in range(2)]
    worst = 0.0
    for _ in range(steps):
        logits = decoder.step([cohort])
        for sequence, row in zip(sequences, logits, strict=True):
            ids = torch.tensor([sequence], device=row.device)
            plain = decoder.model(input_ids=ids, use_cache=False).logits[0, -1]
            worst = max(worst, ((row - plain).abs().max() / plain.abs().max()).item())
        cohort.next_token = logits.flip(-1).argmax(-1)
        for sequence, token in zip(sequences, cohort.next_token.tolist(), strict=True):
            sequence.append(token)
    return worst
