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
# # Exercise 07: Unequal peers
#
# | | |
# |---|---|
# | **Difficulty** | ●●○ |
# | **Time** | 40 minutes |
# | **You need** | chapter 04; batch norm's two modes |
# | **Points** | 12: two functions with 4 points each, one question with 4 |
#
# A large network beside a small one: must the large one listen to everything? And how does one find out the width of a stranger's output
# without leaving traces?
#
# Write your code where it says `NotImplementedError`, run the cell, then run the check below it. It answers in words. When you are stuck,
# `check.NAME.hint(1)`, then 2, then 3.

# %%
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dml_teach import plots
from dml_teach.classroom import check

torch.set_num_threads(1)

# %% [markdown]
# ## 1. Listen only where the other one knows better
#
# A peer pays $D_{KL}(p_{\text{peer}} \,\|\, p_{\text{self}})$ on every image, also where the peer is wrong and it is right. A variant for
# unequal peers: it counts only on the images where the peer gives the **right** class more probability than the learner does,
#
# $$L = \frac1B \sum_b \big[\, p_{\text{peer},b}^{\,y_b} > p_{\text{self},b}^{\,y_b} \,\big] \; D_{KL}(p_{\text{peer},b} \,\|\, p_{\text{self},b}) .$$
#
# The mean is over the **whole** batch: a peer that knows little better says little.

# %% task="selective_mimicry"


def selective_mimicry(
    logits: Tensor, peer_logits: Tensor, labels: Tensor
) -> Tensor:
    """Mimicry on the images where the peer knows better, mean over the batch.

    Args:
        logits: (B, C) of the peer that learns; the gradient flows here.
        peer_logits: (B, C) of the peer it listens to.
        labels: (B,) int64.

    Returns:
        A scalar tensor, in nats; 0 where the peer never knows better.
    """
    raise NotImplementedError("yours to write")


# %% test="selective_mimicry" points=4
check.selective_mimicry(selective_mimicry)


# %% [markdown]
# Two classes, the first one right. The learner gives it 0.6. What it pays, by what the peer gives it:

# %% [markdown]
# ![Loss against the peer's probability of the right class, from 0 to 1, for a learner at 0.6. The plain divergence is a bowl with its bottom at 0.6 that rises on both sides. The selective loss is zero up to 0.6 and the same bowl above it.](pictures/ex_07_unequal_peers.png)

# %% [markdown]
# ## 2. Find the bug
#
# Peers of different make must have outputs of one width. Somebody finds out the width of a network by asking it, in a constructor, before
# training. The number is right. But two networks that were built from one seed then **differ**, and so do all random numbers that are drawn
# afterwards. Find the faults; there are **three**.

# %%
def faulty_output_width(network, channels, size):
    """How many logits a network gives for images (B, channels, size, size)."""
    images = torch.randn(2, channels, size, size)
    return network(images).shape[1]


def small_network():
    """Ten classes, with batch norm and dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 10),
    )


torch.manual_seed(0)
network = small_network()
print("running mean before:", network[1].running_mean.tolist())
print("width:", faulty_output_width(network, 3, 8))
print("running mean after: ", network[1].running_mean.tolist())

# %% [markdown]
# Write it so that it leaves no trace: not in the network's numbers, not in the mode of any part of it (somebody may have frozen one), not in
# the random numbers, and no graph in memory.

# %% task="mended_output_width"


def mended_output_width(
    network: nn.Module, channels: int, size: int
) -> int:
    """How many logits a network gives for images (B, channels, size, size).

    Args:
        network: in any mode and of any floating type; afterwards exactly as it was.
        channels: of the images.
        size: height and width of the images.
    """
    raise NotImplementedError("yours to write")


# %% test="mended_output_width" points=4
check.mended_output_width(mended_output_width)

# %% [markdown]
# ## 3. Question
#
# *Does the strong one gain from the weak one?* For a WRN-28-10 beside a MobileNet the paper states 78.69 % alone and 80.28 % together; a
# replication with five seeds finds 78.87 % alone and **76.70 %** together. (The small network gains in both.) How can a weak peer help a strong
# one at all, how can it harm it, and what would you look at to decide between the two reports?
#
# | points | for |
# |---|---|
# | 1 | one way in which a weak peer can help |
# | 1 | one way in which it can harm, with the weight of its voice |
# | 1 | what may differ between two such reports |
# | 1 | a measurement that would tell, with seeds and epochs |

# %% [markdown] question="strong_beside_weak" points=4
# *Your answer here.*

# %% [markdown]
# ## Where you are

# %%
check.progress()
