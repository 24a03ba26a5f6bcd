"""Labelled pairs as files that other trainers read.

    preference      prompt, chosen, rejected as texts (TRL's standard preference format)
    conversational  the same three as message lists
    unpaired        prompt, completion, label (TRL's KTO format)
    raw             every vote with its provenance, undone ones too
    filled          pairs that nobody rated, as updates were trained on them: no labels of people

Votes of several raters on one pair count by majority; undone votes, ties and skips make no pair.
Pairs that check raters and pairs that were set aside are in `raw` only. An edited response is a
pair of its own: the edit is chosen over what it was made of.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labeler.domain.errors import BadInput, LivedpoError
from labeler.domain.labels import DECISIVE
from labeler.domain.messages import Messages
from labeler.domain.states import Choice, PairState

if TYPE_CHECKING:
    from labeler.store.tables import Pair
    from labeler.store.views.filled import FilledRow
    from labeler.store.views.reports import VoteRow

FILLED = "filled"
Row = dict[str, Any]


def write_export(out: Path, votes: Sequence[VoteRow], *, format_name: str) -> int:
    """Write the votes to a .jsonl or .parquet file, or into a folder; returns the number of rows.

    A file appears when it is complete, in place of an older one; a folder must be new. Raises
    LivedpoError if there is nothing to write or no room for it.
    """
    return write_rows(out, list(FORMATS[format_name].rows(votes)), format_name=format_name)


def write_rows(out: Path, rows: list[Row], *, format_name: str) -> int:
    """The same for rows of whatever there is."""
    writer = _writer(out)
    if not rows:
        raise LivedpoError(
            f"There are no labels yet for the format '{format_name}'; nothing was written."
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".writing-") as folder:
            temporary = Path(folder) / out.name
            writer(temporary, rows)
            temporary.replace(out)
    except OSError as error:
        raise LivedpoError(f"{out} cannot be written: {error.strerror or error}.") from error
    return len(rows)


def raw_rows(votes: Sequence[VoteRow]) -> Iterator[Row]:
    """One row a vote, in stored order."""
    for row in votes:
        vote, pair = row.vote, row.pair
        yield {
            "vote_id": vote.id,
            "pair_id": vote.pair_id,
            "prompt": row.messages,
            "response_a": pair.response_a,
            "response_b": pair.response_b,
            "finish_a": pair.finish_a,
            "finish_b": pair.finish_b,
            "choice": str(vote.choice),
            "strength": vote.strength,
            "shown_left": vote.shown_left,
            "rater": row.rater,
            "source": str(vote.source),
            "policy_version": pair.version_id,
            "sampling": pair.sampling,
            "created_at": datetime.fromtimestamp(vote.created_at, UTC).isoformat(),
            "seconds": vote.seconds,
            "reasons": vote.reasons,
            "superseded_by": row.superseded_by,
            "used_in_update": vote.used_in_update,
            "comment": vote.comment,
            "purpose": str(pair.purpose),
            "source_pair_id": pair.source_pair_id,
            "answer": pair.answer,
            "set_aside": _set_aside(pair),
        }


def filled_rows(pairs: Iterable[FilledRow]) -> Iterator[Row]:
    """One row a pair that was filled in, in the order of the updates."""
    for row in pairs:
        pair = row.pair
        yield {
            "prompt": row.messages,
            "response_a": pair.first,
            "response_b": pair.second,
            "probability": pair.target,
            "weight": pair.weight,
            "policy_version": pair.version_id,
            "used_in_update": pair.update_id,
        }


def preference_rows(votes: Sequence[VoteRow]) -> Iterator[Row]:
    """One row a decided pair, as plain texts."""
    for messages, chosen, rejected in _decided(votes):
        yield {"prompt": _as_text(messages), "chosen": chosen, "rejected": rejected}


def conversational_rows(votes: Sequence[VoteRow]) -> Iterator[Row]:
    """One row a decided pair, as message lists."""
    for messages, chosen, rejected in _decided(votes):
        yield {"prompt": messages, "chosen": _reply(chosen), "rejected": _reply(rejected)}


def unpaired_rows(votes: Sequence[VoteRow]) -> Iterator[Row]:
    """Two rows a decided pair, and two bad ones for a pair that all called bad."""
    for messages, pair, choices in _by_pair(votes):
        prompt, winner = _as_text(messages), _majority(choices)
        both_bad = set(choices) == {Choice.BOTH_BAD}
        if winner is None and not both_bad:
            continue
        for choice, text in ((Choice.A, pair.response_a), (Choice.B, pair.response_b)):
            yield {"prompt": prompt, "completion": text, "label": choice is winner}


@dataclass(frozen=True)
class Format:
    """How votes become rows, and what a user is told of it."""

    rows: Callable[[Sequence[VoteRow]], Iterator[Row]]
    about: str


# The one list: the command line and the dashboard offer what stands here.
FORMATS = {
    "preference": Format(
        preference_rows, "prompt, chosen and rejected as texts, which TRL reads as they are"
    ),
    "conversational": Format(conversational_rows, "the same as message lists"),
    "unpaired": Format(unpaired_rows, "prompt, completion and label, for TRL's KTO trainer"),
    "raw": Format(raw_rows, "every vote with its provenance, undone ones too"),
}


def _by_pair(votes: Sequence[VoteRow]) -> Iterator[tuple[Messages, Pair, list[Choice]]]:
    """Prompt, pair and standing choices of each pair to learn from, in the order of the pairs."""
    standing = [
        row for row in votes if row.vote.superseded_by is None and _set_aside(row.pair) is None
    ]
    standing.sort(key=lambda row: row.vote.pair_id)
    for _, group in groupby(standing, key=lambda row: row.vote.pair_id):
        rows = list(group)
        yield rows[0].messages, rows[0].pair, [row.vote.choice for row in rows]


def _decided(votes: Sequence[VoteRow]) -> Iterator[tuple[Messages, str, str]]:
    """Prompt, chosen and rejected response of each pair that has a majority."""
    for messages, pair, choices in _by_pair(votes):
        winner = _majority(choices)
        if winner is Choice.A:
            yield messages, pair.response_a, pair.response_b
        elif winner is Choice.B:
            yield messages, pair.response_b, pair.response_a


def _set_aside(pair: Pair) -> str | None:
    """Why nothing is to learn from this pair; None if something is."""
    if pair.aside_at is not None:
        return pair.aside_reason or "no reason given"
    return "it checks raters" if pair.state is PairState.CHECK else None


def _majority(choices: Sequence[Choice]) -> Choice | None:
    first, second = (choices.count(choice) for choice in DECISIVE)
    if first == second:
        return None
    return Choice.A if first > second else Choice.B


def _as_text(messages: Messages) -> str:
    """The prompt as one text: a lone user message as it is, a conversation with its roles."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _reply(text: str) -> Messages:
    return [{"role": "assistant", "content": text}]


def _writer(out: Path) -> Callable[[Path, list[Row]], None]:
    if out.suffix == ".jsonl":
        return _write_jsonl
    if out.suffix == ".parquet":
        return _write_parquet
    if out.suffix:
        raise BadInput(
            f"{out} ends in '{out.suffix}'; use .jsonl, .parquet or the name of a new folder."
        )
    if out.exists():
        raise BadInput(f"{out} exists already; name a new folder.")
    return _write_folder


def _write_jsonl(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())


def _write_parquet(path: Path, rows: list[Row]) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def _write_folder(path: Path, rows: list[Row]) -> None:
    """A folder that `datasets.load_dataset` reads, with a card."""
    (path / "data").mkdir(parents=True)
    _write_parquet(path / "data" / "train-00000-of-00001.parquet", rows)
    columns = "\n".join(f"- `{name}`" for name in rows[0])
    (path / "README.md").write_text(
        f"# Labelled pairs\n\n{len(rows)} rows, exported by livedpo.\n\nColumns:\n\n{columns}\n",
        encoding="utf-8",
    )
