"""When those who run the service should look at it, and what to do. Pure: facts and the time in.

    Facts, now  ->  what each of the CONDITIONS finds  ->  a sentence each, and its remedy

This is the one list: `status`, the page and the dashboard show what is found here. Some conditions
are seen in the facts (`labeler.domain.health`); others a process reports under a key, and takes
back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from labeler.domain import health
from labeler.domain.health import Disk, Facts, Found, Now
from labeler.domain.process_names import ROLES, process_of, role_of
from labeler.domain.report_keys import (
    CUT_REPLIES,
    JOB,
    JUDGE,
    LOST_FOLDER,
    NO_END_OF_TURN,
    NOTHING_TO_ASK,
    REFUSED_PROMPTS,
    SAMPLER,
    TROUBLE,
)
from labeler.domain.sentences import alarm as sentences


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
        raised="three deaths in a row, each within three minutes of its start",
        ended="it has lived for three minutes",
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
        ended="a worker or a sampler starts",
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
        ended="a worker or a sampler starts with one that does",
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
        find=health.silent,
    ),
    Condition(
        "an update stands still",
        raised="no progress for five minutes",
        ended="it goes on, or ends",
        remedy="Look at logs/{role}.log in the data dir. A worker that is started again takes it "
        "up.",
        find=health.stalled_update,
    ),
    Condition(
        "no update goes live",
        raised="three in a row were rejected or failed",
        ended="one goes live",
        remedy="Read why in the update history, then lower --update-kl, or --learning-rate if it "
        "is set, or widen the --gate limit named there.",
        find=health.none_accepted,
    ),
    Condition(
        "no pair is ready",
        raised="the queue has been empty for twenty seconds, without an update to explain it; for "
        "three minutes while a batch is sampled",
        ended="a pair is ready",
        remedy="Check that there are usable prompts (`livedpo prompts list`), and raise "
        "--queue-pairs if people rate faster than it samples.",
        find=health.dry,
    ),
    Condition(
        "people cannot choose",
        raised="skips and “both bad” are more by a fifth of the votes on the live version than on "
        "those before, and not by chance",
        ended="people choose again, or another version is live",
        remedy="A policy can learn replies that nobody can judge. Read some of its pairs on the "
        "labels page; if they are bad, `livedpo versions rollback` makes the version before live.",
        find=health.undecided,
    ),
    Condition(
        "the disk is nearly full",
        raised="less than 5 % or 500 MB left",
        ended="there is more",
        remedy="Make room, or keep fewer versions with --keep-versions: votes cannot be saved on a "
        "full disk.",
        find=health.full_disk,
    ),
    Condition(
        "a process reports something else",
        raised="it says so",
        ended="it takes it back, or is started again",
        remedy="Its log in the data dir has more.",
        keys=("*",),
    ),
)
