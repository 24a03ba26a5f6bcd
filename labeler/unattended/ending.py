"""When an unattended run ends: its budgets, and the guards that end it before. Pure.

A budget that is spent is success; a guard that trips is not, and says what it saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labeler.settings import Settings
from labeler.store.records import LoopState
from labeler.style import Said
from labeler.tables import UpdateState
from labeler.unattended.collapse import alike, collapsed, limits_of


@dataclass(frozen=True)
class Ending:
    """Why the run ends, in a sentence, and whether that is what was asked for."""

    reason: str
    success: bool


def budget_spent(state: LoopState, seconds: float, settings: Settings) -> Ending | None:
    """The budget that is spent, once the update that its last labels made due has ended."""
    if settings.max_hours is not None and seconds >= settings.max_hours * 3600:
        return Ending(f"The {settings.max_hours:g} hours are over.", success=True)
    if state.is_updating:
        return None
    if settings.max_updates is not None and state.updates >= settings.max_updates:
        return Ending(f"{state.updates} updates are done.", success=True)
    enough = settings.max_labels is not None and state.labels >= settings.max_labels
    if enough and state.labels_missing > 0:
        return Ending(f"{state.labels} labels are given.", success=True)
    return None


def refused_in_a_row(state: LoopState, settings: Settings) -> Ending | None:
    """The last updates, if none of so many made a version live."""
    last = state.ended[: settings.stop_rejected]
    if len(last) < settings.stop_rejected:
        return None
    if any(update.state is UpdateState.PROMOTED for update in last):
        return None
    why = last[0].reason or "no reason is known"
    return Ending(
        f"None of the last {len(last)} updates went live; the newest did not because {why}.",
        success=False,
    )


def collapse(
    first: Sequence[Said], now: Sequence[Said], version: int, settings: Settings
) -> Ending | None:
    """What became worse than it may between the first responses and those of `version`."""
    styles = alike(first, now)
    signs = collapsed(*styles, limits_of(settings)) if styles else []
    if not signs:
        return None
    return Ending(f"Version {version} has collapsed: {'; '.join(signs)}.", success=False)


@dataclass
class Patience:
    """Notices that nothing moves under an alarm. `since` is when something last did."""

    limit_seconds: float
    since: float
    mark: tuple[object, ...] = ()

    def lost(self, state: LoopState, now: float) -> Ending | None:
        """The alarm under which nothing has moved for too long."""
        mark = state.labels, state.pairs, state.ended[:1], state.steps_done
        if mark != self.mark or not state.alarms:
            self.mark, self.since = mark, now
        if now - self.since <= self.limit_seconds:
            return None
        return Ending(
            f"Nothing has moved for {self.limit_seconds:g} seconds: {' '.join(state.alarms)}",
            success=False,
        )
