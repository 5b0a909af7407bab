"""Answers to exercise 11 as they may be handed in, right and wrong."""

import torch
from dml_teach import reid
from tests.classroom.table import right, unforeseen, wrong

# --- truncated_average_precision ---


@right("truncated_average_precision")
def by_walking(distances, good, left_out, depth):
    order = sorted(
        range(len(distances)), key=lambda i: (float(distances[i]), i)
    )
    order = [i for i in order if not left_out[i]][:depth]
    k, total = 0, 0.0
    for rank, i in enumerate(order, 1):
        if good[i]:
            k += 1
            total += k / rank
    return total / int(good.sum()) if good.any() else 0.0


@right("truncated_average_precision")
def by_cumsum(distances, good, left_out, depth):
    keep = ~left_out
    d, g = distances[keep], good[keep].double()
    if g.sum() == 0:
        return 0.0
    hit = g[d.sort(stable=True).indices]
    precision = hit.cumsum(0) / torch.arange(1, len(hit) + 1)
    seen = torch.arange(len(hit)) < depth
    return ((precision * hit)[seen].sum() / g.sum()).item()


def any_truncated(
    distances,
    good,
    left_out,
    depth,
    strike=True,
    n="all",
    late=False,
    far=False,
    cut=True,
    cut_first=False,
):
    order = list(range(len(distances)))
    order.sort(
        key=lambda i: (
            (-1 if far else 1) * float(distances[i]),
            -i if late else i,
        )
    )
    if cut_first:
        order = order[:depth]
    if strike:
        order = [i for i in order if not left_out[i]]
    order = order[:depth] if cut else order
    ranks = [r for r, i in enumerate(order, 1) if good[i]]
    total = sum(k / r for k, r in enumerate(ranks, 1))
    many = {
        "all": int(good.sum()),
        "found": len(ranks),
        "capped": min(int(good.sum()), depth),
    }[n]
    return total / many if many else 0.0


@wrong(
    "truncated_average_precision",
    "the number of good images that were found",
)
def among_the_found(*a):
    return any_truncated(*a, n="found")


@wrong("truncated_average_precision", "You divide by min(n, depth)")
def capped(*a):
    return any_truncated(*a, n="capped")


@wrong(
    "truncated_average_precision", "Images that are left out take a rank"
)
def nothing_struck(*a):
    return any_truncated(*a, strike=False)


@wrong("truncated_average_precision", "the later one stands first")
def late(*a):
    return any_truncated(*a, late=True)


@wrong("truncated_average_precision", "The list is not cut off")
def whole(*a):
    return any_truncated(*a, cut=False)


@unforeseen("truncated_average_precision", "begins with the farthest image")
def far_first(*a):
    return any_truncated(*a, far=True)


@unforeseen(
    "truncated_average_precision",
    "cut off before the left-out images are struck",
)
def cut_too_early(*a):
    return any_truncated(*a, cut_first=True)


@unforeseen("truncated_average_precision", "Two things at once")
def found_and_unstruck(*a):
    return any_truncated(*a, strike=False, n="found")


@unforeseen("truncated_average_precision", "a query without a good image")
def division_by_nothing(distances, good, left_out, depth):
    return (
        any_truncated(distances, good, left_out, depth)
        * int(good.sum())
        / int(good.sum())
    )


@unforeseen("truncated_average_precision", "the recall at `depth`")
def recall(distances, good, left_out, depth):
    order = [
        int(i) for i in distances.argsort(stable=True) if not left_out[i]
    ][:depth]
    return sum(bool(good[i]) for i in order) / max(int(good.sum()), 1)


@unforeseen(
    "truncated_average_precision",
    "`average_precision` is what this task asks you to write",
)
def with_the_library(distances, good, left_out, depth):
    order = [
        int(i) for i in distances.argsort(stable=True) if not left_out[i]
    ]
    ranks = [r for r, i in enumerate(order, 1) if good[i] and r <= depth]
    return (
        reid.average_precision(ranks) * len(ranks) / int(good.sum())
        if ranks
        else 0.0
    )


@unforeseen("truncated_average_precision", "at the same distance")
def unstable(distances, good, left_out, depth):
    shaken = distances.double() - 1e-9 * good.double()
    return any_truncated(shaken, good, left_out, depth)


