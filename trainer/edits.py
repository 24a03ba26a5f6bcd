"""Responses that people edited become labels to train on: tokens and log-probabilities for them.

The tokens are those of the text alone, and an end: a person finishes what they write. A text that
leaves no room for itself in the context is set aside, with the reason.
"""

import time
from collections.abc import Callable, Sequence

import torch

from labeler.store import Store
from labeler.store.edits import Untokenised
from trainer.packing import pair_logps
from trainer.policy import LIVE, Policy

MOST_AT_ONCE = 8


def tokenise_edits(
    store: Store, policy: Policy, version: int, clock: Callable[[], float] = time.time
) -> bool:
    """Make labels of a few edits that wait; false if none does. `version` is the live one."""
    waiting = store.edits.untokenised(MOST_AT_ONCE)
    fitting = [
        (edit, tokens) for edit in waiting if (tokens := _fitting(store, policy, edit, clock))
    ]
    if fitting:
        pairs = [(edit.prompt_tokens, tokens, edit.tokens_b) for edit, tokens in fitting]
        with torch.no_grad(), policy.reference():
            reference = _first(policy, pairs)
        with torch.no_grad(), policy.adapter(LIVE):
            live = _first(policy, pairs)
        for (edit, tokens), reference_logp, logp in zip(fitting, reference, live, strict=True):
            store.edits.tokenise(
                edit.pair_id,
                tokens,
                reference_logp=reference_logp,
                logp=logp if edit.version_id == version else None,
            )
    return bool(waiting)


def _fitting(
    store: Store, policy: Policy, edit: Untokenised, clock: Callable[[], float]
) -> list[int]:
    """The tokens of an edit; none if they do not fit, which is then said of it."""
    tokens = policy.response_tokens(edit.text)
    whole, room = len(edit.prompt_tokens) + len(tokens), policy.context_tokens
    if whole <= room:
        return tokens
    reason = f"prompt and edit are {whole} tokens long, and the policy takes {room}"
    store.edits.set_aside(edit.pair_id, reason=reason, now=clock())
    return []


def _first(policy: Policy, pairs: Sequence[tuple[list[int], list[int], list[int]]]) -> list[float]:
    """Summed log-probabilities (nats) of the first responses under what is switched on."""
    logps: list[float] = pair_logps(policy, pairs)[:, 0].tolist()
    return logps
