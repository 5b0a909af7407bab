# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 · The metric
#
# **Two papers test the same network on the same images and report different numbers. Neither has made a mistake.** A score for "who is this?" rests on half a dozen small rules, and most papers
# print the score without the rules. In this chapter you compute every score by hand on a gallery of six images, then let the library do it, and at the end you make a dozen numbers out of one pair of networks, all of them correct.
#
# | | |
# |---|---|
# | **After this chapter you can** | compute CMC, both average precisions and INP by hand; say which images count, which do not, and why; break ties so that a score is the same on every machine; read a published mAP and ask the right four questions |
# | **Time** | 40 minutes, of which a few seconds are the computer's |
# | **You need** | chapter 10 for embedding, distance, query and gallery |

# %% [markdown]
# ## Where we are going
#
# A word on letters first: here $q$ is a query and no posterior, $k$ counts good images and no peers, and $m$ counts places of a list and no classes. Peers come back in chapter 12.
#
# Two queries, a gallery of six images. Each query has sorted the gallery by distance, nearest first. The picture shows what stands where, and it holds nearly everything that this chapter has to explain: why some boxes have no
# rank, why one kind of wrong answer has a name of its own, and what a single number could say about such a row.

# %% mystnb={"image": {"alt": "Two ranked lists of six images. The first query: one image left out, a distractor on rank 1, a good image on rank 2, one left out, a wrong one on rank 3, a good one on rank 4. The second: one left out, then a good image on rank 1 and four others that are wrong, one of them a distractor."}}
from fractions import Fraction
from typing import NamedTuple

import torch

from dml_teach import plots, reid

# Small matrices: a second thread would cost more than it brings.
torch.set_num_threads(1)

query_ids, query_cams = [1, 2], [1, 3]
gallery_ids = [1, 1, 0, 2, -1, 1]
gallery_cams = [1, 2, 3, 1, 2, 3]
distances = [
    [0.10, 0.30, 0.20, 0.40, 0.35, 0.50],
    [0.30, 0.25, 0.40, 0.15, 0.05, 0.60],
]


def kind(q, g):
    """What gallery image g is to query q."""
    if gallery_ids[g] == -1:
        return "left out"  # junk
    if gallery_ids[g] == 0:
        return "distractor"
    if gallery_ids[g] != query_ids[q]:
        return "wrong"
    return "left out" if gallery_cams[g] == query_cams[q] else "good"


def by_distance(q):
    """The gallery as query q ranks it."""
    return sorted(
        range(len(gallery_ids)), key=lambda g: (distances[q][g], g)
    )


plots.ranked_lists(
    {f"query {q}": [kind(q, g) for g in by_distance(q)] for q in (0, 1)}
)

# %% [markdown]
# ## Rule 1: who counts
#
# An image has an identity and a camera; Market-1501 writes both into the file name, `0002_c1s1_000451_03.jpg` is person 2 by camera 1. For a given query, an image of the gallery is one of three things.
#
# - **Good**: the same identity, seen by *another* camera. This is what one looks for.
# - **Left out**: *junk*, a box that a detector drew around half a person or none (identity -1). And the same identity by the *same* camera: mostly the next frame of the same film. To find that one needs no
#   network that knows people, only one that knows wallpaper, so finding it earns nothing and missing it costs nothing.
# - **Wrong**: everybody else, also by the query's own camera. Among them are the *distractors* (identity 0), boxes of nobody who is ever asked for. They are as wrong as any other, and there are many.
#
# *Predict:* the image nearest to query 0 lies at a distance of .10 and shows the right person. On which rank is it?

# %%
print(
    "image  id  camera    to query 0 (1, camera 1)    to query 1 (2, camera 3)"
)
for g in range(6):
    line = f"{g:>5}{gallery_ids[g]:>4}{gallery_cams[g]:>8}"
    for q in (0, 1):
        line += f"{distances[q][g]:>10.2f}  {kind(q, g):<16}"
    print(line.rstrip())

# %% [markdown]
# On none: query 0 was taken by camera 1, and so was image 0. What is left out takes no rank, so the list closes up behind it. The real gallery of Market-1501 has 19&nbsp;732 files: 13&nbsp;115 of people who are asked for, 2&nbsp;798 distractors and 3&nbsp;819 junk.
#
# ## Rule 2: in which order
#
# By distance; and if two distances are equal, by place in the gallery. That sounds like a footnote. Here is why it is a rule. A network has collapsed and gives *every* image the same embedding, so all distances are 0. *Predict:* what is its
# score, if the gallery's files happen to start with the good images? And if they end with them?

