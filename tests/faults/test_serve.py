"""`livedpo serve` on a tiny policy: restarts, rollbacks, clean stops, kill -9 of everything."""

import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from labeler.store import open_store
from tests.support.command import livedpo
from tests.support.patience import wait_until
from tests.support.service import PLAIN, WARM, Client, Service
from tests.support.tiny import EASY, fill


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, tiny_policy: Path) -> dict[str, object]:
    """Settings for a tiny policy, and for 200 prompts after two lines that are none."""
    prompts = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    lines = ['{"prompt": ""}', "nonsense", *(f'"how do you make tea {n}?"' for n in range(200))]
    prompts.write_text("\n".join(lines))
    return {
        "policy": tiny_policy,
        "prompts": prompts,
        "max_new_tokens": 8,
        "queue_pairs": 8,
        "labels_per_update": 4,
        "learning_rate": 1e-2,
        "threads": 1,
        **EASY,
    }


@pytest.fixture(scope="module")
def service(
    settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """One service for the tests that let it go on."""
    with Service(tmp_path_factory.mktemp("shared") / "run", program=WARM, **settings) as running:
        yield running


def test_bad_prompt_lines_are_named_and_the_good_ones_served(service: Service) -> None:
    line = service.wait_for_line("prompts added")
    assert "200 prompts added" in line
    assert "line 1: empty text; line 2: not JSON" in line
    with closing(open_store(f"sqlite:///{service.data_dir / 'livedpo.sqlite'}")) as store:
        assert len(store.prompts.all()) == 200


def test_a_second_service_on_the_same_data_dir_is_one_sentence(
    service: Service, settings: dict[str, object]
) -> None:
    second = Service(service.data_dir, **settings)
    assert second.wait_for_end() == 1
    assert len(second.lines) == 1
    assert "in use by another service" in second.lines[0]
    assert Client(service.url).state()["live"] == 0


def test_a_role_that_is_killed_starts_again_and_no_vote_is_lost(service: Service) -> None:
    client = Client(service.url)
    client.vote_on_next(lambda _: "tie")
    before = service.pids()
    assert set(before) == {"web", "scheduler", "worker"}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: (
            set(now := service.pids()) == set(before)
            and set(now.values()).isdisjoint(before.values())
        ),
        "new roles",
    )
    wait_until(lambda: _answers(client), "the page")
    for _ in range(4):
        client.vote_on_next(lambda _: "left")
    wait_until(lambda: client.state()["live"] == 1, "version 1")
    assert client.state()["votes"] == 5


def test_rollback_and_promotion_take_effect_on_a_running_service(service: Service) -> None:
    client, where = Client(service.url), ("--data-dir", service.data_dir)
    parent = client.state()["live"]
    for _ in range(4):
        client.vote_on_next(lambda _: "left")
    wait_until(lambda: client.state()["live"] == parent + 1, "a version")
    back = livedpo("versions", "rollback", *where).stdout
    assert back == f"Version {parent} is live now, in place of version {parent + 1}.\n"
    wait_until(lambda: versions_shown(service.url) == {parent}, "a pair of the parent")
    forth = livedpo("versions", "promote", parent + 1, *where).stdout
    assert f"Version {parent + 1} is live now" in forth
    wait_until(lambda: versions_shown(service.url) == {parent + 1}, "a pair of the version")
    assert f"from version {parent}" in livedpo("versions", "list", *where).stdout
    assert service.alarms() == []


def versions_shown(url: str) -> set[int]:
    """The versions of the pairs that a rater gets who opens the page now."""
    return {pair["version"] for pair in Client(url).pairs(2)}


def test_a_full_disk_ends_nothing_and_loses_no_saved_vote(service: Service) -> None:
    """No file may grow far beyond the largest one, so that database and adapter find no room."""
    client = Client(service.url)
    before = client.state()
    largest = max(path.stat().st_size for path in service.data_dir.glob("livedpo.sqlite*"))
    limit_files(service, largest + 100_000)
    saved = vote_until_refused(client)
    wait_until(lambda: any("cannot be written" in line for line in service.lines), "a word")
    assert service.process.poll() is None
    assert not any("Traceback" in line or "Logging error" in line for line in service.lines)
    assert httpx.get(service.url, **PLAIN).is_success
    limit_files(service, resource.RLIM_INFINITY)
    assert client.state()["votes"] == before["votes"] + saved
    live = client.state()["live"]
    for _ in range(8):
        client.vote_on_next(lambda _: "left")
    wait_until(lambda: client.state()["live"] > live, "a new version")
    wait_until(lambda: has_learned_all(service), "the last update")


