"""How far an unattended run is: a progress bar on a terminal, plain lines elsewhere."""

import sys

from tqdm import tqdm

from labeler.config.settings import Settings
from labeler.domain.sentences.update import progress
from labeler.domain.visible import visible
from labeler.roles.supervisor import Say
from labeler.store.records import LoopState

LINE_SECONDS = 30.0


class Progress:
    """Shows the state of the loop. `seconds` is what the run had worked before."""

    def __init__(self, settings: Settings, say: Say, seconds: float) -> None:
        self._settings = settings
        self._say = say
        self._total, self._unit = _goal(settings)
        self._begun_at = seconds
        self._begun_with: float | None = None
        self._told: tuple[object, ...] = ()
        self._told_at = seconds
        self._bar: tqdm[None] | None = None
        if sys.stdout.isatty():
            self._bar = tqdm(
                file=sys.stdout, total=self._total, unit=self._unit, smoothing=0, desc="judge"
            )

    def say(self, sentence: str) -> None:
        """A line above the bar, or just a line."""
        if self._bar is None:
            self._say(sentence)
        else:
            self._bar.write(visible(sentence), file=sys.stdout)

    def show(self, state: LoopState, seconds: float) -> None:
        """Bring the bar up to date, or print a line if there is news or some time has passed."""
        done = self._done(state, seconds)
        if self._begun_with is None:
            self._begun_with = done
        if self._bar is not None:
            self._bar.initial, self._bar.n = self._begun_with, done
            labels = "" if self._unit == "label" else f"{state.labels} labels, "
            self._bar.set_postfix_str(visible(f"{labels}{_facts(state)}. {state.says}".strip()))
            return
        told = (state.live, state.ended[:1])
        if told != self._told or seconds - self._told_at >= LINE_SECONDS:
            self._told, self._told_at = told, seconds
            self._say(f"{state.labels} labels, {_facts(state)}; {self._left(done, seconds)}.")

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def _done(self, state: LoopState, seconds: float) -> float:
        if self._unit == "h":
            return round(seconds / 3600, 2)
        return state.updates if self._unit == "update" else state.labels

    def _left(self, done: float, seconds: float) -> str:
        """How long it will take, at the pace of this start."""
        worked = seconds - self._begun_at
        gained = done - (self._begun_with or 0.0)
        if self._total is None:
            return f"{tqdm.format_interval(worked)} so far"
        if gained <= 0:
            return "time left unknown"
        left = max(0.0, self._total - done) * worked / gained
        return f"about {tqdm.format_interval(left)} left"


def _goal(settings: Settings) -> tuple[float | None, str]:
    """What the bar counts up to, and its unit: labels if they are bounded, else what is."""
    if settings.max_labels is not None:
        return settings.max_labels, "label"
    if settings.max_updates is not None:
        return settings.max_updates, "update"
    return (settings.max_hours, "h") if settings.max_hours is not None else (None, "label")


def _facts(state: LoopState) -> str:
    newest = state.ended[0] if state.ended else None
    return progress(state.live, (newest.state, newest.finding) if newest else None)
