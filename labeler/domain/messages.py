"""A conversation: who speaks, and what each message says."""

Messages = list[dict[str, str]]  # {"role": a speaker, "content": a text} each
# With the names that pages show.
SPEAKERS = {"system": "Instruction", "user": "User", "assistant": "Assistant"}
