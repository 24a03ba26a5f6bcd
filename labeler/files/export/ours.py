"""Rows with all that is known: every vote, and pairs that nobody rated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labeler.files.export.labels import why_aside

if TYPE_CHECKING:
    from labeler.store.tables import ImportedPair
    from labeler.store.views.exported import FilledRow, VoteRow

Row = dict[str, Any]


def raw_rows(votes: Iterable[VoteRow]) -> Iterator[Row]:
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
            "set_aside": why_aside(pair),
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


def imported_rows(pairs: Iterable[ImportedPair]) -> Iterator[Row]:
    """One row a pair of a file that teaches the learned judge, with the file that it came from."""
    for pair in pairs:
        yield {
            "prompt": pair.messages,
            "response_a": pair.first,
            "response_b": pair.second,
            "probability": pair.target + pair.tie / 2,
            "weight": pair.weight,
            "file": pair.file,
        }
