"""How long people wait, and how many labels the policy needs: `make bench`.

A simulated rater, who likes what the grammar's score likes, votes by keyboard in a real Chromium on
a real `livedpo serve` with the starter. Printed as a table, or with --json as one object. Absolute
seconds are those of the machine it ran on.
"""

import argparse
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from sqlmodel import select
from tqdm import tqdm

from labeler.config.load import load_settings
from labeler.config.parts.sampling import Sampling
from labeler.stats.rater_agreement import agreement
from labeler.store import Store, open_store
from labeler.store.database import Database
from labeler.store.tables import PolicyVersion, Update
from tests.labeler.stats.test_rater_agreement import crowd
from tests.support.browser import chromium
from tests.support.page import RaterAtPage
from tests.support.samples import sample_pairs
from tests.support.service import Service
from trainer.policy.adapters import read_adapter
from trainer.policy.load import load_policy
from trainer.policy.policy import LIVE, Policy
from trainer.starter.grammar import held_out_prompts, score

LATENCIES = "() => performance.getEntriesByName('vote-to-paint').map((entry) => entry.duration)"
BATCH = 46


@dataclass(frozen=True)
class Wait:
    """Seconds from the last label that an update needed: to its opening, live, and first pair."""

    to_open: float
    to_live: float
    to_screen: float


@dataclass(frozen=True)
class Figures:
    """What was measured. Times in seconds unless the name says milliseconds."""

    seconds_to_first_pair: float
    seconds_to_end: float
    agreement_of_5000_pairs_ms: float
    votes: int
    vote_to_next_pair_p50_ms: float
    vote_to_next_pair_p95_ms: float
    waits_from_the_last_needed_vote: list[Wait]
    score_by_labels: list[tuple[int, float, float]]  # labels, mean gain over version 0, 95 % +-
    labels_to_a_clear_rise: int | None


