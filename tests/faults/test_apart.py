"""Sampler, trainer and standby as real processes: the trainer dies in the middle of an update.

Nothing is lost, nothing doubled, nothing mis-stamped.
The long one, with three networks and lines that are cut, is `tests/faults/apart.py`.
"""

import signal
from contextlib import closing
from pathlib import Path

from sqlmodel import select

from labeler.config.settings import Settings
from labeler.store import open_store
from labeler.store.database import Database
from labeler.store.tables import Pair, Update
from tests.support.apart import Apart, Rater, mis_stamped, refuse_harm
from tests.support.patience import wait_until
from tests.support.tiny import EASY


def test_a_standby_goes_on_where_a_trainer_died_and_every_pair_is_of_its_version(
    tiny_policy: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(f'"how do you make tea {n}?"' for n in range(200)))
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    settings = {
        "policy": str(tiny_policy),
        "prompts": prompts,
        "database": url,
        "versions_url": f"file://{tmp_path / 'versions'}",
        "max_new_tokens": 8,
        "lora_rank": 4,
        "queue_pairs": 12,
        "labels_per_update": 8,
        "learning_rate": 1e-3,
        "threads": 1,
        **EASY,
    }
    with closing(open_store(url)) as store, Apart(tmp_path, store, warm=True, **settings) as apart:
        for name in ("scheduler", "sampler"):
            apart.start(name, name)
        apart.start("a", "trainer")
        wait_until(lambda: apart.trainer() == "a")
        apart.start("b", "trainer")
        with Rater(store) as rater:
            wait_until(lambda: apart.promoted() >= 1, "a version")
            told = "Standing by: trainer "
            wait_until(lambda: [p for p in store.processes.all() if p.says.startswith(told)], told)
            wait_until(apart.is_training)
            apart.send("a", signal.SIGKILL)
            before = apart.promoted()
            wait_until(lambda: apart.trainer() == "b", "the standby takes over")
            wait_until(lambda: apart.promoted() >= before + 2, "two versions of the standby")
        for name in ("b", "sampler", "scheduler"):
            apart.send(name, signal.SIGTERM)
            assert apart.processes[name].returncode == 0
        assert apart.trainer() is None
        left = {
            process.name.partition(" ")[0] for process in store.processes.all() if process.beat_at
        }
        assert left == {"trainer"}, "the one that was killed, and no one else"
        with closing(Database(url)) as tables, tables.read() as session:
            pairs, updates = list(session.exec(select(Pair))), list(session.exec(select(Update)))
        refuse_harm(store, pairs, updates, rater)
        here = Settings(**settings, data_dir=tmp_path / "check")  # type: ignore[arg-type]
        assert mis_stamped(store, here, pairs) == []
        newer = [pair for pair in pairs if pair.version_id]
        assert newer
        for pair in newer:  # this test can fail: hardly one of these would pass for the base's
            pair.version_id = 0
        assert len(mis_stamped(store, here, newer)) > 0.9 * len(newer)