@unforeseen(
    "truncated_average_precision", "a depth beyond the end of the list"
)
def one_too_far(distances, good, left_out, depth):
    return (
        any_truncated(distances, good, left_out, depth)
        if depth < 100
        else 1.0
    )


# --- mended_evaluate ---


def any_evaluate(
    distances,
    query_ids,
    gallery_ids,
    query_cams,
    gallery_cams,
    junk=True,
    camera="struck",
    lost="out",
    late=False,
    zero=False,
):
    aps, firsts = [], []
    for q in range(len(query_ids)):
        order = list(range(len(gallery_ids)))
        order.sort(
            key=lambda i: (float(distances[q, i]), -i if late else i)
        )
        ranks, rank = [], 0
        for i in order:
            same, here = (
                gallery_ids[i] == query_ids[q],
                gallery_cams[i] == query_cams[q],
            )
            if (
                (junk and gallery_ids[i] == -1)
                or (zero and gallery_ids[i] == 0)
                or (camera == "struck" and same and here)
            ):
                continue
            rank += 1
            if same and (camera == "good" or not here):
                ranks.append(rank)
        if ranks or lost == "zero":
            aps.append(
                sum(k / r for k, r in enumerate(ranks, 1))
                / max(len(ranks), 1)
            )
            firsts.append(1.0 if ranks and ranks[0] == 1 else 0.0)
    return sum(aps) / len(aps), sum(firsts) / len(firsts)


@right("mended_evaluate")
def straight(*a):
    return any_evaluate(*a)


@right("mended_evaluate")
def all_at_once(
    distances, query_ids, gallery_ids, query_cams, gallery_cams
):
    same = query_ids[:, None] == gallery_ids[None]
    here = query_cams[:, None] == gallery_cams[None]
    struck = (gallery_ids == -1)[None] | (same & here)
    order = distances.masked_fill(struck, float("inf")).argsort(
        dim=1, stable=True
    )
    hit = (same & ~here).gather(1, order).double()
    ap = (hit * hit.cumsum(1) / torch.arange(1, hit.shape[1] + 1)).sum(
        1
    ) / hit.sum(1)
    valid = hit.sum(1) > 0
    return ap[valid].mean(), hit[valid, 0].mean()


@wrong("mended_evaluate", "Junk (id -1) takes a rank")
def junk_counts(*a):
    return any_evaluate(*a, junk=False)


@wrong("mended_evaluate", "by the same camera counts as good")
def same_camera_good(*a):
    return any_evaluate(*a, camera="good")


@wrong("mended_evaluate", "by the same camera counts as wrong")
def same_camera_wrong(*a):
    return any_evaluate(*a, camera="wrong")


@wrong("mended_evaluate", "Queries without a match count as 0")
def lost_ones_count(*a):
    return any_evaluate(*a, lost="zero")


@wrong("mended_evaluate", "the later one stands first")
def late_ones_first(*a):
    return any_evaluate(*a, late=True)


@unforeseen("mended_evaluate", "Two things at once")
def three_faults_left(*a):
    return any_evaluate(*a, junk=False, camera="good", late=True)


@unforeseen("mended_evaluate", "Distractors (id 0) are struck")
def strangers_struck(*a):
    return any_evaluate(*a, zero=True)


@unforeseen("mended_evaluate", "mAP first")
def exchanged(*a):
    return any_evaluate(*a)[::-1]


@unforeseen(
    "mended_evaluate",
    "`evaluate_distances` is what this task asks you to write",
)
def evaluate_with_the_library(*a):
    found = reid.evaluate_distances(*a)
    return found.mAP, found.cmc[0]


@unforeseen(
    "mended_evaluate", "All images by the query's camera are struck"
)
def whole_camera_struck(
    distances, query_ids, gallery_ids, query_cams, gallery_cams
):
    aps, firsts = [], []
    for q in range(len(query_ids)):
        keep = (gallery_ids != -1) & (gallery_cams != query_cams[q])
        hit = (gallery_ids[keep] == query_ids[q])[
            distances[q][keep].argsort(stable=True)
        ]
        if hit.any():
            r = hit.nonzero()[:, 0] + 1
            aps.append((torch.arange(1, len(r) + 1) / r).mean().item())
            firsts.append(float(hit[0]))
    return sum(aps) / len(aps), sum(firsts) / len(firsts)


@unforeseen("mended_evaluate", "not per cent")
def per_cent(*a):
    return tuple(100 * x for x in any_evaluate(*a))
