# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,task,test,question,points,-all
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
# # Exercise 11: The metric
#
# | | |
# |---|---|
# | **Difficulty** | ●●● |
# | **Time** | 45 minutes |
# | **You need** | chapter 11: the protocol, average precision, ties |
# | **Points** | 12: two functions with 4 points each, one question with 4 |
#
# An answer page shows ten images, not 15 913. And an evaluation that forgets two rules, of which one flatters and one hurts.
#
# Write your code where it says `NotImplementedError`, run the cell, then run the check below it. It answers in words. When you are stuck,
# `check.NAME.hint(1)`, then 2, then 3.

# %%
import matplotlib.pyplot as plt
import torch
from torch import Tensor

from dml_teach import plots
from dml_teach.classroom import check

torch.set_num_threads(1)

# %% [markdown]
# ## 1. A list that is cut off
#
# One query. Sort the gallery by distance (of two at the same distance the earlier one in the gallery stands first), strike what is left out,
# and keep the first `depth` images. With $n$ good images **in the whole gallery**, of which the $k$-th stands at rank $r_k$,
#
# $$AP@\text{depth} = \frac1n \sum_{k \,:\, r_k \leq \text{depth}} \frac{k}{r_k} .$$
#
# Good images beyond the end count as not found. A query without a good image has an AP of 0.

# %% task="truncated_average_precision"


def truncated_average_precision(
    distances: Tensor, good: Tensor, left_out: Tensor, depth: int
) -> float:
    """Average precision of one query, whose list is cut off after `depth` images.

    Args:
        distances: (G,), small is near.
        good: (G,) bool, which images are right.
        left_out: (G,) bool, which take no rank; none of them is good.
        depth: at least 1; it may be more than there are.

    Returns:
        From 0 to 1.
    """
    raise NotImplementedError("yours to write")


# %% test="truncated_average_precision" points=4
check.truncated_average_precision(truncated_average_precision)


# %% [markdown]
# The same list, cut off earlier and later:

# %% [markdown]
# ![Average precision of one list of 40 images against the depth at which it is cut off. It starts at 0.2, rises in steps at each of the five good images, and is level after the last one.](pictures/ex_11_the_metric.png)

# %% [markdown]
# ## 2. Find the bug
#
# The protocol of Market-1501, from distances to mAP and rank-1. There are **four faults** in this program; each has been found in public code.
# (Identities count from 1; 0 is a distractor, -1 junk.)

# %%
def faulty_evaluate(
    distances, query_ids, gallery_ids, query_cams, gallery_cams
):
    """mAP and rank-1, shares from 0 to 1."""
    precisions, firsts = [], []
    for q in range(len(query_ids)):
        order = distances[q].flip(0).argsort(stable=True)
        order = len(gallery_ids) - 1 - order
        hit = gallery_ids[order] == query_ids[q]
        ranks = hit.nonzero().flatten() + 1
        found = torch.arange(1, len(ranks) + 1)
        precisions.append((found / ranks).sum() / max(len(ranks), 1))
        firsts.append(hit[0])
    mean_precision = torch.stack(precisions).mean().item()
    return mean_precision, torch.stack(firsts).double().mean().item()


# The worked example of chapter 11; by the rules mAP is 1/2 and rank-1 is 0.
worked = (
    torch.tensor([[0.10, 0.30, 0.20, 0.40, 0.35, 0.50]]),
    torch.tensor([1]),
    torch.tensor([1, 1, 0, 2, -1, 1]),
    torch.tensor([1]),
    torch.tensor([1, 2, 3, 1, 2, 3]),
)
precision, first = faulty_evaluate(*worked)
print(f"mAP {precision:.3f}, rank-1 {first:.3f}")

# %% task="mended_evaluate"


def mended_evaluate(
    distances: Tensor,
    query_ids: Tensor,
    gallery_ids: Tensor,
    query_cams: Tensor,
    gallery_cams: Tensor,
) -> tuple[float, float]:
    """mAP (the sum) and rank-1 under Market-1501's protocol, over the queries that have a match.

    Args:
        distances: (Q, G), small is near; ties go by place in the gallery.
        query_ids: (Q,) int64, from 1.
        gallery_ids: (G,) int64, from 1; 0 is a distractor, -1 junk.
        query_cams: (Q,) int64.
        gallery_cams: (G,) int64.

    Returns:
        Two shares from 0 to 1.
    """
    raise NotImplementedError("yours to write")


# %% test="mended_evaluate" points=4
check.mended_evaluate(mended_evaluate)

# %% [markdown]
# ## 3. Question
#
# *Two errors that cancel.* Somebody's program gives the same mAP as the official one on one data set, to the second digit. It counts the same
# camera as good, and it counts junk as wrong. Why may the number still be right, why must the program not be used, and which test would you
# write that it can not pass?
#
# | points | for |
# |---|---|
# | 1 | which of the two flatters, and why its effect is large |
# | 1 | which of the two hurts, and why |
# | 1 | why they cancel here, and what follows for a comparison of two methods |
# | 1 | a test that neither error can pass, alone or with the other |

# %% [markdown] question="two_errors_that_cancel" points=4
# *Your answer here.*

# %% [markdown]
# ## Where you are

# %%
check.progress()
