"""From the ranks of the good images to the numbers that papers report.

Notation: a query has n good images in the gallery, r_k is the rank of the k-th of them, counted from 1, and all others
that stand in the list are wrong. Source: Zheng et al., *Scalable Person Re-identification: A Benchmark* (2015), for
Market-1501, CMC and the trapezoid; Ye et al., *Deep Learning for Person Re-identification* (2021), for INP.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dml_teach.errors import DataError
from dml_teach.reid.inputs import Integers, one_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReidScores:
    """How well the gallery was ranked for Q queries; shares from 0 to 1.

    mAP               the mean of the average precisions
    cmc               (max_rank,) cmc[m - 1] is the share of queries with a good image among the first m
    mINP              the mean of n / r_n: how far down the list the hardest good image stands
    ap                (Q,) average precision of each query, 0 where there is no match
    inp               (Q,) n / r_n of each query, 0 where there is no match
    first_match_rank  (Q,) int64, r_1 of each query, from 1; 0 where there is no match, which is no rank
    valid             (Q,) bool, whether a query has a match at all: a good image in the gallery
    """

    mAP: float
    cmc: Floats
    mINP: float
    ap: Floats
    inp: Floats
    first_match_rank: Integers
    valid: NDArray[np.bool_]


def precision_sum(k: Any, ranks: Any) -> Any:
    """The part of the k-th good image in the sum: k / r_k, the precision at its rank."""
    return k / ranks


def precision_trapezoid(k: Any, ranks: Any) -> Any:
    """The part of the k-th good image in the trapezoid: (k / r_k + o_k) / 2.

    o_k = (k - 1) / (r_k - 1) is the precision just before that image, and 1 before the first rank.
    """
    before = np.where(ranks == 1, 1.0, (k - 1) / np.maximum(ranks - 1, 1))
    return (k / ranks + before) / 2


PRECISIONS = {"sum": precision_sum, "trapezoid": precision_trapezoid}
"""The two averages by name: that of nearly all Python code, and that of Market-1501's own MATLAB code."""

DENOMINATORS = ("valid", "all")


def average_precision(ranks: ArrayLike, ap: str = "sum") -> float:
    """Average precision of one query from the ranks (n,) of its good images, n >= 1, counted from 1.

    Args:
        ranks: different whole numbers from 1, in any order.
        ap: "sum", 1/n sum_k k / r_k; or "trapezoid", 1/n sum_k (k / r_k + o_k) / 2, which is never more.

    Raises:
        DataError: a rank is below 1 or there twice, or there is none.
    """
    one_of("ap", ap, PRECISIONS)
    found = np.sort(np.asarray(ranks))
    if found.ndim != 1 or found.size == 0 or found.dtype.kind not in "iu":
        raise DataError(f"ranks: {found.shape} {found.dtype}; give whole numbers (n,), one for each good image")
    if found[0] < 1 or (np.diff(found) == 0).any():
        raise DataError(f"ranks: {found.tolist()}; ranks count from 1 and no two images share one")
    return math.fsum(PRECISIONS[ap](np.arange(1, len(found) + 1), found)) / len(found)


def from_ranks(ranks: Integers, starts: Integers, *, ap: str, denominator: str, max_rank: int) -> ReidScores:
    """Scores from the ranks of all good images.

    Args:
        ranks: of the good images, query after query, ascending within each.
        starts: (Q + 1,), where each query's ranks begin; the last is the number of all.
        ap: "sum" or "trapezoid".
        denominator: "valid" leaves queries without a match out of all means, "all" counts them as 0.
        max_rank: length of `cmc`.

    Raises:
        DataError: "valid", and no query has a match: there is nothing to take a mean of.
    """
    count = np.diff(starts)
    valid = count > 0
    queries = len(count) if denominator == "all" else int(valid.sum())
    if queries == 0:
        raise DataError(
            f"none of {len(count)} queries has a match: the same identity, above 0, by another camera in the gallery;"
            ' check ids and cameras, or count such queries as 0 with denominator="all"'
        )
    query = np.repeat(np.arange(len(count)), count)
    k = np.arange(len(ranks)) - starts[query] + 1
    n = np.maximum(count, 1)
    average = np.bincount(query, PRECISIONS[ap](k, ranks), minlength=len(count)) / n
    first, last = np.zeros_like(count), np.ones_like(count)
    first[valid], last[valid] = ranks[starts[:-1][valid]], ranks[starts[1:][valid] - 1]
    inp = count / last
    hits = np.bincount(first[valid & (first <= max_rank)] - 1, minlength=max_rank)
    # The exact sum: rounding must not depend on the order of the queries.
    return ReidScores(
        math.fsum(average) / queries, hits.cumsum() / queries, math.fsum(inp) / queries, average, inp, first, valid
    )
