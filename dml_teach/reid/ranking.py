"""Market-1501's protocol: which gallery images count for a query, and on which rank the good ones stand.

For a query, a gallery image is

    good      the same identity, seen by another camera
    left out  junk (id -1), or the same identity seen by the same camera
    wrong     everything else, distractors (id 0) too

What is left out takes no rank. The others are ranked by (distance, place in the gallery): of two at the same distance
the earlier one stands first. A query that is itself 0 or -1 asks for nobody, so it has no match.

The rank of a good image is the number of images before it, and one. To count them nothing needs to be sorted but what
stands before the last good image, which for a trained network is little.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dml_teach.data.retrieval import DISTRACTOR, JUNK
from dml_teach.errors import DataError
from dml_teach.reid import inputs
from dml_teach.reid.distances import METRICS, ROWS, blocks
from dml_teach.reid.inputs import Array, Integers
from dml_teach.reid.scores import DENOMINATORS, PRECISIONS, ReidScores, from_ranks

# Rows ranked at a time: of a gallery like Market-1501's they fill a megabyte, which stays in a processor's cache.
AT_A_TIME = 16
# Below as many images before the last good one, or as many for each good one, sorting them beats counting.
FEW, FEW_EACH = 1024, 32


class Lists(NamedTuple):
    """Gallery indices for each of Q queries: those of query q are `indices[starts[q] : starts[q + 1]]`, ascending."""

    indices: Integers
    starts: Integers

    def of(self, q: Any) -> Integers:
        """The indices of query q."""
        return self.indices[self.starts[q] : self.starts[q + 1]]


class Protocol(NamedTuple):
    """Which gallery images are good for each query, which share identity *and* camera, and which are no junk (G,)."""

    good: Lists
    same_camera: Lists
    kept: NDArray[np.bool_]


def protocol(query_ids: Integers, gallery_ids: Integers, query_cams: Integers, gallery_cams: Integers) -> Protocol:
    """Market-1501's protocol for queries (Q,) and a gallery (G,)."""
    query, image = same_identity(query_ids, gallery_ids)
    same = query_cams[query] == gallery_cams[image]
    good, left_out = (
        Lists(image[which], np.searchsorted(query[which], np.arange(len(query_ids) + 1))) for which in (~same, same)
    )
    return Protocol(good, left_out, gallery_ids != JUNK)


def same_identity(query_ids: Integers, other_ids: Integers) -> tuple[Integers, Integers]:
    """All pairs of a query and another image of its identity, as two index arrays (P,), in order of both.

    Nobody is the same as nobody: distractors and junk are in no pair.
    """
    order = np.argsort(other_ids, kind="stable")
    low, high = (np.searchsorted(other_ids[order], query_ids, side) for side in ("left", "right"))
    count = np.where(query_ids > DISTRACTOR, high - low, 0)
    query = np.repeat(np.arange(len(query_ids)), count)
    within = np.arange(len(query)) - np.repeat(np.cumsum(count) - count, count)
    return query, order[low[query] + within]


def evaluate(
    query: Array,
    gallery: Array,
    query_ids: Array,
    gallery_ids: Array,
    query_cams: Array,
    gallery_cams: Array,
    *,
    metric: str = "cosine",
    ap: str = "sum",
    denominator: str = "valid",
    max_rank: int = 50,
    chunk: int = ROWS,
    device: torch.device | str | None = None,
) -> ReidScores:
    """Scores of features under Market-1501's protocol, without ever holding the Q x G distances.

    Args:
        query: features (Q, D) of the queries.
        gallery: features (G, D) of the gallery, by the same network.
        query_ids: (Q,) whole numbers from 1; a query with 0 or -1 asks for nobody and has no match.
        gallery_ids: (G,) from 1; 0 is a distractor, -1 junk.
        query_cams: (Q,) whole numbers.
        gallery_cams: (G,).
        metric: "cosine" (the length of a feature does not matter; a feature of zeros is at distance 1 from all) or
            "euclidean".
        ap: "sum" or "trapezoid"; see `average_precision`.
        denominator: "valid" takes means over the queries with a match, "all" over all, those without counting 0.
        max_rank: length of `ReidScores.cmc`.
        chunk: queries whose distances are held at a time. It decides memory, no score: all products have one shape.
        device: where distances are computed; None is where the gallery is. Ranks are counted on the host.

    Returns:
        The same bits for every `chunk`, and for the same queries in another order. Half precision is computed in fp32,
        fp64 in fp64, small sets always in fp64. Another device rounds differently, which can part two images that are
        as far from a query up to rounding; equal images stay equal on each.

    Raises:
        ConfigError: an option has a value that is not known.
        DataError: shapes, types or labels do not fit, a feature is not finite, or no query has a match and
            `denominator` is "valid".
    """
    inputs.one_of("metric", metric, METRICS)
    _check_options(ap, denominator, max_rank)
    inputs.at_least_one("chunk", chunk)
    queries, images = inputs.features("query", query), inputs.features("gallery", gallery)
    inputs.same_width(query=queries, gallery=images)
    rules = _protocol(len(queries), len(images), query_ids, gallery_ids, query_cams, gallery_cams)
    ranks = np.empty(len(rules.good.indices), np.int64)
    for start, block in blocks(queries, images, metric, chunk, device):
        for row in range(0, len(block), AT_A_TIME):
            _rank(block[row : row + AT_A_TIME], start + row, rules, ranks)
    return from_ranks(ranks, rules.good.starts, ap=ap, denominator=denominator, max_rank=max_rank)


