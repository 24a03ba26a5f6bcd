"""What an unattended run came to: summary.json for programs, summary.md and summary.png for people.

Plain facts in, three files out. `plots` draws the last one, and is loaded only then.
"""

import json
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labeler.domain.finding import win_rate_to_json
from labeler.domain.sentences import judge
from labeler.roles.unattended.headline import headline
from labeler.store.views.run_facts import RunFacts, VersionFacts

LAST_ROWS = 40


def write_summary(folder: Path, facts: RunFacts) -> Path:
    """Write summary.json, summary.md and summary.png into the folder; returns the path of the .md.

    Each file is replaced as a whole. Raises OSError.
    """
    from labeler.roles.unattended.plots import as_png  # with matplotlib, which takes a second

    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "summary.json", (as_json(facts) + "\n").encode())
    _replace(folder / "summary.md", as_markdown(facts).encode())
    _replace(folder / "summary.png", as_png(facts))
    return folder / "summary.md"


def as_json(facts: RunFacts) -> str:
    """All facts; numbers that are not finite are null."""
    versions = [_version(version) for version in facts.versions]
    agreement = facts.agreement.to_json() if facts.agreement else None
    whole = {**vars(facts), "versions": versions, "shares": facts.shares, "agreement": agreement}
    return json.dumps(_finite(whole), indent=1, ensure_ascii=False, allow_nan=False)


def _version(version: VersionFacts) -> dict[str, Any]:
    finding = version.finding
    return {
        "number": version.number,
        "state": version.state,
        "labels": finding.labels or 0,
        "filled": finding.filled,
        "won": win_rate_to_json(finding.win_rate),
        "kl_live": finding.kl_live,
        "kl_reference": finding.kl_reference,
        "tokens": finding.candidate.tokens,
        "unfinished": finding.candidate.unfinished,
        "entropy": finding.candidate.entropy,
        "score": version.score,
        "rejected": version.rejected,
    }


def as_markdown(facts: RunFacts) -> str:
    """The run on a page: why it ended, how it went, and what to do next."""
    return "\n\n".join(
        [
            "# Unattended run",
            f"**{facts.reason}**",
            "\n".join(f"- {line}" for line in _lines(facts)),
            "![Score, length, KL and acceptance over versions](summary.png)",
            "## Versions",
            _table(facts.versions),
            "## What next",
            "\n".join(f"- {line}" for line in _next(facts)),
            "",
        ]
    )


def _lines(facts: RunFacts) -> list[str]:
    """The run in a few sentences, of what is known."""
    lines = [f"Judge: `{facts.judge}`", f"{headline(facts)}; version {facts.live} is live"]
    if facts.shares:
        shares = ", ".join(f"{kind} {share:.0%}" for kind, share in facts.shares.items())
        lines.append(f"Time: {shares}")
    if facts.abstentions:
        lines.append(judge.abstained(facts.abstentions))
    figures = judge.rows(facts.agreement) if facts.agreement else []
    rows = [row for row in figures if row.figure.value is not None]
    return [*lines, *(f"{row.name}: {row.text}" for row in rows)]


def _table(versions: Sequence[VersionFacts]) -> str:
    if not versions:
        return "No version was made."
    heads = ["version", "state", "labels", "win rate", "KL live", "KL reference"]
    heads += ["tokens", "unfinished", "entropy", "score", "why not"]
    rows = [_row(version) for version in versions[-LAST_ROWS:]]
    lines = [heads, ["---"] * len(heads), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    earlier = len(versions) - LAST_ROWS
    return table + (f"\n\n{earlier} earlier versions are in summary.json." if earlier > 0 else "")


def _row(version: VersionFacts) -> list[str]:
    finding, won = version.finding, version.finding.win_rate
    return [
        str(version.number),
        version.state,
        str(finding.labels or ""),
        f"{won:.0%}" if won.value is not None else "",
        _number(finding.kl_live, ".3f"),
        _number(finding.kl_reference, ".3f"),
        _number(finding.candidate.tokens, ".0f"),
        _number(finding.candidate.unfinished, ".0%"),
        _number(finding.candidate.entropy, ".2f"),
        _number(version.score, ".2f"),
        _cell(version.rejected or ""),
    ]


def _next(facts: RunFacts) -> list[str]:
    where = facts.options
    with_policy = f"--policy {shlex.quote(facts.policy)} {where}"
    go_on = "Continue: run the same command again, with a larger budget if one is used up."
    if facts.alarmed:
        go_on = (
            "Before you continue, read some replies of the last versions. "
            f"`livedpo versions rollback N {where}` makes version N live again. A judge with the "
            "wrong taste will repeat it."
        )
    return [
        go_on,
        f"See every version: `livedpo versions list {where}`.",
        f"Use version {facts.live}: `livedpo versions merge {facts.live} OUT {with_policy}`.",
        f"Export the labels: `livedpo export OUT.jsonl --labels judge {where}`.",
        f"Rate it yourself: `livedpo serve {with_policy}`.",
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _cell(text: str) -> str:
    """Text that cannot end a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value


def _replace(path: Path, content: bytes) -> None:
    """Write the file under another name first, so that nobody ever reads half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
