"""A rollback, and a promotion, on a running service: the next pairs are the other version's."""

from pathlib import Path

from tests.support.command import livedpo
from tests.support.patience import wait_until
from tests.support.service import Client, Service
from tests.support.tiny import EASY

LABELS_PER_UPDATE = 4
SMALL = {"max_new_tokens": 8, "learning_rate": 1e-2, "lora_rank": 4, "threads": 1}


def versions_shown(url: str) -> set[int]:
    """The versions of the pairs that a rater gets who opens the page now."""
    return {pair["version"] for pair in Client(url).pairs(2)}


def test_rollback_and_promotion_take_effect_on_a_running_service(
    tmp_path: Path, tiny_policy: Path
) -> None:
    settings = {"policy": tiny_policy, "labels_per_update": LABELS_PER_UPDATE, **SMALL, **EASY}
    where = ("--data-dir", tmp_path / "run")
    with Service(tmp_path / "run", **settings) as service:
        client = Client(service.url)
        for _ in range(LABELS_PER_UPDATE):
            client.vote_on_next(lambda _: "left")
        wait_until(lambda: client.state()["live"] == 1, "version 1")
        assert (
            "Version 0 is live now, in place of version 1."
            in livedpo("versions", "rollback", *where).stdout
        )
        wait_until(lambda: versions_shown(service.url) == {0}, "a pair of version 0")
        assert "Version 1 is live now" in livedpo("versions", "promote", 1, *where).stdout
        wait_until(lambda: versions_shown(service.url) == {1}, "a pair of version 1")
        assert "from version 0" in livedpo("versions", "list", *where).stdout
        assert service.status()["alarms"] == []
