"""Comparing two methods honestly: paired by seed, with an interval.

Two runs with one seed share their first weights and their batches, so their difference has less noise than either. The
differences, one for each seed, are what the mean and its interval are taken over.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm
from scipy.stats import t as students_t

from dml_teach.errors import ConfigError

QUANTILES = 20_000


class Paired(NamedTuple):
    """Method minus baseline over paired seeds.

    Attributes:
        difference: the mean of the differences.
        half_width: of the 95 % interval around it (Student's t); infinite for a single seed, which says nothing about
            spread.
        won: seeds in which the method was strictly above the baseline.
        seeds: how many there are.
    """

    difference: float
    half_width: float
    won: int
    seeds: int


def paired(method: Sequence[float], baseline: Sequence[float]) -> Paired:
    """Compare two methods, value i of each from seed i."""
    if len(method) != len(baseline) or not method:
        raise ConfigError(
            f"a paired comparison needs the same seeds for both, got {len(method)} and {len(baseline)} values"
        )
    differences = [a - b for a, b in zip(method, baseline, strict=True)]
    n = len(differences)
    half = half_width(statistics.stdev(differences), n) if n > 1 else math.inf
    return Paired(statistics.fmean(differences), half, sum(d > 0 for d in differences), n)


def half_width(deviation: float, seeds: int) -> float:
    """Of the 95 % interval around a mean over at least two seeds whose values have this standard deviation."""
    return float(students_t.ppf(0.975, seeds - 1)) * deviation / math.sqrt(seeds)


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter is NaN for a single value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan


def detectable(deviation: float, seeds: int, power: float = 0.8, level: float = 0.95) -> float:
    """The smallest true difference whose interval would most likely stay clear of zero.

    The two-sided paired t-test at 1 - level finds a true difference of this size with probability `power`; what is
    smaller is more likely to be missed than a reader may think.

    Args:
        deviation: standard deviation of the differences, one for each seed.
        seeds: how many, at least 2.
        power: between 1 - level and 1.
        level: of the interval.

    Raises:
        ConfigError: there is a single seed, or a number is out of range.
    """
    if seeds < 2 or deviation < 0 or not 0 < 1 - level < power < 1:
        raise ConfigError(
            f"detectable: {seeds} seeds, deviation {deviation}, power {power}, level {level}; at least two seeds, a"
            " deviation of at least 0 and 0 < 1 - level < power < 1 are needed"
        )
    bound = float(students_t.ppf((1 + level) / 2, seeds - 1))

    # The noncentral t is a normal over a chi; the mean is taken over the chi's quantiles. (SciPy's own is NaN far out.)
    quantiles = (np.arange(QUANTILES) + 0.5) / QUANTILES
    limits = bound * np.sqrt(chi2.ppf(quantiles, seeds - 1) / (seeds - 1))

    def missing(shift: float) -> float:
        return float((norm.cdf(shift - limits) + norm.cdf(-shift - limits)).mean()) - power

    return float(brentq(missing, 0.0, 10 * limits.max())) * deviation / math.sqrt(seeds)
