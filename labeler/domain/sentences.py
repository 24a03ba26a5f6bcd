"""What is known of a judge, in lines for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any


def judge_lines(report: Mapping[str, Any] | None) -> Iterator[str]:
    """The report of `Reports.judge`, a few sentences; none has spoken if it is None."""
    if report is None:
        yield "none has spoken"
        return
    abstained = ", ".join(f"{count} {cause}" for cause, count in report["abstained"].items())
    yield (
        f"{report['judge']}: {report['labels']} labels from {report['verdicts']} verdicts"
        f"{f', abstained: {abstained}' if abstained else ''}"
    )
    if report["says"]:
        yield report["says"]
    if report["requests"]:
        yield f"{report['requests']} requests, {report['tokens']} tokens"
    if report["consistent"]:
        yield f"says the same in both orders: {_share(report['consistent'])}"
    if report["agreement"]["value"] is None:
        yield f"agreement with people is unknown: {report['agreement']['why']}"
    else:
        yield f"agrees with people on {_share(report['agreement'])} that both decided"
    if report["pairs"]:
        yield f"with ties: {_share(report['agreement_with_ties'])}, kappa {_plain(report['kappa'])}"
        yield f"calibration error {_plain(report['calibration_error'])}"
        yield (
            f"prefers the longer response in {_share(report['longer_judge'])}, "
            f"people in {_share(report['longer_people'])}"
        )
    if report["paused"]:
        yield str(report["paused"])


def _share(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return f"no pair ({figure['why']})"
    return (
        f"{figure['value']:.0%} [{figure['low']:.0%}, {figure['high']:.0%}] "
        f"of {figure['count']} pairs"
    )


def _plain(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return f"unknown ({figure['why']})"
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"
