"""When those who run the service should look at it, and what to do. Pure: facts and the time in.

    Facts, now  ->  what each of the CONDITIONS finds  ->  a sentence each, and its remedy

This is the one list: `status`, the page and the dashboard show what is found here. Some conditions
are seen in the facts; others a process reports under a key, and takes back. A service that is
switched off gives no alarm: silence counts only while another of its processes is heard.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from labeler.domain.process_names import LEFT, ROLES, SAMPLING, TRAINING, process_of, role_of
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

# The keys under which processes report. A role's own name is the supervisor's, for its deaths.
TROUBLE = "{}: trouble"
LOST_FOLDER = "{}: adapter"
REFUSED_PROMPTS = "worker: prompts"
NOTHING_TO_ASK = "worker: pairs"
CUT_REPLIES = "worker: replies"
NO_END_OF_TURN = "worker: end of turn"
SAMPLER = "worker: sampler"
JUDGE = "judge"
JOB = "scheduler: {}"


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


@dataclass(frozen=True)
class Condition:
    """One thing that may be wrong: what raises it, what ends it, and the way out.

    `keys` are patterns of what processes report; `find` sees the others in the facts. `remedy` may
    name the `{role}`; where a report names its own way out, it is empty.
    """

    name: str
    raised: str
    ended: str
    remedy: str = ""
    keys: tuple[str, ...] = ()
    find: Callable[[Now], Sequence[Found]] = lambda _: ()


def alarms(facts: Facts, *, now: float, disk: Disk | None = None) -> list[str]:
    """What is wrong now, each in a sentence or two, in the order of CONDITIONS."""
    seen = Now(facts, now, disk)
    return [
        f"{found.sentence} {condition.remedy.format(role=found.role)}".strip()
        for condition in CONDITIONS
        for found in (*_reported(condition, facts), *condition.find(seen))
    ]


def _reported(condition: Condition, facts: Facts) -> list[Found]:
    """What processes report under the condition's keys; one of many keys is named in full."""
    found = []
    for key, sign in facts.processes.items():
        if sign.alarm and _condition_of(key) is condition:
            name = key if "*" in condition.keys or condition.name == JOB_FAILS else process_of(key)
            found.append(Found(sentences.of_process(name, sign.alarm), role_of(key)))
    return found


def _condition_of(key: str) -> Condition:
    """The first one that takes this key; the last one takes them all."""
    return next(
        condition
        for condition in CONDITIONS
        if any(fnmatchcase(key, pattern) for pattern in condition.keys)
    )


def _silent(seen: Now) -> list[Found]:
    """Processes that should be there and are not heard. One that was stopped is not missed."""
    facts, now, _ = seen
    theirs = {
        name: sign
        for name, sign in facts.processes.items()
        if name == process_of(name) and role_of(name) in ROLES and sign.at and sign.says != LEFT
    }
    silent = {
        name: now - sign.at
        for name, sign in theirs.items()
        if sign.at and now - sign.at > _patience(name, sign)
    }
    if not theirs.keys() - silent.keys():
        return []
    if facts.unattended:
        silent.pop("web", None)
    if facts.heartbeat_at is not None and now - facts.heartbeat_at <= SILENT_SECONDS:
        silent.pop("worker", None)  # it trains, and says so there
    return [
        Found(sentences.silent(name, silent[name], theirs[name].says), role_of(name))
        for name in sorted(silent, key=lambda name: (ROLES.index(role_of(name)), name))
    ]


def _patience(name: str, sign: Sign) -> float:
    loads = role_of(name) in {*SAMPLING, *TRAINING} and sign.says.startswith(STARTING)
    return SILENT_STARTING_SECONDS if loads else SILENT_SECONDS


def _stalled_update(seen: Now) -> list[Found]:
    """An update that stands still although its worker is there."""
    facts, now, _ = seen
    since = facts.heartbeat_at if facts.heartbeat_at is not None else facts.open_since
    trainer = _heard_last(facts, TRAINING)
    if since is None or trainer is None or now - since <= SILENT_STARTING_SECONDS:
        return []
    if _is_away(facts, trainer, now):
        return []
    return [Found(sentences.stalled(now - since), role_of(trainer))]


def _none_accepted(seen: Now) -> list[Found]:
    refused = 0
    for state in seen.facts.ended:
        if state is UpdateState.PROMOTED:
            break
        refused += 1
    if refused < MIN_REFUSED:
        return []
    return [Found(sentences.none_accepted(refused))]


def _undecided(seen: Now) -> list[Found]:
    """People choose less often between the live version's replies than before."""
    found = seen.facts.undecided
    if found is None or min(found.votes, found.earlier_votes) < MIN_UNDECIDED_VOTES:
        return []
    share, before = found.shares
    if share - before < MIN_UNDECIDED_RISE or found.by_chance > MAX_BY_CHANCE:
        return []
    return [Found(sentences.undecided(found.version, share, before))]


