"""When an unattended run ends, and what it says then."""

from dataclasses import replace

from labeler.settings import Settings
from labeler.store.records import EndedUpdate, LoopState
from labeler.style import Said
from labeler.tables import UpdateState
from labeler.unattended.ending import Patience, budget_spent, collapse, refused_in_a_row

STATE = LoopState(
    labels=64,
    labels_missing=3,
    updates=4,
    live=4,
    pairs=80,
    is_updating=False,
    steps_done=0,
    ended=[],
    says="Judging pairs.",
    alarms=[],
)


def test_no_budget_never_ends_a_run() -> None:
    assert budget_spent(STATE, 1e9, Settings()) is None


def test_labels_end_it_only_after_the_update_that_they_made_due() -> None:
    settings = Settings(max_labels=64)
    assert budget_spent(replace(STATE, labels=63), 0.0, settings) is None
    assert budget_spent(replace(STATE, labels_missing=0), 0.0, settings) is None
    assert budget_spent(replace(STATE, is_updating=True), 0.0, settings) is None
    ending = budget_spent(STATE, 0.0, settings)
    assert ending is not None
    assert (ending.success, ending.reason) == (True, "64 labels are given.")


def test_updates_end_it_and_so_do_hours_even_in_the_middle_of_an_update() -> None:
    assert budget_spent(STATE, 0.0, Settings(max_updates=5)) is None
    assert budget_spent(STATE, 0.0, Settings(max_updates=4)) is not None
    busy = replace(STATE, is_updating=True)
    assert budget_spent(busy, 3599.0, Settings(max_hours=1)) is None
    assert budget_spent(busy, 3600.0, Settings(max_hours=1)) is not None


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


def test_nothing_moving_ends_it_only_under_an_alarm_and_after_a_while() -> None:
    patience = Patience(600.0, since=0.0)
    alarmed = replace(STATE, alarms=["The judge labels nothing for now."])
    assert patience.lost(STATE, 10_000.0) is None
    assert patience.lost(alarmed, 10_001.0) is None
    assert patience.lost(alarmed, 10_600.0) is None
    assert patience.lost(replace(alarmed, pairs=81), 10_601.0) is None, "something moved"
    ending = patience.lost(replace(alarmed, pairs=81), 11_202.0)
    assert ending is not None
    assert "The judge labels nothing for now." in ending.reason
