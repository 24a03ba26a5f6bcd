"""The real `livedpo judge` on a tiny policy: budgets, guards, Ctrl-C, kill -9, terminals."""

import contextlib
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from labeler.config.load import load_settings
from labeler.files.kept_settings import SETTINGS, started_by
from labeler.store import Store, open_store
from labeler.store.tables import Run as UnattendedRun
from labeler.store.views.exported import VoteRow
from tests.support.patience import wait_until
from tests.support.postgres import programs, server
from tests.support.service import WARM, Client, Service, settings_environment
from tests.support.store import alarms
from tests.support.tiny import EASY

LABELS = 12
WIDTH = 180
# What only a page, an API judge or an importer of prompts needs.
FORBIDDEN = ("gradio", "fastapi", "uvicorn", "openai", "datasets", "playwright")


class Run(Service):
    """`livedpo judge` with these settings, on a terminal or not; `text` is all it has written."""

    def __init__(
        self, data_dir: Path, *, terminal: bool = False, program: str = WARM, **settings: object
    ) -> None:
        self.data_dir = data_dir
        self.program = program
        self.database = settings.get("database", f"sqlite:///{data_dir / 'livedpo.sqlite'}")
        self.lines: list[str] = []
        self.text = ""
        ours, theirs = os.openpty() if terminal else os.pipe()
        if terminal:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
        self._output = ours
        self.process = subprocess.Popen(
            [sys.executable, "-m", program, "judge"],
            stdout=theirs,
            stderr=theirs,
            env=settings_environment(data_dir=data_dir, **settings),
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Until the other end is closed, which a terminal tells as an error."""
        with contextlib.suppress(OSError):
            while piece := os.read(self._output, 65536):
                self.text += piece.decode()
                self.lines = self.text.splitlines()
        os.close(self._output)

    def __enter__(self) -> "Run":
        return self

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def ended(self) -> int:
        """The exit code, once it has ended by itself."""
        wait_until(self.has_ended, f"the end after {self.lines}")
        return self.wait_for_end()

    def store(self) -> Store:
        return open_store(str(self.database))


@pytest.fixture
def database(tmp_path: Path) -> dict[str, object]:
    """Settings for a database on a server, where this machine has PostgreSQL; else for a file."""
    on_disk = f"sqlite:///{tmp_path / 'livedpo.sqlite'}"
    return {"database": server().new_database() if programs() else on_disk}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory, tiny_policy: Path) -> dict[str, object]:
    """Settings for a tiny policy whose versions the gate lets pass, with three labels an update."""
    prompts = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    prompts.write_text("".join(f'"how do you make good tea {n}?"\n' for n in range(200)))
    return {
        "policy": tiny_policy,
        "prompts": prompts,
        "judge": "py:tests.support.judges:steady",
        "labels_per_update": 4,
        "max_new_tokens": 8,
        "learning_rate": 1e-2,
        "lora_rank": 4,
        "threads": 1,
        **EASY,
        "gate_prompts": 3,  # six responses: too few for the judge's word against a version
    }


@pytest.fixture(scope="module")
def watched(
    policy: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Run, set[str]]]:
    """A run that has ended by itself, and what its processes listened on meanwhile.

    A process of it that imports anything of `FORBIDDEN` says so, and dies.
    """
    traps = tmp_path_factory.mktemp("traps")
    for name in FORBIDDEN:
        (traps / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(traps))
        trapped = subprocess.run([sys.executable, "-c", "import gradio"], capture_output=True)
        assert trapped.stderr.strip() == b"gradio was imported"
        cold = tmp_path_factory.mktemp("watched")
        run = Run(cold, program="labeler.cli.main", max_labels=LABELS, **policy)
    with run:
        listening: set[str] = set()
        wait_until(lambda: listening.update(open_ports(run.process.pid)) or run.has_ended(), "end")
        run.wait_for_end()
        yield run, listening


def open_ports(pid: int) -> set[str]:
    """What a process and its children listen on."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        return {
            f"{process.name()} at {connection.laddr}"
            for process in [root, *root.children(recursive=True)]
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }
    return set()


def judged(store: Store) -> list[VoteRow]:
    """All labels, each of which the judge gave, on a pair of its own."""
    rows = store.reports.votes()
    assert {row.vote.source for row in rows} <= {"judge"}
    assert set(Counter(row.pair.id for row in rows).values()) <= {1}, "a pair was judged twice"
    return rows


def summary(run: Run) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((run.data_dir / "summary" / "summary.json").read_text())
    return facts


def test_a_run_gives_just_the_labels_it_was_asked_for_and_trains_on_them(
    watched: tuple[Run, set[str]],
) -> None:
    run, _ = watched
    assert run.process.returncode == 0, run.lines
    with contextlib.closing(run.store()) as store:
        rows = judged(store)
        assert len(rows) == LABELS
        assert {row.vote.used_in_update for row in rows} == {1, 2, 3}
        assert {row.pair.version_id for row in rows} == {0, 1, 2}
        status = store.reports.status(max_staleness=2)
        assert alarms(store) == []
    assert status["updates"] == {"done": 3, "rejected": 0, "failed": 0, "running": 0}
    assert status["policy"]["live"] == 3


