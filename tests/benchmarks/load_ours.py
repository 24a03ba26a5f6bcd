"""Our side of `tests.benchmarks.load`: raters who do what the rating page does, and the service.

Each holds three pairs, and more for an outage where there are plenty; votes, fetches the next, asks
for the state once a second, and changes pairs of an older version for new ones. One vote in fifty
is sent twice, as if its answer had been lost; one that gets no answer is sent until it does.
"""

import json
import math
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import psutil
from playwright.sync_api import Browser, BrowserContext

from labeler.domain.states import RaterRole
from labeler.store import Store, open_store
from labeler.store.rating.next_pairs import ON_HAND
from labeler.store.views.filled import ROLE
from labeler.web.rating.bodies import MAX_SPARE
from tests.benchmarks.crowd import (
    FIRST_SECONDS,
    LOST,
    Connection,
    Crowd,
    Figures,
    Pace,
    Plan,
    Tally,
    figures,
    spread,
)
from tests.support.page import RaterAtPage
from tests.support.patience import wait_until
from tests.support.service import Service, free_port, settings_environment
from tests.support.tiny import add_pairs, fill

LATENCIES = "() => performance.getEntriesByName('vote-to-paint').map((entry) => entry.duration)"
PASSWORD = "a-password-for-this-run"
CHOICES = ("left", "left", "right", "right", "tie", "both_bad", "skip")
OUTAGE_SECONDS = 300.0
LAST_VOTES = 10
MIN_VOTES = 3  # the pace of fewer is not known
MOST_AT_ONCE = 8
PATIENCE, MAX_REST_SECONDS = 4, 4.0  # as in pump.js
AGAIN_SHARE = 0.02
FASTEST_PER_SECOND = 150  # votes that nobody exceeds: so many pairs are made up


