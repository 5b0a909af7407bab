"""Re-ranking: whom do the others of the list know? k-reciprocal encoding, without any label.

Two images are *reciprocal* neighbours if each is among the k nearest of the other. An image is described by its
reciprocal neighbours, weighted by nearness, and two images are compared by how far their descriptions overlap (the
Jaccard distance). An image that stands high in a list by chance shares no friends with the query and falls back.

Nearly all weights are 0. Published code keeps them in dense N x N matrices for N = Q + G; here they are sparse, and
distances are made for some images at a time.

Source: Zhong, Zheng, Cao, Li, *Re-ranking Person Re-identification with k-reciprocal Encoding* (2017). Where the text
leaves a choice, this follows the authors' code: k1 / 2 rounds half to even, an image counts among its own neighbours,
distances are squared and divided by each image's largest.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from dml_teach.errors import ConfigError
from dml_teach.reid import inputs
from dml_teach.reid.distances import COLUMNS, ROWS, product, squared_lengths, tiled, working_type
from dml_teach.reid.inputs import Array, Integers

Matrix: TypeAlias = Any  # sparse.csr_array, which has no types
Floats = NDArray[Any]

# Pairs of images, and queries, that are compared at a time: tens of megabytes.
PAIRS, QUERIES = 8192, 32
# The nearest of so many groups of images tell how far the nearest neighbours can be.
GROUPS_EACH = 3


class Neighbours(NamedTuple):
    """What is kept of the N x N distances.

    nearest   (N, k) the nearest of each image by (distance, index), nearest first; usually the first is itself
    farthest  (N,) its largest squared distance, 1 if all are 0
    asked     (Q, G) squared distances of the queries from the gallery
    """

    nearest: Integers
    farthest: Floats
    asked: Floats


def rerank(query: Array, gallery: Array, k1: int = 20, k2: int = 6, weight: float = 0.3) -> Floats:
    """Distances (Q, G) between features, in which images count as near if they have the same neighbours.

    Args:
        query: features (Q, D), used as given: normalise them first where lengths should not count.
        gallery: features (G, D).
        k1: how many neighbours, besides itself, describe an image. With fewer images, all of them do.
        k2: descriptions of the k2 nearest, itself among them, are averaged (local query expansion); 1 for none.
        weight: of the original distance, from 0 (neighbours alone) to 1 (the original order).

    Returns:
        weight * squared Euclidean distance / the query's largest to all Q + G images + (1 - weight) * Jaccard distance,
        fp32. Distances are computed in fp32; in fp64 for fp64 and for small sets.

    Raises:
        ConfigError: k1, k2 or weight can not be.
        DataError: shapes or types do not fit, or a feature is not finite.
    """
    inputs.at_least_one("k1", k1)
    inputs.at_least_one("k2", k2)
    if not 0 <= weight <= 1:
        raise ConfigError(f"weight of the original distance must lie between 0 and 1, got {weight}")
    queries, images = inputs.features("query", query).cpu(), inputs.features("gallery", gallery).cpu()
    inputs.same_width(query=queries, gallery=images)
    for name, features in (("query", queries), ("gallery", images)):
        squared_lengths(name, features)
    everyone = _together(queries, images)
    found = _neighbours(everyone, len(queries), max(k1 + 1, k2))
    described = _descriptions(everyone, found, k1)
    if k2 > 1:
        described = _mean_of_nearest(found.nearest[:, :k2], described)
    distances = found.asked
    distances *= weight / found.farthest[: len(queries), None]
    _add_jaccard(distances, described[: len(queries)], described[len(queries) :], 1 - weight)
    return distances


def _together(queries: Tensor, images: Tensor) -> Tensor:
    """All features (N, D), queries first; in fp32 around their mean, which moves no distance but rounds better."""
    kind = working_type((len(queries) + len(images)) ** 2 * queries.shape[1], queries, images)
    everyone = torch.cat([queries.to(kind), images.to(kind)])
    return everyone if kind == torch.float64 else everyone.sub_(everyone.mean(dim=0, dtype=torch.float64).to(kind))


def _neighbours(everyone: Tensor, queries: int, count: int) -> Neighbours:
    """Go through all distances once and keep what is needed."""
    images = len(everyone)
    nearest = np.empty((images, min(count, images)), np.int64)
    farthest = np.empty(images, everyone.numpy().dtype)
    asked = np.empty((queries, images - queries), np.float32)
    for start, block in _squared_distances(everyone):
        stop = start + len(block)
        nearest[start:stop] = _nearest(block, nearest.shape[1])
        farthest[start:stop] = block.max(axis=1)
        of_queries = block[: max(queries - start, 0), queries:]
        asked[start : start + len(of_queries)] = of_queries
    farthest[farthest == 0] = 1
    return Neighbours(nearest, farthest, asked)


def _squared_distances(everyone: Tensor) -> Iterator[tuple[int, Floats]]:
    """The number of the first of some images, and their squared distances (B, N) from all.

    Squared lengths are taken from the same products, so an image is at 0 from itself and from its copies.
    """
    tiles = tiled(everyone)
    width = len(tiles) * COLUMNS
    held = everyone.new_empty((ROWS, width))
    lengths = everyone.new_empty(len(everyone))
    for start in range(0, len(everyone), ROWS):
        rows = everyone[start : start + ROWS]
        product(rows, tiles[start // COLUMNS : start // COLUMNS + 1], held[:, :COLUMNS])
        lengths[start : start + len(rows)] = held.diagonal(start % COLUMNS)[: len(rows)]
    for start in range(0, len(everyone), ROWS):
        rows = everyone[start : start + ROWS]
        product(-2 * rows, tiles, held)
        block = held[: len(rows), : len(everyone)]
        block.add_(lengths).add_(lengths[start : start + len(rows), None]).clamp_min_(0)
        yield start, block.numpy()


def _nearest(block: Floats, count: int) -> Integers:
    """The `count` nearest of each row (B, N) by (distance, index), nearest first: (B, count).

    The images are dealt into groups. The nearest of each group are different images, so the count-th nearest of these
    is at least as far as the count-th nearest of all: only what is not farther is sorted.
    """
    groups = GROUPS_EACH * count
    limit = np.full(len(block), np.inf)
    if block.shape[1] > 2 * groups:
        dealt = block[:, : block.shape[1] // groups * groups].reshape(len(block), -1, groups)
        limit = np.partition(dealt.min(axis=1), count - 1, axis=1)[:, count - 1]
    found = np.empty((len(block), count), np.int64)
    for row, not_farther, into in zip(block, block <= limit[:, None], found, strict=True):
        some = np.flatnonzero(not_farther)
        into[:] = some[row[some].argsort(kind="stable")[:count]]
    return found


def _descriptions(everyone: Tensor, found: Neighbours, k1: int) -> Matrix:
    """V (N, N): in row i the weights exp(-distance) of i's reciprocal neighbours and of theirs, with sum 1."""
    mine = _reciprocal(found.nearest[:, : k1 + 1])
    theirs = _reciprocal(found.nearest[:, : round(k1 / 2) + 1])
    # The neighbours of a neighbour j come along if more than two thirds of them are mine already.
    shared = (mine @ theirs.T).multiply(mine).tocoo()
    enough = 3 * shared.data > 2 * np.diff(theirs.indptr)[shared.col]
    joining = sparse.csr_array(
        (np.ones(enough.sum(), np.int32), (shared.row[enough], shared.col[enough])), shape=mine.shape
    )
    members = (mine + joining @ theirs).tocsr()
    members.sort_indices()
    image = np.repeat(np.arange(len(everyone)), np.diff(members.indptr))
    weights = np.exp(-_distances_of_pairs(everyone, image, members.indices) / found.farthest[image])
    total = np.bincount(image, weights, minlength=len(everyone))
    return sparse.csr_array(((weights / total[image]).astype(np.float32), members.indices, members.indptr), mine.shape)


