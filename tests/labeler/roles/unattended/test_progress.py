"""What an unattended run says of itself, line by line."""

from dataclasses import replace

from labeler.config.settings import Settings
from labeler.domain.estimate import Estimate
from labeler.domain.finding import NOTHING, Finding
from labeler.domain.states import UpdateState
from labeler.roles.unattended.progress import Progress
from labeler.store.records import EndedUpdate
from tests.labeler.roles.unattended.test_ending import STATE

WON = Finding(win_rate=Estimate(0.66, 0.48, 0.8, 32))


def test_a_line_tells_labels_version_win_rate_and_the_time_that_is_left() -> None:
    said: list[str] = []
    progress = Progress(Settings(max_labels=128), said.append, seconds=100.0)
    progress.show(replace(STATE, labels=0), 100.0)
    promoted = EndedUpdate(4, UpdateState.PROMOTED, None, WON)
    progress.show(replace(STATE, labels=64, ended=[promoted]), 160.0)
    assert said[0] == "0 labels, version 4; time left unknown."
    assert said[1] == (
        "64 labels, version 4, win rate 66 % [48, 80]; about 01:00 left."  # 64 more, as fast
    )


def test_lines_come_with_news_and_else_now_and_then() -> None:
    said: list[str] = []
    progress = Progress(Settings(), said.append, seconds=0.0)
    for second in range(70):
        progress.show(STATE, float(second))
    assert len(said) == 3
    rejected = EndedUpdate(5, UpdateState.REJECTED, "too far", NOTHING)
    progress.show(replace(STATE, ended=[rejected]), 70.0)
    assert "last update rejected" in said[-1]


def test_time_left_goes_by_the_budget_that_is_set() -> None:
    said: list[str] = []
    progress = Progress(Settings(max_hours=2.0), said.append, seconds=0.0)
    progress.show(STATE, 0.0)
    progress.show(replace(STATE, live=5), 3600.0)
    assert said[1].endswith("about 1:00:00 left.")
