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
