"""Pairs and thumbs in the shapes that trainers read; a ValueError says what is wrong with a row."""

from typing import Any

from labeler.domain.labels import Opinion
from labeler.domain.messages import Messages
from labeler.domain.states import Choice, Source
from labeler.files.reading.columns import Row, has_prompt, prompt_of
from labeler.files.reading.messages import (
    checked_text,
    conversation,
    is_transcript,
    two_replies,
    unpacked,
    without_reply,
)
from labeler.files.reading.said import Compared, Said, Thumbed

FIRST = Opinion(Choice.A)


def chosen_and_rejected(row: Row) -> list[Said]:
    """`chosen` over `rejected`: replies, or conversations that end in one."""
    chosen, rejected = row["chosen"], row["rejected"]
    if is_transcript(row.get("prompt")):
        chosen, rejected = _said_after_it(chosen), _said_after_it(rejected)
    return [_preferred(_prompt(row), chosen, rejected)]


def prompt_of_pair(row: Row) -> Messages:
    """The prompt of its column, or what both conversations have in common where they are whole."""
    chosen = unpacked(row["chosen"])
    if has_prompt(row) and not (isinstance(chosen, list) and len(chosen) > 1):
        return prompt_of(row)
    return chosen_and_rejected(row)[0].messages


def common_beginning(row: Row) -> list[Said]:
    """Two plain texts, whose prompt is what both begin with, as TRL takes it."""
    chosen, rejected = (checked_text(row[name], name) for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise ValueError("'chosen' and 'rejected' are the same")
    pairs = enumerate(zip(chosen, rejected, strict=False))
    cut = next((at for at, (a, b) in pairs if a != b), min(len(chosen), len(rejected)))
    prompt = chosen[:cut]
    if not prompt.strip():
        raise ValueError("no prompt: 'chosen' and 'rejected' have no beginning in common")
    if not prompt[-1].isspace():
        raise ValueError(
            "no prompt: 'chosen' and 'rejected' part in the middle of a word; add a column 'prompt'"
        )
    messages = conversation(prompt.rstrip())
    return [_preferred(messages, chosen[cut:].strip(), rejected[cut:].strip())]


def one_output_over_the_other(row: Row) -> list[Said]:
    """LLaMA-Factory's older ranking: `output` is a list of the better and the worse reply."""
    better, worse = row["output"]
    return [_preferred(prompt_of(row), better, worse)]


def better_and_worse(row: Row) -> list[Said]:
    """Our own gold pairs."""
    return [_preferred(prompt_of(row), row.get("better"), row.get("worse"), ("better", "worse"))]


def preferred_output(row: Row) -> list[Said]:
    """The DPO files of OpenAI and Fireworks."""
    chosen, rejected = row["preferred_output"], row.get("non_preferred_output")
    names = "preferred_output", "non_preferred_output"
    return [_preferred(prompt_of_input(row), chosen, rejected, names)]


def prompt_of_input(row: Row) -> Messages:
    """`input` has the messages, and maybe tools."""
    asked = row.get("input")
    if not isinstance(asked, dict) or "messages" not in asked:
        raise ValueError("'input' has no messages")
    known = {name: value for name, value in asked.items() if value is not None}
    return prompt_of(known | {"prompt": known.pop("messages")})


def rejected_response(row: Row) -> list[Said]:
    """ms-swift: `messages` ends with the chosen reply, and the other has a column of its own."""
    messages = conversation(row.get("messages"))
    prompt = without_reply(messages)
    if len(prompt) == len(messages):
        raise ValueError("'messages' does not end with the chosen reply")
    rejected = row.get("rejected_response") or row.get("rejected_messages")
    names = "messages", "rejected_response"
    rest = {name: value for name, value in row.items() if name != "messages"}
    whole = prompt_of(rest | {"prompt": prompt})
    return [_preferred(whole, messages[-1]["content"], rejected, names)]


def vote(row: Row) -> list[Said]:
    """Our own raw export: two replies in stored order, and a choice."""
    if row.get("superseded_by") or row.get("set_aside"):
        return []
    # Our own texts are what was said, also where they look like a message list.
    reply = checked_text if "vote_id" in row else _only_reply
    first, second = (reply(row.get(name), name) for name in ("response_a", "response_b"))
    try:
        opinion = Opinion(
            choice=Choice(str(row["choice"]).strip().lower()),
            strength=int(row.get("strength") or 1),
            source=Source(row.get("source") or "human"),
        )
    except ValueError as error:
        raise ValueError(f"a choice, strength or source that is not known: {error}") from error
    return [
        Compared(
            prompt_of(row),
            first,
            second,
            opinion,
            pair=str(row.get("pair_id", "")),
            ended_a=row.get("finish_a") != "length",
            ended_b=row.get("finish_b") != "length",
        )
    ]


def filled(row: Row) -> list[Said]:
    """Our own export of pairs that nobody rated: what a reward model made of them.

    Its weight says how much it counts beside a vote.
    """
    first, second = (checked_text(row.get(name), name) for name in ("response_a", "response_b"))
    probability, weight = float(row["probability"]), float(row.get("weight", 1.0))
    if not 0.0 <= probability <= 1.0 or not 0.0 <= weight < float("inf"):
        raise ValueError("'probability' is not between 0 and 1, or 'weight' no positive number")
    choice = Choice.A if probability >= 0.5 else Choice.B
    opinion = Opinion(choice, probability=probability, reliability=weight)
    return [Compared(prompt_of(row), first, second, opinion)]


def thumb(row: Row) -> list[Said]:
    """TRL's unpaired preference: one reply, and whether it is good."""
    good = row["label"]
    if isinstance(good, str):
        good = {"true": True, "false": False, "1": True, "0": False}.get(good.strip().lower())
    if not isinstance(good, bool) and good not in (0, 1):
        raise ValueError(f"'label' is neither true nor false, but {row['label']!r}")
    reply = row["completion"]
    messages, text, _ = two_replies(_prompt(row), reply, reply, ("completion", "completion"))
    return [Thumbed(messages, text, bool(good))]


def _said_after_it(reply: Any) -> Any:
    """A reply to a transcript, without the blank that follows "Assistant:"."""
    return reply.strip() if isinstance(reply, str) and not is_transcript(reply) else reply


def _prompt(row: Row) -> Messages:
    """The prompt of its columns; none where the replies bring it."""
    return prompt_of(row) if has_prompt(row) else []


def _preferred(
    prompt: Messages, chosen: Any, rejected: Any, names: tuple[str, str] = ("chosen", "rejected")
) -> Compared:
    return Compared(*two_replies(prompt, chosen, rejected, names), FIRST)


def _only_reply(value: Any, name: str) -> str:
    """One reply as text, with no conversation around it."""
    prompt = [{"role": "user", "content": "…"}]
    messages, text, _ = two_replies(prompt, value, value, (name, name))
    if messages != prompt:
        raise ValueError(f"'{name}' is a whole conversation")
    return text