def evaluate_distances(
    distances: Array,
    query_ids: Array,
    gallery_ids: Array,
    query_cams: Array,
    gallery_cams: Array,
    *,
    ap: str = "sum",
    denominator: str = "valid",
    max_rank: int = 50,
) -> ReidScores:
    """Scores of distances (Q, G) of any real type, small is near, as `evaluate` gives for features.

    Infinite distances are distances; of several infinite ones the earlier image stands first. The matrix is read a few
    rows at a time and not changed.

    Raises:
        ConfigError: an option has a value that is not known.
        DataError: a distance is not a number (the message says of which query and image), shapes, types or labels do
            not fit, or no query has a match and `denominator` is "valid".
    """
    _check_options(ap, denominator, max_rank)
    matrix = inputs.distances(distances)
    rules = _protocol(*matrix.shape, query_ids, gallery_ids, query_cams, gallery_cams)
    ranks = np.empty(len(rules.good.indices), np.int64)
    for start, block in _rows(matrix):
        _rank(block, start, rules, ranks)
    return from_ranks(ranks, rules.good.starts, ap=ap, denominator=denominator, max_rank=max_rank)


def _check_options(ap: str, denominator: str, max_rank: int) -> None:
    inputs.one_of("ap", ap, PRECISIONS)
    inputs.one_of("denominator", denominator, DENOMINATORS)
    inputs.at_least_one("max_rank", max_rank)


def _protocol(queries: int, images: int, *labels: Array) -> Protocol:
    query_ids, gallery_ids, query_cams, gallery_cams = labels
    return protocol(
        inputs.identities("query_ids", query_ids, queries),
        inputs.identities("gallery_ids", gallery_ids, images),
        inputs.labels("query_cams", query_cams, queries),
        inputs.labels("gallery_cams", gallery_cams, images),
    )


def _rows(matrix: Tensor | NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """A few rows at a time, on the host, in a type that NumPy compares quickly."""
    for start in range(0, len(matrix), AT_A_TIME):
        rows = matrix[start : start + AT_A_TIME]
        if isinstance(rows, Tensor):
            rows = (rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows).cpu().numpy()
        elif rows.dtype == np.float16:
            rows = rows.astype(np.float32)
        yield start, rows


def _rank(block: NDArray[Any], start: int, rules: Protocol, ranks: Integers) -> None:
    """Fill in the ranks of the good images of some queries from their distances `block` (B, G), ascending for each.

    `start` is the number of the first query.
    """
    if block.dtype.kind == "f" and np.isnan(block.max()):
        row, image = np.argwhere(np.isnan(block))[0]
        raise DataError(f"the distance of query {start + row} and gallery image {image} is not a number")
    good, left_out, kept = rules
    count = np.diff(good.starts[start : start + len(block) + 1])
    some = np.flatnonzero(count)
    if len(some) == 0:
        return
    ours = slice(good.starts[start], good.starts[start + len(block)])
    near = block[np.repeat(np.arange(len(block)), count), good.indices[ours]]  # distances of the good images
    last = block[:, 0].copy()
    last[some] = np.maximum.reduceat(near, good.starts[start + some] - good.starts[start])
    before = block <= last[:, None]  # (B, G): up to the last good image nobody else matters
    if not kept.all():
        before &= kept
    for row in some:
        before[row, left_out.of(start + row)] = False
        place = slice(good.starts[start + row], good.starts[start + row + 1])
        ranks[place] = _ranks(block[row], np.flatnonzero(before[row]), good.indices[place])


def _ranks(row: NDArray[Any], before: Integers, good: Integers) -> Integers:
    """Ranks (n,) of the images `good` among the images `before`, of which they are part, by (distances, index)."""
    distances = row[before]
    places = np.searchsorted(before, good)
    if len(before) <= max(FEW, FEW_EACH * len(good)):
        found = np.zeros(len(before), bool)
        found[places] = True
        return np.flatnonzero(found[distances.argsort(kind="stable")]) + 1
    counted = [
        np.count_nonzero(distances[:place] <= own) + np.count_nonzero(distances[place:] < own)
        for place, own in zip(places, distances[places], strict=True)
    ]
    return np.sort(counted) + 1
