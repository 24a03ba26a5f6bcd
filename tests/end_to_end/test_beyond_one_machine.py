"""The whole product beyond one machine: Chromium, PostgreSQL, a vLLM server, ranks of torchrun.

`make test-vllm`; skipped without a vLLM.
"""

import json
import os
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from labeler.config.settings import Settings
from labeler.config.starter import STARTER_POLICY
from labeler.store import open_store
from labeler.store.tables import PolicyVersion
from tests.benchmarks.vllm_server import PYTHON, real_server
from tests.support.command import livedpo
from tests.support.page import RaterAtPage
from tests.support.patience import wait_until
from tests.support.postgres import programs, server
from tests.support.service import Service

LABELS_PER_UPDATE = 8
DUE = Settings(labels_per_update=LABELS_PER_UPDATE).due_rules
SETTINGS: dict[str, object] = {
    "labels_per_update": LABELS_PER_UPDATE,
    "gate_prompts": 4,
    "queue_pairs": 16,
    "max_new_tokens": 48,
    "fill": 0,
    "nproc": 2,
}
UPDATES = 2
MAX_VOTES = 64


def letters(text: str) -> str:
    """Without what Markdown is made of."""
    return "".join(filter(str.isalpha, text))


@pytest.mark.skipif(PYTHON not in os.environ, reason=f"no vLLM: {PYTHON} is not set")
@pytest.mark.skipif(programs() is None, reason="this machine has no PostgreSQL")
def test_two_updates_by_keyboard(tmp_path: Path, browser: Browser) -> None:
    database = server().new_database()
    data_dir = tmp_path / "run"
    with (
        real_server(STARTER_POLICY, tmp_path / "vllm.log") as (vllm, _),
        Service(data_dir, **SETTINGS, database=database, sampler=f"vllm:{vllm}") as service,
        closing(open_store(database)) as store,
        closing(browser.new_page(reduced_motion="reduce")) as page,
    ):
        rater = RaterAtPage(page, service.url, lambda _prompt, text: -len(text))

        def live() -> PolicyVersion:
            version = store.versions.live()
            assert version is not None
            return version

        def rated(version: int) -> bool:
            return any(shown.version == version for shown in rater.seen)

        while not (live().id >= UPDATES and rated(live().id)):
            assert len(rater.seen) < MAX_VOTES
            rater.vote()
            rater.wait_until_saved()
            wait_until(lambda: store.updates.labels_missing(DUE) > 0, "the update")
        seen = len(rater.seen)
        assert not (data_dir / "livedpo.sqlite").exists()
        wait_until(lambda: not (data_dir / "jobs").exists(), "the end of the ranks' job")

    out = tmp_path / "votes.jsonl"
    words = ("--format", "raw", "--data-dir", data_dir, "--database", database)
    run = livedpo("export", out, *words)
    assert run.returncode == 0, run.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == seen
    for row, shown in zip(rows, rater.seen, strict=True):
        replies = letters(row["response_a"]), letters(row["response_b"])
        for text in (letters(shown.left), letters(shown.right)):
            assert text.startswith(replies)  # a note on a cut one comes behind
        assert row["policy_version"] == shown.version