# %%
collapsed = [0.0] * 6
for title, ids in (
    ("good ones first", [7, 7, 5, 5, 5, 5]),
    ("good ones last", [5, 5, 5, 5, 7, 7]),
):
    scores = reid.evaluate_distances([collapsed], [7], ids, [1], [2] * 6)
    print(
        f"{title:<16} mAP {scores.mAP:.3f}   rank of the first {scores.first_match_rank[0]}"
    )

# %% [markdown]
# From perfect to poor, and the network knows nothing in either case. With ties, a score measures in part the order of the files. No rule can make that fair, but a definite one makes it *the same everywhere*: many sorting routines leave equal numbers
# in any order they please, and then one network gets two scores on two machines. Ties are not exotic: half precision and integer distances make plenty, and so do images that are in the gallery twice.
#
# The rules are in [`ranking.protocol`](../dml_teach/reid/ranking.py); `test_junk_counts_neither_way`, `test_a_distractor_takes_a_rank` and `test_of_equal_distances_the_earlier_image_stands_first` prove one each
# ([`tests/reid/test_ranking.py`](../tests/reid/test_ranking.py)).
#
# Now the ranks themselves. All that a score needs to know of a list is where the good images stand: $r_1 < r_2 < \dots < r_n$.

# %%


def ranks_of_good(q):
    kinds = [kind(q, g) for g in by_distance(q)]
    listed = [k for k in kinds if k != "left out"]
    return [rank for rank, k in enumerate(listed, 1) if k == "good"]


ranks = {q: ranks_of_good(q) for q in (0, 1)}
print(ranks)

# %% [markdown]
# ## First number: is there a hit among the first m?
#
# Look at the first image of a list, at the first two, the first three. From which point on have you seen the right person? The share of queries for which $m$ images are enough is the **cumulative matching characteristic**, CMC for short,
#
# $$\text{CMC}(m) = \frac{1}{|Q|} \sum_{q} \mathbb 1\,[\,r_1(q) \le m\,]$$
#
# and CMC(1) is what papers call *rank-1*.

# %%
cmc = [sum(r[0] <= m for r in ranks.values()) / 2 for m in range(1, 6)]
print(cmc)

# %% [markdown]
# Query 1 hits at once, query 0 with its second image. From there on nothing can change, so the list is filled up to whatever length you ask for.
#
# CMC asks for *one* good image. If a person crossed five cameras and the network finds one of the five, rank-1 is content. A tracker that wants all five is not.
#
# ## Second number: average precision, and it exists twice
#
# Walk down the list and stop at every good image. At the $k$-th of them, on rank $r_k$, you have seen $r_k$ images of which $k$ were good: the **precision** there is $k / r_k$. The mean of these is the average precision,
#
# $$\text{AP}_{\text{sum}} = \frac1n \sum_{k=1}^n \frac{k}{r_k}$$
#
# *Predict:* query 0 has its good images on ranks 2 and 4. Work it out on paper before you run the cell; it takes one line.

# %%


def ap_sum(ranks):
    parts = [Fraction(k, r) for k, r in enumerate(ranks, 1)]
    print(" + ".join(map(str, parts)), end="   ")
    return sum(parts) / len(parts)


for q in (0, 1):
    print("AP of query", q, "is", ap_sum(ranks[q]))

# %% [markdown]
# The people who made Market-1501 computed something else, in MATLAB, and it is just as reasonable. They saw precision as a *curve* over **recall**, the share of the good images that has been found so far, and took the area below it. At the $k$-th good image recall jumps by $1/n$, and precision
# jumps too: just before, it was $o_k = (k-1)/(r_k - 1)$, and $o_k = 1$ if nothing came before. Between the two they drew a straight line, so each jump adds a trapezoid instead of a bar:
#
# $$\text{AP}_{\text{trapezoid}} = \frac1n \sum_{k=1}^n \frac12 \Bigl(\frac{k}{r_k} + o_k\Bigr)$$

# %%


def ap_trapezoid(ranks):
    total = Fraction(0)
    for k, r in enumerate(ranks, 1):
        before = Fraction(k - 1, r - 1) if r > 1 else Fraction(1)
        total += (Fraction(k, r) + before) / 2
    return total / len(ranks)