def test_the_plain_lines_tell_labels_version_win_rate_and_time_left(
    watched: tuple[Run, set[str]],
) -> None:
    lines = watched[0].lines
    judge = "The judge 'py:tests.support.judges:steady' labels for the policy"
    assert [told for told in lines[:4] if judge in told]
    assert "0 labels, version 0; time left unknown." in lines
    line = r"\d+ labels, version [123], win rate \d+ % \[\d+, \d+\]; about \d\d:\d\d left\."
    assert [told for told in lines if re.fullmatch(line, told)]
    assert re.match(
        r"The budget of 12 labels is spent\. The summary is in .*summary\.md\.$", lines[-1]
    )
    assert "\r" not in watched[0].text
    assert not [told for told in lines if "worker:" in told or "Traceback" in told]


def test_the_summary_tells_the_run(watched: tuple[Run, set[str]]) -> None:
    facts = summary(watched[0])
    folder = watched[0].data_dir / "summary"
    assert "**The budget of 12 labels is spent.**" in (folder / "summary.md").read_text()
    assert (folder / "summary.png").read_bytes().startswith(b"\x89PNG")
    assert (facts["labels"], facts["live"], facts["alarmed"]) == (LABELS, 3, False)
    states = [version["state"] for version in facts["versions"]]
    assert states == ["first", "promoted", "promoted", "promoted"]
    assert set(facts["spent"]) == {"sampling", "judging", "training", "gating"}


def test_the_data_dir_keeps_what_was_set_and_nothing_that_the_run_chose_for_itself(
    watched: tuple[Run, set[str]], policy: dict[str, object]
) -> None:
    kept = load_settings({}, {}, watched[0].data_dir / SETTINGS)
    assert kept.chosen == {*policy, "max_labels"}
    assert (kept.labels_per_update, kept.threads, kept.unattended) == (4, 1, False)
    assert started_by(watched[0].data_dir / SETTINGS) == "judge"


def test_no_port_is_opened_and_no_process_imports_what_only_a_page_needs(
    watched: tuple[Run, set[str]],
) -> None:
    run, listening = watched
    assert listening == set()
    assert "was imported" not in run.text
    assert "ended with code" not in run.text


def test_the_same_command_again_ends_at_once_with_the_same_totals(
    watched: tuple[Run, set[str]], policy: dict[str, object]
) -> None:
    before = summary(watched[0])
    with Run(watched[0].data_dir, max_labels=LABELS, **policy) as again:
        assert again.ended() == 0
    after = summary(again)
    assert (after["labels"], after["versions"]) == (before["labels"], before["versions"])
    assert not [line for line in again.lines if "prompts added" in line]


def test_on_a_terminal_a_bar_shows_the_run_and_no_line_breaks_it(
    watched: tuple[Run, set[str]], policy: dict[str, object]
) -> None:
    """Goes on where the other run ended, up to two more updates, of four candidates a prompt."""
    more = policy | {"max_updates": 5, "candidates": 4, "candidate_pair": "random"}
    with Run(watched[0].data_dir, terminal=True, **more) as run:
        assert run.ended() == 0
    parts = [part.strip() for part in re.split(r"[\r\n]|\x1b\[A", run.text)]
    bars = [part for part in parts if part.startswith("judge:")]
    sentences = [part for part in parts if part and part not in bars]
    assert [bar for bar in bars if re.search(r"\d/5 \[.*<.*version \d, win rate \d+ % \[", bar)]
    assert "5/5" in bars[-1]
    assert all(
        re.fullmatch(r"(The judge|It goes on|The budget of 5 updates is spent\.) .*\.", told)
        for told in sentences
    )
    with contextlib.closing(run.store()) as store:
        assert store.reports.status(max_staleness=2)["updates"]["done"] == 5
        drawn = {row.pair.version_id: row.pair.sampling for row in judged(store)}
    assert "candidates" not in drawn[0]
    assert (drawn[4]["candidates"], drawn[4]["candidate_pair"]) == (4, "random")


def last_run(store: Store) -> UnattendedRun:
    run = store.runs.last()
    assert run is not None
    return run


def trains(run: Run, store: Store) -> bool:
    """Whether the worker of this start says that it is training."""
    alive = run.pids().get("worker")
    return any("Training on" in role.says for role in store.processes.all() if role.pid == alive)


def asks(run: Run, _: Store) -> bool:
    """Whether this start's judge has been asked."""
    notes = run.data_dir / "asked"
    return notes.exists() and str(run.pids().get("worker")) in notes.read_text().split()


# What makes a phase last long enough to be met.
STUCK: dict[str, object] = {"judge": "py:tests.support.judges:stuck"}
LONG: dict[str, object] = {"passes": 30}


def interrupt(run: Run) -> None:
    """Ctrl-C: it ends cleanly, and says so."""
    pids = run.pids()
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0
    assert "Interrupted. Run the same command to resume." in run.lines[-1]
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


def kill(run: Run) -> None:
    """kill -9 of the command: its children end by themselves."""
    pids = run.pids()
    assert set(pids) == {"scheduler", "worker"}
    run.process.kill()
    run.wait_for_end()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids.values()), "the children")


