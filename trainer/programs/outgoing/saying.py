"""What a model says when it is asked, so that two libraries can be compared.

A few conversations are tokenised by its own chat template and answered greedily, and the tokens of
two replies get their log-probabilities. This is the part that torch models share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from labeler.domain.messages import Messages

ANSWER_TOKENS = 32
MAX_CONVERSATIONS = 4
# Digits, line ends, a letter beyond ASCII, an emoji, a system message and several turns: what
# tokenizers and templates part over. The last ones stand in where a template refuses a system.
CONVERSATIONS: tuple[Messages, ...] = (
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "user", "content": "Name 3 things:\n\n1. for 250 ml\n2. for tea"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Grüße! 🙂 You?"},
    ],
    [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Tell me a joke."},
    ],
    [{"role": "user", "content": "Grüße! 🙂 You?"}],
    [{"role": "user", "content": "Hi"}],
)
REPLIES = ("Sure! Here are 3:\n\n1. Boil 250 ml.", "No, I don't know that, sorry.")


@dataclass(frozen=True)
class Answer:
    """The tokens of a greedy answer without its end, and whether it ended within the limit."""

    tokens: list[int]
    ended: bool


@dataclass(frozen=True)
class Said:
    """What a library says of a version.

    `prompts` are the conversations in tokens, by its own template; `ends` the tokens that end a
    reply there; `logps` those of the tokens of each reply to the first conversation, nats.
    """

    by: str
    prompts: list[list[int]]
    ends: frozenset[int]
    answers: list[Answer]
    logps: list[list[float]]


@dataclass(frozen=True)
class Asked:
    """What every library is asked: conversations, and replies to the first one in tokens.

    `variables` are those of the chat template, for a library that takes the template of the base.
    """

    conversations: list[Messages]
    replies: list[list[int]]
    variables: Mapping[str, Any]


def templated(tokenizer: Any, messages: Messages, **variables: Any) -> list[int]:
    """A conversation that waits for a reply, by the tokenizer's own template."""
    encoded = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, **variables
    )
    return list(encoded["input_ids"])


def said_by(by: str, model: Any, tokenizer: Any, asked: Asked, ends: Sequence[int]) -> Said:
    """What a torch model says, with the tokenizer that it came with."""
    prompts = [templated(tokenizer, messages) for messages in asked.conversations]
    return Said(
        by=by,
        prompts=prompts,
        ends=frozenset(ends),
        answers=[answer(model, prompt, ends) for prompt in prompts],
        logps=[
            choices(model, prompts[0], reply)[range(len(reply)), reply].tolist()
            for reply in asked.replies
        ],
    )


def answer(model: Any, prompt: Sequence[int], ends: Sequence[int]) -> Answer:
    """The likeliest token, again and again, up to an end.

    What is not said here `generate` takes from the makers.
    """
    plain = GenerationConfig(
        max_new_tokens=ANSWER_TOKENS,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        eos_token_id=list(ends) or None,
        pad_token_id=next(iter(ends), 0),
    )
    tokens = torch.tensor([list(prompt)], device=model.device)
    with torch.no_grad():
        written = model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), generation_config=plain
        )
    return cut(written[0, len(prompt) :].tolist(), ends)


def cut(tokens: Sequence[int], ends: Sequence[int]) -> Answer:
    """An answer up to its first end."""
    place = next((place for place, token in enumerate(tokens) if token in ends), None)
    return Answer(list(tokens[:place]), ended=place is not None)


def choices(model: Any, prompt: Sequence[int], reply: Sequence[int]) -> Tensor:
    """Log-probabilities of every token at each place of a reply and after it, (T + 1, V), nats."""
    tokens = torch.tensor([[*prompt, *reply]], device=model.device)
    with torch.no_grad():
        logits = model(tokens, use_cache=False).logits[0, len(prompt) - 1 :]
    logps: Tensor = logits.float().log_softmax(-1).cpu()
    return logps


def ends_of(config: GenerationConfig) -> list[int]:
    """The tokens that a generation config names as ends."""
    ends = config.eos_token_id
    return [ends] if isinstance(ends, int) else list(ends or ())
