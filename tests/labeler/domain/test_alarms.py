"""What raises an alarm and what does not, by derivation from the facts."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from labeler.domain.alarms import CONDITIONS, Condition, alarms
from labeler.domain.health import Disk, Facts, Sign, Undecided
from labeler.domain.report_keys import LOST_FOLDER
from labeler.domain.states import UpdateState

NOW = 10_000.0
HEARD = {name: Sign("Busy.", NOW - 2) for name in ("web", "scheduler", "worker")}
WELL = Facts(processes=HEARD, ready=5, moved_at=NOW - 5)
PROMOTED, REJECTED, FAILED = UpdateState.PROMOTED, UpdateState.REJECTED, UpdateState.FAILED


def raised(facts: Facts, disk: Disk | None = None) -> list[str]:
    return alarms(facts, now=NOW, disk=disk)


def with_process(name: str, sign: Sign) -> Facts:
    return replace(WELL, processes={**HEARD, name: sign})


def test_a_service_that_is_well_raises_none() -> None:
    assert raised(WELL, Disk(free=50 * 10**9, total=100 * 10**9)) == []
    assert raised(Facts()) == []


@pytest.mark.parametrize("name", ["web", "scheduler", "worker"])
def test_a_process_that_is_silent_for_half_a_minute_is_named(name: str) -> None:
    assert raised(with_process(name, Sign("Busy.", NOW - 30))) == []
    [sentence] = raised(with_process(name, Sign("Busy.", NOW - 45)))
    assert sentence.startswith(f"The {name} has given no sign of life for 45 seconds")
    assert f"`livedpo {name}`" in sentence


def test_a_service_that_is_switched_off_raises_none() -> None:
    silent = {name: Sign("Busy.", NOW - 5000) for name in HEARD}
    assert raised(replace(WELL, processes=silent)) == []


@pytest.mark.parametrize("says", ["Loading the model.", "Loading the model: 40 % is read."])
def test_a_large_model_may_take_minutes_to_load(says: str) -> None:
    assert raised(with_process("worker", Sign(says, NOW - 200))) == []
    assert len(raised(with_process("worker", Sign(says, NOW - 400)))) == 1


def test_a_worker_whose_update_beats_is_not_silent() -> None:
    facts = with_process("worker", Sign("Training on 16 labels.", NOW - 90))
    trains = replace(facts, open_since=NOW - 100, heartbeat_at=NOW - 3)
    assert raised(trains) == []
    assert len(raised(replace(trains, heartbeat_at=NOW - 60))) == 1


def test_an_update_that_stands_still_is_one() -> None:
    still = replace(WELL, open_since=NOW - 900, heartbeat_at=NOW - 600)
    [sentence] = raised(still)
    assert "has not moved for 10 minutes" in sentence
    assert raised(replace(still, heartbeat_at=NOW - 100)) == []


def test_no_page_is_missed_in_an_unattended_run() -> None:
    facts = with_process("web", Sign("Serving.", NOW - 4000))
    assert len(raised(facts)) == 1
    assert raised(replace(facts, unattended=True)) == []


@pytest.mark.parametrize(
    ("ended", "count"),
    [
        ([], 0),
        ([REJECTED, REJECTED], 0),
        ([REJECTED, FAILED, REJECTED], 1),
        ([REJECTED, REJECTED, REJECTED, PROMOTED], 1),
        ([PROMOTED, REJECTED, REJECTED, REJECTED], 0),
        ([REJECTED, REJECTED, PROMOTED, REJECTED], 0),
    ],
)
def test_three_updates_in_a_row_that_did_not_go_live_are_one(
    ended: list[UpdateState], count: int
) -> None:
    found = raised(replace(WELL, ended=ended))
    assert len(found) == count
    assert all("None of the last 3 updates went live" in sentence for sentence in found)


def test_a_queue_that_stays_empty_is_one() -> None:
    dry = replace(WELL, ready=0, moved_at=NOW - 21)
    assert "No pair is ready" in raised(dry)[0]
    assert raised(replace(dry, ready=1)) == []
    assert raised(replace(dry, moved_at=NOW - 19)) == []
    assert raised(replace(dry, open_since=NOW - 5)) == []
    assert raised(replace(dry, in_rounds=True)) == []
    assert (
        raised(replace(dry, processes={**HEARD, "worker": Sign("Loading the model.", NOW)})) == []
    )
    samples = replace(dry, processes={**HEARD, "worker": Sign("Sampling pairs.", NOW)})
    assert raised(samples) == []
    assert raised(replace(samples, moved_at=None)) == [], "the first pair of all"
    assert "No pair is ready" in raised(replace(samples, moved_at=NOW - 181))[0]
    lost = Sign(alarm="the folder v0001 is gone")  # which explains it
    assert len(raised(replace(dry, processes={**HEARD, LOST_FOLDER.format("worker"): lost}))) == 1
    away = replace(dry, processes={**HEARD, "worker": Sign("Busy.", NOW - 40)})
    assert not any("No pair is ready" in sentence for sentence in raised(away))


@pytest.mark.parametrize(
    ("hits", "votes", "earlier_hits", "earlier_votes", "by_chance", "count"),
    [
        (8, 16, 8, 100, 1e-5, 1),
        (8, 16, 8, 100, 0.01, 0),
        (8, 11, 8, 100, 1e-5, 0),
        (8, 16, 0, 11, 1e-5, 0),
        (100, 400, 40, 400, 1e-9, 0),
        (0, 0, 0, 0, 1.0, 0),
    ],
)
def test_a_rise_of_skips_and_both_bad_is_one(
    hits: int, votes: int, earlier_hits: int, earlier_votes: int, by_chance: float, count: int
) -> None:
    """By a fifth of at least a dozen votes, against as many before, and not by chance."""
    seen = Undecided(7, hits, votes, earlier_hits, earlier_votes, by_chance)
    found = raised(replace(WELL, undecided=seen))
    assert len(found) == count
    assert all("50 % are skips or “both bad”; before it were 8 %." in each for each in found)


@pytest.mark.parametrize(
    ("free", "total", "count"),
    [
        (6 * 10**9, 100 * 10**9, 0),
        (4 * 10**9, 100 * 10**9, 1),
        (600_000_000, 2 * 10**9, 0),
        (400_000_000, 2 * 10**9, 1),
    ],
)
def test_a_disk_that_is_nearly_full_is_one(free: int, total: int, count: int) -> None:
    assert len(raised(WELL, Disk(free, total))) == count


def test_a_silent_process_is_quoted() -> None:
    [sentence] = raised(with_process("worker", Sign("Judging pairs: 3 of 64.", NOW - 40)))
    assert "it last said: Judging pairs: 3 of 64. Look at logs/worker.log" in sentence


@pytest.mark.parametrize(
    ("dead", "alive", "replaced"),
    [
        ("trainer a:1", ["trainer b:2"], True),
        ("sampler a:1", ["worker"], True),
        ("worker", ["sampler a:1", "trainer a:2"], True),
        ("worker", ["sampler a:1"], False),
        ("trainer a:1", ["sampler a:2"], False),
    ],
)
def test_of_a_dead_process_it_is_said_whether_another_one_does_its_work(
    dead: str, alive: list[str], replaced: bool
) -> None:
    signs = {name: Sign("Busy.", NOW - 1) for name in ["web", "scheduler", *alive]}
    [sentence] = raised(replace(WELL, processes={**signs, dead: Sign("Busy.", NOW - 60)}))
    assert ("Another one does its work." in sentence) == replaced


# Of each condition that is seen in the facts: what raises it. WELL ends it.
SEEN: dict[str, tuple[Facts, Disk | None]] = {
    "a process is silent": (with_process("worker", Sign("Busy.", NOW - 40)), None),
    "an update stands still": (replace(WELL, open_since=NOW - 900, heartbeat_at=NOW - 600), None),
    "no update goes live": (replace(WELL, ended=[REJECTED, FAILED, REJECTED]), None),
    "no pair is ready": (replace(WELL, ready=0, moved_at=NOW - 60), None),
    "people cannot choose": (replace(WELL, undecided=Undecided(7, 8, 16, 8, 100, 1e-5)), None),
    "the disk is nearly full": (WELL, Disk(free=10**8, total=10**11)),
}
WORDS = "Something is wrong; `livedpo prompts list` says more"


def raising(condition: Condition) -> list[tuple[Facts, Disk | None]]:
    """Every way in which a condition comes up, by key or by what is seen."""
    keys = [pattern.replace("*", "a job") for pattern in condition.keys]
    ways = [(with_process(key, Sign("Busy.", NOW, WORDS)), None) for key in keys]
    return [*ways, *([SEEN[condition.name]] if condition.name in SEEN else [])]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_each_condition_is_raised_once_with_a_way_out_and_ends(condition: Condition) -> None:
    ways = raising(condition)
    assert ways
    for facts, disk in ways:
        [sentence] = raised(facts, disk)
        assert condition.remedy.split("{role}")[0] in sentence
        assert re.search(r"logs?/|`livedpo |--\w|generation_config|, and goes on", sentence)
        assert sentence[-1] in ".)", sentence
        assert "{" not in sentence
        taken_back = {name: replace(sign, alarm=None) for name, sign in facts.processes.items()}
        if facts.processes != HEARD and "silent" not in condition.name:
            assert raised(replace(facts, processes=taken_back), disk) == []
    assert raised(WELL, Disk(free=10**11, total=2 * 10**11)) == []


def test_no_key_is_taken_by_two_conditions_but_the_last() -> None:
    keys = [key for condition in CONDITIONS[:-1] for key in condition.keys]
    assert len(keys) == len(set(keys))
    assert CONDITIONS[-1].keys == ("*",)


def test_the_readme_lists_every_condition() -> None:
    readme = (Path(__file__).parents[3] / "labeler" / "README.md").read_text()
    for condition in CONDITIONS:
        assert f"| {condition.name} | {condition.raised} | {condition.ended} |" in readme


def test_what_a_process_says_of_its_own_trouble_is_told_under_its_name() -> None:
    facts = with_process("judge", Sign(alarm="The judge abstained on 12 of its last 16 pairs."))
    [sentence] = raised(facts)
    assert sentence.startswith("judge: The judge abstained on 12 of its last 16 pairs. It is asked")
