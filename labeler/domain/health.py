"""How the service is, as it can be seen: the facts, and what is wrong by them. Pure; time comes in.

A service that is switched off is not ill: silence counts only while another of its processes is
heard. `labeler.domain.alarms` is the list of all that may be wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from labeler.domain.process_names import (
    IN_PLACE_OF,
    LEFT,
    ROLES,
    SAMPLING,
    TRAINING,
    process_of,
    role_of,
)
from labeler.domain.report_keys import LOST_FOLDER
from labeler.domain.sentences import alarm as sentences
from labeler.domain.states import UpdateState
from labeler.domain.undecided import Undecided

SILENT_SECONDS = 30.0
# A large model takes its time to load, and says little meanwhile.
SILENT_STARTING_SECONDS = 300.0
STARTING = ("Loading the model", "Merging the adapter", "Waiting for an earlier worker to end")
STANDING_BY = "Standing by"
DRY_SECONDS = 20.0
# What the first pair of a batch may take with a large model.
DRY_SAMPLING_SECONDS = 180.0
SAMPLES = "Sampling pairs"
MIN_REFUSED = 3
MIN_UNDECIDED_VOTES = 12
MIN_UNDECIDED_RISE = 0.2
MAX_BY_CHANCE = 0.001  # it is looked at all the time
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
    undecided: Undecided | None = None


class Found(NamedTuple):
    """What is wrong, and which process it concerns."""

    sentence: str
    role: str = ""


class Now(NamedTuple):
    """What a condition looks at. `disk` is looked at by whoever asks."""

    facts: Facts
    now: float
    disk: Disk | None


def silent(seen: Now) -> list[Found]:
    """Processes that should be there and are not heard. One that was stopped is not missed."""
    facts, now, _ = seen
    theirs = {
        name: sign
        for name, sign in facts.processes.items()
        if name == process_of(name) and role_of(name) in ROLES and sign.at and sign.says != LEFT
    }
    missed = {
        name: now - sign.at
        for name, sign in theirs.items()
        if sign.at and now - sign.at > _patience(name, sign)
    }
    if not theirs.keys() - missed.keys():
        return []
    if facts.unattended:
        missed.pop("web", None)
    if facts.heartbeat_at is not None and now - facts.heartbeat_at <= SILENT_SECONDS:
        missed.pop("worker", None)  # it trains, and says so there
    heard = {role_of(name) for name in theirs.keys() - missed.keys()}

    def found(name: str) -> Found:
        role = role_of(name)
        replaced = any(others <= heard for others in IN_PLACE_OF[role])
        sentence = sentences.silent(name, missed[name], theirs[name].says, replaced=replaced)
        return Found(sentence, role)

    return [
        found(name) for name in sorted(missed, key=lambda name: (ROLES.index(role_of(name)), name))
    ]


def _patience(name: str, sign: Sign) -> float:
    loads = role_of(name) in {*SAMPLING, *TRAINING} and sign.says.startswith(STARTING)
    return SILENT_STARTING_SECONDS if loads else SILENT_SECONDS


def stalled_update(seen: Now) -> list[Found]:
    """An update that stands still although its worker is there."""
    facts, now, _ = seen
    since = facts.heartbeat_at if facts.heartbeat_at is not None else facts.open_since
    trainer = _heard_last(facts, TRAINING)
    if since is None or trainer is None or now - since <= SILENT_STARTING_SECONDS:
        return []
    if _is_away(facts, trainer, now):
        return []
    return [Found(sentences.stalled(now - since), role_of(trainer))]


def none_accepted(seen: Now) -> list[Found]:
    """Updates that came to nothing, one after the other, since a version went live."""
    refused = 0
    for state in seen.facts.ended:
        if state is UpdateState.PROMOTED:
            break
        refused += 1
    if refused < MIN_REFUSED:
        return []
    return [Found(sentences.none_accepted(refused))]


def undecided(seen: Now) -> list[Found]:
    """People choose less often between the live version's replies than before."""
    found = seen.facts.undecided
    if found is None or min(found.votes, found.earlier_votes) < MIN_UNDECIDED_VOTES:
        return []
    share, before = found.shares
    if share - before < MIN_UNDECIDED_RISE or found.by_chance > MAX_BY_CHANCE:
        return []
    return [Found(sentences.undecided(found.version, share, before))]


def dry(seen: Now) -> list[Found]:
    """Nothing to rate for a while, and no update that would explain it."""
    facts, now, _ = seen
    if facts.ready or facts.in_rounds or facts.open_since is not None:
        return []
    sampler = _heard_last(facts, SAMPLING)
    if sampler is None or _is_away(facts, sampler, now):
        return []
    lost = facts.processes.get(LOST_FOLDER.format(sampler))
    if lost is not None and lost.alarm:
        return []
    sign = facts.processes[sampler]
    if sign.says.startswith(STARTING):
        return []
    samples = sign.says.startswith(SAMPLES)
    if facts.moved_at is None:
        is_quiet = not samples
    else:
        is_quiet = now - facts.moved_at > (DRY_SAMPLING_SECONDS if samples else DRY_SECONDS)
    return [Found(sentences.dry())] if is_quiet else []


def full_disk(seen: Now) -> list[Found]:
    """Little room on the disk of the data dir."""
    disk = seen.disk
    if disk is None or disk.total <= 0:
        return []
    share = disk.free / disk.total
    if share >= MIN_FREE_SHARE and disk.free >= MIN_FREE_BYTES:
        return []
    return [Found(sentences.full_disk(disk.free, share))]


def _heard_last(facts: Facts, roles: Sequence[str]) -> str | None:
    """Of the processes that do this work, the one that was heard last; one that trains, if any."""
    known = {
        name: sign.at
        for name, sign in facts.processes.items()
        if sign.at and name == process_of(name) and role_of(name) in roles
    }
    busy = [name for name in known if not facts.processes[name].says.startswith(STANDING_BY)]
    return max(busy or known, key=lambda name: known[name] or 0.0, default=None)


def _is_away(facts: Facts, name: str, now: float) -> bool:
    sign = facts.processes[name]
    return sign.at is None or now - sign.at > SILENT_SECONDS or sign.says == LEFT
