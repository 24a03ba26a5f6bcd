"""Responses that people edited become labels to train on: tokens and log-probabilities for them.

The tokens are those of the text alone, and an end: a person finishes what they write. An edit that
the policy cannot take is set aside, with the reason; nothing that a rater types may end the worker.
"""

import math
import time
from collections.abc import Callable

import torch

from labeler.config.settings import Settings
from labeler.store import Store
from labeler.store.rating.edits import Untokenised
from trainer.fast.memory import is_out_of_memory
from trainer.policy.logps import pair_logps
from trainer.policy.policy import LIVE, Policy

TIMES_AS_LONG = 4  # as a sampled response may be


def tokenise_edits(
    store: Store,
    policy: Policy,
    settings: Settings,
    version: int,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Make a label of the oldest edit that waits; false if none does. `version` is the live one.

    One at a time, so that an edit which cannot be computed holds up no other.
    """
    waiting = store.edits.untokenised(1)
    for edit in waiting:
        tokens = policy.response_tokens(edit.text)
        objection = _objection(edit, tokens, policy, TIMES_AS_LONG * settings.max_new_tokens)
        if objection is None:
            objection = _tokenise(store, policy, edit, tokens, version)
        if objection is not None:
            store.edits.set_aside(edit.pair_id, reason=objection, now=clock())
    return bool(waiting)


def _objection(edit: Untokenised, tokens: list[int], policy: Policy, most: int) -> str | None:
    """Why an edit of these tokens is not computed; None if it is."""
    if not tokens:
        return "the edit has no tokens"
    whole, room = len(edit.prompt_tokens) + len(tokens), policy.context_tokens
    if whole > room:
        return f"prompt and edit are {whole} tokens long, and the policy takes {room}"
    if len(tokens) > most:
        return f"the edit is {len(tokens)} tokens long, and at most {most} are learned from"
    return None


def _tokenise(
    store: Store, policy: Policy, edit: Untokenised, tokens: list[int], version: int
) -> str | None:
    """Give an edit its tokens and log-probabilities; returns why that is not possible, if so."""
    pair = (edit.prompt_tokens, tokens, edit.tokens_b)
    try:
        with torch.no_grad():
            with policy.reference():
                reference = _first(policy, pair)
            with policy.adapter(LIVE):
                live = _first(policy, pair)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return "there is no memory to compute an edit of this length"
    if not (math.isfinite(reference) and math.isfinite(live)):
        return "the log-probabilities of the edit are not finite"
    store.edits.tokenise(
        edit.pair_id,
        tokens,
        reference_logp=reference,
        logp=live if edit.version_id == version else None,
    )
    return None


def _first(policy: Policy, pair: tuple[list[int], list[int], list[int]]) -> float:
    """Summed log-probability (nats) of the first response under what is switched on."""
    logp: float = pair_logps(policy, [pair])[0, 0].item()
    return logp