def _reciprocal(nearest: Integers) -> Matrix:
    """R (N, N) of 0 and 1 from the nearest (N, k) of each image: j is among i's, and i among j's."""
    images, count = nearest.shape
    starts = np.arange(0, images * count + 1, count)
    forward = sparse.csr_array((np.ones(nearest.size, np.int32), nearest.ravel(), starts), shape=(images, images))
    return forward.multiply(forward.T).tocsr()


def _distances_of_pairs(everyone: Tensor, ones: Integers, others: Integers) -> Floats:
    """Squared distances (P,) of pairs of images."""
    parts = []
    for start in range(0, len(ones), PAIRS):
        pair = (torch.from_numpy(side[start : start + PAIRS].astype(np.int64)) for side in (ones, others))
        left, right = (everyone[index] for index in pair)
        parts.append(left.sub_(right).square_().sum(dim=1))
    return torch.cat(parts).numpy()


def _mean_of_nearest(nearest: Integers, described: Matrix) -> Matrix:
    """The mean description of the nearest (N, k2) of each image."""
    images, count = nearest.shape
    starts = np.arange(0, images * count + 1, count)
    share = np.full(nearest.size, 1 / count, np.float32)
    return sparse.csr_array((share, nearest.ravel(), starts), shape=described.shape) @ described


def _add_jaccard(distances: Floats, asked: Matrix, gallery: Matrix, weight: float) -> None:
    """Add weight * (1 - s / (2 - s)) to distances (Q, G), s the sum of minima of two descriptions; both sum to 1."""
    images = gallery.shape[0]
    described_by = gallery.tocsc()
    length = np.diff(described_by.indptr)
    for start in range(0, asked.shape[0], QUERIES):
        rows = asked[start : start + QUERIES]
        query = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        count = length[rows.indices]
        # One entry for each query, member of its description and gallery image that this member also describes.
        entry = np.arange(count.sum()) + np.repeat(described_by.indptr[rows.indices] - np.cumsum(count) + count, count)
        minima = np.minimum(np.repeat(rows.data, count), described_by.data[entry])
        place = np.repeat(query * images, count) + described_by.indices[entry]
        s = np.bincount(place, minima, minlength=rows.shape[0] * images).reshape(-1, images)
        np.minimum(s, 1, out=s)  # the sums are 1 up to rounding only
        distances[start : start + QUERIES] += weight * (1 - s / (2 - s))