for q in (0, 1):
    print("AP of query", q, "is", ap_trapezoid(ranks[q]))

# %% [markdown]
# One half against one third, for the same list. Side by side, the area that each of them takes:

# %% mystnb={"image": {"alt": "Two areas below precision over recall for good images on ranks 2 and 4. Left, as bars: a rectangle of height one half, area .500. Right, as trapezoids: the first rises from 0 to one half, the second from one third to one half, area .333."}}
plots.precisions(ranks[0])

# %% [markdown]
# The trapezoid can not be larger: before a good image precision is at most what it is with it, $o_k \le k / r_k$ (one good image more can not hurt). When are the two equal? Only if every $o_k = k / r_k$, and that
# happens when no wrong image stands before any good one: $r_k = k$ for all $k$, the perfect list. So the two agree about perfect networks and disagree about all others. Check it on all lists of ten images:

# %%
lists = [
    [place + 1 for place in range(10) if pattern >> place & 1]
    for pattern in range(1, 2**10)
]
gaps = [
    reid.average_precision(r) - reid.average_precision(r, "trapezoid")
    for r in lists
]
perfect = [r == list(range(1, len(r) + 1)) for r in lists]
equal = [gap == 0 for gap in gaps]
print(len(lists), "lists; trapezoid never larger:", min(gaps) >= 0)
print("equal exactly for the perfect ones:", equal == perfect)
worst = lists[gaps.index(max(gaps))]
print("largest gap:", max(gaps), "for good images on ranks", worst)

# %% [markdown]
# The largest gap is 1/4, for one good image on rank 2: the sum gives it 1/2, the trapezoid half of that. So the gap is widest for lists that *nearly* hit. Over all queries of Market-1501 it comes to between .4 and 2 points of mAP (**others**).
#
# Both are in [`scores.PRECISIONS`](../dml_teach/reid/scores.py), and `test_trapezoids_are_never_more_than_the_sum_and_equal_only_for_a_perfect_list` tries to break what you just saw with lists that a testing library, hypothesis, makes up.
#
# The **mean average precision**, mAP, is the mean over the queries: here $(1/2 + 1)/2 = 3/4$ or $(1/3 + 1)/2 = 2/3$.
#
# ## Third number: how far to the last one?
#
# Average precision is generous to the easy images: four of five on the first four ranks and the fifth on rank 500 still make an AP of .80. Whoever must find *all* of them looks through 500 images. The **inverse negative penalty** measures that:
# of the images one has to look at, how many are good?
#
# $$\text{INP} = \frac{n}{r_n}$$
#
# and mINP is its mean. *Predict:* mINP of the worked example.

# %%
inp = {q: Fraction(len(r), r[-1]) for q, r in ranks.items()}
for q in inp:
    print("INP of query", q, "is", inp[q])
print("mINP:", sum(inp.values()) / 2)
far = [1, 2, 3, 4, 500]
print(f"AP {reid.average_precision(far):.2f}, INP {len(far) / far[-1]:.2f}")

# %% [markdown]
# ## The library says the same
#
# [`reid.evaluate_distances`](../dml_teach/reid/ranking.py) takes a matrix of distances and four lists of labels, and gives all of it as shares from 0 to 1. `test_the_worked_example_summed` and `test_the_worked_example_by_trapezoids` keep it so.

# %%
labels = (query_ids, gallery_ids, query_cams, gallery_cams)
for ap in ("sum", "trapezoid"):
    scores = reid.evaluate_distances(distances, *labels, ap=ap, max_rank=5)
    print(
        f"{ap:<11}mAP {scores.mAP:.4f}   mINP {scores.mINP:.4f}   CMC {scores.cmc}"
    )
print("of each query: AP", scores.ap.round(4), "valid", scores.valid)

# %% [markdown]
# `valid` is there because a query can be hopeless: nobody of its identity by another camera is in the gallery. Most Python code leaves such a query out of all means (`denominator="valid"`); Market-1501's own MATLAB code divides by *all* queries, so
# it counts as 0 (`"all"`). `evaluate_distances` does either and tells you which queries these are.
#
# ### Count, do not sort
#
# How does one rank 15 913 images (the gallery without its junk) for each of 3 368 queries? One sorts, says nearly every program. But a good image's rank is one more than the number of images *before* it, and those can be counted without putting them in order. Per query
# there are about fifteen good images and fifteen counts, and after a training nearly all of the gallery lies beyond the last good image and needs one comparison each.

