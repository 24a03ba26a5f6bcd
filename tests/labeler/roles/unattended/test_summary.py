"""What a run came to, as three files: of made-up runs, the empty one too."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labeler.domain.estimate import Estimate
from labeler.domain.finding import Finding, Responses
from labeler.domain.labels import Preference
from labeler.roles.unattended.headline import log_odds
from labeler.roles.unattended.summary import (
    RunFacts,
    VersionFacts,
    as_json,
    as_markdown,
    write_summary,
)
from labeler.stats.judge_quality import Double, measure
from tests.labeler.domain.test_sentences import REPORT

PNG = b"\x89PNG\r\n\x1a\n"
FINDING = Finding(
    labels=13,
    kl_live=0.05,
    kl_reference=0.11,
    live=Responses(tokens=60.0),
    candidate=Responses(66.4, 0.02, 0.01, 0.7, 0.27),
    win_rate=Estimate(0.75, 0.57, 0.87, 32),
)
FIRST = VersionFacts(0, "first", Finding(candidate=Responses(tokens=60.0)), score=1.0)
ONE = VersionFacts(1, "promoted", FINDING, score=1.5)
TWO = VersionFacts(2, "rejected", FINDING, rejected="it moved | too far\nand more")
RUN = RunFacts(
    judge="starter",
    reason="The 32 labels of --max-labels are there.",
    seconds=250.0,
    labels=32,
    versions=(FIRST, ONE, TWO),
    live=1,
    options="--data-dir data/run",
    policy="my model",
    spent={"sampling": 100.0, "judging": 50.0, "training": 75.0, "gating": 20.0},
    abstentions={"timeout": 2, "unclear": 1},
)


def test_the_facts_of_a_version_are_those_that_the_gate_stored() -> None:
    broken = VersionFacts(3, "rejected", Finding(broken=True), rejected="its loss is NaN")
    told = json.loads(as_json(replace(RUN, versions=(ONE, broken))))["versions"]
    assert told[0] == {
        "number": 1,
        "state": "promoted",
        "labels": 13,
        "filled": 0,
        "won": {"rate": 0.75, "low": 0.57, "high": 0.87, "pairs": 32},
        "kl_live": 0.05,
        "kl_reference": 0.11,
        "tokens": 66.4,
        "unfinished": 0.02,
        "entropy": 0.27,
        "score": 1.5,
        "rejected": None,
    }
    assert told[1].keys() == told[0].keys()
    assert (told[1]["won"], told[1]["tokens"], told[1]["kl_live"]) == (None, None, None)


def test_what_was_not_timed_is_the_rest() -> None:
    assert RUN.shares == pytest.approx(
        {"sampling": 0.4, "judging": 0.2, "training": 0.3, "gating": 0.08, "rest": 0.02}
    )
    assert replace(RUN, spent={}).shares == replace(RUN, seconds=0.0).shares == {}


def test_log_odds_add_up_over_promoted_versions_only() -> None:
    """3 of 4 is ln(3.5 / 1.5) = 0.847, 1 of 4 the same below zero; the rejected one adds nothing.

    0, then 0.847, then 0.847 - 0.847 which is not kept, then 0.847 + 0.847, then even.
    """
    good = Finding(win_rate=Estimate(0.75, 0.3, 0.95, 4))
    bad = Finding(win_rate=Estimate(0.25, 0.05, 0.7, 4))
    versions = [
        VersionFacts(0, "first"),
        VersionFacts(1, "promoted", good),
        VersionFacts(2, "rejected", bad),
        VersionFacts(3, "promoted", good),
        VersionFacts(4, "promoted"),
    ]
    link = math.log(3.5 / 1.5)
    assert log_odds(versions) == pytest.approx([0.0, link, 0.0, 2 * link, 2 * link])


def test_a_judge_that_always_prefers_the_new_one_has_finite_log_odds() -> None:
    always = Finding(win_rate=Estimate(1.0, 0.9, 1.0, 32))
    assert log_odds([VersionFacts(1, "promoted", always)]) == [pytest.approx(math.log(65))]


def test_the_page_says_why_it_ended_how_it_went_and_what_to_do_next() -> None:
    text = as_markdown(RUN)
    assert "**The 32 labels of --max-labels are there.**" in text
    assert (
        "32 labels, 1 version accepted, 1 rejected; it ran for 4.2 minutes; version 1 is live"
        in text
    )
    assert "sampling 40%, judging 20%, training 30%, gating 8%, rest 2%" in text
    assert "The judge gave no verdict on 3 pairs (timed out: 2, unclear answer: 1)" in text
    assert "| 1 | promoted | 13 | 75% [57%, 87%] | 0.050 | 0.110 | 66 | 2% | 0.27 | 1.50 |" in text
    assert "`livedpo versions merge 1 OUT --policy 'my model' --data-dir data/run`" in text
    assert "rollback" not in text
    assert "rollback" in as_markdown(replace(RUN, alarmed=True))


def test_a_reason_cannot_break_the_table() -> None:
    (row,) = [line for line in as_markdown(RUN).splitlines() if line.startswith("| 2 ")]
    assert row.endswith("| it moved \\| too far and more |")


def test_agreement_with_people_stands_on_the_page_where_there_is_some() -> None:
    pairs = [Double(Preference(1.0), 0.9, 9, 4)] * 3 + [Double(Preference(0.0), 0.9, 9, 4)]
    known = replace(REPORT, figures=measure(pairs))
    text = as_markdown(replace(RUN, agreement=known))
    assert "Agrees with people: 75 % [30, 95] of 4" in text
    assert "Agrees" not in as_markdown(replace(RUN, agreement=REPORT))


def test_a_long_run_keeps_its_page_short_and_its_json_whole() -> None:
    versions = tuple(replace(ONE, number=number) for number in range(1, 101))
    long = replace(RUN, versions=versions)
    assert "60 earlier versions are in summary.json" in as_markdown(long)
    assert "| 60 | " not in as_markdown(long)
    assert len(json.loads(as_json(long))["versions"]) == 100


def test_a_figure_that_is_not_finite_is_null_in_json() -> None:
    facts = json.loads(
        as_json(replace(RUN, versions=(replace(ONE, finding=replace(FINDING, kl_live=math.nan)),)))
    )
    assert facts["versions"][0]["kl_live"] is None
    assert facts["versions"][0]["kl_reference"] == 0.11
    assert facts["shares"]["rest"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    "versions",
    [
        (),
        (FIRST,),
        (ONE,),
        (TWO,),
        (FIRST, ONE, TWO),
        (
            VersionFacts(1, "promoted"),
            VersionFacts(2, "promoted", replace(FINDING, kl_live=math.nan)),
        ),
    ],
    ids=["none", "first", "accepted", "rejected", "three", "hardly measured"],
)
def test_a_run_of_any_versions_becomes_three_files(
    tmp_path: Path, versions: tuple[VersionFacts, ...]
) -> None:
    written = write_summary(tmp_path / "new", replace(RUN, versions=versions))
    assert written == tmp_path / "new" / "summary.md"
    names = sorted(path.name for path in written.parent.iterdir())
    assert names == ["summary.json", "summary.md", "summary.png"], "and nothing half-written"
    assert written.with_suffix(".png").read_bytes().startswith(PNG)


def test_a_summary_replaces_the_one_before(tmp_path: Path) -> None:
    write_summary(tmp_path, RUN)
    write_summary(tmp_path, replace(RUN, reason="It collapsed.", alarmed=True))
    assert "It collapsed." in (tmp_path / "summary.md").read_text()
    assert json.loads((tmp_path / "summary.json").read_text())["alarmed"] is True


def test_every_panel_shows_what_it_should() -> None:
    """In pixels: a panel without figures has neither the blue of a line nor the red of a cross."""
    full, empty = _colours(RUN), _colours(replace(RUN, versions=()))
    assert all("blue" in panel for panel in full)
    assert "orange" in full[2], "the second line, in the panel of KL"
    assert "red" in full[3], "the rejected one"
    assert not any(panel for panel in empty)


def _colours(facts: RunFacts) -> list[set[str]]:
    """Which of our colours each quarter of the picture has: score, length, KL, acceptance."""
    from PIL import Image

    from labeler.roles.unattended.plots import BLUE, ORANGE, RED, as_png

    names = {BLUE: "blue", ORANGE: "orange", RED: "red"}
    picture: Any = Image.open(io.BytesIO(as_png(facts))).convert("RGB")
    width, height = picture.size
    found = []
    for top in (0, height // 2):
        for left in (0, width // 2):
            quarter = picture.crop((left, top, left + width // 2, top + height // 2))
            seen = {f"#{r:02X}{g:02X}{b:02X}" for _, (r, g, b) in quarter.getcolors(1 << 24)}
            found.append({name for colour, name in names.items() if colour in seen})
    return found
