"""Exercise 11, the metric: average precision of a list that is cut off, and an evaluation with four faults."""

import numpy as np
import torch
from torch import Tensor

from dml_teach.classroom import slow
from dml_teach.classroom.compare import Values
from dml_teach.classroom.slow import Array
from dml_teach.classroom.task import Case, Law, Mistake, Task

# --- truncated_average_precision ---


def in_order(distances: Array, far_first: bool = False, late: bool = False) -> list[int]:
    """Gallery indices by (distance, index)."""
    sign = -1 if far_first else 1
    return sorted(range(len(distances)), key=lambda i: (sign * distances[i], -i if late else i))


def cut_off(
    distances: Array,
    good: Array,
    left_out: Array,
    depth: int,
    among_found: bool = False,
    capped: bool = False,
    takes_rank: bool = False,
    far_first: bool = False,
    late: bool = False,
    whole: bool = False,
    from_zero: bool = False,
    trapezoid: bool = False,
    precision: bool = False,
    recall: bool = False,
    cut_first: bool = False,
    first_hit: bool = False,
    plain_ranks: bool = False,
    shorter: bool = False,
    out_is_good: bool = False,
) -> float:
    """Walk down the list."""
    rank, hits, total = 0, 0, 0.0
    places = in_order(distances, far_first, late)
    for i in places[:depth] if cut_first else places:
        if left_out[i] and not takes_rank and not out_is_good:
            continue
        rank += 1
        if rank > depth - (1 if shorter else 0) and not whole:
            break
        if (good[i] and not left_out[i]) or (left_out[i] and out_is_good):
            before = 1.0 if rank == 1 else hits / (rank - 1)
            hits += 1
            here = (hits == 1) / rank if first_hit else 1 / rank if plain_ranks else hits / rank
            total += (here + before) / 2 if trapezoid else hits / (rank + 1) if from_zero else here
    there = sum(bool(g) and not o for g, o in zip(good, left_out, strict=True))
    if precision or recall:
        return hits / depth if precision else hits / there if there else 0.0
    there = int((good | left_out).sum()) if out_is_good else 1 if first_hit and hits else there
    many = hits if among_found else min(there, depth) if capped else there
    return total / many if many else 0.0