# %%
generator = torch.Generator().manual_seed(0)
row = torch.rand(15913, generator=generator)
good = torch.randperm(15913, generator=generator)[:15]
place = torch.empty(15913, dtype=torch.long)
place[row.argsort(stable=True)] = torch.arange(15913)
by_sorting = place[good]
by_counting = torch.stack(
    [(row < row[g]).sum() + (row[:g] == row[g]).sum() for g in good]
)
print("the same ranks:", torch.equal(by_sorting, by_counting))

# %% [markdown]
# The second sum is the rule of ties: of the equal ones, those that stand earlier. That is the whole trick. `benchmarks/reid.py` measures what it saves against what others use.
#
# ## A gallery with a few more people
#
# Six images are good for paper and pencil. For questions about *networks* we need features. This chapter needs no camera: let us roll dice for a small world of sixty people, four cameras and two networks. A network's **feature** of an image, another name for its embedding, is what it makes of the person, plus some of whoever walks past in front, plus
# a little of the camera, plus noise. The two networks have never met and each sees with its own eyes; but who walks past lies in the image, so it disturbs both.

# %%
PEOPLE, CAMERAS, WIDTH = 60, 4, 24


class Images(NamedTuple):
    """Who is on them, by which camera, and how much of a passer-by."""

    ids: torch.Tensor
    cams: torch.Tensor
    passer: torch.Tensor
    share: torch.Tensor


def dice(*shape):
    """Numbers from -1 to 1."""
    return (
        2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1
    )


def draw(count, low, high):
    return torch.randint(low, high, (count,), generator=generator)


def photograph(ids, cams):
    """Images of these identities by these cameras; somebody passes."""
    return Images(
        ids, cams, draw(len(ids), 1, PEOPLE + 1), dice(len(ids)).abs()
    )


def take(count, low, high):
    """Some images of identities from low to below high."""
    return photograph(draw(count, low, high), draw(count, 1, CAMERAS + 1))


def together(some, others):
    return Images(
        *(torch.cat(pair) for pair in zip(some, others, strict=True))
    )


def network():
    """A function from images to features (N, WIDTH)."""
    person, camera = dice(PEOPLE + 1, WIDTH), dice(CAMERAS + 1, WIDTH)

    def embed(images):
        nobody = dice(len(images.ids), WIDTH)  # junk and distractors
        somebody = (images.ids > 0)[:, None]
        who = torch.where(somebody, person[images.ids.clamp_min(0)], nobody)
        noise = dice(len(images.ids), WIDTH)
        passer = images.share[:, None] * person[images.passer]
        return who + passer + 0.4 * camera[images.cams] + 0.5 * noise

    return embed


networks = [network(), network()]
embed = networks[0]
asked = take(150, 1, PEOPLE + 1)
# Two of the people are not in the gallery; junk (-1) and distractors (0) are.
stock = together(take(700, 1, PEOPLE - 1), take(250, -1, 1))
labels = (asked.ids, stock.ids, asked.cams, stock.cams)

query = [net(asked) for net in networks]
gallery = [net(stock) for net in networks]
for identity, name in ((0, "distractors"), (-1, "junk")):
    print(int((stock.ids == identity).sum()), name, "among", len(stock.ids))

# %% [markdown]
# [`reid.evaluate`](../dml_teach/reid/ranking.py) goes from features to scores, without ever holding all distances at once. `cosine` (the default) compares directions, `euclidean` compares points. It is proven against distances made one by one in
# [`tests/reid/test_evaluate.py`](../tests/reid/test_evaluate.py).

# %% mystnb={"image": {"alt": "CMC of two networks over ranks 1 to 50. Both curves start at 71 per cent, rise steeply over the first ten ranks and flatten towards 100."}}
alone = [reid.evaluate(query[k], gallery[k], *labels) for k in (0, 1)]
for k, scores in enumerate(alone):
    print(
        f"network {k}: mAP {100 * scores.mAP:.1f}   rank-1 {100 * scores.cmc[0]:.1f}",
        f"  mINP {100 * scores.mINP:.1f}   without a match: {(~scores.valid).sum()}",
    )
