"""A rollback, and a promotion, on a running service: the next pairs are the other version's."""

import subprocess
import sys
from pathlib import Path

from tests.support.patience import wait_until
from tests.support.service import Client, Service, settings_environment
from tests.support.tiny import EASY

LABELS_PER_UPDATE = 4
SMALL = {"max_new_tokens": 8, "learning_rate": 1e-2, "lora_rank": 4, "threads": 1}


def versions(service: Service, *words: str) -> str:
    run = [sys.executable, "-m", "labeler.cli.main", "versions", *words]
    environment = settings_environment(data_dir=service.data_dir)
    return subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout


def versions_shown(url: str) -> set[int]:
    """The versions of the pairs that a rater gets who opens the page now."""
    return {pair["version"] for pair in Client(url).pairs(2)}


def test_rollback_and_promotion_take_effect_on_a_running_service(
    tmp_path: Path, tiny_policy: Path
) -> None:
    settings = {"policy": tiny_policy, "labels_per_update": LABELS_PER_UPDATE, **SMALL, **EASY}
    with Service(tmp_path / "run", **settings) as service:
        client = Client(service.url)
        for _ in range(LABELS_PER_UPDATE):
            client.vote_on_next(lambda _: "left")
        wait_until(lambda: client.state()["live"] == 1, "version 1")
        assert "Version 0 is live now, in place of version 1." in versions(service, "rollback")
        wait_until(lambda: versions_shown(service.url) == {0}, "a pair of version 0")
        assert "Version 1 is live now" in versions(service, "promote", "1")
        wait_until(lambda: versions_shown(service.url) == {1}, "a pair of version 1")
        assert "from version 0" in versions(service, "list")
        assert service.status()["alarms"] == []
