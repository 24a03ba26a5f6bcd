"""Roles as processes apart on a tiny policy, and somebody who rates meanwhile."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from labeler.config.settings import Settings
from labeler.domain.errors import LivedpoError
from labeler.files.shelf import shelf_of
from labeler.roles import MODULES, START
from labeler.store import Store
from labeler.store.holders import TRAINER
from labeler.store.records import Ballot
from labeler.store.tables import Pair, Update
from tests.support import warm
from tests.support.service import settings_environment
from trainer.policy.adapters import read_adapter
from trainer.policy.load import load_policy
from trainer.policy.logps import logps_under
from trainer.policy.policy import LIVE

MAX_APART = 1e-3  # nats of a reply, in float32: rounding


class Apart:
    """Processes by the names that the test gives them; each has a data dir, and perhaps a network,
    of its own. `store` is this process's own way to the database.
    """

    def __init__(self, folder: Path, store: Store, **settings: Any) -> None:
        self.folder = folder
        self.store = store
        self.settings = settings
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Apart":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def start(self, name: str, role: str, *, before: Sequence[str] = (), **changed: Any) -> None:
        """Start a role; `before` goes in front of its command line. In a test it starts warm."""
        data_dir = self.folder / name
        settings = {"data_dir": data_dir, **self.settings, **changed}
        environment = settings_environment(**settings)
        module = MODULES[role]
        with (self.folder / f"{name}.err").open("ab") as errors:
            if warm.SOCKET in os.environ and not before:
                self.processes[name] = warm.role(module, environment=environment, stderr=errors)
                return
            self.processes[name] = subprocess.Popen(
                [*before, sys.executable, "-m", START, module],
                env=environment,
                stderr=errors,
                stdout=subprocess.DEVNULL,
            )

    def send(self, name: str, number: int) -> None:
        """Send a signal; one that kills is waited for."""
        process = self.processes[name]
        process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            process.wait()

    def trainer(self) -> str | None:
        """The name, as the test knows it, of the process that has the role of the trainer."""
        held = self.store.holders.look(TRAINER)
        number = held and int(held.holder.rpartition(":")[2])
        return next((name for name, p in self.processes.items() if p.pid == number), None)

    def is_training(self) -> bool:
        """Whether an update is under way."""
        newest = self.store.updates.last()
        return newest is not None and newest.state in ("training", "gating")

    def promoted(self) -> int:
        """How many updates have made a version live."""
        done: int = self.store.reports.status(max_staleness=2)["updates"]["done"]
        return done


class Rater:
    """Somebody who rates all the time, on a thread, and remembers what was said to be saved."""

    def __init__(self, store: Store, *, every: float = 0.2) -> None:
        self._store = store
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._rate)
        self.saved: set[str] = set()

    def __enter__(self) -> "Rater":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _rate(self) -> None:
        rater, rng = self._store.raters.local(now=time.time()), random.Random(0)
        while not self._over.wait(self._every):
            with suppress(LivedpoError):
                self._vote(rater, rng)

    def _vote(self, rater: int, rng: random.Random) -> None:
        words: dict[str, Any] = {"rater_id": rater, "holder": "tab", "now": time.time()}
        leased = self._store.queue.lease(
            **words, wanted=1, shown=[], give_back=[], spare=0, seconds=60.0, rng=rng,
            checks=None, max_staleness=2,
        )  # fmt: skip
        for pair in leased:
            choice = "left" if len(pair.left) >= len(pair.right) else "right"
            ballot = Ballot(uuid.uuid4().hex, pair.lease_id, choice)
            if self._store.votes.record(ballot, rater_id=rater, now=time.time()).saved:
                self.saved.add(ballot.vote_id)


def refuse_harm(store: Store, pairs: list[Pair], updates: list[Update], saved: set[str]) -> None:
    """Raise AssertionError if a vote was lost or doubled, or learned from twice.

    `saved`: the votes that were answered as saved.
    """
    rows = store.reports.votes()
    ids = [row.vote.id for row in rows]
    assert saved <= set(ids), "a vote was lost"
    assert len(ids) == len(set(ids)), "a vote was doubled"
    standing = [row.vote.pair_id for row in rows if row.vote.superseded_by is None]
    assert len(set(standing)) == len(standing), "a pair has two votes"
    used: dict[int, int] = {}
    for row in rows:
        if row.vote.used_in_update is not None:
            used[row.vote.used_in_update] = used.get(row.vote.used_in_update, 0) + 1
    done = {update.id: update for update in updates if update.state == "promoted"}
    assert used.keys() <= done.keys(), "a label was used by an update that is not live"
    live = [version for version in store.versions.all() if version.state == "live"]
    assert len(live) == 1
    assert len({update.version_id for update in done.values()}) == len(done)
    assert pairs


def mis_stamped(store: Store, settings: Settings, pairs: Sequence[Pair]) -> list[int]:
    """Numbers of pairs that their version did not draw, by working their tokens out again."""
    policy, shelf, wrong = load_policy(settings), shelf_of(settings), []
    torch.set_num_threads(1)
    base = policy.adapter_state(LIVE)
    by_version: dict[int, list[Pair]] = {}
    for pair in pairs:
        by_version.setdefault(pair.version_id, []).append(pair)
    for number, drawn in by_version.items():
        version = store.versions.get(number)
        state = base
        if version.folder is not None:
            state = read_adapter(shelf.fetch(version.folder, version.sha256))
        policy.set_adapter_state(LIVE, state)
        tokens = [(pair.prompt_tokens, pair.tokens_a, pair.tokens_b) for pair in drawn]
        for pair, logps in zip(drawn, logps_under(policy, LIVE, tokens).tolist(), strict=True):
            known = pair.logp_a or 0.0, pair.logp_b or 0.0
            if max(abs(a - b) for a, b in zip(known, logps, strict=True)) > MAX_APART:
                wrong.append(pair.id or 0)
    return wrong
