"""Roles on three networks over PostgreSQL; lines are cut, processes die: `make faults-apart`.

    lv-db      the database, the scheduler, and somebody who rates all the time
    lv-train   a trainer, in a network of its own
    lv-sample  two samplers and a trainer that stands by, in another one

The networks are namespaces of this machine with a pair of virtual cards between them. A cut is a
route that swallows what is sent, in one direction, for `--cut` seconds. Versions go through a
folder (file://) that all of them reach. At the end: no vote lost or doubled, no label learned from
twice, one live version, and each pair was drawn by the version that it carries, by working the
log-probabilities of all pairs out again. It needs root, `ip`, and PostgreSQL. Some minutes.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlmodel import select

from labeler.config.settings import Settings
from labeler.store import open_store
from labeler.store.database import Database
from labeler.store.tables import Pair, Update
from tests.support.apart import Apart, Rater, mis_stamped, refuse_harm
from tests.support.postgres import Server
from tests.support.tiny import EASY, save_tiny_policy

LINES = {"lv-train": "10.77.1", "lv-sample": "10.77.2"}
DATABASE = "lv-db"
IN_TRAIN, IN_SAMPLE = (("ip", "netns", "exec", name) for name in LINES)
PATIENCE_SECONDS = 600.0


def ip(*words: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *words], check=True)


@contextmanager
def networks() -> Iterator[None]:
    """Three namespaces; the database's has a line to each of the others."""
    try:
        ip("netns", "add", DATABASE)
        ip("-n", DATABASE, "link", "set", "lo", "up")
        for name, net in LINES.items():
            card = f"to-{name}"
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", DATABASE, "link", "add", card, "type", "veth", "peer", "to-db", "netns", name)
            for where, device, end in ((DATABASE, card, 1), (name, "to-db", 2)):
                ip("-n", where, "addr", "add", f"{net}.{end}/24", "dev", device)
                ip("-n", where, "link", "set", device, "up")
        yield
    finally:
        for name in (DATABASE, *LINES):
            subprocess.run(["ip", "netns", "del", name], check=False)


@contextmanager
def cut(where: str, address: str, seconds: float) -> Iterator[None]:
    """Swallow what is sent from a network to an address, for so long at least."""
    began = time.monotonic()
    ip("-n", where, "route", "add", "blackhole", f"{address}/32")
    try:
        yield
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    finally:
        ip("-n", where, "route", "del", "blackhole", f"{address}/32")