class PageRater:
    """One rater's page without a browser."""

    def __init__(self, port: int, cookie: str, seed: int) -> None:
        self.tally = Tally()
        origin = {"origin": f"http://127.0.0.1:{port}", "sec-fetch-site": "same-origin"}
        self._connection = Connection(port, {"cookie": cookie, **origin})
        self._holder = uuid.uuid4().hex
        self._hand: list[dict[str, Any]] = []
        self._live: int | None = None
        self._counting: list[int] = []
        self._ready = 0
        self._came: float = math.inf
        self._rests_until = -math.inf
        self._voted_at = [time.monotonic()]
        self._rng = random.Random(seed)

    def is_ready(self) -> bool:
        """Fetch pairs if the hand is empty."""
        began = time.monotonic()
        self._came = min(self._came, began)
        if not self._hand and began >= self._rests_until:
            self._refill()
            ended = time.monotonic()
            self._rests_until = ended + min(PATIENCE * (ended - began), MAX_REST_SECONDS)
        return bool(self._hand)

    def vote(self) -> None:
        """Vote on the first pair in hand until it is answered, then fetch the next."""
        pair = self._hand.pop(0)
        if not self._hand:
            self.tally.empty += 1
            self.tally.empty_at_first += time.monotonic() - self._came < FIRST_SECONDS
        self._voted_at = [*self._voted_at[-LAST_VOTES:], time.monotonic()]
        ballot = {
            "vote_id": uuid.uuid4().hex,
            "lease_id": pair["lease_id"],
            "seconds": 5.0,
            **self._opinion(pair),
        }
        self.tally.sent.add(ballot["vote_id"])
        begin = time.perf_counter()
        while (answer := self._ask("POST", "/rating/votes", {"votes": [ballot]})) is None:
            time.sleep(0.25)
        self.tally.vote.append(time.perf_counter() - begin)
        (receipt,) = answer["receipts"]
        if receipt["saved"]:
            self.tally.saved.add(ballot["vote_id"])
        else:
            self.tally.errors[f"not saved: {receipt['reason']}"] += 1
        if self._rng.random() < AGAIN_SHARE:
            self.tally.again += 1
            self._ask("POST", "/rating/votes", {"votes": [ballot]})
        refill = time.perf_counter()
        self._refill()
        self.tally.both.append(self.tally.vote[-1] + time.perf_counter() - refill)

    def look(self) -> None:
        """The state of the loop; pairs of an older version go back if there are others."""
        self._ask("GET", "/rating/state")
        if self._hand and self._old():
            self._refill()

    def _opinion(self, _pair: dict[str, Any]) -> dict[str, Any]:
        """What this rater says of a pair: anything."""
        return {"choice": self._rng.choice(CHOICES)}

    def _refill(self) -> None:
        old = self._old()
        kept = [pair for pair in self._hand if pair not in old]
        body = {
            "holder": self._holder,
            "shown": [pair["lease_id"] for pair in kept],
            "give_back": [pair["lease_id"] for pair in old],
            "wanted": ON_HAND,
            "spare": min(self._for_an_outage(), len(self._hand) + MOST_AT_ONCE) - ON_HAND,
        }
        answer = self._ask("POST", "/rating/pairs", body)
        if answer is not None:
            known = {pair["lease_id"] for pair in kept}
            behind = kept[1:] + [p for p in answer["pairs"] if p["lease_id"] not in known]
            behind.sort(key=lambda pair: pair["version"], reverse=True)
            self._hand = kept[:1] + behind

    def _for_an_outage(self) -> int:
        """How many pairs this rater gets through in OUTAGE_SECONDS, going by the last votes."""
        votes = len(self._voted_at) - 1
        if votes < MIN_VOTES:
            return ON_HAND
        each = max(1.0, (self._voted_at[-1] - self._voted_at[0]) / votes)
        return ON_HAND + max(0, min(math.ceil(OUTAGE_SECONDS / each) - ON_HAND, MAX_SPARE))

    def _old(self) -> list[dict[str, Any]]:
        """Pairs on which a vote would not count, and the last ones that new ones can take the place
        of: two new ones are enough.
        """
        behind = self._hand[1:]
        if too_old := [pair for pair in behind if pair["version"] not in self._counting]:
            return too_old
        new = sum(pair["version"] == self._live for pair in behind)
        most = min(self._ready, ON_HAND - 1 - new)
        return behind[max(new, len(behind) - most) :] if most > 0 else []

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            status, answer = self._connection.ask(method, path, body)
        except LOST as error:
            self.tally.errors[f"{path}: {type(error).__name__}"] += 1
            return None
        if status != 200:
            self.tally.errors[f"{path}: {status} {answer.decode()[:80]}"] += 1
            return None
        found = json.loads(answer)
        state = found.get("state", found)
        if "live" in state:
            self._live, self._ready = state["live"], state["ready"]
            self._counting = state["counting"]
        return found


class Keyboard:
    """Somebody in Chromium beside the crowd."""

    def __init__(self, context: BrowserContext, url: str, invite: str) -> None:
        answer = context.request.post(
            f"{url}/door/accept",
            data={"invite": invite, "password": PASSWORD},
            headers={"origin": url},
        )
        assert answer.ok, answer.text()
        self._rater = RaterAtPage(context.new_page(), url, lambda *_: self._rng.random())
        self._rng = random.Random(0)

    @property
    def votes(self) -> int:
        """How many it has cast."""
        return len(self._rater.seen)

    def rate(self, seconds: float, pace: Pace) -> dict[str, Any]:
        """Press keys for so long. Milliseconds from key to the next pair, painted; and how many of
        those pairs were not there yet, in the first FIRST_SECONDS and in all.
        """
        page, came, absent, at_first = self._rater.page, time.monotonic(), 0, 0
        while (passed := time.monotonic() - came) < seconds:
            self._rater.vote()
            is_absent = page.evaluate("document.body.classList.contains('is-waiting')")
            absent += is_absent
            at_first += is_absent and passed < FIRST_SECONDS
            page.wait_for_timeout(1000 * pace.draw(self._rng))
        self._rater.wait_until_saved()
        found = spread([value / 1000 for value in page.evaluate(LATENCIES)])
        assert found is not None
        absences = {"next_pair_absent": absent, "next_pair_absent_at_first": at_first}
        return {**asdict(found), **absences, "votes": self.votes}