plots.cmc({f"network {k}": scores for k, scores in enumerate(alone)})

# %% [markdown]
# Rank-1 looks best, then mAP, and mINP looks poor. It is the same list each time: the first good image is found soon, the last one late.
#
# *Predict:* strangers move to town, and the gallery gets more distractors; the network and the people we ask for stay as they are. Which of the three numbers loses the largest part of itself?

# %%
for extra in (0, 500, 2000, 8000):
    strangers = take(extra, 0, 1)
    larger = together(stock, strangers)
    scores = reid.evaluate(
        query[0],
        torch.cat([gallery[0], embed(strangers)]),
        asked.ids,
        larger.ids,
        asked.cams,
        larger.cams,
    )
    print(
        f"{extra:>5} more: mAP {100 * scores.mAP:5.1f}   rank-1 {100 * scores.cmc[0]:5.1f}",
        f"  mINP {100 * scores.mINP:5.1f}",
    )

# %% [markdown]
# mINP, by far: the last good image stands where most strangers can come in before it. So **a score belongs to a gallery**, not to a network. An mAP on a small gallery and one on a large gallery can not be compared, and neither says how the network would do in your town.
#
# ## Two ways to get it wrong
#
# Forget the rule of the same camera, and the next frame of the same film counts as a find. Forget that junk is left out, and half persons count as wrong. *Predict:* which of the two mistakes flatters the network, which one hurts it?

# %%


def points(share):
    return f"{100 * share:.1f}"


no_camera = torch.zeros_like(asked.cams)  # no camera has the number 0
junk_is_wrong = stock.ids.clamp_min(0)
right = reid.evaluate(query[0], gallery[0], *labels)
frames = reid.evaluate(
    query[0], gallery[0], asked.ids, stock.ids, no_camera, stock.cams
)
halves = reid.evaluate(
    query[0], gallery[0], asked.ids, junk_is_wrong, asked.cams, stock.cams
)
print("by the rules                   ", points(right.mAP))
print("the same camera counts as good ", points(frames.mAP))
print("junk counts as wrong           ", points(halves.mAP))

# %% [markdown]
# The first flatters, the second hurts, and both together may well look right.
#
# ## Why two papers differ
#
# Those were mistakes. Now only choices that are in print. Which features: those of one network, or those of both joined end to end? The paper's own code joins the features of *all* its networks, so it scores an **ensemble**; a table of single networks means something else.
# Joined features go like this: scale each network's to length 1, put them side by side.

# %%


def joined(features):
    return torch.cat(
        [f / f.norm(dim=1, keepdim=True) for f in features], dim=1
    )


query_both, gallery_both = joined(query), joined(gallery)
table = {}
for title, q, g in (
    ("network 0", query[0], gallery[0]),
    ("network 1", query[1], gallery[1]),
    ("both, joined", query_both, gallery_both),
):
    for denominator in ("valid", "all"):
        for ap in ("sum", "trapezoid"):
            scores = reid.evaluate(
                q, g, *labels, ap=ap, denominator=denominator
            )
            table[title, ap, denominator] = scores.mAP
print("               valid queries       all queries")
print("               sum  trapezoid      sum  trapezoid")
for title in ("network 0", "network 1", "both, joined"):
    numbers = [
        points(table[title, ap, d])
        for d in ("valid", "all")
        for ap in ("sum", "trapezoid")
    ]
    print(
        f"{title:<12}{numbers[0]:>6}{numbers[1]:>11}{numbers[2]:>9}{numbers[3]:>11}"
    )
span = max(table.values()) - min(table.values())
print(f"{len(set(table.values()))} numbers, {points(span)} points apart")

# %% [markdown]
# One pair of networks, one gallery, no mistake. The two definitions of AP lie about two points apart, the two denominators about three, and joining the features is worth fifteen. (It is worth so much because our networks of dice are
# strangers, and each makes mistakes of its own. Chapter 05 told you what becomes of such a gain when networks have taught each other.)
#
# So when you read "mAP 56.0", ask four questions: **which AP, which denominator, one network or several, which gallery?** And when you write one, answer them. All scores of this course are the sum over valid queries, and of one network unless it says *joined*, *side by side* or *concatenated*, which are three names of the same thing.
#
# ## More than one image of the query
#
# A camera rarely takes one picture of a person. If there are more of the query, by the same camera, their features can be pooled into one: the mean, or the largest number in each place. Market-1501 keeps these images in a folder of its own, `gt_bbox`, and calls the test *multi-query*.
# In code [`reid.multi_query`](../dml_teach/reid/multi_query.py), proven by `test_pooling_equals_a_loop_over_all_pairs`.

