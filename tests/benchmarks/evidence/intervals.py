"""Means and their 95 % intervals, of values over seeds and prompts.

The same prompts are answered at each seed, so a mean errs in two ways: other seeds and other
prompts would have given another. For S seeds by P prompts (crossed, balanced), with the variances
of seeds, prompts and the rest, Var(mean) = s2/S + p2/P + r2/(S P), estimated from the spread of the
rows, of the columns, and of what is left, and never taken below either of the first two. The
quantile is Student's t for S - 1 degrees of freedom; one seed alone bounds nothing.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from labeler.domain.estimate import Estimate


def excludes_zero(mean: Estimate) -> bool:
    """Whether it tells the sign."""
    return mean.low > 0 or mean.high < 0


def as_json(mean: Estimate) -> dict[str, float | None]:
    """Three numbers; a bound that is infinite is null."""
    written = mean.to_json()
    return {"mean": written["value"], "low": written["low"], "high": written["high"]}


def over_seeds(values: Sequence[float]) -> Estimate:
    """Of one value a seed."""
    count, mean = len(values), float(np.mean(values))
    if count < 2:
        return Estimate(mean, -math.inf, math.inf, count)
    return _around(mean, float(np.var(values, ddof=1)) / count, count)


def over_seeds_and_prompts(values_SP: Any) -> Estimate:
    """Of one value for each seed (row) and prompt (column)."""
    values: NDArray[np.float64] = np.asarray(values_SP, dtype=float)
    seeds, prompts = values.shape
    mean = float(values.mean())
    if seeds < 2 or prompts < 2:
        return Estimate(mean, -math.inf, math.inf, seeds)
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns[None, :] + mean
    by_seed = float(rows.var(ddof=1)) / seeds
    by_prompt = float(columns.var(ddof=1)) / prompts
    degrees = (seeds - 1) * (prompts - 1)
    both = float((rest**2).sum()) / degrees / (seeds * prompts)
    return _around(mean, max(by_seed + by_prompt - both, by_seed, by_prompt), seeds)


def _around(mean: float, variance: float, seeds: int) -> Estimate:
    half = float(student.ppf(0.975, seeds - 1)) * math.sqrt(variance)
    return Estimate(mean, mean - half, mean + half, seeds)