def until(what: str, found: Callable[[], object]) -> None:
    """Wait for it, and say so."""
    began = time.monotonic()
    while not found():
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise SystemExit(f"{what}: not within {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.2)
    print(f"{time.strftime('%H:%M:%S')}  {what} ({time.monotonic() - began:.1f} s)", flush=True)


def run(folder: Path, server: Server, seconds: float) -> None:
    """All faults, one after the other, and what came of it."""
    server.execute("CREATE DATABASE apart")
    (folder / "prompts.jsonl").write_text(
        "\n".join(f'"how do you make tea {n}?"' for n in range(400))
    )
    settings = {
        "policy": save_tiny_policy(folder / "policy"),
        "prompts": folder / "prompts.jsonl",
        "versions_url": f"file://{folder}/versions",
        "max_new_tokens": 8,
        "lora_rank": 4,
        "queue_pairs": 12,
        "labels_per_update": 8,
        "learning_rate": 1e-3,
        "threads": 1,
        "keep_versions": 1000,
        **EASY,
    }
    remote = {
        name: f"postgresql+psycopg://postgres@{net}.1:5432/apart" for name, net in LINES.items()
    }
    train, sample = ({"database": url} for url in remote.values())
    with (
        closing(open_store(server.url("apart"))) as store,
        Apart(folder, store, **settings) as all_,
    ):
        all_.start("scheduler", "scheduler", database=server.url("apart"))
        all_.start("trainer a", "trainer", before=IN_TRAIN, **train)
        all_.start("sampler 1", "sampler", before=IN_SAMPLE, **sample)
        all_.start("sampler 2", "sampler", before=IN_SAMPLE, **sample)
        until("trainer a has the role", lambda: all_.trainer() == "trainer a")
        all_.start("trainer b", "trainer", before=IN_SAMPLE, **sample)
        with Rater(store) as rater:

            def more(updates: int, what: str) -> None:
                wanted = all_.promoted() + updates
                until(what, lambda: all_.promoted() >= wanted)

            def takes_over(trainer: str, what: str) -> None:
                until(f"{what}: {trainer[-1]} takes over", lambda: all_.trainer() == trainer)

            more(2, "two versions, all well")
            with cut("lv-train", "10.77.1.1", seconds):
                takes_over("trainer b", "nothing comes from trainer a")
                more(1, "b makes a version")
            more(1, "the line is back, and another version")
            assert all_.trainer() == "trainer b", "a takes nothing back"
            with cut(DATABASE, "10.77.2.2", seconds):
                takes_over("trainer a", "nothing gets to b and the samplers")
            more(2, "the line is back, and two versions by a")
            all_.send("sampler 1", signal.SIGKILL)
            more(1, "sampler 1 is killed, and another version")
            all_.start("sampler 3", "sampler", before=IN_SAMPLE, **sample)
            until("an update trains", all_.is_training)
            all_.send("trainer a", signal.SIGKILL)
            takes_over("trainer b", "trainer a is killed in the middle")
            more(2, "two versions by b")
            all_.send("sampler 2", signal.SIGSTOP)
            more(2, "sampler 2 stands still for two versions")
            all_.send("sampler 2", signal.SIGCONT)
            all_.start("trainer c", "trainer", before=IN_TRAIN, **train)
            until("an update trains", all_.is_training)
            all_.send("trainer b", signal.SIGSTOP)
            takes_over("trainer c", "trainer b stands still in the middle")
            all_.send("trainer b", signal.SIGCONT)
            more(2, "b wakes up, and c makes two versions")
        for name, process in all_.processes.items():
            assert process.poll() is None or name in ("sampler 1", "trainer a"), f"{name} ended"
        for name in all_.processes:
            if all_.processes[name].poll() is None:
                all_.send(name, signal.SIGTERM)
        with closing(Database(server.url("apart"))) as tables, tables.read() as session:
            pairs = list(session.exec(select(Pair).order_by(Pair.id)))  # type: ignore[arg-type]
            updates = list(session.exec(select(Update)))
        refuse_harm(store, pairs, updates, rater.saved)
        here = Settings(
            **{k: str(v) if k == "policy" else v for k, v in settings.items()},
            data_dir=folder / "check",
        )
        wrong = mis_stamped(store, here, pairs)
        assert not wrong, f"pairs {wrong} were not drawn by the version that they carry"
        ends = {
            state: sum(u.state == state for u in updates) for state in {u.state for u in updates}
        }
        versions = len({pair.version_id for pair in pairs})
        print(
            f"{len(rater.saved)} votes saved, none lost, none doubled; {len(pairs)} pairs of "
            f"{versions} versions, none mis-stamped; updates: "
            + ", ".join(f"{count} {state}" for state, count in sorted(ends.items()))
        )


def main() -> None:
    """Make the networks and go on in that of the database."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cut", type=float, default=60.0, help="seconds that a line is cut")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not asked.inside:
        with networks():
            words = [
                sys.executable,
                "-m",
                "tests.faults.apart",
                "--inside",
                "--cut",
                str(asked.cut),
            ]
            sys.exit(
                subprocess.run(["ip", "netns", "exec", DATABASE, *words], check=False).returncode
            )
    server = Server(listen_addresses=",".join(f"{net}.1" for net in LINES.values()))
    with tempfile.TemporaryDirectory(prefix="livedpo-apart-") as folder:
        with (server.folder / "data" / "pg_hba.conf").open("a") as doors:
            doors.write("host all all 10.77.0.0/16 trust\n")
        server.execute("SELECT pg_reload_conf()")
        run(Path(folder), server, asked.cut)
    server.stop()


if __name__ == "__main__":
    main()
