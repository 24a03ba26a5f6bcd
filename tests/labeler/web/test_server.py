"""The web role as a process of its own. `tests/faults/test_killed_web.py` kills it."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from labeler.config.load import as_environment
from labeler.config.settings import Settings
from labeler.domain.errors import BadInput
from labeler.store import Store
from labeler.web import server
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.service import PLAIN, Client, free_port
from tests.support.web import add_questions


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/rating/state", **PLAIN).status_code == 200
    except httpx.TransportError:
        return False


def test_the_web_role_is_light_says_that_it_lives_and_stops_cleanly(
    store: Store, tmp_path: Path
) -> None:
    add_questions(store, 1)
    settings = Settings(data_dir=tmp_path, port=free_port())
    url = f"http://127.0.0.1:{settings.port}"
    environment = os.environ | as_environment(settings)
    with subprocess.Popen(
        [sys.executable, "-m", "labeler.web.server"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(lambda: answers(url), "the page")
            for path in ("/", "/login"):
                assert httpx.get(url + path, **PLAIN).status_code == 200
            Client(url).vote_on_next(lambda _: "left")
            role = psutil.Process(process.pid)
            assert not [file.path for file in role.memory_maps() if "torch" in file.path]
            assert role.memory_info().rss < 400 * 2**20
            (web,) = (state for state in store.processes.all() if state.name.startswith("web"))
            assert (web.pid, web.says) == (process.pid, f"Serving {url}.")
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0
            assert f"Serving {url}." in said
        finally:
            process.kill()


def test_an_address_of_another_machine_is_one_sentence(store: Store, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, host="192.0.2.1")
    with pytest.raises(BadInput, match="no admin account"):
        server.run_web(settings, store, threading.Event())