def limit_files(service: Service, size: int) -> None:
    """Let no file of a running service grow beyond so many bytes."""
    for pid in [service.process.pid, *service.pids().values()]:
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def has_learned_all(service: Service) -> bool:
    """Whether no update runs, and none is due."""
    status = counts(service)
    return bool(status["updates"]["running"] == 0 and status["labels"]["fresh"] < 4)


def labels_of(service: Service) -> int:
    """Labels that were used for a version, and those that wait for one."""
    labels = counts(service)["labels"]
    return int(labels["used"] + labels["fresh"])


def vote_until_refused(client: Client) -> int:
    """Vote until the database takes no more; how many votes were saved."""
    saved, refused = 0, None
    while refused is None:
        assert saved < 2000, "the disk is not full"
        try:
            pairs = wait_until(lambda: client.pairs(1), "a pair")
            assert client.vote(pairs[0]["lease_id"])
            saved += 1
        except httpx.HTTPStatusError as error:
            refused = error.response
    assert refused.status_code == 503
    assert "cannot be written" in refused.json()["error"]
    return saved


def test_after_kill_9_of_everything_the_same_command_goes_on_and_ctrl_c_stops_it_cleanly(
    service: Service, settings: dict[str, object]
) -> None:
    """The last test that the shared service serves."""
    client = Client(service.url)
    wait_until(lambda: has_learned_all(service), "the last update")
    labels = labels_of(service)
    for _ in range(3):
        client.vote_on_next(lambda _: "left")
    before = client.state()
    for pid in [service.process.pid, *service.pids().values()]:
        os.kill(pid, signal.SIGKILL)
    service.wait_for_end()
    same = settings | {"port": service.settings["port"]}
    with Service(service.data_dir, **same) as again:
        client = Client(again.url)
        assert client.state()["votes"] == before["votes"]
        client.vote_on_next(lambda _: "left")
        wait_until(lambda: client.state()["live"] > before["live"], "a version")
        wait_until(lambda: has_learned_all(again), "the last update")
        assert labels_of(again) == labels + 4, "each counts once"
        wait_until(lambda: client.pairs(2), "pairs")
        pids = list(again.pids().values())
        assert len(pids) == 3
        again.process.send_signal(signal.SIGINT)
        assert again.wait_for_end() == 0
        assert "every vote is saved" in again.lines[-1]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    status = again.status()
    assert status["pairs"]["leased"] == 0
    assert status["updates"]["running"] == 0


def counts(service: Service) -> dict[str, Any]:
    """What `livedpo status` counts, without its process."""
    with closing(open_store(f"sqlite:///{service.data_dir / 'livedpo.sqlite'}")) as store:
        return store.reports.status(max_staleness=2)


def test_a_port_in_use_is_one_sentence(tmp_path: Path, settings: dict[str, object]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        service = Service(tmp_path / "run", **(settings | {"port": port}))
        assert service.wait_for_end() == 2
    assert service.lines == [
        f"livedpo: Port {port} is in use by another program; choose another with --port."
    ]


def test_a_read_only_database_is_one_sentence(tmp_path: Path, settings: dict[str, object]) -> None:
    path = tmp_path / "made.sqlite"
    fill(open_store(f"sqlite:///{path}"), 2)
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    service = Service(tmp_path / "run", **(settings | {"database": url}))
    assert service.wait_for_end() == 1
    assert len(service.lines) == 1
    assert "read-only" in service.lines[0]


def test_a_policy_that_cannot_be_loaded_ends_the_service_with_one_sentence(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    service = Service(tmp_path / "run", **(settings | {"policy": tmp_path / "nowhere"}))
    assert service.wait_for_end() == 2
    errors = [line for line in service.lines if line.startswith("livedpo: ")]
    assert len(errors) == 1
    assert "nowhere" in errors[0]
    assert not any("Traceback" in line for line in service.lines)


def _answers(client: Client) -> bool:
    try:
        return bool(client.state())
    except httpx.HTTPError:
        return False
