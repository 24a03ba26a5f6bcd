"""Reads labelled pairs from a file: our own exports, or any preference data set.

Rows are told by their columns, as `labeler.files.export` and TRL write them:

    prompt, chosen, rejected                       texts, or message lists
    prompt, response_a, response_b, choice, ...    the raw export: one row a vote

Votes of the raw export become labels as everywhere (`labeler.domain.labels`); undone ones are left
out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from labeler.domain.errors import BadInput
from labeler.domain.labels import Opinion, Preference, VoteRules, combine
from labeler.domain.messages import Messages
from labeler.domain.states import Choice, Source
from labeler.files.prompts import messages_of, rows_of

RAW = frozenset({"prompt", "response_a", "response_b", "choice"})
PREFERENCE = frozenset({"prompt", "chosen", "rejected"})


@dataclass(frozen=True)
class ExportedPair:
    """A conversation, two replies as texts, what was said of them, whether each came to an end."""

    messages: Messages
    response_a: str
    response_b: str
    said: Preference
    ended_a: bool = True
    ended_b: bool = True


@dataclass
class PairFile:
    """What a file holds; `bad_lines` names each line that makes no pair, and why."""

    pairs: list[ExportedPair] = field(default_factory=list)
    bad_lines: list[tuple[int, str]] = field(default_factory=list)


def read_pairs(path: Path, rules: VoteRules) -> PairFile:
    """Read labelled pairs. Raises BadInput if there is no file, or no labelled pair in it."""
    found = PairFile()
    votes: list[dict[str, Any]] = []
    for line, row in rows_of(path):
        try:
            if isinstance(row, dict) and row.keys() >= RAW:
                votes.append(_vote(row))
            else:
                found.pairs.append(_preference(row))
        except (ValueError, TypeError) as error:
            found.bad_lines.append((line, str(error)))
    found.pairs += _combined(votes, rules)
    if not found.pairs:
        why = f" Line {found.bad_lines[0][0]}: {found.bad_lines[0][1]}." if found.bad_lines else ""
        raise BadInput(f"There are no labelled pairs in {path}.{why}")
    return found


def _preference(row: Any) -> ExportedPair:
    if not isinstance(row, dict) or not row.keys() >= PREFERENCE:
        raise ValueError("it needs prompt, chosen and rejected")
    return ExportedPair(
        messages=messages_of(row["prompt"]),
        response_a=_reply(row["chosen"]),
        response_b=_reply(row["rejected"]),
        said=Preference(target=1.0, tie=0.0, weight=1.0),
    )


def _vote(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "messages": messages_of(row["prompt"]),
        "response_a": _reply(row["response_a"]),
        "response_b": _reply(row["response_b"]),
        "opinion": Opinion(
            choice=Choice(row["choice"]),
            strength=int(row.get("strength") or 1),
            source=Source(row.get("source") or "human"),
        ),
    }


def _combined(votes: Sequence[dict[str, Any]], rules: VoteRules) -> list[ExportedPair]:
    """One pair of all the standing votes on it, in the order of the file."""
    standing = [vote for vote in votes if not (vote.get("superseded_by") or vote.get("set_aside"))]
    standing.sort(key=_same_pair)
    pairs = []
    for _, group in groupby(standing, key=_same_pair):
        same = list(group)
        said = combine([vote["opinion"] for vote in same], rules)
        if said is not None:
            first = same[0]
            pairs.append(
                ExportedPair(
                    messages=first["messages"],
                    response_a=first["response_a"],
                    response_b=first["response_b"],
                    said=said,
                    ended_a=first.get("finish_a") != "length",
                    ended_b=first.get("finish_b") != "length",
                )
            )
    return pairs


def _same_pair(vote: dict[str, Any]) -> tuple[str, str, str, str]:
    """Votes on one pair share its number, or at least its texts."""
    texts = str(vote["messages"]), vote["response_a"], vote["response_b"]
    return (str(vote.get("pair_id", "")).zfill(12), *texts)


def _reply(value: Any) -> str:
    """A reply as text: a string, or a message list that ends with the assistant's."""
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a reply is empty or not text")
    return value
