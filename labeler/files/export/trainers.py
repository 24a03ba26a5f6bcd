"""Rows for trainers: TRL, LLaMA-Factory, and the fine-tuning of OpenAI and Fireworks.

TRL's formats exist with texts and with message lists. A text cannot say who speaks, so texts are
for prompts that are one message of the user, and for replies that no reader takes for more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from labeler.domain.messages import Messages
from labeler.domain.states import Choice
from labeler.files.export.labels import Decided, Labelled, decided
from labeler.files.reading.messages import conversation, is_transcript, unpacked

Row = dict[str, Any]
LeftOut = Counter[str]  # why, and how many pairs

SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
# LLaMA-Factory's entry for a data set, in `dataset_info.json`.
DATASET_INFO = {
    "livedpo": {
        "file_name": "livedpo.jsonl",
        "ranking": True,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
    }
}
NO_TURNS = "LLaMA-Factory takes conversations in which user and assistant alternate"
NO_TOOLS = "OpenAI takes no results of tools without their calls"
NO_PREFIX = "OpenAI takes no reply that is begun in the prompt"


def as_texts(pairs: Iterable[Labelled]) -> Iterator[Row]:
    """One row a decided pair, of prompts that are one message of the user."""
    for each in decided(pairs):
        prompt = each.messages[0]["content"]
        yield {"prompt": prompt, "chosen": each.chosen, "rejected": each.rejected}


def as_messages(pairs: Iterable[Labelled]) -> Iterator[Row]:
    """The same as message lists."""
    for each in decided(pairs):
        yield {
            "prompt": each.messages,
            "chosen": _reply(each.chosen),
            "rejected": _reply(each.rejected),
        }


def unpaired_as_texts(pairs: Iterable[Labelled]) -> Iterator[Row]:
    """Two rows a decided pair, and two bad ones for a pair that all called bad."""
    for each, text, label in _one_by_one(pairs):
        yield {"prompt": each.messages[0]["content"], "completion": text, "label": label}


def unpaired_as_messages(pairs: Iterable[Labelled]) -> Iterator[Row]:
    """The same as message lists."""
    for each, text, label in _one_by_one(pairs):
        yield {"prompt": each.messages, "completion": _reply(text), "label": label}


def llama_factory_rows(pairs: Iterable[Labelled], left_out: LeftOut) -> Iterator[Row]:
    """One row a decided pair, as its ranking data in the layout of ShareGPT."""
    for each in decided(pairs):
        if not _alternates(each.messages):
            left_out[NO_TURNS] += 1
            continue
        said = [_said(message["role"], message["content"]) for message in each.messages]
        chosen, rejected = (_said("assistant", text) for text in (each.chosen, each.rejected))
        yield {"conversations": said, "chosen": chosen, "rejected": rejected}


def openai_rows(pairs: Iterable[Labelled], left_out: LeftOut) -> Iterator[Row]:
    """One row a decided pair, as the preference fine-tuning of OpenAI and Fireworks reads it."""
    for each in decided(pairs):
        if reason := _no_openai(each):
            left_out[reason] += 1
            continue
        yield {
            "input": {"messages": each.messages},
            "preferred_output": _reply(each.chosen),
            "non_preferred_output": _reply(each.rejected),
        }


def is_plain(messages: Messages, *replies: str) -> bool:
    """Whether texts say it all: whoever reads them takes the prompt for one of the user, and the
    replies for nothing else.
    """
    if len(messages) != 1 or messages[0]["role"] != "user":
        return False
    try:
        if conversation(messages[0]["content"]) != messages:
            return False
        return all(unpacked(text) == text and not is_transcript(text) for text in replies)
    except ValueError:  # what a reader would refuse
        return False


def _one_by_one(pairs: Iterable[Labelled]) -> Iterator[tuple[Labelled, str, bool]]:
    for each in pairs:
        winner = each.winner
        if winner is None and set(each.choices) != {Choice.BOTH_BAD}:
            continue
        for choice, text in ((Choice.A, each.pair.response_a), (Choice.B, each.pair.response_b)):
            yield each, text, choice is winner


def _alternates(messages: Messages) -> bool:
    """Whether user and assistant speak in turns, the user first and last; a system may begin."""
    turns = messages[1:] if messages[0]["role"] == "system" else messages
    wanted = (("user", "tool"), ("assistant",))
    fits = all(turn["role"] in wanted[place % 2] for place, turn in enumerate(turns))
    return fits and len(turns) % 2 == 1


def _no_openai(each: Decided) -> str | None:
    """Why OpenAI would refuse this conversation; None if it takes it."""
    if any(message["role"] == "tool" for message in each.messages):
        return NO_TOOLS
    return NO_PREFIX if each.messages[-1]["role"] == "assistant" else None


def _said(role: str, text: str) -> dict[str, str]:
    return {"from": SHAREGPT[role], "value": text}


def _reply(text: str) -> Messages:
    return [{"role": "assistant", "content": text}]
