"""The report in words and tables: Markdown."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from labeler.domain.estimate import Estimate
from tests.benchmarks.evidence.compare import Record, mean
from tests.benchmarks.evidence.findings import Ablation, Findings
from tests.benchmarks.evidence.intervals import excludes_zero
from tests.benchmarks.evidence.plan import (
    BEST_OF,
    FULL,
    TITLES,
    TRAINED,
    ArmName,
    Tuned,
    grid,
    labels_of,
    plain,
)

HAND_WRITTEN = "## What it means"
GOAL_WIN, GOAL_LOW, GOAL_SHARE = 0.66, 0.60, 0.5


def hand_written(report: str) -> str:
    """The section that a person wrote into a report; empty if there is none."""
    found = re.search(rf"^{HAND_WRITTEN}\n.*?(?=^## |\Z)", report, re.MULTILINE | re.DOTALL)
    return found.group().rstrip() if found else ""


def text(findings: Findings, summary: Mapping[str, Any], written: str = "") -> str:
    """The whole report, with the section that was `written` into an earlier one."""
    parts = [
        "# Does online beat offline, with how many labels, and what does it cost?",
        f"Written by `make evidence`. {_setting(findings, summary)}",
        *_missing(findings),
        *_goals(summary),
        "![Score, wins, distance from the start and length over labels](curves.png)",
        *([written] if written else []),
        *(_arms_at(findings, labels) for labels in findings.scale.labels),
        _against(findings),
        _tuning(findings),
    ]
    ablations = findings.ablations()
    if ablations:
        parts += ["## What the defaults rest on", _ablations(findings, ablations)]
        parts.append("![What each variant gains over the usual run](ablations.png)")
    return "\n\n".join([*parts, _how(summary)]) + "\n"


def _setting(findings: Findings, summary: Mapping[str, Any]) -> str:
    place, rater, scale = summary["place"], summary["rater"], findings.scale
    return (
        f"Policy `{place['policy']}`, up to {max(scale.labels)} labels of a "
        f"simulated rater: the score of `{place['rater']}` with noise (Rao and Kupper), who says "
        f"the same twice in {rater['agreement']:.0%} of decided pairs and calls "
        f"{rater['ties']:.0%} a tie. Everything is measured on {scale.held_out_prompts} held-out "
        "prompts, answered twice. In brackets: 95 % intervals over seeds and prompts."
    )


def _missing(findings: Findings) -> list[str]:
    """What the full campaign has and this one has not, if anything."""
    least = min(findings.seeds(arm) for arm in findings.arms)
    fewest = findings.min_ablation_seeds()
    found = [
        f"some arm has {least} of {FULL.seeds} seeds" if least < FULL.seeds else "",
        "" if findings.scale.rungs else "learning rates and betas were not searched",
        f"some ablation has {fewest} of {FULL.ablation_seeds} seeds"
        if fewest < FULL.ablation_seeds
        else "",
        *(f"{TITLES[arm]} is not there" for arm in TRAINED if arm not in findings.arms),
    ]
    missing = "; ".join(one for one in found if one)
    return [f"**Preliminary: {missing}.**"] if missing else []


def _goals(summary: Mapping[str, Any]) -> list[str]:
    found = []
    if "online_vs_static" in summary:
        record = summary["online_vs_static"]
        is_met = record["win"] >= GOAL_WIN and (record["low"] or 0) > GOAL_LOW
        found.append(
            f"- Online against offline DPO on another model's pairs, {record['labels']} labels: "
            f"{_shares(record)}. Goal: {GOAL_WIN:.0%} wins, the interval above {GOAL_LOW:.0%}: "
            f"**{_met(is_met)}**."
        )
    for arm, what in (("offline", "its own first pairs"), ("static", "another model's pairs")):
        name = f"labels_to_{arm}_best"
        if name in summary:
            share = summary[name]
            low, high = summary[f"{name}_bounds"]
            is_met = share is not None and share <= GOAL_SHARE
            is_sure = high is not None and high <= GOAL_SHARE
            verdict = _met(is_met) if is_sure or not is_met else "met on average, not for sure"
            found.append(
                f"- Labels that online needed to reach the best score of offline DPO on {what}: "
                f"{_percent(share)} [{_percent(low)}, {_percent(high)}] of them. "
                f"Goal: at most {GOAL_SHARE:.0%}: **{verdict}**."
            )
    return ["\n".join(found)] if found else []


def _arms_at(findings: Findings, labels: int) -> str:
    head = (
        "",
        "score",
        "KL",
        "tokens",
        "unfinished, %",
        "against the start",
        "s",
        "CPU s",
        "MB",
        "seeds",
    )
    rows = [
        [
            TITLES["start"],
            _number(mean(findings.scores("start", 0))),
            "0",
            _number(findings.length("start", 0), 0),
            _number(findings.over_seeds("start", 0, "unfinished"), 1, scale=100),
            *[""] * 4,
            str(findings.seeds("start")),
        ]
    ]
    for arm in findings.arms_at(labels):
        costs = [findings.over_seeds(arm, labels, n) for n in ("seconds", "cpu_seconds", "peak_mb")]
        rows.append(
            [
                TITLES[arm],
                _number(mean(findings.scores(arm, labels))),
                _number(findings.over_seeds(arm, labels, "kl"), 1),
                _number(findings.length(arm, labels), 0),
                _number(findings.over_seeds(arm, labels, "unfinished"), 1, scale=100),
                _record(findings.versus(arm, "start", labels)),
                *(_number(cost, 0) for cost in costs),
                str(findings.seeds(arm)),
            ]
        )
    return f"## After {labels} labels\n\n{_table(head, rows)}"


def _against(findings: Findings) -> str:
    """Online, and online filled up, beside every other arm at every number of labels."""
    ours: tuple[ArmName, ...] = ("online_fill", "online")
    parts = [_one_against(findings, arm) for arm in ours if arm in findings.arms]
    return "\n\n".join(
        [
            "## Against each other arm",
            "Win / tie / loss in %, and wins with half of the ties.",
            *parts,
        ]
    )


def _one_against(findings: Findings, ours: ArmName) -> str:
    counts = labels_of(ours, findings.scale)
    rows = [
        [
            TITLES[arm],
            *(
                _record(findings.versus(ours, arm, n)) if arm in findings.arms_at(n) else ""
                for n in counts
            ),
        ]
        for arm in findings.arms
        if arm != ours
    ]
    head = (f"{TITLES[ours]} against", *(f"{labels} labels" for labels in counts))
    return _table(head, rows)


def _tuning(findings: Findings) -> str:
    rows = [
        [TITLES[arm], f"{findings.tuned[arm].learning_rate:g}", f"{findings.tuned[arm].beta:g}"]
        for arm in findings.arms
    ]
    scale = findings.scale
    rungs = ", the better half again ".join(
        f"after {labels} labels on {'one seed' if seeds == 1 else f'{seeds} seeds'}"
        for labels, seeds in scale.rungs
    )
    how = (
        f"The arms of 1,024 labels by the same search: {len(grid('online', 1.0))} points of "
        f"learning rate and beta, measured {rungs}, all of its own, on prompts that are trained "
        "on; the best mean score is taken. Passes, batch and labels an update are the same for all "
        "of DPO, from a few tries on Online DPO before."
        if scale.rungs
        else "Nothing was searched in this run."
    )
    return f"## Learning rate and beta\n\n{how}\n\n{_table(('', 'learning rate', 'beta'), rows)}"


def _ablations(findings: Findings, ablations: Sequence[Ablation]) -> str:
    head = ("", "variant", "score", "gained over the usual", "seeds")
    rows, before = [], ""
    for one in ablations:
        gain = "" if one.gain is None else _number(one.gain, sign="+")
        if one.gain is not None and excludes_zero(one.gain):
            gain = f"**{gain}**"
        group = "" if one.group == before else one.group
        rows.append([group, one.variant, _number(one.score), gain, str(one.seeds)])
        before = one.group
    return (
        "Online DPO with what the service had for this policy before it filled up, "
        f"{findings.scale.ablation_labels} labels, and one thing changed; in the first and the "
        "last group as it is compared above. The first of each group is the usual run; bold where "
        "the interval excludes zero.\n\n"
        f"{_table(head, rows)}"
    )


def _how(summary: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in summary["versions"].items())
    usual = plain("online", Tuned(0, 0), (), 0, "")
    filled = plain("online_fill", Tuned(0, 0), (), 0, "")
    return f"""## How it was measured

