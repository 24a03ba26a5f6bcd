"""What the service itself says of a version, and how far another library may be from that.

Where files are rounded, two words that were nearly as likely may change places in a greedy answer.
That is no mismatch, and it is told: the gap that the service saw between the two is.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from torch import Tensor

from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.messages import Messages
from trainer.policy.chat import REFUSALS
from trainer.policy.policy import LIVE, Policy
from trainer.programs.outgoing.saying import (
    ANSWER_TOKENS,
    CONVERSATIONS,
    MAX_CONVERSATIONS,
    REPLIES,
    Asked,
    Said,
    answer,
    choices,
    templated,
)

SERVICE = "the service"


@dataclass(frozen=True)
class Slack:
    """How far the log-probability of a token may be off on average, and two words that change
    places may be apart; nats.
    """

    logp: float
    gap: float


# By the coarser of what weights are stored in and what the service computes in. Others compute in
# float32.
SLACK = {
    "float32": Slack(0.005, 0.05),
    "float16": Slack(0.02, 0.2),
    "bfloat16": Slack(0.1, 0.8),
    "q8_0": Slack(0.3, 1.5),
}


@dataclass(frozen=True)
class Probe:
    """What was asked, and what the service says.

    `options` are the log-probabilities of all tokens at each place of its answers, (T + 1, V) each.
    `base` are the log-probabilities of the replies under the version's base.
    """

    asked: Asked
    own: Said
    options: list[Tensor]
    base: list[list[float]]

    @property
    def moved(self) -> float:
        """How far the version is from its base on the replies, nats a token."""
        return _apart(self.base, self.own.logps)


@dataclass(frozen=True)
class Compared:
    """How close another library came. `parted` are gaps where answers part, nats."""

    by: str
    answers: int
    parted: list[float]
    nats: float


def probe_of(policy: Policy) -> Probe:
    """Ask the live adapter of a policy. Raises BadInput if its template takes no conversation."""
    conversations = _conversations(policy)
    prompts = [policy.prompt_tokens(messages) for messages in conversations]
    replies = [policy.response_tokens(text, ended=False) for text in REPLIES]
    replies = [reply for reply in replies if len(prompts[0]) + len(reply) < policy.context_tokens]
    ends = policy.eos_token_ids
    with policy.adapter(LIVE):
        answers = [answer(policy.model, prompt, ends) for prompt in prompts]
        options = [
            choices(policy.model, prompt, one.tokens)
            for prompt, one in zip(prompts, answers, strict=True)
        ]
        logps = [_logps(policy, prompts[0], reply) for reply in replies]
    with policy.reference():
        base = [_logps(policy, prompts[0], reply) for reply in replies]
    return Probe(
        asked=Asked(conversations, replies, policy.chat.variables),
        own=Said(SERVICE, prompts, frozenset(ends), answers, logps),
        options=options,
        base=base,
    )


def compare(probe: Probe, said: Said, slack: Slack, spelled: Sequence[str]) -> Compared:
    """How close another library came; `spelled` are the vocabulary's tokens.

    Raises LivedpoError, with what differs, if it is another model.
    """
    own = probe.own
    if said.prompts != own.prompts:
        place = next(
            n
            for n, pair in enumerate(zip(own.prompts, said.prompts, strict=True))
            if pair[0] != pair[1]
        )
        raise _mismatch(said.by, _tokens_apart(own.prompts[place], said.prompts[place], spelled))
    if said.ends != own.ends:
        raise _mismatch(
            said.by,
            f"a reply ends with {_named(said.ends, spelled)} there, and with "
            f"{_named(own.ends, spelled)} here",
        )
    nats = _apart(own.logps, said.logps)
    if not nats <= slack.logp:
        raise _mismatch(
            said.by,
            f"log-probabilities are {nats:.3g} nats a token apart, and {slack.logp:g} would be "
            "rounding",
        )
    if probe.moved > slack.logp and not nats < _apart(probe.base, said.logps):
        raise _mismatch(said.by, "it is nearer to the base than to the version")
    parted = []
    for number in range(len(own.answers)):
        gap = _gap(probe, said, number)
        if gap is not None:
            parted.append(gap)
            if not gap <= slack.gap:
                raise _mismatch(
                    said.by,
                    f"greedy answer {number + 1} is another one; where they part, the words are "
                    f"{gap:.2g} nats apart, and {slack.gap:g} would be rounding",
                )
    return Compared(said.by, len(own.answers), parted, nats)


def _conversations(policy: Policy) -> list[Messages]:
    """Those that fit, and that the plain template takes as the service does. Raises BadInput."""
    room = policy.context_tokens - ANSWER_TOKENS
    found = []
    for messages in CONVERSATIONS:
        with suppress(*REFUSALS):
            tokens = policy.prompt_tokens(messages)
            plain = templated(policy.tokenizer, messages, **policy.chat.variables)
            if plain == tokens and len(tokens) <= room:
                found.append(messages)
    if not found:
        raise BadInput("No short conversation fits the policy's context and chat template.")
    return found[:MAX_CONVERSATIONS]


def _logps(policy: Policy, prompt: list[int], reply: list[int]) -> list[float]:
    found: list[float] = choices(policy.model, prompt, reply)[range(len(reply)), reply].tolist()
    return found


def _apart(ours: list[list[float]], theirs: list[list[float]]) -> float:
    """Mean absolute difference of two lists of log-probabilities, nats a token."""
    pairs = [
        pair
        for one, other in zip(ours, theirs, strict=True)
        for pair in zip(one, other, strict=True)
    ]
    return sum(abs(one - other) for one, other in pairs) / max(1, len(pairs))


def _gap(probe: Probe, said: Said, number: int) -> float | None:
    """How much likelier the service finds its own word where two answers part; None if they do not.

    The end of an answer is a word like others.
    """
    own, other = probe.own.answers[number], said.answers[number]
    if own == other:
        return None
    place = next(
        (
            n
            for n, pair in enumerate(zip(own.tokens, other.tokens, strict=False))
            if len(set(pair)) > 1
        ),
        min(len(own.tokens), len(other.tokens)),
    )
    options = probe.options[number][place]
    ends = list(probe.own.ends)
    chosen = options[own.tokens[place]] if place < len(own.tokens) else options[ends].max()
    instead = options[other.tokens[place]] if place < len(other.tokens) else options[ends].max()
    return float(chosen - instead)


def _tokens_apart(own: list[int], other: list[int], spelled: Sequence[str]) -> str:
    """Where two lists of tokens part, in words."""
    place = next(
        (n for n, pair in enumerate(zip(own, other, strict=False)) if pair[0] != pair[1]),
        min(len(own), len(other)),
    )
    ours, theirs = (_spelled(tokens[place : place + 3], spelled) for tokens in (own, other))
    return (
        f"the chat template gives other tokens: {theirs} in place of {ours} after "
        f"{place} that are the same"
    )


def _spelled(tokens: Sequence[int], spelled: Sequence[str]) -> str:
    return " ".join(repr(spelled[token]) for token in tokens) or "nothing"


def _named(ends: frozenset[int], spelled: Sequence[str]) -> str:
    return _spelled(sorted(ends), spelled)


def _mismatch(by: str, what: str) -> LivedpoError:
    return LivedpoError(f"Read again by {by}, it is not what the service says: {what}.")
