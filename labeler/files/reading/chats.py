"""What chat pages export: Open WebUI's feedback and chats, Chatbot Arena's battles."""

import json
from collections.abc import Iterator
from typing import Any

from labeler.domain.messages import Messages
from labeler.domain.states import Choice
from labeler.files.reading.columns import Row
from labeler.files.reading.messages import checked_text, conversation, two_replies, waiting
from labeler.files.reading.said import Said, Thumbed
from labeler.files.reading.sides import choice_of, compared

_ARENA = "conversation_a", "conversation_b"
_KAGGLE = {"winner_model_a": Choice.A, "winner_model_b": Choice.B, "winner_tie": Choice.TIE}


def open_webui_prompt(row: Row) -> Messages:
    """The conversation that the rated message answers."""
    return _path(row, _rated(row)["parentId"])


def open_webui_feedback(row: Row) -> list[Said]:
    """A thumb: over or under each other answer to the same message, or on its own."""
    rated = _rated(row)
    prompt = _path(row, rated["parentId"])
    good = {"1": True, "-1": False}.get(str(row["data"].get("rating")))
    if good is None:
        return []
    text = _words(rated)
    others = [(at, words) for at, words in _siblings(row, rated) if words != text]
    if not others:
        return [Thumbed(prompt, text, good)]
    siblings = _messages(row)[rated["parentId"]].get("childrenIds") or []
    said: list[Said] = []
    for at, words in others:
        # In the order of the page, so that the thumbs on both sides are one pair.
        comes_first = siblings.index(rated["id"]) < at
        texts = (text, words) if comes_first else (words, text)
        choice = Choice.A if comes_first == good else Choice.B
        said.append(compared(prompt, texts, ("the answer", "another answer"), choice))
    return said


def open_webui_chat(row: Row) -> Messages:
    """A chat without ratings: what its last answer answers."""
    current = _messages(row).get(row["chat"]["history"].get("currentId"))
    if not isinstance(current, dict):
        raise ValueError("the chat has no current message")
    asked = current.get("parentId") if current.get("role") == "assistant" else current.get("id")
    return _path(row, asked)


def arena_battle(row: Row) -> list[Said]:
    """Two conversations that differ in their last answer, and who won."""
    choice = choice_of(row.get("winner"), ("model_a", "model_b"))
    return [compared([], (row[_ARENA[0]], row[_ARENA[1]]), _ARENA, choice)]


def arena_prompt(row: Row) -> Messages:
    """What both conversations have in common."""
    messages, _, _ = two_replies([], row[_ARENA[0]], row[_ARENA[1]], _ARENA)
    return messages


def kaggle_battle(row: Row) -> list[Said]:
    """The Arena's battles as on Kaggle: lists of turns, and one column for each outcome."""
    won = [choice for name, choice in _KAGGLE.items() if str(row.get(name)) in ("1", "1.0", "True")]
    if len(won) != 1:
        raise ValueError("none or several of the columns winner_… say 1")
    texts = _only(row, "response_a"), _only(row, "response_b")
    return [compared(kaggle_prompt(row), texts, ("response_a", "response_b"), won[0])]


def kaggle_prompt(row: Row) -> Messages:
    """The only turn of the user."""
    return waiting(conversation(_only(row, "prompt")))


def _only(row: Row, name: str) -> str:
    """The only turn of a list of turns, which may be JSON as text."""
    turns = row.get(name)
    if isinstance(turns, str) and turns.startswith("["):
        try:
            turns = json.loads(turns)
        except ValueError as error:
            raise ValueError(f"'{name}' is no JSON list") from error
    if not isinstance(turns, list):
        return checked_text(turns, name)
    if len(turns) != 1:
        raise ValueError(f"'{name}' has {len(turns)} turns, and two replies need one prompt")
    return checked_text(turns[0], name)


def _chat(row: Row) -> dict[str, Any]:
    """The chat's own record, of a feedback's snapshot or of a chat export."""
    found: Any = row.get("snapshot") or row
    for _ in range(2):
        inner = found.get("chat")
        found = inner if isinstance(inner, dict) else found
    if not isinstance(found.get("history"), dict):
        raise ValueError(
            "the snapshot of the chat is missing; only newer versions of Open WebUI export it"
        )
    return dict(found)


def _messages(row: Row) -> dict[str, Any]:
    found = _chat(row)["history"].get("messages")
    return found if isinstance(found, dict) else {}


def _rated(row: Row) -> dict[str, Any]:
    """The message that was rated."""
    found = _messages(row).get(row["meta"].get("message_id"))
    if not isinstance(found, dict) or not found.get("parentId"):
        raise ValueError("the rated message is not in the snapshot of the chat")
    return found


def _siblings(row: Row, rated: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Place and text of the other finished answers to the same message."""
    messages = _messages(row)
    for at, name in enumerate(messages[rated["parentId"]].get("childrenIds") or []):
        other = messages.get(name)
        if name == rated["id"] or not isinstance(other, dict):
            continue
        if other.get("role") == "assistant" and other.get("done", True) and other.get("content"):
            yield at, _words(other)


def _path(row: Row, last: Any) -> Messages:
    """The conversation from its first message down to this one, by the parents."""
    messages, chain, seen = _messages(row), [], set()
    at = last
    while at is not None and at not in seen:
        seen.add(at)
        message = messages.get(at)
        if not isinstance(message, dict):
            raise ValueError("a message of the chat is missing")
        chain.append({"role": message.get("role"), "content": _content(message)})
        at = message.get("parentId")
    chat = _chat(row)
    system = chat.get("system") or (chat.get("params") or {}).get("system")
    said = conversation(chain[::-1])
    return waiting(conversation([{"role": "system", "content": system}]) + said if system else said)


def _words(message: dict[str, Any]) -> str:
    """An answer's text."""
    (said,) = conversation([{"role": message.get("role"), "content": _content(message)}])
    if said["role"] != "assistant":
        raise ValueError("the rated message is not from the assistant")
    return said["content"]


def _content(message: dict[str, Any]) -> Any:
    """A message's text, unless there is more to it."""
    if message.get("files"):
        raise ValueError("a message has files attached, which cannot be taken")
    content = message.get("content")
    if isinstance(content, str) and '<details type="' in content:
        raise ValueError("a message has a thought or a tool call folded into its text")
    return content
