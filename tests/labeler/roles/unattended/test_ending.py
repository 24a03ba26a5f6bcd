"""When an unattended run ends, and what it says then."""

from dataclasses import replace

from labeler.config.settings import Settings
from labeler.domain.response_stats import Said
from labeler.domain.states import UpdateState
from labeler.roles.unattended.ending import (
    Patience,
    budget_spent,
    collapse,
    labels_in_vain,
    refused_in_a_row,
)
from labeler.store.records import EndedUpdate, LoopState

STATE = LoopState(
    labels=64,
    labels_since=5,
    labels_missing=3,
    updates=4,
    live=4,
    is_updating=False,
    steps_done=0,
    ended=[],
    says="Judging pairs.",
    heard_at=0.0,
    alarms=[],
)


def spent(state: LoopState, settings: Settings, seconds: float = 0.0, requests: int = 0) -> str:
    ending = budget_spent(state, settings, seconds=seconds, requests=requests)
    assert ending is None or ending.success
    return ending.reason if ending else ""


def test_no_budget_never_ends_a_run() -> None:
    assert spent(STATE, Settings(), seconds=1e9, requests=10**9) == ""


def test_labels_end_it_only_after_the_update_that_they_made_due() -> None:
    settings = Settings(max_labels=64)
    assert spent(replace(STATE, labels=63), settings) == ""
    assert spent(replace(STATE, labels_missing=0), settings) == ""
    assert spent(replace(STATE, is_updating=True), settings) == ""
    assert spent(STATE, settings) == "The budget of 64 labels is spent."


def test_updates_end_it_and_so_do_hours_even_in_the_middle_of_an_update() -> None:
    assert spent(STATE, Settings(max_updates=5)) == ""
    assert spent(STATE, Settings(max_updates=4)) == "The budget of 4 updates is spent."
    busy = replace(STATE, is_updating=True)
    assert spent(busy, Settings(max_hours=1), seconds=3599.0) == ""
    assert spent(busy, Settings(max_hours=1), seconds=3600.0) == "The budget of 1 hours is spent."


def test_requests_end_it_when_no_pair_can_be_asked_about_any_more() -> None:
    settings = Settings(judge="api:m@http://127.0.0.1/v1", judge_max_requests=1000)
    assert spent(STATE, settings, requests=998) == ""
    assert spent(STATE, settings, requests=999) == "The budget of 1,000 requests is spent."


def test_labels_that_teach_nothing_end_it() -> None:
    settings = Settings(labels_per_update=16)
    assert labels_in_vain(replace(STATE, labels_since=63), settings) is None
    assert labels_in_vain(replace(STATE, labels_since=64, is_updating=True), settings) is None
    ending = labels_in_vain(replace(STATE, labels_since=64), settings)
    assert ending is not None
    assert not ending.success
    assert "64 labels triggered no update" in ending.reason


def test_updates_that_are_refused_in_a_row_end_it_with_the_last_reason() -> None:
    settings = Settings(stop_rejected=3)
    refused = [
        EndedUpdate(number, UpdateState.REJECTED, f"reason {number}", {}) for number in (9, 8, 7)
    ]
    live = EndedUpdate(6, UpdateState.PROMOTED, None, {})
    assert refused_in_a_row(replace(STATE, ended=refused[:2]), settings) is None
    assert refused_in_a_row(replace(STATE, ended=[*refused[:2], live]), settings) is None
    ending = refused_in_a_row(replace(STATE, ended=[*refused, live]), settings)
    assert ending is not None
    assert not ending.success
    assert "last 3 updates" in ending.reason
    assert "reason 9" in ending.reason


def test_a_policy_that_became_three_times_as_wordy_has_collapsed() -> None:
    first = [Said(list(range(start, start + 20)), "stop") for start in range(32)]
    wordy = [Said(list(range(start, start + 60)), "stop") for start in range(32)]
    assert collapse(first, first, 3, Settings()) is None
    assert collapse([], [], 3, Settings()) is None
    ending = collapse(first, wordy, 3, Settings())
    assert ending is not None
    assert "Version 3 has collapsed" in ending.reason
    assert "60 tokens" in ending.reason


ALARMED = replace(STATE, heard_at=1e9, alarms=["The judge gives no labels for now."])


def test_nothing_moving_ends_it_only_under_an_alarm_and_after_a_while() -> None:
    patience = Patience(600.0, begun=0.0)
    assert patience.lost(replace(STATE, heard_at=10_000.0), 10_000.0) is None
    assert patience.lost(ALARMED, 10_001.0) is None
    assert patience.lost(ALARMED, 10_600.0) is None
    assert patience.lost(replace(ALARMED, steps_done=1), 10_601.0) is None, "an update went on"
    ending = patience.lost(replace(ALARMED, steps_done=1), 11_202.0)
    assert ending is not None
    assert "The judge gives no labels for now." in ending.reason


def test_a_paused_judge_that_is_tried_now_and_then_and_labels_a_little_still_ends_it() -> None:
    patience = Patience(600.0, begun=0.0)
    for half_minute in range(20):
        tried = replace(ALARMED, labels=64 + half_minute)
        assert patience.lost(tried, 1000.0 + 30 * half_minute) is None
    assert patience.lost(ALARMED, 1601.0) is not None


def test_a_worker_that_says_nothing_for_an_hour_ends_it() -> None:
    patience = Patience(600.0, begun=1000.0)
    assert patience.lost(STATE, 1000.0 + 3600.0) is None
    ending = patience.lost(STATE, 1000.0 + 3601.0)
    assert ending is not None
    assert "no sign of life" in ending.reason
    assert patience.lost(replace(STATE, heard_at=4600.0), 4700.0) is None
