"""The whole product: a real Chromium votes on the starter by keyboard, and the policy follows."""

import json
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from statistics import mean
from typing import Any

from playwright.sync_api import Browser, expect

from labeler.config.settings import Settings
from labeler.store import Store, open_store
from tests.support.browser import PATIENCE_MS
from tests.support.command import livedpo
from tests.support.page import RaterAtPage, Shown
from tests.support.patience import wait_until
from tests.support.service import WARM, Service

LABELS_PER_UPDATE = 16
# A short queue: what is sampled of a version that is replaced at once was sampled in vain.
SETTINGS = {
    "labels_per_update": LABELS_PER_UPDATE,
    "gate_prompts": 4,
    "queue_pairs": 16,
    "max_new_tokens": 64,
}
DUE = Settings(labels_per_update=LABELS_PER_UPDATE).due_rules
MAX_VOTES = 10 * LABELS_PER_UPDATE
# A reply has 210 characters on screen at first, give or take 45. If nothing were learned, the mean
# of twenty replies would have to lie four standard errors below that of forty-eight.
MIN_PAIRS, FOLLOWED = 10, 0.75
NOTE = 40  # characters at most: on screen a reply that was cut says so, and Markdown is shown


def shorter(_prompt: str, text: str) -> float:
    """The scripted taste."""
    return -len(text)


def mean_lengths(seen: list[Shown]) -> dict[int, float]:
    """By version that was seen often enough: characters of a reply."""
    replies: dict[int, list[str]] = defaultdict(list)
    for pair in seen:
        replies[pair.version] += [pair.left, pair.right]
    return {
        version: mean(map(len, texts))
        for version, texts in replies.items()
        if len(texts) >= 2 * MIN_PAIRS
    }


def has_followed(seen: list[Shown]) -> bool:
    """Whether the newest version's replies are clearly shorter than the first one's."""
    lengths = mean_lengths(seen)
    return len(lengths) > 1 and lengths[max(lengths)] < FOLLOWED * lengths[0]


def test_votes_by_keyboard_change_the_policy_that_the_next_pairs_come_from(
    tmp_path: Path, browser: Browser
) -> None:
    data_dir = tmp_path / "run"
    with (
        Service(data_dir, program=WARM, **SETTINGS) as service,
        closing(open_store(f"sqlite:///{data_dir / 'livedpo.sqlite'}")) as store,
        closing(browser.new_page(reduced_motion="reduce")) as page,
    ):
        rater = RaterAtPage(page, service.url, shorter)
        while not has_followed(rater.seen):
            assert len(rater.seen) < MAX_VOTES, mean_lengths(rater.seen)
            rater.vote()
            rater.wait_until_saved()
            wait_until(lambda: not is_busy(store), "the update")
        live = counts(store)["policy"]["live"]
        expect(page.locator("#top")).to_contain_text(f"Version {live}", timeout=PATIENCE_MS)
        expect(page.locator("#panel")).to_contain_text(f"made version {live}", timeout=PATIENCE_MS)

    out = tmp_path / "votes.jsonl"
    assert livedpo("export", out, "--format", "raw", "--data-dir", data_dir).returncode == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == len(rater.seen)
    for row in rows:
        longer = len(row["response_a"]) - len(row["response_b"])
        if abs(longer) > NOTE:
            assert row["choice"] == ("b" if longer > 0 else "a")


def counts(store: Store) -> dict[str, Any]:
    return store.reports.status(max_staleness=2)


def is_busy(store: Store) -> bool:
    """Whether an update runs, or is due; what a refused one trained on makes none due."""
    return store.updates.labels_missing(DUE) == 0
