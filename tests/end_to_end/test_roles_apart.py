"""What one machine promises, over PostgreSQL with web, scheduler, sampler and trainer as processes
apart, each with a data dir of its own; behind PgBouncer where that is installed.

The tests are parts of one story: each goes on where the one before it ended.
"""

import json
import signal
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from labeler.config.settings import Settings
from labeler.domain.states import PairState, Source
from labeler.store import Store, open_store
from labeler.store.database import Database
from labeler.store.tables import Lease, Pair, Update
from tests.support.apart import Apart, mis_stamped, refuse_harm
from tests.support.command import livedpo
from tests.support.page import RaterAtPage
from tests.support.patience import wait_until
from tests.support.pgbouncer import PROGRAM, pgbouncer
from tests.support.postgres import Server, programs, server
from tests.support.service import PLAIN, Client, free_port
from tests.support.store import live as live_version
from tests.support.store import rows
from tests.support.tiny import EASY

pytestmark = pytest.mark.skipif(programs() is None, reason="this machine has no PostgreSQL")

ROLES = ("web", "scheduler", "sampler", "trainer")
LABELS_PER_UPDATE = 4
DUE = Settings(labels_per_update=LABELS_PER_UPDATE).due_rules
KEPT = 2  # versions whose folders stay, beside the live one's line
GOLD = {"prompt": "How do I make tea?", "better": "Boil water, then steep it.", "worse": "No."}


class Whole(Apart):
    """All roles, and what a person or a command does with them."""

    def __init__(self, folder: Path, url: str, store: Store, **settings: Any) -> None:
        super().__init__(folder, store, database=url, port=free_port(), **settings)
        self.database = Database(url)
        self.client = Client(f"http://127.0.0.1:{self.settings['port']}")
        self.seen: set[str] = set()  # votes that were answered as saved

    def run(self, *words: object) -> str:
        """What a command prints."""
        shared = {name: self.settings[name] for name in ("database", "versions_url")}
        environment = {f"LIVEDPO_{name.upper()}": str(value) for name, value in shared.items()}
        ran = livedpo(*words, **environment, LIVEDPO_DATA_DIR=str(self.folder / "web"))
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def exported(self) -> list[dict[str, Any]]:
        """The raw export, a row for each vote."""
        out = self.folder / f"{uuid.uuid4().hex}.jsonl"
        self.run("export", out, "--format", "raw")
        return [json.loads(line) for line in out.read_text().splitlines()]

    def status(self) -> dict[str, Any]:
        """`livedpo status --json`."""
        found: dict[str, Any] = json.loads(self.run("status", "--json"))
        return found

    def answers(self) -> bool:
        """Whether the web process takes requests."""
        try:
            return bool(self.client.state())
        except httpx.HTTPError:
            return False

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """What the web process answers."""
        answer = httpx.post(self.client.url + path, json=body, **PLAIN)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def vote(self, **more: Any) -> dict[str, Any]:
        """Vote on the next pair, or on this `pair`; the pair."""
        pair = dict(more.pop("pair", None) or wait_until(lambda: self.client.pairs(1), "a pair")[0])
        ballot = {"vote_id": uuid.uuid4().hex, "lease_id": pair["lease_id"], "choice": "left"}
        receipt = self.post("/rating/votes", votes=[ballot | more])["receipts"][0]
        assert receipt["saved"], receipt
        self.seen.add(str(ballot["vote_id"]))
        return pair

    def make_version(self) -> None:
        """Vote until there is one more version."""
        before = self.promoted()
        while self.promoted() == before:
            self.vote()
            self.wait_for_update()

    def wait_for_update(self) -> None:
        """Return once no update is due or under way."""
        wait_until(lambda: self.store.updates.labels_missing(DUE) > 0, "the update")

    def vote_until_served(self, version: int, *, without: int | None = None) -> None:
        """Vote until a pair comes from this version, or from a later one that came of it but not of
        the version `without`.

        An update may end meanwhile, and then no more pairs of the version itself are drawn.
        """
        for _ in range(16 * LABELS_PER_UPDATE):
            line = self.line(self.vote()["version"])
            self.wait_for_update()
            if version in line and without not in line:
                return
        raise AssertionError(f"no pair of version {version}")

    def line(self, version: int | None) -> set[int]:
        """The numbers of a version and of all that it came of."""
        parents = {row.id: row.parent_id for row in self.store.versions.all()}
        found = set()
        while version is not None:
            found.add(version)
            version = parents[version]
        return found


