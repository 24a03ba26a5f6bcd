"""Texts, messages and replies, as files of many tools write them; a ValueError says what is wrong.

Nothing is mended: a message is taken with all that it says, or refused.
"""

import ast
import json
import re
from typing import Any

from labeler.domain.messages import ALIASES, SPEAKERS, Messages

MAX_CHARS = 1_000_000  # of a prompt, or of a reply
SURROGATES = re.compile("[\ud800-\udfff]")
ROLES = {name: name for name in SPEAKERS} | {
    **ALIASES,
    **dict.fromkeys(("human",), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "model", "bot"), "assistant"),
    **dict.fromkeys(("function", "observation"), "tool"),
}
# What a message may have besides its text, and would lose here.
_MORE = {
    "tool_calls": "a tool call",
    "function_call": "a tool call",
    "images": "an image",
    "image": "an image",
    "audio": "a sound",
    "files": "a file",
    "reasoning_content": "a thought in a field of its own",
    "reasoning": "a thought in a field of its own",
    "thinking": "a thought in a field of its own",
}
_TEXT_PARTS = ("text", "input_text", "output_text")
_TURN = re.compile(r"(?:\A|\n\n)[ ]?(Human|Assistant):")
# How a text begins that a chat template has laid out already.
_LAID_OUT = re.compile(
    r"\s*(?:<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>)?\s*(?P<mark><\|im_start\|>|\[INST\]"
    r"|<\|start_header_id\|>|<start_of_turn>|<\|(?:user|system|assistant)\|>|<｜User｜>"
    r"|### (?:Human|Instruction|User):?|Below is an instruction that describes a task)"
)
_ROLES_AS_TEXT = re.compile(
    r"(?:system|user|assistant|tool): (?s:.*?)\n\n(?:user|assistant|tool): "
)
_LIST_AS_TEXT = re.compile(r"\s*(?:\[\s*\{(?s:.*)\}\s*\]|\{(?s:.*)\})\s*")
_NAMES_OF_MESSAGES = re.compile(r"""['"](?:role|from)['"]\s*:""")


def conversation(value: Any) -> Messages:
    """A text, a message, or a list of messages, as messages.

    A text may hold a message list as JSON or as Python writes it, or an HH transcript.
    """
    value = unpacked(value)
    if isinstance(value, str):
        return _as_messages(value)
    if isinstance(value, dict) and ("role" in value or "from" in value):
        value = [value]
    if not isinstance(value, list) or not value:
        raise ValueError(f"neither a text nor a list of messages, but {_kind(value)}")
    messages = [_message(message) for message in value]
    if sum(len(message["content"]) for message in messages) > MAX_CHARS:
        raise ValueError(f"longer than {MAX_CHARS} characters")
    return messages


def waiting(messages: Messages) -> Messages:
    """The conversation, if it waits for a reply; its last words may be the assistant's own."""
    if not messages:
        raise ValueError("there is no message to reply to")
    if messages[-1]["role"] == "system":
        raise ValueError("the last message is from the system")
    return messages


def without_reply(messages: Messages) -> Messages:
    """What a conversation's last reply answers."""
    if messages and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
        if messages and messages[-1]["role"] == "assistant":
            raise ValueError("it ends with two messages of the assistant")
    return waiting(messages)


def two_replies(
    prompt: Messages, first: Any, second: Any, names: tuple[str, str] = ("chosen", "rejected")
) -> tuple[Messages, str, str]:
    """The conversation that two replies answer, and both as texts.

    Each is a text, a message, or a list: of the reply, or of the whole conversation with the reply
    at its end. Both conversations must be the same up to the last message.
    """
    whole_a, whole_b = (
        _whole(prompt, value, name) for value, name in zip((first, second), names, strict=True)
    )
    for whole, name in ((whole_a, names[0]), (whole_b, names[1])):
        if whole[-1]["role"] != "assistant":
            raise ValueError(f"'{name}' ends with a message of the {whole[-1]['role']}")
    messages = whole_a[:-1]
    if messages != whole_b[:-1]:
        raise ValueError(
            f"'{names[0]}' and '{names[1]}' differ before their last message, so they are not two "
            "replies to one conversation"
        )
    if len(messages) > len(prompt) and messages[-1]["role"] == "assistant":
        raise ValueError("the reply is two messages of the assistant")
    return waiting(messages), whole_a[-1]["content"], whole_b[-1]["content"]


def is_transcript(value: Any) -> bool:
    """Whether it is a dialogue as Anthropic's HH has them: "\\n\\nHuman: … \\n\\nAssistant: …"."""
    return isinstance(value, str) and (
        value.startswith(("\n\nHuman:", " \n\nHuman:", "\n\nAssistant:"))
        or (value.startswith("Human:") and "\n\nAssistant:" in value)
    )