def _dry(seen: Now) -> list[Found]:
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


def _disk(seen: Now) -> list[Found]:
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


JOB_FAILS = "a job of the scheduler fails"

CONDITIONS = (
    Condition(
        "a process is in trouble",
        raised="it ended with an error, or what it does fails again and again",
        ended="it works again",
        remedy="It is tried again every few seconds. If it stays, logs/{role}.log in the data dir "
        "has more.",
        keys=tuple(TROUBLE.format(name) for role in ROLES for name in (role, f"{role} *")),
    ),
    Condition(
        "a process keeps dying",
        raised="three deaths in five minutes",
        ended="it has lived for a minute",
        remedy="It is started again each time; logs/{role}.log in the data dir says why it ends.",
        keys=ROLES,
    ),
    Condition(
        "the live version's folder is lost",
        raised="its files are gone or changed",
        ended="they are back, or another version is live",
        remedy="Put the folder back from a backup, or make the newest complete version live with "
        "`livedpo versions repair`.",
        keys=tuple(LOST_FOLDER.format(name) for role in ROLES for name in (role, f"{role} *")),
    ),
    Condition(
        "prompts are refused",
        raised="the policy's chat template does not take them",
        ended="the worker starts again",
        keys=(REFUSED_PROMPTS,),
    ),
    Condition(
        "there is nothing to ask",
        raised="no prompt is usable, or all replies are empty or alike",
        ended="a pair is worth asking about",
        keys=(NOTHING_TO_ASK,),
    ),
    Condition(
        "replies are cut",
        raised="one in five ends at `--max-new-tokens`",
        ended="fewer do",
        remedy="Raise --max-new-tokens if there is room, or choose another policy.",
        keys=(CUT_REPLIES,),
    ),
    Condition(
        "replies do not end",
        raised="the policy names nothing that ends a turn",
        ended="the worker starts with one that does",
        remedy="Name the end in the policy's generation_config.json (eos_token_id).",
        keys=(NO_END_OF_TURN,),
    ),
    Condition(
        "a server of `--sampler` is left out",
        raised="it is away, cannot load a version, or its log-probabilities are not the policy's",
        ended="it draws again",
        remedy="It is tried again every few seconds while pairs are sampled, and no pair is stored "
        "that a wrong version drew.",
        keys=(SAMPLER,),
    ),
    Condition(
        JOB_FAILS,
        raised="a run of it failed or was missed",
        ended="its next run succeeds, or the scheduler starts again",
        remedy="It is run again within seconds. If it stays, logs/{role}.log in the data dir has "
        "more.",
        keys=(JOB.format("*"),),
    ),
    Condition(
        "the judge is paused",
        raised="it abstains too often, or agrees too little with people",
        ended="it has recovered",
        remedy="It is asked now and then, and goes on by itself; `livedpo status` has its figures.",
        keys=(JUDGE,),
    ),
    Condition(
        "a process is silent",
        raised="no sign of life for half a minute",
        ended="it is heard",
        remedy="Look at logs/{role}.log in the data dir, then start it again with "
        "`livedpo {role}`, or everything with `livedpo serve`.",
        find=_silent,
    ),
    Condition(
        "an update stands still",
        raised="no progress for five minutes",
        ended="it goes on, or ends",
        remedy="Look at logs/{role}.log in the data dir. A worker that is started again takes it "
        "up.",
        find=_stalled_update,
    ),
    Condition(
        "no update goes live",
        raised="three in a row were rejected or failed",
        ended="one goes live",
        remedy="Read why in the update history, then lower --update-kl, or --learning-rate if it "
        "is set, or widen the --gate limit named there.",
        find=_none_accepted,
    ),
    Condition(
        "no pair is ready",
        raised="the queue has been empty for twenty seconds, without an update to explain it; for "
        "three minutes while a batch is sampled",
        ended="a pair is ready",
        remedy="Check that there are usable prompts (`livedpo prompts list`), and raise "
        "--queue-pairs if people rate faster than it samples.",
        find=_dry,
    ),
    Condition(
        "people cannot choose",
        raised="skips and “both bad” are more by a fifth of the votes on the live version than on "
        "those before, and not by chance",
        ended="people choose again, or another version is live",
        remedy="A policy can learn replies that nobody can judge. Read some of its pairs on the "
        "labels page; if they are bad, `livedpo versions rollback` makes the version before live.",
        find=_undecided,
    ),
    Condition(
        "the disk is nearly full",
        raised="less than 5 % or 500 MB left",
        ended="there is more",
        remedy="Make room, or keep fewer versions with --keep-versions: votes cannot be saved on a "
        "full disk.",
        find=_disk,
    ),
    Condition(
        "a process reports something else",
        raised="it says so",
        ended="it takes it back, or is started again",
        remedy="Its log in the data dir has more.",
        keys=("*",),
    ),
)