def measure(plan: Plan, browser: Browser | None) -> Figures:
    """One run of ours."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _running(plan, Path(folder)) as (store, port),
    ):
        invites = [invite(store, number) for number in range(plan.raters + 1)]
        url = f"http://127.0.0.1:{port}"
        raters = [
            PageRater(port, accept(url, each), number) for number, each in enumerate(invites[1:])
        ]
        keyboard = Keyboard(browser.new_context(), url, invites[0]) if browser else None
        before, busy = _pairs(store), cpu_seconds(store)
        begin = time.monotonic()
        crowd = Crowd(raters, plan.pace, seconds=plan.seconds, seed=1)
        pressed = keyboard.rate(plan.seconds, plan.key_pace) if keyboard else None
        crowd.wait()
        seconds = time.monotonic() - begin
        more = {
            "keyboard_ms": pressed,
            "updates": store.reports.status(max_staleness=2)["updates"],
            "pairs_sampled_per_second": round((_pairs(store) - before) / seconds, 2),
            "cores": {
                name: round((now - busy.get(name, 0.0)) / seconds, 2)
                for name, now in cpu_seconds(store).items()
            },
        }
        lost, doubled = _check(store, raters, pressed["votes"] if pressed else 0)
        return figures(raters, seconds, lost=lost, doubled=doubled, more=more)


@contextmanager
def _running(plan: Plan, folder: Path) -> Iterator[tuple[Store, int]]:
    """The whole service, or without a pace the web role on made-up pairs."""
    database = f"sqlite:///{folder / 'livedpo.sqlite'}"
    if plan.trains:
        service = Service(
            folder,
            labels_per_update=plan.labels_per_update,
            queue_pairs=plan.queue_pairs,
            cooldown_seconds=plan.cooldown_seconds,
            **plan.settings,
        )
        with service, closing(open_store(database)) as store:
            yield store, int(str(service.settings["port"]))
        return
    port = free_port()
    with closing(open_store(database)) as store:
        fill(store, 1000)
        for _ in range(int(FASTEST_PER_SECOND * plan.seconds / 1000)):
            add_pairs(store, 1000)
        command = [sys.executable, "-m", "labeler.web.server"]
        environment = settings_environment(data_dir=folder, port=port)
        with subprocess.Popen(command, env=environment) as web:
            wait_until(lambda: _answers(port), "the page")
            yield store, port
            web.terminate()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/rating/state", timeout=5).status_code < 500
    except httpx.HTTPError:
        return False


def invite(store: Store, number: int) -> str:
    role = RaterRole.RATER if number else RaterRole.ADMIN
    return str(store.raters.invite(f"rater {number}", role, now=time.time()))


def accept(url: str, invite: str) -> str:
    """Set a password; the cookie that comes of it."""
    body = {"invite": invite, "password": PASSWORD}
    answer = httpx.post(f"{url}/door/accept", json=body, headers={"origin": url}, timeout=60)
    answer.raise_for_status()
    return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


def cpu_seconds(store: Store) -> dict[str, float]:
    """CPU time of each role, and of the crowd itself, which is this process."""
    found = {"crowd": time.process_time()}
    for role in store.processes.all():
        # The reward model of filled pairs is a part of its process.
        if role.name != ROLE and role.pid is not None and psutil.pid_exists(role.pid):
            times = psutil.Process(role.pid).cpu_times()
            found[role.name] = times.user + times.system
    return found


def _pairs(store: Store) -> int:
    return sum(store.reports.status(max_staleness=2)["pairs"].values())


def _check(store: Store, raters: Sequence[PageRater], by_keyboard: int) -> tuple[int, int]:
    """Votes that were called saved and are not in the database, and those that count twice."""
    rows = [row.vote for row in store.reports.votes()]
    saved = set().union(*(rater.tally.saved for rater in raters))
    lost = len(saved - {vote.id for vote in rows}) + max(0, by_keyboard + len(saved) - len(rows))
    standing = Counter((vote.rater_id, vote.pair_id) for vote in rows if not vote.superseded_by)
    beyond = sum(count - 1 for count in standing.values())
    return lost, beyond + max(0, len(rows) - len(saved) - by_keyboard)
