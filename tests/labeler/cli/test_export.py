"""`livedpo export` as a user sees it; what is in the files is tested with the formats."""

import io
import json
import sys
from pathlib import Path

import pytest

from labeler.cli.export import watched
from labeler.store import Store
from tests.support.command import fails, livedpo
from tests.support.store import vote
from tests.support.tiny import add_pairs, fill


class Terminal(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_shown_how_far_an_export_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 3)
    vote(store, 3)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert len(list(watched(3)(store.exports.votes()))) == 3
    assert "export: 100%" in sys.stderr.getvalue()


def test_a_conversation_is_told_in_a_sentence_of_its_own(
    store: Store, url: str, tmp_path: Path
) -> None:
    fill(store, 1)
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tea?"}]
    store.prompts.add([talk], now=1.0)
    add_pairs(store, 1)
    vote(store, 2)
    out = tmp_path / "out.jsonl"
    ran = livedpo("export", out, "--database", url)
    assert ran.stdout == f"2 rows written to {out}.\n"
    assert ran.stderr.startswith("These are message lists")
    prompts = [json.loads(line)["prompt"] for line in out.read_text().splitlines()]
    assert talk in prompts


def test_a_place_that_a_format_cannot_be_written_to_is_one_sentence(
    store: Store, url: str, tmp_path: Path
) -> None:
    fill(store, 1)
    vote(store, 1)
    words = ("export", tmp_path / "x.parquet", "--database", url, "--format", "argilla")
    fails(livedpo(*words), 2, "for the format 'argilla' use .jsonl, .json or the name of a new")
