"""Rows as columns: their names, what they are called elsewhere, and the prompt that they hold."""

from collections.abc import Mapping
from typing import Any

from labeler.domain.messages import Messages
from labeler.files.reading.messages import conversation, waiting, without_reply

Row = dict[str, Any]

# A column that holds the prompt alone, in the order in which they are looked for.
QUESTIONS = ("prompt", "question", "query", "instruction")
# A column that holds a conversation, whose last reply is no part of the prompt.
CONVERSATIONS = ("conversations", "messages")
SYSTEM = ("system", "system_prompt")
PROMPT = (*QUESTIONS, "input", "history", *CONVERSATIONS, *SYSTEM)
# Columns that would be part of the prompt, and have no place in it here.
_LOST = ("context", "images", "image", "videos", "audios", "tools", "functions", "documents")
# What `--map` may call a column.
TARGETS = (
    *("prompt", "messages", "system", "input", "chosen", "rejected", "better", "worse"),
    *("completion", "label", "response_a", "response_b", "choice"),
)
# What tells a header from a row.
KNOWN = frozenset((*PROMPT, *TARGETS, "text", "annotation_id"))


def folded(row: Mapping[Any, Any]) -> Row:
    """The row without empty columns, with names in lower case. Raises ValueError for a clash."""
    found: Row = {}
    for key, value in row.items():
        name = str(key).strip().lower()
        if name in found:
            raise ValueError(f"the column '{name}' is there twice")
        if value is not None:
            found[name] = value
    return found


def mapped(row: Row, names: Mapping[str, str]) -> Row:
    """The row with columns called as `names` says: ours by theirs, `a.b` for `b` within `a`."""
    if not names:
        return row
    taken = {ours: _value(row, theirs) for ours, theirs in names.items()}
    gone = {*names, *names.values()}
    rest = {name: value for name, value in row.items() if name not in gone}
    return rest | {ours: value for ours, value in taken.items() if value is not None}


def has_prompt(row: Row) -> bool:
    """Whether one of the columns for a prompt is there."""
    return any(name in row for name in (*QUESTIONS, *CONVERSATIONS))


def prompt_of(row: Row) -> Messages:
    """The conversation that waits for a reply, from all the columns that are part of it."""
    if lost := next((name for name in _LOST if row.get(name)), None):
        raise ValueError(f"'{lost}' cannot be taken, and the prompt is not whole without it")
    system, said = _system(row), _history(row) + _asked(row)
    if system and said[:1] and said[0]["role"] == "system":
        if said[0] != system[0]:
            raise ValueError("two messages of the system that differ")
        return waiting(said)
    return waiting(system + said)


def _asked(row: Row) -> Messages:
    asked = next((name for name in QUESTIONS if name in row), None)
    told = next((name for name in CONVERSATIONS if name in row), None)
    if asked is None and told is None:
        raise ValueError("no 'prompt' and no 'messages'")
    before = [] if told is None else without_reply(conversation(row[told]))
    if asked is None:
        return before
    question = conversation(_with_input(row, asked))
    if told is None:
        return question
    if any(before[place:][: len(question)] == question for place in range(len(before))):
        return before
    raise ValueError(f"'{asked}' is no part of '{told}', so it is unclear which one is the prompt")


def _with_input(row: Row, asked: str) -> Any:
    """The question; an instruction has its input on the next line, as LLaMA-Factory writes it."""
    more = row.get("input")
    if not isinstance(more, str) or not more.strip():
        return row[asked]
    if asked != "instruction" or not isinstance(row[asked], str):
        raise ValueError(f"whether 'input' is part of '{asked}' is unclear")
    return f"{row[asked]}\n{more}"


def _system(row: Row) -> Messages:
    """The system's message, where it has a column of its own."""
    texts = [row[name] for name in SYSTEM if row.get(name)]
    if not texts:
        return []
    if len(texts) > 1 and texts[0] != texts[1]:
        raise ValueError("'system' and 'system_prompt' differ")
    if not isinstance(texts[0], str):
        raise ValueError("'system' is no text")
    return [message | {"role": "system"} for message in conversation(texts[0])]


def _history(row: Row) -> Messages:
    """Earlier turns as pairs of question and answer, as LLaMA-Factory and ms-swift write them."""
    turns = row.get("history") or []
    if not all(isinstance(turn, list) and len(turn) == 2 for turn in turns):
        raise ValueError("'history' is no list of pairs of question and answer")
    said = [{"role": role, "content": text} for turn in turns for role, text in _roles(turn)]
    return conversation(said) if said else []


def _roles(turn: list[Any]) -> list[tuple[str, Any]]:
    return list(zip(("user", "assistant"), turn, strict=True))


def _value(row: Row, path: str) -> Any:
    """What stands under a name, or under `a.b` within `a`."""
    if path in row:
        return row[path]
    found: Any = row
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
