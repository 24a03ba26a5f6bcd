"""The web role as a process of its own."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser

from labeler.config.load import as_environment
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.store import Store
from labeler.web import server
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.service import PLAIN, free_port
from tests.support.web import Screen, add_questions, standing


class Process:
    """`python -m labeler.web.server` on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder, port=free_port())
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, **as_environment(self.settings)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "labeler.web.server"], env=environment, stderr=subprocess.PIPE
        )
        wait_until(self.answers)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/rating/state", **PLAIN).status_code == 200
        except httpx.TransportError:
            return False

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code


@pytest.fixture
def process(store: Store, tmp_path: Path) -> Iterator[Process]:
    add_questions(store, 6)
    made = Process(tmp_path)
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)


def test_the_web_role_is_light_says_that_it_lives_and_stops_cleanly(
    process: Process, store: Store
) -> None:
    assert process.process is not None
    for path in ("/", "/page/rating/page.js", "/rating/state"):
        assert httpx.get(process.url + path).status_code == 200
    memory = psutil.Process(process.process.pid).memory_info().rss
    assert memory < 400 * 2**20
    print(f"web role: {memory / 2**20:.0f} MB")
    (web,) = (state for state in store.roles.all() if state.name == "web")
    assert (web.pid, web.says) == (process.process.pid, f"Serving {process.url}.")
    assert process.end(signal.SIGTERM) == 0


def test_a_vote_survives_kill_9_between_click_and_answer(
    process: Process, store: Store, browser: Browser, tmp_path: Path
) -> None:
    screen = Screen(browser.new_page(), process.url)
    screen.open()
    lock = sqlite3.connect(tmp_path / "livedpo.sqlite", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with screen.page.expect_request("**/rating/votes"):
        screen.press("1")
    process.end(signal.SIGKILL)
    lock.execute("ROLLBACK")
    lock.close()
    screen.expect_mark("1 vote waiting. Connection lost.")
    process.start()
    screen.wait_saved()
    assert len(store.reports.votes()) == len(standing(store)) == 1
    screen.page.close()


def test_an_address_of_another_machine_is_one_sentence(store: Store, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, host="192.0.2.1")
    with pytest.raises(BadInput, match="no admin account"):
        server.run_web(settings, store, threading.Event())