- A label is a vote; ties are votes too, and teach nothing unless said otherwise. All arms have the
  same rater, prompts and adapter; all of DPO makes {usual.passes} passes over each label in
  batches of {usual.batch_pairs}.
- *Online* makes an update every {usual.update_labels} labels, *iterative* one between two columns
  of the table above; both ask about pairs of the live version. *Offline* starts from the base at
  each number of labels and trains on all of them at once. *SimPO* is online, without a reference.
  A policy that has broken down to one answer is asked no more, and measured as it is.
- *RLOO* is TRL's trainer, from the base at each number of labels, on a reward model fitted to as
  many votes on the policy's first pairs; it samples 512 responses, four a prompt, 32 a step. In all
  arms one learning rate does for all numbers of labels.
- *Filled up* makes an update every {filled.update_labels} labels, of these and of {filled.fill}
  pairs for each that a reward model of all votes labels, in {filled.passes} pass in batches of
  {filled.batch_pairs}, at a learning rate that is halved after {filled.decay_labels} labels.
  *REINFORCE* has the same pairs, weights and steps. Their settings are from some twenty tries on
  seeds 0 and 1, not from a search. *Best of {BEST_OF}* trains nothing.
- KL is log pi(y|x) - log pi_start(y|x), nats an answer, over its own answers. Win, tie and loss
  compare exact scores, each answer with both of the other side; equal scores tie.
- Seconds are of one thread, with another run beside it, without these measurements: gathering
  the labels (no time for the rater) and training. Of offline arms and RLOO that is what a user
  waits who has that many labels; the pairs of another model are not sampled anew. MB is the most
  memory on top of what was held at the start.
- Intervals are Student's t over seeds, with the spread over prompts added. They know nothing of the
  choice of learning rate and beta.
- {versions}. Every run is a line of `runs.jsonl`; `settings.json` holds what they share."""


def _record(record: Record) -> str:
    points = record.points
    shares = " / ".join(f"{100 * share:.0f}" for share in (record.win, record.tie, record.loss))
    return f"{shares}; {_number(points, 0, scale=100)}"


def _shares(record: Mapping[str, Any]) -> str:
    shares = " / ".join(_percent(record[name]) for name in ("win", "tie", "loss"))
    bounds = ", ".join(_percent(record[name]) for name in ("low", "high"))
    return f"{shares} win/tie/loss, wins and half the ties in [{bounds}]"


def _number(found: Estimate, digits: int = 2, *, scale: float = 1, sign: str = "") -> str:
    numbers = (found.value, found.low, found.high)
    mean, low, high = (f"{scale * number:{sign}.{digits}f}" for number in numbers)
    is_bounded = found.low < found.high < math.inf  # one seed alone bounds nothing
    return f"{mean} [{low}, {high}]" if is_bounded else mean


def _percent(share: float | None) -> str:
    return "never" if share is None else f"{share:.0%}"


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
