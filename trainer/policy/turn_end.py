"""What ends a reply: the token that the chat template writes after one, and those that files name.

A model stops where it learned to, and that is where its template ends a turn. `generation_config`
may name only the end of a text, as the base model had it.
"""

import logging
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from transformers import GenerationConfig

from labeler.domain.messages import Messages

log = logging.getLogger(__name__)

ASKED, SAID, NEXT = "How are you?", "Certainly.", "And then?"
NO_END = (
    "Nothing ends a reply of this policy: its chat template writes no end of turn, and neither its "
    "generation_config.json nor its tokenizer names one. Every reply runs on to --max-new-tokens"
)


def ends_of_turn(tokenizer: Any, shipped: GenerationConfig) -> list[int]:
    """All tokens that end a reply, that of the chat template first; none if there is none.

    Said in the log if the sources disagree, or if there is none.
    """
    own, config = _as_list(tokenizer.eos_token_id), _as_list(shipped.eos_token_id)
    sources = {
        "the chat template": _as_list(written_end(tokenizer)),
        "generation_config.json": config,
        "the tokenizer": own,
    }
    ends = list(dict.fromkeys(token for tokens in sources.values() for token in tokens))
    if not ends:
        log.warning("%s.", NO_END)
    elif not set(ends) <= set(config or own or ends):
        named = (
            f"{', '.join(tokenizer.convert_ids_to_tokens(tokens))} ({source})"
            for source, tokens in sources.items()
            if tokens
        )
        log.info("The sources disagree on what ends a reply, so each does: %s.", "; ".join(named))
    return ends


def written_end(tokenizer: Any) -> int | None:
    """The first control token that the chat template writes after a reply, if it writes one.

    Where nothing ends the last reply, what follows one in the middle does: a tag that opens the
    next turn, perhaps.
    """
    for following in ([], [{"role": "user", "content": NEXT}]):
        tokens = tokenizer(_after_reply(tokenizer, following), add_special_tokens=False)
        for token in tokens["input_ids"]:
            if _is_control(tokenizer, token):
                return int(token)
    return None


def _after_reply(tokenizer: Any, following: Messages) -> str:
    """What the template writes between a reply and the text of the next turn."""
    chat = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": SAID}, *following]
    try:
        text = tokenizer.apply_chat_template(chat, tokenize=False)
    except (TemplateError, ValueError, TypeError):  # what templates say of what they cannot take
        return ""
    _, said, after = text.rpartition(SAID)
    return after.partition(NEXT)[0] if said else ""


def _is_control(tokenizer: Any, token: int) -> bool:
    """Whether it is more than text: some tokenizers add runs of spaces, too."""
    if token in tokenizer.all_special_ids:
        return bool(token == tokenizer.eos_token_id or token != tokenizer.bos_token_id)
    added = tokenizer.added_tokens_decoder.get(token)
    return added is not None and bool(added.content.strip())


def _as_list(tokens: int | Sequence[int] | None) -> list[int]:
    if tokens is None:
        return []
    return [tokens] if isinstance(tokens, int) else list(tokens)
