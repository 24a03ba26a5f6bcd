"""The shapes of rows that livedpo reads: how each is recognised, and what is read of it.

The first one of the table that fits a row is its shape.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labeler.domain.messages import Messages
from labeler.files.reading import annotation, chats, preferences
from labeler.files.reading.columns import CONVERSATIONS, PROMPT, QUESTIONS, SYSTEM, Row, prompt_of
from labeler.files.reading.messages import is_transcript
from labeler.files.reading.said import Said


@dataclass(frozen=True)
class Shape:
    """What rows of one tool look like.

    `columns` are those that are read where a row has them. A shape without `said` has prompts only.
    """

    name: str
    fits: Callable[[Row], bool]
    columns: tuple[str, ...]
    prompt: Callable[[Row], Messages]
    said: Callable[[Row], list[Said]] | None = None


def shape_of(row: Row) -> Shape | None:
    """The shape of a row; None if it is of no shape that is known here."""
    return next((shape for shape in SHAPES if shape.fits(row)), None)


def _has(*names: str) -> Callable[[Row], bool]:
    return lambda row: all(name in row for name in names)


def _asks(row: Row) -> bool:
    return any(name in row for name in QUESTIONS)


def _pairs(row: Row) -> bool:
    return "chosen" in row and "rejected" in row


def _is_object(row: Row, *names: str) -> bool:
    return all(isinstance(row.get(name), dict) for name in names)


def _is_argilla(row: Row) -> bool:
    flat = any(name.endswith(".responses") for name in row)
    return flat or (_is_object(row, "fields") and ("responses" in row or "suggestions" in row))


def _is_two_outputs(row: Row) -> bool:
    return isinstance(row.get("output"), list) and len(row["output"]) == 2


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and not value.lstrip().startswith(("[{", "{"))


_PAIR = ("chosen", "rejected")

SHAPES = (
    Shape(
        "Open WebUI feedback",
        lambda row: _is_object(row, "data", "meta") and "rating" in row["data"],
        ("data", "meta", "snapshot"),
        chats.open_webui_prompt,
        chats.open_webui_feedback,
    ),
    Shape(
        "Open WebUI chats without ratings",
        lambda row: _is_object(row, "chat") and "history" in row["chat"],
        ("chat",),
        chats.open_webui_chat,
    ),
    Shape(
        "Label Studio tasks",
        lambda row: (
            _is_object(row, "data")
            and bool(row.keys() & {"annotations", "completions", "predictions"})
        ),
        ("data", "annotations", "completions", "predictions"),
        annotation.label_studio_prompt,
        annotation.label_studio_task,
    ),
    Shape(
        "Label Studio's short export",
        lambda row: "annotation_id" in row and ("annotator" in row or "lead_time" in row),
        (),
        annotation.label_studio_prompt_of_short,
        annotation.label_studio_short,
    ),
    Shape(
        "livedpo pairs as Argilla records",
        lambda row: _is_object(row, "fields", "metadata") and annotation.is_our_record(row),
        ("fields", "metadata"),
        annotation.argilla_prompt,
        annotation.our_record,
    ),
    Shape(
        "Argilla records",
        _is_argilla,
        ("fields", "responses"),
        annotation.argilla_prompt,
        annotation.argilla_record,
    ),
    Shape(
        "Chatbot Arena battles",
        _has("conversation_a", "conversation_b"),
        ("conversation_a", "conversation_b", "winner"),
        chats.arena_prompt,
        chats.arena_battle,
    ),
    Shape(
        "Chatbot Arena battles as on Kaggle",
        _has("response_a", "response_b", "winner_model_a"),
        ("prompt", "response_a", "response_b", "winner_model_a", "winner_model_b", "winner_tie"),
        chats.kaggle_prompt,
        chats.kaggle_battle,
    ),
    Shape(
        "Prodigy choices",
        lambda row: isinstance(row.get("options"), list) and ("accept" in row or "answer" in row),
        ("text", "options", "accept", "answer", *PROMPT),
        annotation.prodigy_prompt,
        annotation.prodigy_choice,
    ),
    Shape(
        "OpenAI or Fireworks DPO",
        _has("input", "preferred_output"),
        ("input", "preferred_output", "non_preferred_output"),
        preferences.prompt_of_input,
        preferences.preferred_output,
    ),
    Shape(
        "ms-swift preference",
        lambda row: (
            "messages" in row and ("rejected_response" in row or "rejected_messages" in row)
        ),
        ("messages", "rejected_response", "rejected_messages", *SYSTEM),
        prompt_of,
        preferences.rejected_response,
    ),
    Shape(
        "livedpo votes",
        _has("response_a", "response_b", "choice"),
        (
            *("response_a", "response_b", "choice", "pair_id", "strength", "source", "finish_a"),
            *("finish_b", "superseded_by", "set_aside", *PROMPT),
        ),
        prompt_of,
        preferences.vote,
    ),
    Shape(
        "livedpo pairs that nobody rated",
        _has("response_a", "response_b", "probability"),
        ("response_a", "response_b", "probability", "weight", *PROMPT),
        prompt_of,
        preferences.filled,
    ),
    Shape(
        "livedpo gold pairs",
        lambda row: "better" in row or "worse" in row,
        ("better", "worse", *PROMPT),
        prompt_of,
        preferences.better_and_worse,
    ),
    Shape(
        "TRL unpaired preference",
        lambda row: "completion" in row and "label" in row,
        ("completion", "label", *PROMPT),
        prompt_of,
        preferences.thumb,
    ),
    Shape(
        "Anthropic HH transcripts",
        lambda row: _pairs(row) and is_transcript(row["chosen"]),
        (*_PAIR, *PROMPT),
        preferences.prompt_of_pair,
        preferences.chosen_and_rejected,
    ),
    Shape(
        "UltraFeedback",
        lambda row: _pairs(row) and "score_chosen" in row,
        (*_PAIR, *PROMPT),
        preferences.prompt_of_pair,
        preferences.chosen_and_rejected,
    ),
    Shape(
        "ShareGPT preference",
        lambda row: _pairs(row) and "conversations" in row,
        (*_PAIR, *PROMPT),
        preferences.prompt_of_pair,
        preferences.chosen_and_rejected,
    ),
    Shape(
        "preference pairs",
        lambda row: _pairs(row) and (_asks(row) or "messages" in row),
        (*_PAIR, *PROMPT),
        preferences.prompt_of_pair,
        preferences.chosen_and_rejected,
    ),
    Shape(
        "TRL preference texts whose common beginning is the prompt",
        lambda row: _pairs(row) and all(_is_plain(row[name]) for name in _PAIR),
        _PAIR,
        lambda row: preferences.common_beginning(row)[0].messages,
        preferences.common_beginning,
    ),
    Shape(
        "TRL preference conversations",
        _pairs,
        _PAIR,
        preferences.prompt_of_pair,
        preferences.chosen_and_rejected,
    ),
    Shape(
        "LLaMA-Factory ranking",
        lambda row: _asks(row) and _is_two_outputs(row),
        ("output", *PROMPT),
        prompt_of,
        preferences.one_output_over_the_other,
    ),
    Shape("ShareGPT conversations", _has("conversations"), (*CONVERSATIONS, *SYSTEM), prompt_of),
    Shape("Alpaca instructions", _has("instruction"), PROMPT, prompt_of),
    Shape("prompts", _asks, PROMPT, prompt_of),
    Shape("OpenAI messages", _has("messages"), ("messages", *SYSTEM), prompt_of),
)
