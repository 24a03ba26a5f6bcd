"""Responses that people edited become labels to train on: tokens and log-probabilities for them.

The tokens are those that the policy would have sampled, and an end: a person finishes what they
write. An edit that the policy cannot take is set aside, with the reason; nothing that a rater types
may end the worker.
"""

import math

from labeler.domain.errors import first_line
from labeler.store.rating.edits import Untokenised
from trainer.fast.memory import is_out_of_memory
from trainer.policy.chat import Refused
from trainer.policy.logps import logps_under
from trainer.policy.policy import LIVE, Policy
from trainer.worker.workplace import Workplace

TIMES_AS_LONG = 4  # as a sampled response may be


class EditJob:
    """Makes labels of edits, one at a time: one that cannot be computed holds up no other."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._edits = place.store.edits

    def step(self, now: float) -> bool:
        """Make a label of the oldest edit that waits; false if none does."""
        policy, most = self._place.policy, TIMES_AS_LONG * self._place.settings.max_new_tokens
        waiting = self._edits.untokenised(1)
        for edit in waiting:
            try:
                tokens = policy.response_tokens(edit.text)
                objection = _objection(edit, tokens, policy, most)
            except Refused as error:
                objection = first_line(error)
            if objection is None:
                objection = self._tokenise(edit, tokens)
            if objection is not None:
                self._edits.set_aside(edit.pair_id, reason=objection, now=now)
        return bool(waiting)

    def _tokenise(self, edit: Untokenised, tokens: list[int]) -> str | None:
        """Give an edit its tokens and log-probabilities; returns why that is impossible, if so."""
        pairs = [(edit.prompt_tokens, tokens, edit.tokens_b)]
        try:
            reference, live = (
                logps_under(self._place.policy, adapter, pairs, self._place.go_on)[0, 0].item()
                for adapter in (None, LIVE)
            )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return "there is no memory to compute an edit of this length"
        if not (math.isfinite(reference) and math.isfinite(live)):
            return "the log-probabilities of the edit are not finite"
        is_live = edit.version_id == self._place.live.version.number
        self._edits.tokenise(
            edit.pair_id,
            tokens,
            reference_logp=reference,
            logp=live if is_live else None,
        )
        return None


def _objection(edit: Untokenised, tokens: list[int], policy: Policy, most: int) -> str | None:
    """Why an edit of these tokens is not computed; None if it is."""
    if not tokens:
        return "the edit has no tokens"
    whole, room = len(edit.prompt_tokens) + len(tokens), policy.context_tokens
    if whole > room:
        return f"prompt and edit have {whole} tokens, and the policy takes {room}"
    if len(tokens) > most:
        return f"the edit has {len(tokens)} tokens, and at most {most} can be learned from"
    return None
