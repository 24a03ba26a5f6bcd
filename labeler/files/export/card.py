"""The card of a folder: how labels were collected, by whom, how far they agree, what they made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from labeler.domain.drawing import Drawing
from labeler.domain.estimate import Estimate
from labeler.domain.sentences import update
from labeler.domain.sentences.figures import counted, share
from labeler.domain.sentences.judge import in_a_terminal
from labeler.domain.sentences.policy import drawn_at
from labeler.domain.states import Choice, Source
from labeler.domain.visible import visible

if TYPE_CHECKING:
    from labeler.files.export.formats import Format, Wanted
    from labeler.store.views.exported import Provenance

MAX_VERSIONS = 50  # that are listed
# The figures of how far votes can be trusted that a card has, by their ids.
TOLD = ("agreement", "alpha", "gold", "repeats")
SAID = {
    Choice.A: "for the first response",
    Choice.B: "for the second",
    Choice.TIE: "tied",
    Choice.BOTH_BAD: "both bad",
    Choice.SKIP: "skipped",
}


def card_of(wanted: Wanted, name: str, form: Format, *, rows: int, columns: list[str]) -> str:
    """The card of so many rows, as Markdown; its head is for `datasets` and the hub."""
    found = wanted.store.exports.provenance(source=wanted.source)
    head = (
        f"---\npretty_name: Labelled pairs\ntags: [livedpo, preference, dpo]\n"
        f"configs:\n- config_name: default\n  data_files:\n  - split: train\n"
        f"    path: {form.file}\n---\n\n# Labelled pairs\n\n"
        f"{counted(rows, 'row')} in the format `{name}`, exported by livedpo. {form.use}\n"
    )
    sections = {
        "Columns": [f"`{column}`" for column in columns],
        "How the labels were collected": list(_collected(wanted, found)),
        "Raters": list(_raters(found)),
        "Agreement": list(_agreement(wanted)),
        "Versions and the gate": list(_versions(wanted)),
    }
    return head + "".join(
        f"\n## {title}\n\n" + "".join(f"- {visible(line)}\n" for line in lines)
        for title, lines in sections.items()
    )


def _collected(wanted: Wanted, found: Provenance) -> Iterator[str]:
    if found.base is not None:
        policy = Path(found.base).name if Path(found.base).is_absolute() else found.base
        yield f"The policy is {policy}, tuned by online DPO on these labels as they came."
    drawing = wanted.store.reports.drawing()
    if drawing is not None:
        yield f"Replies are drawn at {drawn_at(Drawing.from_json(drawing))}."
    yield "Both responses of a pair come from one version of the policy, but for edits of people."
    if found.people:
        yield "People see both responses side by side, and are not told which one is which."
    if found.first_at is not None and found.last_at is not None:
        yield f"The votes are from {_day(found.first_at)} to {_day(found.last_at)}, in UTC."
    yield (
        "Several votes on a pair count by majority, a judge's only where no person has spoken. "
        "Undone votes, pairs that check raters and pairs that were set aside are in `raw` only."
    )


def _raters(found: Provenance) -> Iterator[str]:
    for source, who in ((Source.HUMAN, counted(found.people, "person")), (Source.JUDGE, "a judge")):
        said = {choice: found.choices.get((source, choice), 0) for choice in SAID}
        if votes := sum(said.values()):
            told = ", ".join(f"{count:,} {SAID[choice]}" for choice, count in said.items() if count)
            yield f"{counted(votes, 'vote')} of {who.replace('persons', 'people')}: {told}."


def _agreement(wanted: Wanted) -> Iterator[str]:
    if wanted.source is not Source.JUDGE:
        report = wanted.store.trust.report(min_reading_seconds=0.0, weighing=False, now=0.0)
        for row in report["figures"]:
            if row["id"] in TOLD:
                figure = Estimate(*(row[name] for name in ("value", "low", "high", "count", "why")))
                yield f"{row['name']}: {_figure(figure, row['unit'])}"
    if wanted.source is not Source.HUMAN and (judge := wanted.store.reports.judge()) is not None:
        yield from in_a_terminal(judge)


def _versions(wanted: Wanted) -> Iterator[str]:
    yield "Before a version goes live, a gate compares it with the one before on held-out prompts."
    rows = wanted.store.reports.versions()
    if len(rows) > MAX_VERSIONS:
        yield f"The newest {MAX_VERSIONS} of {len(rows):,} versions:"
    for row in rows[-MAX_VERSIONS:]:
        version = row.version
        made = "the base policy"
        if version.folder is not None:
            made = update.in_one_line(version.finding, version.parent_id, row.reason)
        yield f"Version {version.id} ({version.state}): {made}"


def _figure(found: Estimate, unit: str) -> str:
    if found.value is None:
        return f"unknown, because {found.why}"
    told = share(found) if unit == "share" else f"{found:.2f}"
    return f"{told} of {counted(found.count, 'pair')}"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
