"""When an unattended run ends: its budgets, and the guards that end it before. Pure.

A budget that is spent is success; a guard that trips is not, and says what it saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labeler.config.settings import Settings
from labeler.domain.response_stats import Said
from labeler.domain.states import UpdateState
from labeler.roles.unattended.collapse import alike, collapsed
from labeler.store.records import LoopState

LABELS_IN_VAIN = 4  # times those of an update
SILENT_SECONDS = 3600.0


@dataclass(frozen=True)
class Ending:
    """Why the run ends, in a sentence, and whether that is what was asked for."""

    reason: str
    success: bool


def budget_spent(
    state: LoopState, settings: Settings, *, seconds: float, requests: int = 0
) -> Ending | None:
    """The budget that is spent, once the update that its last labels made due has ended.

    `seconds` is how long the run has worked, `requests` what its judge was asked.
    """
    if settings.max_hours is not None and seconds >= settings.max_hours * 3600:
        return Ending(f"The budget of {settings.max_hours:g} hours is spent.", success=True)
    if state.is_updating:
        return None
    if settings.max_updates is not None and state.updates >= settings.max_updates:
        return Ending(f"The budget of {settings.max_updates:,} updates is spent.", success=True)
    if state.labels_missing == 0:
        return None
    if settings.max_labels is not None and state.labels >= settings.max_labels:
        return Ending(f"The budget of {settings.max_labels:,} labels is spent.", success=True)
    # A pair takes two requests.
    if settings.judge_max_requests and requests >= settings.judge_max_requests - 1:
        return Ending(
            f"The budget of {settings.judge_max_requests:,} requests is spent.", success=True
        )
    return None


def labels_in_vain(state: LoopState, settings: Settings) -> Ending | None:
    """Labels that teach nothing: so many came since the last update opened, and none is due."""
    if state.is_updating or state.labels_since < LABELS_IN_VAIN * settings.labels_per_update:
        return None
    return Ending(
        f"The last {state.labels_since} labels triggered no update: the judge rarely decides, "
        "and --ties drop discards ties.",
        success=False,
    )


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
    signs = collapsed(*styles, settings) if styles else []
    if not signs:
        return None
    return Ending(f"Version {version} has collapsed: {'; '.join(signs)}.", success=False)


@dataclass
class Patience:
    """Notices that no update goes on, under an alarm.

    `begun` is when we began to look, `since` when an update last went on.

    Labels that trickle in while the judge is paused do not count, nor do the pairs that it is tried
    on.
    """

    limit_seconds: float
    begun: float
    since: float = 0.0
    mark: tuple[object, ...] = ()

    def lost(self, state: LoopState, now: float) -> Ending | None:
        """The alarm under which nothing has moved for too long, or the silence of the worker."""
        mark = state.ended[:1], state.steps_done
        if mark != self.mark or not state.alarms:
            self.mark, self.since = mark, now
        if now - self.since > self.limit_seconds:
            return Ending(
                f"There was no progress for {self.limit_seconds:g} seconds: "
                f"{' '.join(state.alarms)}",
                success=False,
            )
        silence = now - max(state.heard_at, self.begun)
        if silence > SILENT_SECONDS:
            return Ending(
                f"The worker has given no sign of life for {silence:.0f} seconds; see its log.",
                success=False,
            )
        return None
