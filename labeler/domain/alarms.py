"""When those who run the service should look at it, and what to do. Pure: facts and the time in.

    Facts, now  ->  alarms  ->  a few sentences each, the remedy in them

What a process says of its own trouble is a fact too, and comes first. A service that is switched
off gives no alarm: silence counts only while another of its processes is heard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labeler.domain.sentences import alarm as sentences
from labeler.domain.states import UpdateState

PROCESSES = ("web", "scheduler", "worker")
SILENT_SECONDS = 30.0
# A large model takes its time to load, and says little meanwhile.
SILENT_STARTING_SECONDS = 300.0
STARTING = ("Loading the model", "Merging the adapter", "Waiting for an earlier worker to end")
DRY_SECONDS = 20.0
# What the first pair of a batch may take with a large model.
DRY_SAMPLING_SECONDS = 180.0
SAMPLING = "Sampling pairs"
MIN_REFUSED = 3
MIN_FREE_SHARE = 0.05
MIN_FREE_BYTES = 500_000_000


@dataclass(frozen=True)
class Sign:
    """What a process last said of itself: when (seconds since 1970), and its own alarm."""

    says: str = ""
    at: float | None = None
    alarm: str | None = None


@dataclass(frozen=True)
class Disk:
    """Bytes on the disk of the data dir."""

    free: int
    total: int


@dataclass(frozen=True)
class Facts:
    """What the alarms are made of.

    `ended`: states of the last ended updates, newest first. `open_since` and `heartbeat_at` are of
    the update that is open, if one is. `moved_at` is when the queue last changed: a pair made, held
    or voted on. `in_rounds`: it is meant to run dry. `unattended`: no page is meant to be there.
    """

    processes: Mapping[str, Sign] = field(default_factory=dict)
    ended: Sequence[UpdateState] = ()
    open_since: float | None = None
    heartbeat_at: float | None = None
    ready: int = 0
    moved_at: float | None = None
    in_rounds: bool = False
    unattended: bool = False


def alarms(facts: Facts, *, now: float, disk: Disk | None = None) -> list[str]:
    """The sentences, the processes' own first. `disk` is looked at by whoever asks."""
    told = [
        sentences.of_process(name, sign.alarm)
        for name, sign in facts.processes.items()
        if sign.alarm
    ]
    found = [
        *_silent(facts, now),
        _stalled_update(facts, now),
        _none_accepted(facts),
        _dry(facts, now),
        _disk(disk),
    ]
    return told + [sentence for sentence in found if sentence is not None]


def _silent(facts: Facts, now: float) -> list[str]:
    """Processes that should be there and are not heard."""
    silent = {
        name: now - sign.at
        for name in PROCESSES
        if (sign := facts.processes.get(name)) and sign.at and now - sign.at > _patience(name, sign)
    }
    heard = [name for name in PROCESSES if name not in silent and _at(facts, name) is not None]
    if not heard:
        return []
    if facts.unattended:
        silent.pop("web", None)
    if facts.heartbeat_at is not None and now - facts.heartbeat_at <= SILENT_SECONDS:
        silent.pop("worker", None)  # it trains, and says so there
    return [sentences.silent(name, seconds) for name, seconds in silent.items()]


def _patience(name: str, sign: Sign) -> float:
    starts = name == "worker" and sign.says.startswith(STARTING)
    return SILENT_STARTING_SECONDS if starts else SILENT_SECONDS


def _stalled_update(facts: Facts, now: float) -> str | None:
    """An update that stands still although its worker is there."""
    since = facts.heartbeat_at if facts.heartbeat_at is not None else facts.open_since
    if since is None or _worker_is_away(facts, now) or now - since <= SILENT_STARTING_SECONDS:
        return None
    return sentences.stalled(now - since)


def _none_accepted(facts: Facts) -> str | None:
    refused = 0
    for state in facts.ended:
        if state is UpdateState.PROMOTED:
            break
        refused += 1
    if refused < MIN_REFUSED:
        return None
    return sentences.none_accepted(refused)


def _dry(facts: Facts, now: float) -> str | None:
    """Nothing to rate for a while, and no update that would explain it."""
    if facts.ready or facts.in_rounds or facts.open_since is not None:
        return None
    sign = facts.processes.get("worker")
    if sign is None or sign.says.startswith(STARTING) or _worker_is_away(facts, now):
        return None
    samples = sign.says.startswith(SAMPLING)
    if facts.moved_at is None:
        is_quiet = not samples
    else:
        is_quiet = now - facts.moved_at > (DRY_SAMPLING_SECONDS if samples else DRY_SECONDS)
    return sentences.dry() if is_quiet else None


def _disk(disk: Disk | None) -> str | None:
    if disk is None or disk.total <= 0:
        return None
    share = disk.free / disk.total
    if share >= MIN_FREE_SHARE and disk.free >= MIN_FREE_BYTES:
        return None
    return sentences.full_disk(disk.free, share)


def _worker_is_away(facts: Facts, now: float) -> bool:
    at = _at(facts, "worker")
    return at is None or now - at > SILENT_SECONDS


def _at(facts: Facts, name: str) -> float | None:
    sign = facts.processes.get(name)
    return sign.at if sign else None
