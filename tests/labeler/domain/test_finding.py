"""What is known of an update, as it is stored: new rows, and those of earlier versions."""

import json
from typing import Any

import pytest

from labeler.domain.estimate import Estimate, wilson
from labeler.domain.finding import (
    NONE_ASIDE,
    NOT_COMPARED,
    Action,
    Example,
    Finding,
    Responses,
    win_rate_to_json,
)

# Rows as they were written before there was a `Finding`, with the names of that time.
OF_THE_LOOP: dict[str, Any] = {
    "labels": 13,
    "judged": 4,
    "replayed": 3,
    "held_out": 0,
    "learning_rate": 0.0005,
    "seconds": 31.25,
    "loss_first": 0.693147,
    "loss_last": 0.51,
    "kl_live": 0.0512,
    "kl_reference": 0.0,
    "tokens_live": 22.0,
    "unfinished_live": 0.0,
    "repetition_live": 0.01,
    "distinct_live": 0.8,
    "entropy_live": 0.31,
    "tokens_candidate": 27.5,
    "unfinished_candidate": 0.0625,
    "repetition_candidate": 0.02,
    "distinct_candidate": 0.7,
    "entropy_candidate": 0.27,
    "agreement": {"live": 0.5, "candidate": 0.625, "labels": 4},
    "win_rate": {"rate": 0.6093750000000001, "low": 0.44, "high": 0.75, "pairs": 32},
    "examples": [{"prompt": [{"role": "user", "content": "q"}], "before": "b", "after": "a"}],
    "actions": [{"what": "rejected", "by": None, "at": 5.0}, {"what": "x", "by": "Ada", "at": 6.0}],
}
BROKEN: dict[str, Any] = {
    "labels": 2,
    "judged": 0,
    "replayed": 0,
    "held_out": 0,
    "learning_rate": 0.0005,
    "seconds": 1.5,
    "loss_first": None,
    "loss_last": None,
    "broken": True,
}
OF_A_FILE: dict[str, Any] = {
    "loss_first": 0.69,
    "loss_last": 0.5,
    "kl_live": None,
    "not_compared": "no judge is set, so nobody has compared them",
    "labels": 40,
    "held_out": 8,
    "left_out": 1,
    "file": "pairs.jsonl",
    "objections": "it moved 0.40 nats a token away from the live version, more than 0.3; it is far",
}
OLD = [OF_THE_LOOP, BROKEN, OF_A_FILE, {}, {"labels": 1}, {"win_rate": None}]


@pytest.mark.parametrize("row", OLD)
def test_an_old_row_is_kept_but_for_what_says_nothing(row: dict[str, Any]) -> None:
    """Nothing is said by null, and by none judged, replayed, or left out."""
    silent = {"judged": 0, "replayed": 0, "left_out": 0}
    told = {
        name: value
        for name, value in row.items()
        if value is not None and (name, value) not in silent.items()
    }
    assert Finding.from_json(row).to_json() == told


@pytest.mark.parametrize("row", OLD)
def test_a_finding_is_read_as_it_was_written(row: dict[str, Any]) -> None:
    finding = Finding.from_json(row)
    assert Finding.from_json(json.loads(json.dumps(finding.to_json(), allow_nan=False))) == finding


def test_an_old_row_of_the_loop_is_read_with_the_intervals_that_follow_from_its_counts() -> None:
    finding = Finding.from_json(OF_THE_LOOP)
    assert finding.live == Responses(22.0, 0.0, 0.01, 0.8, 0.31)
    assert finding.candidate.entropy == 0.27
    assert finding.agreement_live == Estimate(0.5, *wilson(2, 4), 4)
    assert finding.agreement_candidate == Estimate(0.625, *wilson(2.5, 4), 4)
    assert finding.win_rate == Estimate(0.6093750000000001, 0.44, 0.75, 32)
    assert (finding.labels, finding.judged, finding.held_out) == (13, 4, 0)
    assert finding.examples == (Example([{"role": "user", "content": "q"}], "b", "a"),)
    assert finding.actions == (Action("rejected", None, 5.0), Action("x", "Ada", 6.0))


def test_a_win_rate_at_equal_length_stands_in_the_row_with_its_interval() -> None:
    finding = Finding(equal_length=Estimate(0.52, 0.4, 0.64, 32))
    row = finding.to_json()
    assert row["win_rate_at_equal_length"] == {"value": 0.52, "low": 0.4, "high": 0.64, "count": 32}
    assert Finding.from_json(row) == finding


def test_what_was_not_measured_is_unknown_and_a_comparison_that_was_not_made_says_why() -> None:
    broken, of_a_file = Finding.from_json(BROKEN), Finding.from_json(OF_A_FILE)
    assert (broken.broken, broken.loss_last, broken.kl_live) == (True, None, None)
    assert (broken.agreement_live, broken.win_rate) == (NONE_ASIDE, NOT_COMPARED)
    assert of_a_file.win_rate == Estimate.none("no judge is set, so nobody has compared them")
    assert (of_a_file.file, of_a_file.left_out, of_a_file.kl_live) == ("pairs.jsonl", 1, None)
    assert "; ".join(of_a_file.objections) == OF_A_FILE["objections"]
    assert Finding.from_json({}) == Finding()


def test_a_win_rate_keeps_its_names_in_json() -> None:
    assert win_rate_to_json(NOT_COMPARED) is None
    won = win_rate_to_json(Estimate(0.61, 0.52, 0.7, 110))
    assert won == {"rate": 0.61, "low": 0.52, "high": 0.7, "pairs": 110}
