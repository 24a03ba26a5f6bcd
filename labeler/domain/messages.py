"""A conversation: who speaks, and what each message says."""

Messages = list[dict[str, str]]  # {"role": a speaker, "content": a text} each
# With the names that pages show.
SPEAKERS = {"system": "Instruction", "user": "User", "assistant": "Assistant", "tool": "Tool"}
# Other names that files have for them.
ALIASES = {"developer": "system"}


def with_reply(messages: Messages, reply: str) -> Messages:
    """The conversation with a reply to it; one that ends in the assistant's words goes on there.

    >>> with_reply([{"role": "assistant", "content": "First, boil "}], "water.")
    [{'role': 'assistant', 'content': 'First, boil water.'}]
    """
    if messages[-1]["role"] == "assistant":
        *messages, begun = messages
        reply = f"{begun['content'].rstrip()} {reply}"
    return [*messages, {"role": "assistant", "content": reply}]


def with_hint(messages: Messages, hint: str) -> Messages | None:
    r"""The conversation whose last turn, the user's, ends in a hint; None if somebody else has it.

    >>> with_hint([{"role": "user", "content": "Tea?"}], "Be brief.")
    [{'role': 'user', 'content': 'Tea?\n\nBe brief.'}]
    """
    *before, last = messages
    if last["role"] != "user":
        return None
    return [*before, last | {"content": f"{last['content']}\n\n{hint}"}]
