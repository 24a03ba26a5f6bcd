"""The columns of tables and their types, declared: what one export leaves empty another may fill.

Two exports of a format can so be joined, whatever is in them.
"""

from typing import Any

import pyarrow as pa

TEXT, NUMBER, SHARE = pa.string(), pa.int64(), pa.float64()
MESSAGES = pa.list_(pa.struct([("role", TEXT), ("content", TEXT)]))
SAMPLING = pa.struct(
    [
        ("temperature", SHARE),
        ("top_p", SHARE),
        ("max_new_tokens", NUMBER),
        ("seed", NUMBER),
        ("logp_temperature", SHARE),
        ("sampling_dtype", TEXT),
        ("acquisition", TEXT),
        ("candidates", NUMBER),
        ("candidate_pair", TEXT),
        ("hints", pa.list_(TEXT)),
    ]
)
TYPES = {
    "label": pa.bool_(),
    "vote_id": TEXT,
    "pair_id": NUMBER,
    "response_a": TEXT,
    "response_b": TEXT,
    "finish_a": TEXT,
    "finish_b": TEXT,
    "choice": TEXT,
    "strength": NUMBER,
    "shown_left": TEXT,
    "rater": TEXT,
    "source": TEXT,
    "policy_version": NUMBER,
    "sampling": SAMPLING,
    "created_at": TEXT,
    "seconds": SHARE,
    "reasons": pa.list_(TEXT),
    "superseded_by": TEXT,
    "used_in_update": NUMBER,
    "comment": TEXT,
    "purpose": TEXT,
    "source_pair_id": NUMBER,
    "answer": TEXT,
    "set_aside": TEXT,
    "file": TEXT,
    "probability": SHARE,
    "weight": SHARE,
}


def schema_of(row: dict[str, Any]) -> pa.Schema:
    """The schema of an export with rows like this one.

    What a prompt or a reply is, a text or messages, is the same in all rows of an export.
    """
    return pa.schema([(name, TYPES.get(name) or _said(value)) for name, value in row.items()])


def _said(value: str | list[Any]) -> pa.DataType:
    return TEXT if isinstance(value, str) else MESSAGES