@contextmanager
def directly(server: Server, database: str) -> Iterator[str]:
    """The URL of a new, empty database."""
    server.execute(f"CREATE DATABASE {database}")
    yield server.url(database)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_policy: Path) -> Iterator[Whole]:
    """The four roles, at work."""
    folder = tmp_path_factory.mktemp("apart")
    (folder / "prompts.jsonl").write_text(
        "".join(f'"how do you make tea {n}?"\n' for n in range(200))
    )
    settings = {
        "policy": str(tiny_policy),
        "prompts": folder / "prompts.jsonl",
        "versions_url": f"file://{folder / 'versions'}",
        "max_new_tokens": 8,
        "lora_rank": 4,
        "queue_pairs": 8,
        "labels_per_update": LABELS_PER_UPDATE,
        "learning_rate": 1e-2,
        "keep_versions": KEPT,
        "gold_share": 0.5,
        "threads": 1,
        "judge": "py:tests.support.judges:steady",
        "judge_after": 3600,
        **EASY,
        "gate_prompts": 3,  # six responses: too few for the judge's word against a version
    }
    behind = pgbouncer if PROGRAM else directly
    with (
        behind(server(), "whole") as url,
        closing(open_store(url)) as store,
        Whole(folder, url, store, **settings) as all_,
    ):
        for role in ROLES:
            all_.start(role, role)
        wait_until(all_.answers, "the page")
        wait_until(lambda: store.queue.ready() > 0, "pairs")
        yield all_
        all_.database.close()


def letters(text: str) -> str:
    """Without what Markdown is made of."""
    return "".join(filter(str.isalpha, text))


def test_two_updates_by_keyboard_and_the_export_has_what_was_on_screen(
    whole: Whole, browser: Browser
) -> None:
    with closing(browser.new_page(reduced_motion="reduce")) as page:
        rater = RaterAtPage(page, whole.client.url, lambda _prompt, text: -len(text))
        while not (whole.promoted() >= 2 and rater.seen[-1].version >= 2):
            assert len(rater.seen) < 16 * LABELS_PER_UPDATE
            rater.vote()
            rater.wait_until_saved()
            whole.wait_for_update()
    for row, shown in zip(whole.exported(), rater.seen, strict=True):
        whole.seen.add(row["vote_id"])
        sides = [letters(row["response_a"]), letters(row["response_b"])]
        if row["shown_left"] == "b":
            sides.reverse()
        for text, stored in zip((shown.left, shown.right), sides, strict=True):
            assert letters(text).startswith(stored)  # a note on a cut one comes behind
        assert row["policy_version"] == shown.version


def test_an_undo_supersedes_an_edit_becomes_a_label_and_own_prompts_are_answered(
    whole: Whole,
) -> None:
    store, holder = whole.store, whole.client.holder
    pair = whole.vote()
    [again] = [whole.post("/rating/undo", undo_id=uuid.uuid4().hex, holder=holder)["pair"]]
    assert again["left_html"] == pair["left_html"]
    whole.vote(pair=again)
    assert [row["superseded_by"] is None for row in whole.exported()[-2:]] == [False, True]

    whole.vote(edit="hello world")
    [edited] = rows(whole.database, Pair, Pair.source_vote_id != None)  # noqa: E711
    assert edited.response_a == "hello world"
    wait_until(lambda: not store.edits.untokenised(1), "its tokens, by the sampler")

    def is_learned() -> bool:
        [label] = [row for row in whole.exported() if row["response_a"] == "hello world"]
        return label["used_in_update"] is not None

    while not is_learned():  # an update may have begun before the tokens were there
        assert whole.promoted() < 6
        whole.make_version()

    ask = uuid.uuid4().hex
    whole.post("/rating/asks", ask_id=ask, text="and coffee?")
    where = f"{whole.client.url}/rating/asks/{ask}"
    told = lambda: httpx.get(where, params={"holder": holder}, **PLAIN).json()  # noqa: E731
    whole.vote(pair=wait_until(lambda: told()["pair"], "the replies"))
    assert whole.exported()[-1]["prompt"][-1]["content"] == "and coffee?"


