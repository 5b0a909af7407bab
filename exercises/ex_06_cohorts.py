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
# # Exercise 06: A cohort of N
#
# | | |
# |---|---|
# | **Difficulty** | ●●○ |
# | **Time** | 40 minutes |
# | **You need** | chapter 06: topologies, the mixture, DML_e |
# | **Points** | 12: two functions with 4 points each, one question with 4 |
#
# Two groups with one bridge between them, and an ensemble loss that listens to itself.
#
# Write your code where it says `NotImplementedError`, run the cell, then run the check below it. It answers in words. When you are stuck,
# `check.NAME.hint(1)`, then 2, then 3.

# %%
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from dml_teach import topology
from dml_teach.classroom import check

torch.set_num_threads(1)

# %% [markdown]
# ## 1. Two cliques, one bridge
#
# A *clique* is a group in which everybody hears everybody else. Write the topology of two cliques, of `first` and of `second` peers, joined by
# one **bridge**: the last peer of the first clique and the first peer of the second also hear each other. All whom a peer hears count alike,
# and nobody hears itself. Row $k$ holds the weights with which peer $k$ hears the others.

# %% task="two_cliques"


def two_cliques(first: int, second: int) -> Tensor:
    """The topology W of two cliques that share one bridge.

    Args:
        first: peers in the first clique, at least 1; they are numbered 0 to first - 1.
        second: peers in the second clique, at least 1; they come after those of the first.

    Returns:
        (first + second, first + second) float64; each row sums to 1.
    """
    raise NotImplementedError("yours to write")


# %% test="two_cliques" points=4
check.two_cliques(two_cliques)

# %% [markdown]
# How long does it take until a word has gone round? In one step a peer's opinion reaches those who hear it.

# %%


def rounds(matrix):
    """Steps until every peer has been reached by every other."""
    arrows = (matrix > 0) | torch.eye(len(matrix), dtype=torch.bool)
    reached, steps = torch.eye(len(matrix), dtype=torch.bool), 0
    while not reached.all():
        reached = (arrows.double() @ reached.double()) > 0
        steps += 1
    return steps


for name, matrix in {
    "mutual": topology.mutual(6),
    "ring": topology.ring(6),
}.items():
    print(f"{name:<12}", rounds(matrix))


# %% [markdown]
# For cliques of four and three peers your matrix should look like this, and a word needs three steps:

# %% [markdown]
# ![A matrix of seven by seven weights. Two blocks on the diagonal, four by four and three by three, with an empty diagonal, and one weight on either side of the corner where they touch. The rows of the two peers at the bridge are paler.](pictures/ex_06_cohorts.png)

# %% [markdown]
# ## 2. Find the bug
#
# DML_e, the ensemble as a teacher: peer $k$ pays the divergence from the averaged posterior of the **other** peers,
#
# $$L_k = \frac1B \sum_b D_{KL}\Big( \frac{1}{K-1} \sum_{l \neq k} p_l \,\Big\|\, p_k \Big) .$$
#
# There are **four faults** in this one.

# %%
def faulty_dml_e(logits, k):
    """What peer k pays, from the logits (K, B, C) of all peers; a scalar."""
    average = logits.mean(dim=0).softmax(dim=1)
    own = logits[k].log_softmax(dim=1)
    return F.kl_div(own, average, reduction="none").mean()


two = torch.tensor([[[2.0, 0.0]], [[0.0, 2.0]]])
print("two peers of opposite opinions:", faulty_dml_e(two, 0).item())

# %% task="mended_dml_e"


def mended_dml_e(logits: Tensor, k: int) -> Tensor:
    """The divergence of peer k from the averaged posterior of the others, mean over the batch.

    Args:
        logits: (K, B, C) of all peers, K at least 2; gradient flows into row k alone.
        k: the peer that learns.

    Returns:
        A scalar tensor, in nats.
    """
    raise NotImplementedError("yours to write")


# %% test="mended_dml_e" points=4
check.mended_dml_e(mended_dml_e)

# %% [markdown]
# ## 3. Question
#
# *The same gradient, another result.* With the peers held constant, the mean of the divergences $D_{KL}(p_l \,\|\, p_k)$ over the others and
# the divergence from the others' average have the same gradient for peer $k$'s logits. Show it. The paper nevertheless reports the second as
# clearly worse on person re-identification with five networks. Give the explanation that the authors' published code suggests, and say how you
# would test it.
#
# | points | for |
# |---|---|
# | 2 | the two gradients, computed, and that they are equal |
# | 1 | what the published code does differently, with the number that follows at K = 5 |
# | 1 | a test that could refute the explanation: what is held equal, what is compared |

# %% [markdown] question="same_gradient_other_result" points=4
# *Your answer here.*

# %% [markdown]
# ## Where you are

# %%
check.progress()
