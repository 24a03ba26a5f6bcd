"""What the starter knows: everyday tasks, each with its steps in the right order.

The table is `topics.jsonl`, a topic a line. Each sentence occurs once in the whole of
it (a test holds that), so that a sentence of a response tells which topic it belongs to. How the
sentences are put together is `grammar`.
"""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Topic:
    """One everyday task, with everything a response may say about it."""

    name: str
    task: str  # after "how to": "make tea"
    doing: str  # after "tips for": "making tea"
    complaint: str  # a sentence of somebody with the problem
    needs: str  # after "You need": "a kettle and a mug"
    reason: str  # why the steps are as they are
    steps: tuple[str, ...]  # imperative sentences, first step first


TABLE = Path(__file__).with_name("topics.jsonl")


def _topics() -> tuple[Topic, ...]:
    rows = map(json.loads, TABLE.read_text(encoding="utf-8").splitlines())
    return tuple(Topic(**row | {"steps": tuple(row["steps"])}) for row in rows)


TOPICS = _topics()
