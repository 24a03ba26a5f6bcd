"""A real `livedpo serve` as a child process, and a client for its rating routes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from labeler.config.load import PREFIX
from labeler.roles import MODULES
from tests.support.command import livedpo
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.warm import roles_of

WARM = "tests.support.warm"  # the program that takes its roles from the nursery


def free_port() -> int:
    """A port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_environment(**settings: object) -> dict[str, str]:
    """The environment of a role: these settings, and nothing of the outer ones."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return clean | {PREFIX + name.upper(): str(value) for name, value in settings.items()}


class Service:
    """`livedpo serve` with these settings; `lines` is what it has printed so far.

    Whoever does not test how it starts may let its roles be WARM.
    """

    def __init__(
        self, data_dir: Path, *, program: str = "labeler.cli.main", **settings: object
    ) -> None:
        self.data_dir = data_dir
        self.program = program
        self.settings = {"data_dir": data_dir, "port": free_port()} | settings
        self.url = f"http://127.0.0.1:{self.settings['port']}"
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", program, "serve"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=settings_environment(**self.settings),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip())

    def __enter__(self) -> "Service":
        self.wait_for_line("Rate pairs at")
        self.wait_for_line("The first pair is ready")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=PATIENCE_SECONDS)
        if self.process.poll() is None:
            self.process.kill()
        self.wait_for_end()

    def wait_for_line(self, words: str) -> str:
        def found() -> str | None:
            lines = [line for line in self.lines if words in line]
            ended = self.process.poll() is not None and not self._reader.is_alive()
            assert lines or not ended, f"it ended without '{words}': {self.lines}"
            return lines[-1] if lines else None

        return str(wait_until(found, words))

    def wait_for_end(self) -> int:
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        self._reader.join(timeout=PATIENCE_SECONDS)
        return code

    def status(self) -> dict[str, Any]:
        """`livedpo status --json`."""
        where = ["--database", self.settings["database"]] if "database" in self.settings else []
        run = livedpo("status", "--json", "--data-dir", self.data_dir, *where)
        assert run.returncode == 0, run.stderr
        counts: dict[str, Any] = json.loads(run.stdout)
        return counts

    def alarms(self) -> list[str]:
        """The alarms of `status`, but for that of a random model, whose replies never end."""
        alarms: list[str] = self.status()["alarms"]
        return [alarm for alarm in alarms if "replies were cut" not in alarm]

    def pids(self) -> dict[str, int]:
        """The process of each role."""
        import psutil

        roles = {module: role for role, module in MODULES.items()}
        found = roles_of(self.process.pid) if self.program == WARM else {}
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):
                for word in child.cmdline():
                    if word in roles:
                        found[roles[word]] = child.pid
        return found


# Certificates take longer to load than all else, and plain HTTP needs none.
PLAIN: dict[str, Any] = {"timeout": PATIENCE_SECONDS, "verify": False}


class Client:
    """A rater without a browser: one page of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.holder = uuid.uuid4().hex

    def pairs(self, wanted: int) -> list[dict[str, Any]]:
        body = {"holder": self.holder, "shown": [], "give_back": [], "wanted": wanted}
        return list(self._post("/rating/pairs", body)["pairs"])

    def vote(self, lease_id: str, choice: str = "left", vote_id: str | None = None) -> bool:
        ballot = {"vote_id": vote_id or uuid.uuid4().hex, "lease_id": lease_id, "choice": choice}
        return bool(self._post("/rating/votes", {"votes": [ballot]})["receipts"][0]["saved"])

    def state(self) -> dict[str, Any]:
        answer = httpx.get(self.url + "/rating/state", **PLAIN)
        answer.raise_for_status()
        state: dict[str, Any] = answer.json()
        return state

    def vote_on_next(self, prefer: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
        """Vote on one pair, waiting for it if the queue is empty."""
        pair = wait_until(lambda: self.pairs(1), "a pair")[0]
        assert self.vote(pair["lease_id"], prefer(pair))
        return dict(pair)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Origin": self.url}
        answer = httpx.post(self.url + path, json=body, headers=headers, **PLAIN)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
