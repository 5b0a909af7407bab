"""The protocol and re-ranking as one would explain them: one image at a time, dense, without a shortcut."""

import math
from fractions import Fraction

import numpy as np


def ranking(distances, query_id, query_cam, gallery_ids, gallery_cams):
    """For one query, whether each image of the ranked list is good: list of bool."""
    listed = []
    for g, distance in enumerate(distances):
        junk = gallery_ids[g] == -1
        same_camera = gallery_ids[g] == query_id and gallery_cams[g] == query_cam
        if not junk and not same_camera:
            listed.append((distance, g))
    listed.sort()
    return [query_id > 0 and gallery_ids[g] == query_id for _, g in listed]


def scores(distances, query_ids, gallery_ids, query_cams, gallery_cams, ap="sum", denominator="valid", max_rank=50):
    """mAP, cmc, mINP, ap, inp, first_match_rank, valid."""
    aps, inps, firsts, valid = [], [], [], []
    for q, row in enumerate(np.asarray(distances).tolist()):
        hits = ranking(row, query_ids[q], query_cams[q], gallery_ids, gallery_cams)
        ranks = [place for place, hit in enumerate(hits, 1) if hit]
        average = Fraction(0)
        for k, r in enumerate(ranks, 1):
            before = Fraction(k - 1, r - 1) if r > 1 else Fraction(1)
            average += Fraction(k, r) if ap == "sum" else (Fraction(k, r) + before) / 2
        valid.append(bool(ranks))
        aps.append(float(average / len(ranks)) if ranks else 0.0)
        inps.append(len(ranks) / ranks[-1] if ranks else 0.0)
        firsts.append(ranks[0] if ranks else 0)
    count = len(valid) if denominator == "all" else sum(valid)
    cmc = [sum(0 < first <= m for first in firsts) / count for m in range(1, max_rank + 1)]
    return sum(aps) / count, cmc, sum(inps) / count, aps, inps, firsts, valid


def squared_distances(features):
    """(N, D) -> (N, N), in fp64, difference by difference."""
    x = np.asarray(features, np.float64)
    return ((x[:, None] - x[None]) ** 2).sum(axis=2)


def cosine_distances(query, gallery):
    """(Q, D), (G, D) -> (Q, G), in fp64."""
    q, g = (np.asarray(x, np.float64) for x in (query, gallery))
    return 1 - (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (g / np.linalg.norm(g, axis=1, keepdims=True)).T


def reciprocal(order, i, k):
    """The k nearest of i (itself is one more) that have i among theirs."""
    return {j for j in order[i][: k + 1] if i in order[j][: k + 1]}


def rerank(query, gallery, k1, k2, weight):
    """k-reciprocal re-ranking on dense matrices, in fp64, ties by index."""
    d = squared_distances(np.concatenate([query, gallery]))
    d = d / np.maximum(d.max(axis=1, keepdims=True), np.finfo(float).tiny)
    n, q = len(d), len(query)
    order = [sorted(range(n), key=lambda j, i=i: (d[i, j], j)) for i in range(n)]
    v = np.zeros((n, n))
    for i in range(n):
        mine = reciprocal(order, i, k1)
        members = set(mine)
        for j in mine:
            theirs = reciprocal(order, j, int(np.around(k1 / 2)))
            if len(theirs & mine) > 2.0 / 3 * len(theirs):
                members |= theirs
        total = sum(math.exp(-d[i, j]) for j in members)
        for j in members:
            v[i, j] = math.exp(-d[i, j]) / total
    if k2 != 1:
        v = np.array([v[order[i][:k2]].mean(axis=0) for i in range(n)])
    found = np.zeros((q, n - q))
    for i in range(q):
        for j in range(q, n):
            s = np.minimum(v[i], v[j]).sum()
            found[i, j - q] = weight * d[i, j] + (1 - weight) * (1 - s / (2 - s))
    return found