def test_gold_pairs_come_among_the_others(whole: Whole) -> None:
    file = whole.folder / "gold.jsonl"
    file.write_text(json.dumps(GOLD))
    whole.run("gold", "add", file)
    for _ in range(32):
        if " 0 of    0 right" not in whole.run("gold", "list"):
            break
        whole.vote()
        whole.wait_for_update()
    assert " of    1 right" in whole.run("gold", "list")


def test_any_role_may_be_killed_and_no_vote_is_lost(whole: Whole) -> None:
    whole.start("standby", "trainer")
    for role in ("web", "scheduler"):
        whole.send(role, signal.SIGKILL)
        whole.start(role, role)
        wait_until(whole.answers, "the page")
        whole.vote()
    wait_until(lambda: whole.vote() and whole.is_training(), "an update")
    whole.send("trainer", signal.SIGKILL)
    wait_until(lambda: whole.trainer() == "standby", "the standby takes over")
    whole.make_version()
    assert whole.status()["updates"]["failed"] == 0


def test_a_rollback_does_away_with_the_pairs_of_the_version_and_can_be_taken_back(
    whole: Whole,
) -> None:
    live = live_version(whole.store).id
    said = whole.run("versions", "rollback")
    parent = live_version(whole.store).id
    assert parent == live - 1
    assert said == f"Version {parent} is live now, in place of version {live}.\n"
    assert whole.vote()["version"] != live
    gone = rows(whole.database, Pair, Pair.version_id == live, Pair.state == PairState.READY)
    assert gone == []
    whole.vote_until_served(parent, without=live)
    whole.run("versions", "promote", live)
    whole.vote_until_served(live)


def test_where_a_sampler_died_and_nobody_rates_another_one_draws_and_judges(whole: Whole) -> None:
    wait_until(lambda: not whole.is_training(), "the update")
    whole.send("sampler", signal.SIGKILL)
    before = whole.promoted()
    whole.start("sampler", "sampler", judge_after=0)
    wait_until(lambda: whole.promoted() >= before + 2, "two versions by a judge alone")
    whole.send("sampler", signal.SIGTERM)
    used = [row for row in whole.exported() if row["used_in_update"] is not None]
    assert sum(row["source"] == Source.JUDGE for row in used) >= LABELS_PER_UPDATE


def test_at_the_end_nothing_is_lost_doubled_mis_stamped_or_left_behind(whole: Whole) -> None:
    wait_until(lambda: not whole.is_training(), "the update")
    for role in ("standby", "scheduler", "web"):
        whole.send(role, signal.SIGTERM)
        assert whole.processes[role].returncode == 0
    store, pairs = whole.store, rows(whole.database, Pair)
    refuse_harm(store, pairs, rows(whole.database, Update), whole.seen)
    gone = store.versions.pruned_folders()
    versions = {version.id: version.folder for version in store.versions.all()}
    assert len(gone) >= 2
    there = {path.name for path in (whole.folder / "versions").iterdir() if path.is_dir()}
    assert there == {folder for folder in versions.values() if folder} - gone
    settings = Settings(
        **{**whole.settings, "data_dir": whole.folder / "check"}  # type: ignore[arg-type]
    )
    drawn = [
        pair for pair in pairs if versions[pair.version_id] not in gone and pair.answer is None
    ]
    assert mis_stamped(store, settings, drawn) == []
    held = {lease.pair_id for lease in rows(whole.database, Lease, Lease.ended_at == None)}  # noqa: E711
    ready = {
        pair.version_id for pair in drawn if pair.state == PairState.READY and pair.id not in held
    }
    assert min(ready) >= live_version(store).id - settings.max_staleness