# %%
four = photograph(asked.ids.repeat(4), asked.cams.repeat(4))
more = (embed(four), four.ids, four.cams)
print("one image each: mAP", points(alone[0].mAP))
for pooling in ("mean", "max"):
    pooled = reid.multi_query(
        query[0], asked.ids, asked.cams, *more, pooling=pooling
    )
    scores = reid.evaluate(pooled, gallery[0], *labels)
    print(f"pooled, {pooling:<7} mAP", points(scores.mAP))

# %% [markdown]
# The mean takes the noise away and leaves the person. (The maximum suits features that are never negative, like those after a ReLU; ours are not, and it shows.) So here is a fifth question to ask: single query or multi-query?
#
# ## Ask the neighbours
#
# One more number can be had without touching the network. So far each distance was judged alone. But if image A is near the query, and A's nearest images are also near the query, they vouch for each other; a stranger who came near by chance has other friends. **Re-ranking** by k-reciprocal neighbours
# (Zhong and others, 2017) turns that into a distance: describe each image by its mutual neighbours, measure how far two descriptions overlap, and mix that with the original distance. In code [`reid.rerank`](../dml_teach/reid/reranking.py), proven against the published algorithm, written out on dense matrices, by `test_distances_equal_the_dense_algorithm`.

# %%
for title, q, g in (
    ("network 0", query[0], gallery[0]),
    ("both, joined", query_both, gallery_both),
):
    q, g = (f / f.norm(dim=1, keepdim=True) for f in (q, g))
    before = reid.evaluate(q, g, *labels)
    after = reid.evaluate_distances(reid.rerank(q, g), *labels)
    print(
        f"{title:<13} mAP {points(before.mAP)} -> {points(after.mAP)}",
        f"  rank-1 {points(before.cmc[0])} -> {points(after.cmc[0])}",
    )

# %% [markdown]
# mAP gains more than rank-1: neighbours help most to find the *other* images of somebody who has been found. But mind what has changed. Each answer now depends on the whole gallery and on all the other queries, and the next image to arrive may change it. It is another test, and a table that
# mixes it with plain scores compares nothing. Chapter 12 uses it on images.
#
# ## Summary
#
# - Good is the same identity by another camera. Junk and the same camera take no rank; distractors are wrong and do.
# - Ties go by place in the gallery. Without a definite order, the score of one network differs between machines.
# - CMC asks for the first good image, mINP for the last, AP for all of them. Rank-1 high and mINP low is the usual picture.
# - AP exists twice. The trapezoid is never more than the sum, and equal only for a perfect list.
# - Queries without a match are left out or count as 0; say which.
# - A score belongs to a gallery: more strangers, lower mAP, and mINP falls first.
# - Joined features, several images of a query and re-ranking are other tests. Each is fair by itself, none beside plain scores.
#
# ## Recall
#
# 1. A query of person 5 by camera 2. What are these to it: person 5 by camera 2, person 5 by camera 4, person 6 by camera 2, identity 0, identity -1?
# 2. Good images on ranks 1 and 3. Compute both average precisions and INP.
# 3. Why can the trapezoid never be larger than the sum? When are they equal?
# 4. A program sorts with an unstable routine. On which features do you expect its mAP to change from run to run?
# 5. Somebody writes "our method lifts mAP from 52.1 to 54.0" and compares with a number from another paper. Which four questions do you ask, and which of them could explain the difference alone?
#
# **In class.** [Exercise 11](../exercises/ex_11_the_metric.ipynb) has tasks on this chapter for 45 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** Write `evaluate` yourself, for one query at a time, with a loop over the sorted gallery, and compare it with `reid.evaluate_distances` on a hundred random matrices of *whole numbers from 0 to 9*, with junk, distractors and queries
# without a match among the labels. Whole numbers make ties, and ties find mistakes that random distances never show. Then break a rule of your own program on purpose, one at a time, and note which of the hundred notice.
#
# In [chapter 12](12_mutual_reid.ipynb) two networks learn to recognise people together, and you will know what their numbers mean.
