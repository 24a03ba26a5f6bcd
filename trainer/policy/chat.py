"""Where a conversation becomes tokens, for policy, reward model and learned judge alike.

    messages  ->  as the chat template takes them  ->  the template's text  ->  tokens

Only the template writes control tokens. What people and models write is text, also where it reads
like one: `transformers` marks it before the template runs (`sanitize_control_tokens`). Texts
without such tokens are tokenised with the template around them as a whole, as without the marks.

Leaves out turns that a template writes as plain text, as "[INST]" or "USER:": to a tokenizer they
are text whoever writes them.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from labeler.domain.errors import first_line
from labeler.domain.messages import Messages, with_reply
from labeler.domain.thought import CLOSE, OPEN, parts_of

log = logging.getLogger(__name__)

OPENING_TOKENS = 16  # more than "<think>" and line ends take, whatever the tokenizer
# Families whose makers put a system message before the first one of the user.
FOLDING_FAMILIES = ("gemma", "mistral", "mixtral")
# What a template raises, in one way or another, of a conversation that it cannot take.
REFUSALS = (TemplateError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
_TEXT = "{{ messages[0]['content'] }}"
# The marks around a thought are the template's, and so control tokens where a tokenizer has them.
# Without blocks, for those would change blanks before them.
_REPLY = (
    f"{{{{ '{OPEN}' if reply_opened else '' }}}}{{{{ reply_thought }}}}"
    f"{{{{ '{CLOSE}' if reply_closed else '' }}}}{{{{ reply_text }}}}"
)
_ASKED: Messages = [{"role": "user", "content": "qx0xq"}]
_SAID = "qx1xq"
_TRIALS = (("system", "user", "assistant"), ("user", "assistant", "tool"), ("user",))


class Refused(ValueError):
    """The chat template, or the tokenizer, cannot take this conversation; says why."""


class Chat:
    """The chat template of one tokenizer. `family` is the model's `model_type`."""

    def __init__(
        self, tokenizer: Any, *, family: str, variables: Mapping[str, Any] | None = None
    ) -> None:
        """`variables` are handed to the template, as `enable_thinking` of Qwen3."""
        self._tokenizer = tokenizer
        self._folds = family.startswith(FOLDING_FAMILIES)
        self.variables = dict(variables or {})
        self._objections: dict[tuple[str, ...], str | None] = {}
        self._told = False

    def prompt(self, messages: Messages) -> list[int]:
        """A conversation that waits for a reply. One that ends in a reply is to be continued.

        Raises Refused.
        """
        continued = messages[-1]["role"] == "assistant"
        return self._encode(
            self._taken(messages),
            add_generation_prompt=not continued,
            continue_final_message=continued,
        )

    def with_reply(self, messages: Messages, reply: str) -> list[int]:
        """A conversation with a reply to it, and the end of that turn. Raises Refused."""
        return self._encode(self._taken(with_reply(messages, reply)))

    def reply(self, text: str) -> list[int]:
        """A reply without its turn's end, as the model would have sampled it after a prompt.

        Alone it may be other tokens: SentencePiece puts a blank before a text that has none before
        it, so also after a prompt that ends in text. Where a template writes such a blank itself,
        the reply is tokenised alone. No control token is in it, but for those around its thought,
        of which the prompt may have the first. Raises Refused.
        """
        opening, thought, closing, reply = parts_of(text)
        after = closing.removeprefix(CLOSE) + reply
        self._refuse_disguised(
            [{"role": "assistant", "content": said} for said in (thought, after)]
        )
        said = {
            "reply_opened": bool(opening),
            "reply_thought": thought,
            "reply_closed": bool(closing),
            "reply_text": after,
        }
        if self._goes_on_at_once:
            prompt = self.prompt(_ASKED)
            if opening and self.opens_thought(prompt):
                said |= {"reply_opened": False, "reply_thought": thought.removeprefix("\n")}
            template = self._tokenizer.get_chat_template().removesuffix("\n") + _REPLY
            whole = self._encode(_ASKED, chat_template=template, add_generation_prompt=True, **said)
            if whole[: len(prompt)] == prompt:
                return whole[len(prompt) :]
        return self._encode(_ASKED, chat_template=_REPLY, **said)

    def opens_thought(self, prompt: Sequence[int]) -> bool:
        """Whether the template has opened a thought at the end of a prompt, as DeepSeek-R1's."""
        end: str = self._tokenizer.decode(prompt[-OPENING_TOKENS:])
        return end.rstrip().endswith(OPEN)

    @cached_property
    def _goes_on_at_once(self) -> bool:
        """Whether the template takes a question, and writes no blank between it and the reply."""
        if self._objection(_ASKED):
            return False
        try:
            prompt = self._render(_ASKED, add_generation_prompt=True)
        except REFUSALS:
            return False
        try:
            answered = self._render([*_ASKED, {"role": "assistant", "content": _SAID}])
        except REFUSALS:
            return True
        between = answered.removeprefix(prompt).partition(_SAID)[0]
        return not (answered.startswith(prompt) and between and between.isspace())

    @cached_property
    def _marking(self) -> Any:
        """The tokenizer, told which tokens are control tokens beside those marked special.

        They are those that the template holds, or that it puts together as it writes.
        """
        tokenizer = self._tokenizer
        known = tokenizer.get_chat_template() + "".join(self._written())
        named = {
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if token.content in known and not token.content.isspace()
        }
        tokenizer.chat_control_tokens = sorted({*named, *(tokenizer.chat_control_tokens or ())})
        return tokenizer

    @cached_property
    def _disguisable(self) -> set[int]:
        """Control tokens that a text may hold in other letters, as "＜|END|＞" for "<|end|>".

        The tokenizer's normalizer brings such a one to light after the text was marked.
        """
        tokenizer = self._marking
        if not tokenizer.is_fast or tokenizer.backend_tokenizer.normalizer is None:
            return set()
        return {
            number
            for number, token in tokenizer.added_tokens_decoder.items()
            if token.normalized
            and (token.special or token.content in tokenizer.chat_control_tokens)
        }

    def _written(self) -> Iterator[str]:
        """What the template writes of a few made-up conversations."""
        for roles in _TRIALS:
            try:
                yield self._render(_made_up(roles), add_generation_prompt=True)
            except REFUSALS:
                continue

    def _refuse_disguised(self, messages: Messages) -> None:
        """Raise Refused if a text holds a control token in other letters."""
        for message in messages if self._disguisable else ():
            tokens = self._encode([message], chat_template=_TEXT)
            if self._disguisable.intersection(tokens):
                raise Refused("the tokenizer reads a control token in it")

    def _encode(self, messages: Messages, **how: Any) -> list[int]:
        try:
            encoded = self._marking.apply_chat_template(
                messages,
                tokenize=True,
                return_dict=True,
                sanitize_control_tokens=True,
                **(self.variables | how),
            )
        except REFUSALS as error:
            raise Refused(first_line(error)) from error
        return list(encoded["input_ids"])

    def _render(self, messages: Messages, **how: Any) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, **(self.variables | how)
        )
        return text

    def _taken(self, messages: Messages) -> Messages:
        """The conversation as the template takes it, with nothing left out. Raises Refused."""
        objection = self._objection(messages)
        if objection and self._folds and "system" in _roles(messages):
            messages = _folded(messages)
            objection = self._objection(messages)
            if objection is None and not self._told:
                self._told = True
                log.info(
                    "The chat template takes no system message; it goes before the user's, as is "
                    "usual for this family of models."
                )
        if objection:
            raise Refused(objection)
        self._refuse_disguised(messages)
        return messages

    def _objection(self, messages: Messages) -> str | None:
        """Why the template cannot take a conversation of these roles; None if it can.

        A template that drops a message is noticed by made-up words that are missing.
        """
        roles = _roles(messages)
        if roles not in self._objections:
            made_up = _made_up(roles)
            try:
                text = self._render(made_up)
                missing = [m["role"] for m in made_up if m["content"] not in text]
                found = (
                    f"the chat template leaves out what the {missing[0]} says" if missing else None
                )
            except REFUSALS as error:
                found = first_line(error)
            self._objections[roles] = found
        return self._objections[roles]


def _roles(messages: Messages) -> tuple[str, ...]:
    return tuple(message["role"] for message in messages)


def _made_up(roles: Sequence[str]) -> Messages:
    """A conversation of these roles, in which each message says a word of its own."""
    return [{"role": role, "content": f"qx{place}xq"} for place, role in enumerate(roles)]


def _folded(messages: Messages) -> Messages:
    """Each system message put before the message of the user that follows it, if one does."""
    folded: Messages = []
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "system":
            waiting.append(message["content"])
            continue
        if message["role"] == "user" and waiting:
            message = message | {"content": "\n\n".join([*waiting, message["content"]])}
            waiting = []
        folded.append(message)
    return [*folded, *({"role": "system", "content": text} for text in waiting)]
