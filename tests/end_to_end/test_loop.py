"""The whole product: a real Chromium votes on the starter by keyboard, and the policy follows."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser

from labeler.store import Store, open_store
from tests.support.page import RaterAtPage, Shown
from tests.support.service import Service, settings_environment
from trainer.starter.phrases import CLOSERS, OPENERS

UPDATES = 3
LABELS_PER_UPDATE = 16
SHORT = 200  # characters; at first the mean is about 250
WARM = [text.split("{")[0] for text in (*OPENERS["warm"], *CLOSERS["warm"]) if text]


def is_polite(text: str) -> bool:
    return any(words in text for words in WARM)


def shorter_polite(_prompt: str, text: str) -> float:
    """The scripted taste: polite before all, then short."""
    return 10_000 * is_polite(text) - len(text)


def preferred_share(pairs: list[Shown]) -> float:
    """The share of replies that are what the taste asks for: polite, and short."""
    replies = [text for pair in pairs for text in (pair.left, pair.right)]
    return sum(is_polite(text) and len(text) < SHORT for text in replies) / len(replies)


def export(data_dir: Path, out: Path) -> list[dict[str, str]]:
    command = [sys.executable, "-m", "labeler.cli.main", "export", str(out), "--format", "raw"]
    subprocess.run(command, check=True, env=settings_environment(data_dir=data_dir))
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_votes_by_keyboard_change_the_policy_that_the_next_pairs_come_from(
    tmp_path: Path, browser: Browser
) -> None:
    data_dir = tmp_path / "run"
    with (
        Service(data_dir, labels_per_update=LABELS_PER_UPDATE) as service,
        closing(open_store(f"sqlite:///{data_dir / 'livedpo.sqlite'}")) as store,
        closing(browser.new_page()) as page,
    ):
        rater = RaterAtPage(page, service.url, shorter_polite)
        for number in range(1, UPDATES + 1):
            while promoted(store) < number:
                if is_busy(store):
                    page.wait_for_timeout(200)
                    continue
                rater.vote()
                rater.wait_until_saved()
        live = counts(store)["policy"]["live"]
        while sum(pair.version == live for pair in rater.seen) < 15:
            rater.vote()
        rater.wait_until_saved()

        first = [pair for pair in rater.seen if pair.version == 0]
        fresh = [pair for pair in rater.seen if pair.version == live]
        assert len(first) >= 16
        assert preferred_share(fresh) > preferred_share(first) + 0.1
        assert f"Version {live}" in rater.page.inner_text("#top")
        assert f"made version {live}" in rater.page.inner_text("#panel")
        assert_light(psutil.Process(service.pids()["web"]))

    rows = export(data_dir, tmp_path / "votes.jsonl")
    assert len(rows) == len(rater.seen)
    for row in rows:
        a, b = is_polite(row["response_a"]), is_polite(row["response_b"])
        if a != b:
            assert row["choice"] == ("a" if a else "b")


def counts(store: Store) -> dict[str, Any]:
    return store.reports.status(max_staleness=2)


def is_busy(store: Store) -> bool:
    """Whether an update runs, or is due."""
    now = counts(store)
    return bool(now["updates"]["running"] or now["labels"]["fresh"] >= LABELS_PER_UPDATE)


def promoted(store: Store) -> int:
    return int(counts(store)["updates"]["done"])


def assert_light(web: psutil.Process) -> None:
    """The web process holds no torch and less than 400 MB."""
    assert not [file.path for file in web.memory_maps() if "torch" in file.path]
    assert web.memory_info().rss < 400e6