def measure(updates: int, pace_seconds: float) -> Figures:
    """Run the service until `updates` versions were made."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        data_dir = Path(folder) / "run"
        begin = time.monotonic()
        with Service(data_dir) as service:
            first_pair = time.monotonic() - begin
            url = f"sqlite:///{data_dir / 'livedpo.sqlite'}"
            store, database = open_store(url), Database(url)
            rater = RaterAtPage(browser.new_page(), service.url, score)
            seen_at = rate(rater, updates, pace_seconds)
            rater.wait_until_saved()
            latencies = sorted(rater.page.evaluate(LATENCIES))
            begin = time.monotonic()
        ending = time.monotonic() - begin
        gains = score_gains(store, data_dir)
        return Figures(
            seconds_to_first_pair=round(first_pair, 2),
            seconds_to_end=round(ending, 2),
            agreement_of_5000_pairs_ms=agreement_ms(5000),
            votes=len(rater.seen),
            vote_to_next_pair_p50_ms=round(statistics.median(latencies), 1),
            vote_to_next_pair_p95_ms=round(latencies[int(0.95 * len(latencies))], 1),
            waits_from_the_last_needed_vote=waits(store, database, seen_at),
            score_by_labels=gains,
            labels_to_a_clear_rise=next((n for n, gain, half in gains if gain > half), None),
        )


def agreement_ms(pairs: int) -> float:
    """Milliseconds for the figures of how far raters agree, which the dashboard shows."""
    answers = crowd(random.Random(0), pairs, right=0.7)
    begin = time.perf_counter()
    agreement(answers)
    return round(1000 * (time.perf_counter() - begin), 1)


def rate(rater: RaterAtPage, updates: int, pace_seconds: float) -> dict[int, float]:
    """Vote until the last version is on screen; when each version was first seen there."""
    seen_at: dict[int, float] = {}
    with tqdm(total=updates, desc="updates") as bar:
        while updates not in seen_at:
            version = rater.vote().version
            if version not in seen_at:
                seen_at[version] = time.time()
                bar.update(version > 0)
            rater.page.wait_for_timeout(1000 * pace_seconds)
    return seen_at


def needed_votes(store: Store) -> dict[int, float]:
    """When the last label of each promoted update was given, by update."""
    given: dict[int, float] = {}
    for row in store.reports.votes():
        update, at = row.vote.used_in_update, row.vote.created_at
        if update is not None:
            given[update] = max(at, given.get(update, 0.0))
    return given


def waits(store: Store, database: Database, seen_at: dict[int, float]) -> list[Wait]:
    """How long each version took, from the last label that it needed."""
    needed = needed_votes(store)
    with database.read() as session:
        rows = session.exec(select(Update, PolicyVersion).join(PolicyVersion)).all()
    return [
        Wait(
            to_open=round(update.opened_at - needed[update.id], 2),
            to_live=round(version.live_at - needed[update.id], 2),
            to_screen=round(seen_at[version.id] - needed[update.id], 2),
        )
        for update, version in rows
        if update.id in needed and version.live_at and version.id in seen_at
    ]


def score_gains(store: Store, data_dir: Path) -> list[tuple[int, float, float]]:
    """Labels used, gain in score over version 0 on held-out wordings, and its 95 % half-width.

    Two responses a prompt; the interval is that of the mean of paired differences by prompt.
    """
    torch.set_num_threads(1)
    settings = load_settings({"data_dir": data_dir, "device": "cpu"}, {})
    policy = load_policy(settings)
    gains, labels, start = [], 0, scores(policy, settings)
    for version in tqdm(store.versions.all()[1:], desc="scoring versions"):
        if version.folder is None or version.sha256 is None:
            continue
        folder = settings.adapters_dir / version.folder
        policy.set_adapter_state(LIVE, read_adapter(folder, version.sha256))
        differences = [b - a for a, b in zip(start, scores(policy, settings), strict=True)]
        labels += version.finding.labels
        half = 1.96 * statistics.stdev(differences) / math.sqrt(len(differences))
        gains.append((labels, round(statistics.mean(differences), 3), round(half, 3)))
    return gains


def scores(policy: Policy, sampling: Sampling) -> list[float]:
    """The mean score of two responses to each held-out wording, under the live adapter."""
    questions = [text for text, _ in held_out_prompts()]
    found = []
    for first in range(0, len(questions), BATCH):
        chunk = questions[first : first + BATCH]
        tokens = [policy.prompt_tokens([{"role": "user", "content": text}]) for text in chunk]
        with policy.adapter(LIVE):
            pairs = sample_pairs(policy, tokens, sampling, seed=first)
        found += [
            (score(text, a.text) + score(text, b.text)) / 2
            for text, (a, b) in zip(chunk, pairs, strict=True)
        ]
    return found


def print_table(figures: Figures) -> None:
    """The figures, one a line."""
    all_waits = figures.waits_from_the_last_needed_vote
    rows: list[tuple[str, object]] = [
        ("seconds to first pair", figures.seconds_to_first_pair),
        ("seconds from Ctrl-C to the end", figures.seconds_to_end),
        ("agreement of 5000 pairs, ms, goal 300", figures.agreement_of_5000_pairs_ms),
        ("key to next pair, p50 ms", figures.vote_to_next_pair_p50_ms),
        ("key to next pair, p95 ms", figures.vote_to_next_pair_p95_ms),
        ("votes", figures.votes),
        (
            "last needed vote to open update, longest s",
            max((wait.to_open for wait in all_waits), default=None),
        ),
        ("... to version live, median s", median([wait.to_live for wait in all_waits])),
        ("... to its first pair on screen, median s", median([w.to_screen for w in all_waits])),
        ("labels to a clear rise of the score", figures.labels_to_a_clear_rise),
    ]
    for name, value in rows:
        print(f"{name:<46}{value!s:>10}")
    for labels, gain, half in figures.score_by_labels:
        print(f"  after {labels:4} labels, score {gain:+.2f} +- {half:.2f}")


def median(values: Sequence[float]) -> float | None:
    """The median, or None of nothing."""
    return round(statistics.median(values), 2) if values else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.loop", description=__doc__)
    parser.add_argument("--updates", type=int, default=8, help="versions to make")
    parser.add_argument("--pace", type=float, default=0.5, help="seconds a rater takes a vote")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures = measure(options.updates, options.pace)
    if options.json:
        print(json.dumps(asdict(figures)))
    else:
        print_table(figures)


if __name__ == "__main__":
    main()
