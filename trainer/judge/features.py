"""What the frozen base policy notices of a response, as numbers that a linear head can learn from.

Of up to four layers, at a quarter, a half, three quarters and the end of the depth: the mean hidden
state over the response, the one at its end, and the sum weighted by surprise (-log-prob of the
token under the base, cut at 10 nats), which tells what surprised it. Beside them a few statistics
of length and of the log-probs themselves: a slip of the policy shows as an unlikely token. And what
a person would notice (`trainer.judge.traits`), so that a simple taste is learned from a few votes.

The adapters are off, so features stay what they are whichever version is live. Where updates
multiply in bfloat16, features are read so as well: they are compared with each other alone, so no
log-probability that anything is trained on changes. Leaves out what is learned from them:
`trainer.judge.heads`.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from labeler.domain.judging import Cause, Question
from labeler.domain.messages import Messages
from trainer.fast.head import Head, head_of
from trainer.fast.lora import rounded_products
from trainer.judge.fence import neutral
from trainer.judge.rows import budget, by_length, right_padded, without_control
from trainer.judge.traits import TRAITS, traits
from trainer.policy.chat import Refused
from trainer.policy.policy import Policy

MAX_CACHED = 4096  # responses
MAX_SURPRISE = 10.0  # nats; a broken reply must not drown all others
QUANTILES = (0.05, 0.1, 0.25, 0.5)
STATISTICS = 11 + len(QUANTILES)
DEPTHS = 4
KINDS = 3  # of hidden states a layer: mean, end, weighted by surprise

Key = tuple[str, str]  # messages and response, as text
Pause = Callable[[int, int], None]  # is told how many responses are read, of how many


class Row(NamedTuple):
    """Token ids of a prompt, and of a response to it."""

    prompt: tuple[int, ...]
    response: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """How many both have."""
        return len(self.prompt) + len(self.response)


class Features:
    """Reads responses with the base of a policy, and remembers the latest ones."""

    def __init__(self, policy: Policy) -> None:
        config = policy.model.config.get_text_config()
        self._policy = policy
        self._cache: OrderedDict[Key, Tensor | Cause] = OrderedDict()
        last = config.num_hidden_layers
        self._layers = sorted(
            {max(1, round(last * part / DEPTHS)) for part in range(1, DEPTHS + 1)}
        )
        blocks = [config.hidden_size] * (KINDS * len(self._layers)) + [1] * STATISTICS
        # Each block counts as one number, however wide: sum of squares 1 where each varies by 1.
        self._read_shares = torch.cat(
            [torch.full((n,), n**-0.5, dtype=torch.float64) for n in blocks]
        )

    def scale(self, trait_share: float) -> Tensor:
        """By what to multiply features (D,) so that a trait counts so much, and a block 1."""
        seen = torch.full((len(TRAITS),), trait_share**0.5, dtype=torch.float64)
        return torch.cat([self._read_shares, seen])

    def of(self, questions: Sequence[Question], pause: Pause | None = None) -> list[Tensor | Cause]:
        """Features of both responses (2, D) of each question, float64, or why there are none.

        `pause` as in `of_each`.
        """
        said = [(each.messages, text) for each in questions for text in (each.first, each.second)]
        found = self.of_each(said, pause)
        return [
            a if isinstance(a, Cause) else b if isinstance(b, Cause) else torch.stack([a, b])
            for a, b in zip(found[::2], found[1::2], strict=True)
        ]

    def of_each(
        self, said: Sequence[tuple[Messages, str]], pause: Pause | None = None
    ) -> list[Tensor | Cause]:
        """Features (D,) of each response to its prompt, float64, or why there are none.

        What is new is read in parts of seconds. There is a `pause` before each, which may switch
        adapters and have something else read, or raise: what was read by then is remembered.
        """
        keys = [(repr(messages), text) for messages, text in said]
        found = {key: self._cache[key] for key in keys if key in self._cache}
        new: dict[Key, Row | Cause] = {}
        for (messages, text), key in zip(said, keys, strict=True):
            if key not in found and key not in new:
                new[key] = self._row(messages, text)
        found |= self._read(new, pause)
        for key in keys:
            self._remember(key, found[key])
        while len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        each = (found[key] for key in keys)
        return [one if isinstance(one, Cause) else one.double() for one in each]

    def _remember(self, key: Key, one: Tensor | Cause) -> None:
        self._cache[key] = one
        self._cache.move_to_end(key)

    def _row(self, messages: Messages, response: str) -> Row | Cause:
        try:
            prompt = tuple(self._policy.prompt_tokens(without_control(messages)))
            said = self._policy.response_tokens(neutral(response), ended=False)
        except Refused:
            return Cause.TEMPLATE
        # With the end: an unlikely end is one that came too early or too late.
        ended = (*said, *self._policy.eos_token_ids[:1]) or (self._policy.pad_token_id,)
        row = Row(prompt, ended)
        return row if row.tokens <= self._policy.context_tokens else Cause.TOO_LONG

    def _read(self, new: dict[Key, Row | Cause], pause: Pause | None) -> dict[Key, Tensor | Cause]:
        """Features of these, which are remembered as they come."""
        rows = {key: row for key, row in new.items() if isinstance(row, Row)}
        found: dict[Key, Tensor | Cause] = {
            key: row for key, row in new.items() if isinstance(row, Cause)
        }
        if not rows:
            return found
        keys, unread = list(rows), len(rows)
        lengths = [rows[key].tokens for key in keys]
        head = self._head()
        for part in by_length(lengths, budget(self._policy.device)):
            if pause is not None:
                pause(len(rows) - unread, len(rows))
            unread -= len(part)
            some = [keys[place] for place in part]
            with torch.inference_mode(), self._policy.reference(), rounded_products():
                features = self._forward([rows[key] for key in some], head)
            for key, one in zip(some, features, strict=True):
                whole = torch.cat([one.float(), torch.tensor(traits(key[1]))])
                found[key] = whole if one.isfinite().all() else Cause.NOT_FINITE
                self._remember(key, found[key])
        return found

    def _head(self) -> Head:
        """The head, in the dtype that layers are read in."""
        head = head_of(self._policy.model.get_base_model())
        return replace(head, weight=head.weight.to(self._policy.products or head.weight.dtype))

    def _forward(self, rows: Sequence[Row], head: Head) -> Tensor:
        """Features (R, D) of one part, in the dtype of the policy."""
        policy = self._policy
        base = policy.model.get_base_model()
        joined = [prompt + response for prompt, response in rows]
        ids, mask = right_padded(joined, pad=policy.pad_token_id, device=policy.device)
        output = base.base_model(
            input_ids=ids, attention_mask=mask, use_cache=False, output_hidden_states=True
        )
        places = torch.arange(ids.shape[1], device=ids.device)
        starts = torch.tensor([len(prompt) for prompt, _ in rows], device=ids.device)
        said = mask.bool() & (places >= starts[:, None])  # (R, T)
        logps = torch.zeros(said.shape, device=ids.device)
        before = output.last_hidden_state[:, :-1][said[:, 1:]]
        logps[said] = head.token_logps(before, ids[said])
        ends = mask.sum(dim=1) - 1
        surprise = (-logps).clamp(max=MAX_SURPRISE)
        mean = said / said.sum(dim=1, keepdim=True)
        found = []
        for layer in self._layers:
            states = output.hidden_states[layer]
            found += [
                torch.einsum("rtd,rt->rd", states, mean.to(states.dtype)),
                states[torch.arange(len(rows)), ends],
                torch.einsum("rtd,rt->rd", states, surprise.to(states.dtype)),
            ]
        by_row = [_statistics(logps[n, said[n]], row[1]) for n, row in enumerate(rows)]
        found.append(torch.stack(by_row).to(found[0]))
        return torch.cat(found, dim=1).cpu()


def _statistics(logps_T: Tensor, tokens: Sequence[int]) -> Tensor:
    """Length and variety of a response, and how likely the base finds it, (STATISTICS,)."""
    logps = logps_T.float().cpu()
    count = len(tokens)
    low, lower = logps < -1, logps < -3
    numbers = [
        torch.tensor(float(count)).log(),
        torch.tensor(len(set(tokens)) / count),
        logps.sum(),
        logps.mean(),
        logps.std(unbiased=False),
        logps.min(),
        logps[-1],
        low.float().mean(),
        lower.float().mean(),
        low.float().sum(),
        lower.float().sum(),
    ]
    return torch.cat([torch.stack(numbers), logps.quantile(torch.tensor(QUANTILES))])
