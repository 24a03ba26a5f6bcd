"""The Modelfile: where the weights are, how a conversation is written, and what ends a reply.

Ollama recognises some chat templates that it finds in a GGUF file, and writes the bare prompt for
all others. So the template is also given in Ollama's own language, pieced together from what the
policy's template writes around made-up messages, where that says the same of every conversation
that the version is checked with, and on every day.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from labeler.domain.drawing import Drawing
from labeler.domain.messages import Messages
from trainer.policy.chat import REFUSALS

SYSTEM, ASKED, SAID, NEXT = "qx0xq", "qx1xq", "qx2xq", "qx3xq"
TODAY = "strftime_now"  # what templates ask for the date, as those of Llama 3.1 and SmolLM3
QUOTES = '"""'
MAX_CONTEXT = 8192


@dataclass(frozen=True)
class Turns:
    """What a chat template writes: before a conversation without a system message, around what each
    role says, and before a reply.
    """

    head: str
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    reply: str

    def render(self, messages: Messages) -> str:
        """A conversation that waits for a reply."""
        around = {"system": self.system, "user": self.user, "assistant": self.assistant}
        head = "" if messages[0]["role"] == "system" else self.head
        said = (m["content"].join(around[m["role"]]) for m in messages)
        return head + "".join(said) + self.reply


def modelfile(
    file: str,
    turns: Turns | None,
    *,
    stops: Sequence[str],
    context: int,
    drawing: Drawing,
) -> str:
    """The Modelfile for a GGUF file beside it; `drawing` is how the service samples."""
    lines = [f"FROM ./{file}"]
    if turns is None:
        lines.append("# Ollama has to recognise the chat template that is in the file.")
    else:
        lines.append(f"TEMPLATE {QUOTES}{_in_go(turns)}{QUOTES}")
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    lines += [
        f"PARAMETER num_ctx {min(context, MAX_CONTEXT)}",
        f"PARAMETER temperature {drawing.temperature:g}",
        f"PARAMETER top_p {drawing.top_p:g}",
        "PARAMETER top_k 0",
        "PARAMETER min_p 0",
        "PARAMETER repeat_penalty 1",
    ]
    return "\n".join([*lines, ""])


def turns_of(tokenizer: Any, conversations: Sequence[Messages], *, adds_bos: bool) -> Turns | None:
    """What the chat template writes around messages; None if it is not that regular.

    One that writes the date is not: that of the export would stay. A BOS that the server `adds_bos`
    is left out.
    """
    if TODAY in tokenizer.get_chat_template():
        return None
    with suppress(*REFUSALS):
        turns = _pieced(tokenizer)
        for messages in (*conversations, *_made_up()):
            written = _written(tokenizer, messages, reply=True)
            if turns.render(messages) != written or "{{" in written or QUOTES in written:
                return None
        return _without_bos(turns, tokenizer.bos_token) if adds_bos else turns
    return None


def _pieced(tokenizer: Any) -> Turns:
    """The pieces between made-up messages. Raises ValueError if one of these is not there."""
    with_system, plain, *_ = _made_up()
    first, _, rest = _written(tokenizer, plain, reply=False).partition(ASKED)
    between, _, rest = rest.partition(SAID)
    again, _, after_user = rest.partition(NEXT)
    to_reply = _written(tokenizer, plain, reply=True).rpartition(NEXT)[2]
    ended = _written(tokenizer, plain[:2], reply=False).rpartition(SAID)[2]
    before_system, found, rest = _written(tokenizer, with_system, reply=False).partition(SYSTEM)
    after_system = rest.partition(ASKED)[0]
    before_user = again.removeprefix(ended)
    if not found or not first.endswith(before_user) or not after_system.endswith(before_user):
        raise ValueError("a message is written in no regular way")
    return Turns(
        head=first.removesuffix(before_user),
        system=(before_system, after_system.removesuffix(before_user)),
        user=(before_user, after_user),
        assistant=(between.removeprefix(after_user), ended),
        reply=to_reply.removeprefix(after_user),
    )


def _made_up() -> tuple[Messages, Messages]:
    """A conversation with a system message, and one without."""
    turns = [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": SAID},
        {"role": "user", "content": NEXT},
    ]
    return [{"role": "system", "content": SYSTEM}, *turns], turns


def _written(tokenizer: Any, messages: Messages, *, reply: bool) -> str:
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=reply)
    return text


def _without_bos(turns: Turns, bos: str) -> Turns:
    """Without the BOS that the server adds by itself."""
    before, after = turns.system
    return Turns(
        turns.head.removeprefix(bos),
        (before.removeprefix(bos), after),
        turns.user,
        turns.assistant,
        turns.reply,
    )


def _in_go(turns: Turns) -> str:
    """The template in the language of Go. A reply that is begun already is gone on with."""
    before, after = turns.assistant
    around = (
        ("if", "system", turns.system),
        ("else if", "user", turns.user),
        ("else if", "assistant", (before, f"{{{{ if not $last }}}}{after}{{{{ end }}}}")),
    )
    said = "".join(
        f'{{{{ {word} eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}'
        for word, role, (before, after) in around
    )
    head = f'{{{{ if ne (index .Messages 0).Role "system" }}}}{turns.head}{{{{ end }}}}'
    if not turns.head:
        head = ""
    each = "{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}"
    reply = f'{{{{ if and $last (ne .Role "assistant") }}}}{turns.reply}{{{{ end }}}}'
    return f"{head}{each}{said}{{{{ end }}}}{reply}{{{{ end }}}}"
