"""Thirty votes by keyboard alone, through a killed server and a lost network.

`python -m tests.support.thirty_votes --offline-seconds 60` runs it by hand. A real Chromium
rates pairs of the starter on a real `livedpo serve`, which trains meanwhile. After ten votes its
web process is killed with a vote under way; after twenty the network goes.
"""

import argparse
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from labeler.store import open_store
from labeler.store.views.exported import VoteRow
from tests.support.browser import chromium
from tests.support.page import RaterAtPage, Shown
from tests.support.patience import wait_until
from tests.support.service import Service

VOTES = 30
KILLED_AFTER = 10
OFFLINE_AFTER = 20
CUT = "Cut at the length limit"
# key, choice by side, strength
KEYS = (
    ("1", "left", 1),
    ("2", "right", 1),
    ("t", "tie", 1),
    ("Shift+Digit1", "left", 2),
    ("b", "both_bad", 1),
    ("Shift+Digit2", "right", 2),
    ("s", "skip", 1),
)


@dataclass(frozen=True)
class Pressed:
    """What stood on screen, and what was pressed."""

    shown: Shown
    choice: str
    strength: int


class ThirtyVotes:
    """A rater who presses one key after the other; `pressed` is what they did."""

    def __init__(self, context: BrowserContext, service: Service) -> None:
        self.pressed: list[Pressed] = []
        self._context = context
        self._service = service
        self._rater = RaterAtPage(context.new_page(), service.url, lambda *_: 0.0)

    @property
    def page(self) -> Page:
        return self._rater.page

    def run(self, *, offline_seconds: float) -> None:
        """All votes, until the page calls the last one saved."""
        self._press_until(KILLED_AFTER)
        web = self._service.pids()["web"]
        self._press()
        os.kill(web, signal.SIGKILL)
        self._press_until(OFFLINE_AFTER)
        assert self._service.pids()["web"] != web
        self._go_offline(offline_seconds)
        self._press_until(VOTES)
        self._rater.wait_until_saved()

    def _go_offline(self, seconds: float) -> None:
        """Vote on what is in the page until nothing is left, and see the network come back."""
        self._rater.wait_until_saved()
        self._context.set_offline(True)
        while not self.page.evaluate("document.body.classList.contains('is-waiting')"):
            self._press()
        mark = self.page.locator("#saved .mark")
        expect(mark).to_have_attribute("data-kind", "lost")
        expect(mark).to_contain_text("waiting")
        self.page.wait_for_timeout(1000 * seconds)
        self._context.set_offline(False)

    def _press_until(self, votes: int) -> None:
        while len(self.pressed) < votes:
            self._press()

    def _press(self) -> None:
        shown = self._rater.look()
        key, choice, strength = KEYS[len(self.pressed) % len(KEYS)]
        self._rater.press(key)
        self.pressed.append(Pressed(shown, choice, strength))


def wrong_votes(pressed: Sequence[Pressed], stored: Sequence[VoteRow]) -> list[str]:
    """What is lost, doubled, or not what was pressed on what was seen; empty if nothing is."""
    wrong = []
    if len(stored) != len(pressed):
        wrong.append(f"{len(pressed)} votes were cast, {len(stored)} are stored")
    if len({row.pair.id for row in stored}) != len(stored):
        wrong.append("a pair has two votes")
    for number, (press, row) in enumerate(zip(pressed, stored, strict=False), start=1):
        wrong += [f"vote {number}: {fault}" for fault in _differences(press, row)]
    return wrong


def _differences(press: Pressed, row: VoteRow) -> list[str]:
    vote, pair = row.vote, row.pair
    sides = {"a": pair.response_a, "b": pair.response_b}
    left = vote.shown_left
    right = "b" if left == "a" else "a"
    screen = {left: "left", right: "right"}
    found = []
    if screen.get(vote.choice, str(vote.choice)) != press.choice:
        found.append(f"{press.choice} was pressed, {vote.choice} is stored")
    if vote.strength != press.strength:
        found.append(f"strength {vote.strength} is stored")
    seen = press.shown.left, press.shown.right
    if [_letters(text) for text in seen] != [_letters(sides[left]), _letters(sides[right])]:
        found.append("the replies on screen were others")
    if vote.superseded_by is not None:
        found.append("it was undone")
    return found


def _letters(text: str) -> str:
    """A reply without what Markdown makes of it."""
    return re.sub("[^A-Za-z]", "", text.removesuffix(CUT))


def rate_thirty(
    context: BrowserContext,
    data_dir: Path,
    *,
    offline_seconds: float,
    say: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> list[str]:
    """Do it all; what went wrong, if anything did."""
    with Service(data_dir, **settings) as service:
        begin = time.monotonic()
        rater = ThirtyVotes(context, service)
        rater.run(offline_seconds=offline_seconds)
        store = open_store(f"sqlite:///{data_dir / 'livedpo.sqlite'}")
        wait_until(lambda: store.reports.status(max_staleness=2)["updates"]["done"], "a version")
        stored = store.reports.votes()
        store.close()
        say(f"{len(stored)} votes in {time.monotonic() - begin:.0f} s.")
    return wrong_votes(rater.pressed, stored)


def main() -> None:
    """Run it by hand."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.thirty_votes", description=__doc__
    )
    parser.add_argument("--offline-seconds", type=float, default=60.0, help="without a network")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        wrong = rate_thirty(
            browser.new_context(),
            Path(folder) / "run",
            offline_seconds=options.offline_seconds,
            say=print,
        )
    print("\n".join(wrong) or "Each is stored once, and says what was pressed.")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