def checked_text(value: Any, name: str = "") -> str:
    """A text that says something and can be stored."""
    of = f" under '{name}'" if name else ""
    if not isinstance(value, str):
        raise ValueError(f"no text{of}, but {_kind(value)}")
    if not value.strip():
        raise ValueError(f"empty text{of}")
    if SURROGATES.search(value):
        raise ValueError(f"half a character (a lone surrogate){of}")
    if len(value) > MAX_CHARS:
        raise ValueError(f"longer than {MAX_CHARS} characters{of}")
    return value


def _whole(prompt: Messages, value: Any, name: str) -> Messages:
    """The conversation with one of its replies at the end."""
    value = unpacked(value)
    if not value:
        raise ValueError(f"'{name}' is empty")
    if isinstance(value, str) and not is_transcript(value):
        return [*prompt, {"role": "assistant", "content": checked_text(value, name)}]
    try:
        side = conversation(value)
    except ValueError as error:
        raise ValueError(f"in '{name}': {error}") from error
    if side[0]["role"] == "assistant":
        return prompt + side
    without_system = side[1:] if side[0]["role"] == "system" else side
    if prompt not in (side[: len(prompt)], without_system[: len(prompt)]):
        raise ValueError(f"'{name}' is a whole conversation that does not begin with the prompt")
    return side


def _as_messages(text: str) -> Messages:
    """A text as the user's message, or the turns of an HH transcript."""
    checked_text(text)
    if is_transcript(text):
        return _turns(text)
    if laid_out := _LAID_OUT.match(text):
        raise ValueError(
            f"a chat template has laid this text out already ('{laid_out['mark']}'); give the "
            "messages instead"
        )
    if _ROLES_AS_TEXT.match(text):
        raise ValueError(
            "a conversation with its roles as text; export it again with --format conversational"
        )
    return [{"role": "user", "content": text}]


def _turns(transcript: str) -> Messages:
    """An HH transcript as messages. An empty turn of the assistant at the end is left out."""
    _, *parts = _TURN.split(transcript)
    said = [
        {"role": ROLES[who.lower()], "content": text.strip()}
        for who, text in zip(parts[::2], parts[1::2], strict=True)
    ]
    if said[-1]["role"] == "assistant" and not said[-1]["content"]:
        said.pop()
    if not all(message["content"] for message in said):
        raise ValueError("a turn of the transcript is empty")
    return said


def _message(message: Any) -> dict[str, str]:
    if not isinstance(message, dict):
        raise ValueError(f"a list of messages with {_kind(message)} in it")
    role = message.get("role", message.get("from"))
    role = ROLES.get(role.lower()) if isinstance(role, str) else None
    if role is None:
        raise ValueError(f"a message needs one of the roles {', '.join(SPEAKERS)}")
    for name in _MORE.keys() & message.keys():
        if message[name]:
            raise ValueError(f"a message of the {role} has {_MORE[name]}, which cannot be taken")
    content = message.get("content", message.get("value"))
    if isinstance(content, list):
        content = _joined(content)
    if content is None or content == "":
        raise ValueError(f"a message of the {role} is empty")
    return {"role": role, "content": checked_text(content)}


def _joined(parts: list[Any]) -> str:
    """The text of content parts; several are set below each other."""
    texts = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _TEXT_PARTS:
            what = kind if isinstance(kind, str) else _kind(part)
            raise ValueError(f"a message has a part that is no text ({what})")
        texts.append(checked_text(part.get("text")))
    return "\n".join(texts)


def unpacked(value: Any) -> Any:
    """The message list that a text holds, as tables without lists write them; else the value."""
    if not isinstance(value, str) or not _LIST_AS_TEXT.fullmatch(value):
        return value
    if not _NAMES_OF_MESSAGES.search(value):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        messages = found if isinstance(found, list) else [found]
        keys = [message.keys() for message in messages if isinstance(message, dict)]
        is_message = [{"role", "content"} <= key or {"from", "value"} <= key for key in keys]
        return found if len(is_message) == len(messages) and all(is_message) else value
    raise ValueError("a message list as text that is neither JSON nor Python's")


def _kind(value: Any) -> str:
    """What a value is, in a reader's words."""
    match value:
        case None:
            return "nothing"
        case bool() | int() | float():
            return "a number"
        case bytes():
            return "bytes"
        case dict():
            return "an object"
        case list():
            return "a list" if value else "an empty list"
        case str():
            return "a text"
    return type(value).__name__
