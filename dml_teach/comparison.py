"""Comparing two methods honestly: paired by seed, with an interval.

Two runs with one seed share their first weights and their batches, so their difference has less noise than either. The
differences, one for each seed, are what the mean and its interval are taken over.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from scipy.stats import t as students_t

from dml_teach.errors import ConfigError


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
    half_width = math.inf
    if n > 1:
        half_width = float(students_t.ppf(0.975, n - 1)) * statistics.stdev(differences) / math.sqrt(n)
    return Paired(statistics.fmean(differences), half_width, sum(d > 0 for d in differences), n)


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the latter is NaN for a single value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan
