"""What speaks for a version: who voted, whether they agree, what the gate found, on which base."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeler.config.settings import Settings
from labeler.domain.adapter_folder import file_sha256
from labeler.domain.drawing import Drawing
from labeler.domain.estimate import Estimate
from labeler.domain.sentences.figures import counted
from labeler.domain.sentences.update import found, wins
from labeler.store import Store
from labeler.store.views.reports import VersionRow

SHARES = ("agreement", "alpha", "gold", "repeats")


@dataclass(frozen=True)
class Evidence:
    """Lines of a card. `lineage` is each version that this one came of, oldest first."""

    base: list[str]
    votes: list[str]
    lineage: list[VersionRow]
    drawing: Drawing | None


def evidence_of(
    store: Store, settings: Settings, version_id: int, *, base: Path, name: str, fingerprint: str
) -> Evidence:
    """What the store knows of a version on the base in this folder."""
    now = time.time()
    counts = store.reports.status(max_staleness=settings.max_staleness, votes=settings.vote_rules)
    report = store.trust.report(
        min_reading_seconds=settings.min_reading_seconds, weighing=False, now=now
    )
    drawing = counts["drawing"]
    return Evidence(
        base=list(_base(base, name, fingerprint)),
        votes=list(_votes(counts["labels"], report)),
        lineage=_lineage(store.reports.versions(), version_id),
        drawing=Drawing.from_json(drawing) if drawing else None,
    )


def history(evidence: Evidence) -> Iterator[str]:
    """What each version learned from, and what the gate found, a line each."""
    for row in evidence.lineage:
        version, finding = row.version, row.version.finding
        if version.folder is None:
            yield f"- Version {version.id} is the base policy."
            continue
        learned = [f"{counted(finding.labels or 0, 'label')}, from version {version.parent_id}"]
        if finding.judged:
            learned.append(f"{finding.judged:,} of them a judge's")
        if finding.file:
            learned.append("read from a file, not cast here")
        objections = row.reason or finding.objection
        gate = f"The gate held it back: {objections}." if objections else "It passed the gate."
        if finding.labels is None:
            gate = "Nothing is recorded of it."
        said = [*found(finding, version.parent_id), gate]
        yield f"- Version {version.id}: {', '.join(learned)}. {' '.join(said)}"


def win_rate(evidence: Evidence) -> str:
    """How often it won against the version before, with its interval, or why nobody knows."""
    version = evidence.lineage[-1].version
    won = wins(version.finding, version.parent_id)
    if won is not None:
        return f"It {won}, says the judge."
    return f"No win rate: {version.finding.win_rate.why}."


def _lineage(rows: list[VersionRow], version_id: int) -> list[VersionRow]:
    known = {row.version.id: row for row in rows}
    found: list[VersionRow] = []
    number: int | None = version_id
    while number is not None:
        found.insert(0, known[number])
        number = known[number].version.parent_id
    return found


def _base(folder: Path, name: str, fingerprint: str) -> Iterator[str]:
    """The base, and the hashes that it can be told by."""
    yield f"- Base: `{name}`."
    yield f"- Fingerprint of its weights, as livedpo tells policies apart: `{fingerprint}`."
    for file in sorted(folder.glob("*.safetensors")):
        yield f"- sha256 of `{file.name}`: `{file_sha256(file)}`."


def _votes(labels: Mapping[str, int], report: Mapping[str, Any]) -> Iterator[str]:
    """Labels of the whole data dir, and whether they can be trusted."""
    raters = len(report["raters"])
    yield (
        f"- The service has {counted(labels['human'], 'label')} of {counted(raters, 'rater')}, "
        f"and {labels['judge']:,} of a judge. Updates have used {labels['used']:,}."
    )
    for figure in report["figures"]:
        if figure["id"] not in SHARES:
            continue
        estimate = Estimate(*(figure[part] for part in ("value", "low", "high", "count", "why")))
        form = ".0%" if figure["unit"] == "share" else ".2f"
        of = f", of {counted(estimate.count, 'case')}" if estimate.value is not None else ""
        yield f"- {figure['name']}: {estimate:{form}}{of}."
