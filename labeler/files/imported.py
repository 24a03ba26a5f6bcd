"""Imported pairs as an export: those of files that teach the learned judge, and no label of this
service. It is made only if it is asked for by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labeler.store.imported_pair import ImportedPair

IMPORTED = "imported"


def imported_rows(pairs: Iterable[ImportedPair]) -> Iterator[dict[str, Any]]:
    """One row a pair, with the file that it came from."""
    for pair in pairs:
        yield {
            "prompt": pair.messages,
            "response_a": pair.first,
            "response_b": pair.second,
            "probability": pair.target + pair.tie / 2,
            "weight": pair.weight,
            "file": pair.file,
        }