# How a start ends, when, and what makes that last. A stop in the middle of sampling, training and
# examining is shown in `tests/trainer/worker`, and `tests/faults` kill a worker at every point.
ENDS: tuple[tuple[Callable[[Run], None], Callable[[Run, Store], bool], dict[str, object]], ...] = (
    (interrupt, asks, STUCK),
    (kill, trains, LONG),
)


def test_a_run_that_is_interrupted_and_killed_comes_to_the_same_total(
    policy: dict[str, object], database: dict[str, object], tmp_path: Path
) -> None:
    """In the last start the worker alone is killed."""
    policy = policy | database
    known: set[str] = set()
    worked = 0.0
    for end, is_met, long in ENDS:
        with Run(tmp_path, max_labels=LABELS, **(policy | long)) as run:
            run.wait_for_line("labels, version")
            with contextlib.closing(run.store()) as store:
                wait_until(partial(is_met, run, store), is_met.__name__)
                end(run)
                labels = {row.vote.id for row in judged(store)}
                before, worked = worked, last_run(store).seconds
                assert worked >= before
        assert known <= labels, "a label was lost"
        known = labels
    with Run(tmp_path, **(policy | LONG | {"max_labels": LABELS})) as run:
        run.wait_for_line("labels, version")
        with contextlib.closing(run.store()) as store:
            wait_until(partial(trains, run, store), "training")
            os.kill(run.pids()["worker"], signal.SIGKILL)
            assert run.ended() == 0
            rows = judged(store)
            status = store.reports.status(max_staleness=2)
            whole = last_run(store)
    assert whole.seconds > worked > 0.0
    assert whole.ended_at is not None
    assert whole.seconds <= whole.ended_at - whole.started_at
    assert run.wait_for_line("The worker ended with code -9")
    assert len(rows) == LABELS
    assert {row.vote.used_in_update for row in rows} == {1, 2, 3}
    assert status["updates"] == {"done": 3, "rejected": 0, "failed": 0, "running": 0}
    assert known <= {row.vote.id for row in rows}, "a label was lost"


def test_a_policy_that_learns_to_please_a_judge_who_loves_length_is_stopped(
    policy: dict[str, object], tmp_path: Path
) -> None:
    """The slow one: the starter itself, made to learn fast, under a gate that lets all pass."""
    with Run(
        tmp_path,
        judge="py:tests.support.judges:longer",
        max_labels=256,
        learning_rate=5e-3,
        passes=2,
        threads=1,
        stop_length_change=1.3,
        stop_unfinished_rise=1.0,
        **EASY,
    ) as run:
        assert run.ended() == 1
    assert re.match(
        r"Version \d has collapsed: its responses have \d+ tokens on average, the first version's "
        r"had \d+ \(more than 1\.3 times\)",
        run.lines[-1],
    )
    assert f"**{run.lines[-1].split(' The summary is in')[0]}**" in (
        (tmp_path / "summary" / "summary.md").read_text()
    )


@pytest.mark.parametrize(
    ("judge", "sentence"),
    [
        ("py:nowhere:better", "The judge 'py:nowhere:better' cannot be used"),
        ("nonsense", "judge"),
        (None, "No judge is set; name one with --judge"),
    ],
)
def test_a_judge_that_cannot_be_used_is_one_sentence(
    judge: str | None, sentence: str, policy: dict[str, object], tmp_path: Path
) -> None:
    settings = {name: value for name, value in policy.items() if name != "judge"}
    named = {} if judge is None else {"judge": judge}
    with Run(tmp_path, **settings, **named) as run:
        pids: set[int] = set()

        def has_ended() -> bool:
            with contextlib.suppress(psutil.NoSuchProcess):
                pids.update(run.pids().values())
            return run.has_ended()

        wait_until(has_ended, "the end")
        assert run.wait_for_end() == 2
    errors = [line for line in run.lines if line.startswith("livedpo: ")]
    assert len(errors) == 1
    assert sentence in errors[0]
    assert "Traceback" not in run.text
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_on_a_page_the_judge_labels_what_nobody_rates_and_a_person_has_the_last_word(
    policy: dict[str, object], database: dict[str, object], tmp_path: Path
) -> None:
    rules = {"judge_after": 0.5, "queue_pairs": 8, **database}
    with Service(tmp_path, program=WARM, **rules, **policy) as service:
        client = Client(service.url)
        held = client.pairs(1)[0]
        with contextlib.closing(open_store(str(database["database"]))) as store:
            wait_until(lambda: len(store.reports.votes()) >= 4, "the judge's labels")
        assert client.vote(held["lease_id"], "tie")
        status = service.status()
        assert status["labels"]["human"] == 1
        assert status["judge"]["judge"] == policy["judge"]
        assert service.alarms() == []
    with contextlib.closing(open_store(str(database["database"]))) as store:
        rows = store.reports.votes()
    [person] = [row for row in rows if row.vote.source == "human"]
    same_pair = [row for row in rows if row.pair.id == person.pair.id]
    assert [row.vote.source for row in same_pair] == ["human"]
