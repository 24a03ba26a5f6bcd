"""Hours of the real thing: `make soak`, or `make soak ARGS="--minutes 10"` for a short one.

`livedpo serve` runs on the starter, with the judge as fallback and gold pairs. Five scripted people
rate over HTTP, edit and ask, and one rates in Chromium; each thinks for some seconds, so that the
machine is not saturated. Every ten minutes a role is killed, chosen by lot, and every half hour the
live version is rolled back. Once a minute everything is measured.

The folder given as --out gets the figures (looks.csv), a plot and the verdict: whether every vote
that was answered as saved is there exactly once, whether one version was live at each look, and
whether a figure drifts (see `soak_verdict`). The exit code is 1 if one of these fails.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from playwright.sync_api import TimeoutError as Timeout
from tqdm import tqdm

from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError
from labeler.domain.states import Source
from labeler.roles.promotion import make_live
from labeler.store import Store, open_store
from labeler.store.records import Gold
from tests.benchmarks.crowd import Crowd, Pace
from tests.benchmarks.load_ours import Keyboard, accept, invite
from tests.faults.soak_looks import Row, Watch
from tests.faults.soak_people import SoakRater
from tests.faults.soak_verdict import plot, table, trends
from tests.support.browser import chromium
from tests.support.service import Service

RATERS = 5
TOO_SHORT = "It was too short to tell whether anything drifts."
OF_TASTE = "judge: "  # that it agrees too little with these people is no fault
ROLES = ("web", "scheduler", "worker")
LOOK_SECONDS = 60.0
KILL_MINUTES, ROLLBACK_MINUTES = 10, 30
GOLDS = 20
SETTINGS = {
    "judge": "starter",
    "judge_after": 60,
    "labels_per_update": 24,
    "lease_seconds": 300,
    "gold_share": 0.1,
    "repeat_share": 0.05,
}


def golds() -> list[Gold]:
    """Pairs of which anybody knows which is better."""
    return [
        Gold(
            [{"role": "user", "content": f"What is {n} and {n}?"}],
            f"It is {2 * n}.",
            f"It is {2 * n + 1}.",
        )
        for n in range(1, GOLDS + 1)
    ]


class Tormentor:
    """Kills a role and rolls back in turn, by the minute; `events` has when, by what it did."""

    def __init__(self, service: Service, store: Store, rng: random.Random) -> None:
        self.events: dict[str, list[float]] = defaultdict(list)
        self._service = service
        self._store = store
        self._rng = rng

    @property
    def kills(self) -> int:
        """How often a role was killed."""
        return sum(len(at) for kind, at in self.events.items() if kind != "rollback")

    def act(self, minute: int) -> None:
        """What is due at this minute: not at the very begin."""
        if minute and minute % ROLLBACK_MINUTES == 0:
            self._roll_back(minute)
        if minute % KILL_MINUTES == KILL_MINUTES // 2:
            role = self._rng.choice(ROLES)
            pids = self._service.pids()
            if role in pids:
                os.kill(pids[role], signal.SIGKILL)
                self.events[f"{role} killed"].append(float(minute))

    def _roll_back(self, minute: int) -> None:
        settings = Settings(data_dir=self._service.data_dir)
        try:
            print(make_live(settings, self._store, None, now=time.time()).told, flush=True)
            self.events["rollback"].append(float(minute))
        except LivedpoError as error:  # the base is live, which comes of nothing
            print(error, flush=True)


def votes_gone_wrong(
    store: Store, raters: Sequence[SoakRater], pressed: int, keyboard_rater: str
) -> list[str]:
    """Sentences on votes that were answered as saved and are lost, or that count twice."""
    rows = [row for row in store.reports.votes(source=Source.HUMAN) if row.vote.lease_id]
    ids = {row.vote.id for row in rows}
    saved = set().union(*(rater.tally.saved for rater in raters))
    sent = set().union(*(rater.tally.sent for rater in raters))
    by_keys = sum(row.rater == keyboard_rater for row in rows)
    standing = Counter(
        (row.vote.rater_id, row.vote.pair_id) for row in rows if not row.vote.superseded_by
    )
    found = {
        "votes were answered as saved and are lost": len(saved - ids),
        "votes stand twice": sum(count - 1 for count in standing.values()),
        "votes are there that nobody sent": len(rows) - by_keys - len(ids & sent),
        "keys were pressed for which there is no vote": max(0, pressed - by_keys),
        "votes of the browser are there for which no key was pressed": max(0, by_keys - pressed),
    }
    return [f"{count} {what}." for what, count in found.items() if count]


def press_keys(keyboard: Keyboard, seconds: float, pace: Pace) -> int:
    """Rate in the browser for so long; how often its patience for the next pair ended."""
    ends, dry = time.monotonic() + seconds, 0
    while (left := ends - time.monotonic()) > 0:
        try:
            keyboard.rate(left, pace)
        except Timeout:
            dry += 1
    return dry


def watch_over(watch: Watch, tormentor: Tormentor, minutes: int, ended: threading.Event) -> None:
    """Look once a minute, and do what is due then."""
    begin = time.monotonic()
    for minute in tqdm(range(minutes + 1), unit="min", disable=not sys.stderr.isatty()):
        if ended.wait(max(0.0, begin + LOOK_SECONDS * minute - time.monotonic())):
            return
        row = watch.look(time.time(), tormentor.kills)
        print(told(row), flush=True)
        if minute < minutes:
            tormentor.act(minute)


def told(row: Row) -> str:
    """A look in one line."""
    shown = (name for name in row if not name.endswith(("since", "threads")))
    return ", ".join(f"{name} {row[name]:.0f}" for name in shown)


def soak(minutes: int, pace: Pace, folder: Path, out: Path) -> list[str]:
    """Run it; what went wrong, in sentences."""
    wrong: list[str] = []
    ended = threading.Event()
    with (
        Service(folder, **SETTINGS) as service,
        closing(open_store(f"sqlite:///{folder / 'livedpo.sqlite'}")) as store,
        chromium() as browser,
    ):
        store.gold.add(golds(), now=time.time(), rng=random.Random(1))
        invites = [invite(store, number) for number in range(RATERS + 1)]
        port = int(str(service.settings["port"]))
        raters = [
            SoakRater(port, accept(service.url, each), n) for n, each in enumerate(invites[1:])
        ]
        keyboard = Keyboard(browser.new_context(), service.url, invites[0])
        tormentor = Tormentor(service, store, random.Random(7))
        watch = Watch(service, raters, out / "looks.csv", time.time())
        watcher = threading.Thread(target=watch_over, args=(watch, tormentor, minutes, ended))
        watcher.start()
        crowd = Crowd(raters, pace, seconds=60.0 * minutes, seed=1)
        dry = press_keys(keyboard, 60.0 * minutes, pace)
        crowd.wait()
        watcher.join()
        wrong += votes_gone_wrong(store, raters, keyboard.votes, "rater 0")
        wrong += [f"At the end: {alarm}" for alarm in service.alarms() if OF_TASTE not in alarm]
        several = sum(row["live versions"] != 1 for row in watch.rows)
        if several:
            wrong.append(f"At {several} looks it was not one version that was live.")
        by_keys = (
            f"{keyboard.votes} by keys in Chromium, which {dry} times was without a pair for long"
        )
        report(watch.rows, tormentor, raters, wrong, by_keys, out)
    return wrong


def report(
    rows: Sequence[Row],
    tormentor: Tormentor,
    raters: Sequence[SoakRater],
    wrong: list[str],
    by_keys: str,
    out: Path,
) -> None:
    """Write the plot and the verdict; a drift is one more sentence of what is wrong."""
    found = trends(rows)
    drifting = [f"{each.name} drifts." for each in found if each.drifts(len(found))]
    errors: Counter[str] = Counter()
    for rater in raters:
        errors += rater.tally.errors
    saved = sum(len(rater.tally.saved) for rater in raters)
    again = sum(rater.tally.again for rater in raters)
    asked, edited = (sum(getattr(r, what) for r in raters) for what in ("answered", "edited"))
    events = ", ".join(f"{kind} {len(at)}" for kind, at in sorted(tormentor.events.items()))
    sentences = [
        f"{rows[-1]['minute']:.0f} minutes: {saved} votes over HTTP, {again} of them sent twice, "
        f"{by_keys}; {edited} edits, {asked} own prompts answered.",
        f"What was done to it: {events or 'nothing'}.",
        "Answers that were none: "
        + ("; ".join(f"{count} x {what}" for what, count in errors.most_common(12)) or "none"),
        *(list(wrong) or ["Every vote is there once, and one version was live at each look."]),
        "Nothing drifts." if found and not drifting else " ".join(drifting) or TOO_SHORT,
    ]
    text = "\n\n".join([*sentences, table(found)])
    (out / "verdict.md").write_text(text + "\n")
    wrong += drifting
    title = " ".join([sentences[0], *sentences[3:]])
    plot(rows, tormentor.events, title, out / "soak.png")
    print(text, flush=True)


def main() -> int:
    """The command line; the exit code is 1 if something went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument(
        "--think", type=float, nargs=2, default=(6.0, 14.0), metavar=("LEAST", "MOST"),
        help="seconds that a vote takes people",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("data/run-soak"), help="for the results")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        return int(bool(soak(asked.minutes, Pace(*asked.think), Path(folder) / "run", asked.out)))


if __name__ == "__main__":
    raise SystemExit(main())