def lists(rng: np.random.Generator, gallery: int, ties: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Distances, which images are good, which are left out; never both."""
    distances = slow.tensor(rng.integers(0, 4, gallery)) * 1.0 if ties else slow.tensor(rng.permutation(gallery) / 10.0)
    kind = torch.tensor(rng.choice(3, gallery, p=[0.4, 0.35, 0.25]))
    kind[int(rng.integers(gallery))] = 1
    return distances, kind == 1, kind == 2


def truncated_cases(rng: np.random.Generator) -> list[Case]:
    """Lists, some with ties, and where they are cut off."""
    small = slow.tensor([0.1, 0.3, 0.2, 0.4, 0.5]), torch.tensor([False, True, False, False, True])
    found = [Case((*small, torch.tensor([True, False, False, False, False]), 3))]
    for gallery, depth, says in (
        (8, 3, ""),
        (12, 5, ""),
        (30, 10, ""),
        (9, 1, "depth 1"),
        (7, 100, "a depth beyond the end of the list"),
    ):
        found += [Case((*lists(rng, gallery), depth), says) for _ in range(3)]
    found += [
        Case((*lists(rng, 14, ties=True), 6), "images at the same distance, where the earlier one stands first")
        for _ in range(6)
    ]
    some = lists(rng, 6)
    none = torch.zeros(6, dtype=torch.bool)
    return [
        *found,
        Case((some[0], none, some[2], 3), "a query without a good image, which has an AP of 0"),
        Case((some[0], some[1] | ~some[1], none, 3), "a gallery in which all are good"),
        Case((some[0].float(), some[1], some[2], 3), "distances in float32"),
    ]


TRUNCATED = Task(
    name="truncated_average_precision",
    exercise="11",
    arguments=("distances", "good", "left_out", "depth"),
    examinations=[
        Values(
            truncated_cases,
            cut_off,
            mistakes=[
                Mistake(
                    "That is 1 over the rank of the first good image; average precision goes over all of them.",
                    first_hit=True,
                ),
                Mistake("Each good image gives 1 / r; it gives k / r, the k-th of them.", plain_ranks=True),
                Mistake("Your list is one image too short.", shorter=True),
                Mistake("What is left out counts as good in yours.", out_is_good=True),
                Mistake(
                    "You divide by the number of good images that were found. A list that finds one of five at rank "
                    "1 would be perfect: divide by all good images there are.",
                    among_found=True,
                ),
                Mistake(
                    "You divide by min(n, depth). Some people do; here what is not found counts as not found: divide "
                    "by all good images.",
                    capped=True,
                ),
                Mistake(
                    "Images that are left out take a rank. Junk and the same camera are struck from the list first, "
                    "and all behind them move up.",
                    takes_rank=True,
                ),
                Mistake(
                    "The list is cut off before the left-out images are struck from it; strike first, then count to "
                    "`depth`.",
                    cut_first=True,
                ),
                Mistake("Your list begins with the farthest image.", far_first=True),
                Mistake(
                    "Among images at the same distance the later one stands first in your list; it is the earlier "
                    "one (a *stable* sort).",
                    late=True,
                ),
                Mistake("The list is not cut off: good images beyond `depth` count too.", whole=True),
                Mistake("Your ranks are one too large: the first image has rank 1.", from_zero=True),
                Mistake(
                    "That is the trapezoid, the average with the precision before each hit; wanted is the sum of k / "
                    "r_k.",
                    trapezoid=True,
                ),
                Mistake("That is the precision at `depth`, in which the order does not matter.", precision=True),
                Mistake("That is the recall at `depth`, in which the order does not matter.", recall=True),
            ],
            laws=[Law(lambda a, *_: -1e-9 < a < 1 + 1e-9, "An average precision lies between 0 and 1.")],
            factors={
                "the number of good images": lambda d, g, o, m: max(int(g.sum()), 1),
                "depth": lambda d, g, o, m: m,
            },
        )
    ],
    hints=(
        "Make the list first: by distance, ties by index, without those that are left out. Then only the first "
        "`depth` of it count. What do you divide by?",
        "torch.argsort(distances, stable=True) keeps ties in order. Strike, cut, then number the hits: the k-th hit "
        "at rank r gives k / r.",
        "cumsum of the hits is k. Sum k / r over the hits and divide by all good images in the gallery, found or "
        "not; with none, return 0.",
    ),
    library=("reid.evaluate", "reid.evaluate_distances", "reid.average_precision"),
)

# --- mended_evaluate ---


def evaluated(
    distances: Array,
    query_ids: Array,
    gallery_ids: Array,
    query_cams: Array,
    gallery_cams: Array,
    junk_counts: bool = False,
    camera_is_good: bool = False,
    camera_is_wrong: bool = False,
    strangers_out: bool = False,
    all_queries: bool = False,
    late: bool = False,
    far_first: bool = False,
    trapezoid: bool = False,
    exchanged: bool = False,
    percent: bool = False,
    any_of_camera: bool = False,
    one_only: bool = False,
    cameras_exchanged: bool = False,
) -> tuple[float, float]:
    """Query by query, image by image, with the rules of the protocol."""
    averages, tops = [], []
    for q in range(len(query_ids)):
        rank, ranks = 0, []
        for i in in_order(distances[q], far_first, late):
            same = query_ids[q] == gallery_ids[i]
            here = (query_cams[q] == gallery_cams[i]) != (cameras_exchanged and bool(same))
            out = gallery_ids[i] == -1 and not junk_counts
            out = out or (same and here and not camera_is_good and not camera_is_wrong)
            out = out or (gallery_ids[i] == 0 and strangers_out) or (here and any_of_camera)
            if not out:
                rank += 1
                if same and (not here or camera_is_good):
                    ranks.append(rank)
        ranks = ranks[:1] if one_only else ranks
        if ranks or all_queries:
            parts = [k / r for k, r in enumerate(ranks, 1)]
            if trapezoid:
                parts = [
                    (p + (1 if r == 1 else (k - 1) / (r - 1))) / 2
                    for k, (p, r) in enumerate(zip(parts, ranks, strict=True), 1)
                ]
            averages.append(sum(parts) / max(len(ranks), 1))
            tops.append(float(ranks[:1] == [1]))
    found = (sum(averages) / len(averages), sum(tops) / len(tops))
    found = found[::-1] if exchanged else found
    return (100 * found[0], 100 * found[1]) if percent else found


def town(
    rng: np.random.Generator, queries: int, gallery: int, ties: bool = False, lost: bool = False
) -> tuple[Tensor, ...]:
    """Distances, identities, cameras: junk and strangers among them, each query with a match unless some are `lost`."""
    query_ids, query_cams = rng.integers(1, 5, queries), rng.integers(1, 4, queries)
    gallery_ids, gallery_cams = rng.integers(-1, 5, gallery), rng.integers(1, 4, gallery)
    for q in range(queries):  # one good image at least, in a place of its own
        gallery_ids[q], gallery_cams[q] = query_ids[q], query_cams[q] % 3 + 1
    if lost:
        query_ids[0] = 9
    distances = (
        rng.integers(0, 4, (queries, gallery)) * 1.0
        if ties
        else rng.permutation(queries * gallery).reshape(queries, gallery) / 10
    )
    labels = (query_ids, gallery_ids, query_cams, gallery_cams)
    return slow.tensor(distances), *(slow.tensor(x, torch.int64) for x in labels)


def town_cases(rng: np.random.Generator) -> list[Case]:
    """The worked example of the course, then towns at random."""
    worked = slow.tensor([[0.10, 0.30, 0.20, 0.40, 0.35, 0.50]])
    small = [torch.tensor(x) for x in ([1], [1, 1, 0, 2, -1, 1], [1], [1, 2, 3, 1, 2, 3])]
    found = [Case((worked, *small))]
    found += [Case(town(rng, q, g)) for q, g in ((3, 12), (5, 20), (4, 30))]
    found += [Case(town(rng, 5, 18, lost=True), "a query that has no match in the gallery")]
    found += [
        Case(town(rng, 6, 20, ties=True), "images at the same distance, where the earlier one stands first")
        for _ in range(3)
    ]
    return [*found, Case(town(rng, 1, 9), "a single query")]


EVALUATE = Task(
    name="mended_evaluate",
    exercise="11",
    arguments=("distances", "query_ids", "gallery_ids", "query_cams", "gallery_cams"),
    examinations=[
        Values(
            town_cases,
            evaluated,
            mistakes=[
                Mistake(
                    "You strike the same person by *another* camera, and keep the query's own.", cameras_exchanged=True
                ),
                Mistake(
                    "Junk (id -1) takes a rank and counts as wrong. It is struck from the list: nobody can say "
                    "whether it is right.",
                    junk_counts=True,
                ),
                Mistake(
                    "The same person by the same camera counts as good. That is the next frame of the same film; it "
                    "is struck from the list.",
                    camera_is_good=True,
                ),
                Mistake(
                    "The same person by the same camera counts as wrong. It is neither good nor wrong; it is struck "
                    "from the list.",
                    camera_is_wrong=True,
                ),
                Mistake(
                    "Distractors (id 0) are struck from the list. They are wrong answers and stay in it.",
                    strangers_out=True,
                ),
                Mistake(
                    "All images by the query's camera are struck; only those of the same person are.",
                    any_of_camera=True,
                ),
                Mistake(
                    "Queries without a match count as 0. Here means go over the queries that have one.",
                    all_queries=True,
                ),
                Mistake(
                    "Among images at the same distance the later one stands first in your list; it is the earlier "
                    "one (a *stable* sort).",
                    late=True,
                ),
                Mistake("Your list begins with the farthest image.", far_first=True),
                Mistake("That is the trapezoid; wanted is the sum of k / r_k over n.", trapezoid=True),
                Mistake("The two numbers have changed places: mAP first.", exchanged=True),
                Mistake("Shares from 0 to 1 are wanted, not per cent.", percent=True),
                Mistake(
                    "Only the first good image of each query counts; average precision goes over all.", one_only=True
                ),
            ],
            laws=[Law(lambda a, *_: all(-1e-9 < x < 1 + 1e-9 for x in a), "Both are shares between 0 and 1.")],
            parts=("mAP", "rank-1"),
        )
    ],
    hints=(
        "Four faults: which images are struck from the list, which count as good, which queries count at all, and "
        "who stands first at equal distances.",
        "Walk through one query by hand, with the worked example of chapter 11 (mAP 1/2, rank-1 0). Which images "
        "does the program keep that you have struck?",
        "keep = not junk and not (same id and same camera); good = same id, among those kept. A stable sort. Leave "
        "out queries whose list has no good image.",
    ),
    library=("reid.evaluate", "reid.evaluate_distances", "reid.average_precision", "reid.scores.from_ranks"),
)

TASKS = (TRUNCATED, EVALUATE)
