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
# # Exercise 01: One network
#
# | | |
# |---|---|
# | **Difficulty** | ●○○ |
# | **Time** | 30 minutes |
# | **You need** | chapter 01: the posterior, the pull on a logit, train and eval mode |
# | **Points** | 11: two functions with 4 points each, one question with 3 |
#
# A network that is right about everything it has studied keeps growing surer. You compute what stops it when labels are smoothed a little,
# and you mend an evaluation that many people have written just so.
#
# Write your code where it says `NotImplementedError`, run the cell, then run the check below it. It answers in words. When you are stuck,
# `check.NAME.hint(1)`, then 2, then 3.

# %%
import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from dml_teach import plots
from dml_teach.classroom import check

torch.set_num_threads(1)

# %% [markdown]
# ## 1. A label with a grain of doubt
#
# With *label smoothing* $s$ the target of an image is no longer one class alone. Each of the $C$ classes gets $s / C$, and the right one the
# rest, so that all sums to 1:
#
# $$t^m = (1 - s) \, [m = y] + \frac{s}{C}, \qquad L = -\frac{1}{B} \sum_b \sum_m t_b^m \ln p_b^m .$$
#
# Compute the gradient $\partial L / \partial\, \text{logits}$ without autograd. *Predict* first: for which posterior does nothing pull any
# more?

# %% task="smoothed_pull"


def smoothed_pull(
    logits: Tensor, labels: Tensor, smoothing: float
) -> Tensor:
    """The gradient of the smoothed cross-entropy, a mean over the batch, for the logits.

    Args:
        logits: (B, C).
        labels: (B,) int64.
        smoothing: s, from 0 to below 1.

    Returns:
        (B, C), of the dtype of `logits`.
    """
    raise NotImplementedError("yours to write")


# %% test="smoothed_pull" points=4
check.smoothed_pull(smoothed_pull)


# %% [markdown]
# Follow that pull from nothing, three classes, the first one right. Without smoothing the network never stops; with it, it comes to rest:

# %% [markdown]
# ![Probability of the right class over 300 steps for three amounts of smoothing. Without smoothing the line climbs towards 1 and never stops; with 0.1 it comes to rest at 0.93, with 0.4 at 0.73.](pictures/ex_01_one_network.png)

# %% [markdown]
# ## 2. Find the bug
#
# The function below is to tell the share of images that a network names rightly. There are **three faults** in it. One makes the number
# wrong, one makes it dear, and one ruins the training that goes on afterwards.

# %%
def faulty_accuracy(network, images, labels, batch_size):
    """Share of the images that the network names rightly."""
    network.eval()
    shares = []
    for start in range(0, len(images), batch_size):
        logits = network(images[start : start + batch_size])
        right = logits.argmax(dim=1) == labels[start : start + batch_size]
        shares.append(right.float().mean().item())
    return sum(shares) / len(shares)


torch.manual_seed(0)
network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
images = torch.randn(5, 4)
labels = network.eval()(images).argmax(dim=1)
labels[4] = (labels[4] + 1) % 3  # one of five is wrong
network.train()
print("accuracy:", faulty_accuracy(network, images, labels, 4))

# %% [markdown]
# Write it so that it is right. Whatever mode the network is in, each part of it is in the same mode afterwards: somebody may have frozen a
# part of it in eval mode.

# %% task="mended_accuracy"


def mended_accuracy(
    network: nn.Module, images: Tensor, labels: Tensor, batch_size: int
) -> float:
    """Share of the images that the network names rightly in eval mode, from 0 to 1.

    Args:
        network: from images (B, ...) to logits (B, C); afterwards as it was.
        images: (N, ...).
        labels: (N,) int64.
        batch_size: the network is shown at most so many images at once.
    """
    raise NotImplementedError("yours to write")


# %% test="mended_accuracy" points=4
check.mended_accuracy(mended_accuracy)

# %% [markdown]
# ## 3. Question
#
# *Right about everything, and still learning.* A network names all of its training images rightly and its training loss still falls, epoch
# after epoch. What is it learning, and is that good for images it has not seen? Answer with the pull on a logit.
#
# | points | for |
# |---|---|
# | 1 | the pull on a logit in a formula, and when it vanishes |
# | 1 | what still changes in the network when no name changes any more |
# | 1 | what that does to images it has not seen, in a measure of your choice, and one way to hold it back |

# %% [markdown] question="right_and_still_learning" points=3
# *Your answer here.*

# %% [markdown]
# ## Where you are

# %%
check.progress()
