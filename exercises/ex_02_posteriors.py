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
# # Exercise 02: Posteriors
#
# | | |
# |---|---|
# | **Difficulty** | ●●○ |
# | **Time** | 40 minutes |
# | **You need** | chapter 02: temperature, entropy, $D_{KL}$ and its two ways round |
# | **Points** | 12: two functions with 4 points each, one question with 4 |
#
# How hot must a posterior be made until it doubts as much as you want? And what is wrong with the most copied line of distillation?
#
# Write your code where it says `NotImplementedError`, run the cell, then run the check below it. It answers in words. When you are stuck,
# `check.NAME.hint(1)`, then 2, then 3.

# %%
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from dml_teach import plots
from dml_teach.classroom import check

torch.set_num_threads(1)

# %% [markdown]
# ## 1. As much doubt as you like
#
# At temperature $T$ an image's posterior is $\text{softmax}(z / T)$. Its entropy, in nats, grows with $T$ from 0 to $\ln C$. Given logits of
# some images and a value between, find the one temperature, the same for all images, at which the **mean of their entropies** has that
# value. No formula gives it; but you know which way to go. It lies between 1/10 000 and 1 000 000.

# %% task="temperature_for_entropy"


def temperature_for_entropy(logits: Tensor, entropy: float) -> float:
    """The temperature at which the mean entropy of the posteriors is `entropy` nats.

    Args:
        logits: (B, C).
        entropy: above 0 and below ln C.

    Returns:
        T, to a relative precision of 1e-6 or better.
    """
    raise NotImplementedError("yours to write")


# %% test="temperature_for_entropy" points=4
check.temperature_for_entropy(temperature_for_entropy)


# %% [markdown]
# One image, four classes, and the temperatures for four amounts of doubt:

# %% [markdown]
# ![Four bar charts of one posterior over the classes A to D, made to have an entropy of 0.2, 0.6, 1.0 and 1.3 nats. The first is nearly all A; the last is nearly even, with A still the highest.](pictures/ex_02_posteriors.png)

# %% [markdown]
# ## 2. Find the bug
#
# This is meant to be what a peer pays for differing from another at temperature $T$: $T^2$ times the mean over the images of
# $D_{KL}(p_{\text{peer}} \,\|\, p_{\text{self}})$. It runs and goes down. There are **four faults** in it, and each has been found in public
# code, though seldom all at once.

# %%
def faulty_mimicry(logits, peer_logits, temperature):
    """What a peer pays for differing from another, a scalar."""
    own = F.softmax(logits / temperature, dim=1)
    peer = F.log_softmax(peer_logits / temperature, dim=1)
    return F.kl_div(peer, own, reduction="none").mean()


here = torch.tensor([[1.0, 0.0, 0.0]])
there = torch.tensor([[3.0, 0.0, 0.0]])
print("three classes:   ", faulty_mimicry(here, there, 2.0).item())
unlikely = torch.full((1, 97), -60.0)
here, there = (torch.cat([z, unlikely], dim=1) for z in (here, there))
print("a hundred, 97 of which nobody ever names: ", end="")
print(faulty_mimicry(here, there, 2.0).item())

# %% [markdown]
# That experiment points at one of the four. Write it so that it is right, without the library's `losses`.

# %% task="mended_mimicry"


def mended_mimicry(
    logits: Tensor, peer_logits: Tensor, temperature: float
) -> Tensor:
    """T^2 times the batch mean of D_KL(peer || self), both softened at T.

    Args:
        logits: (B, C), of the peer that learns; the gradient flows here.
        peer_logits: (B, C), of the peer it listens to.
        temperature: T, above 0.

    Returns:
        A scalar tensor.
    """
    raise NotImplementedError("yours to write")


# %% test="mended_mimicry" points=4
check.mended_mimicry(mended_mimicry)

# %% [markdown]
# ## 3. Question
#
# *Which fault does most harm?* Take `faulty_mimicry` as one of two terms of a loss, $CE + \text{mimicry}$, with 100 classes, two peers and
# $T = 2$. For each of the four faults, alone, say what it changes in the **training**, not in the formula: which of them only make the
# peer's voice weaker, and which change what it says?
#
# | points | for |
# |---|---|
# | 1 | which faults are only a weight, and how large a weight each is here |
# | 1 | what one hears, and does not hear, when the arguments are exchanged |
# | 1 | who learns what when the detach is missing |
# | 1 | a judgement of your own, with a reason that concerns training |

# %% [markdown] question="which_fault_harms" points=4
# *Your answer here.*

# %% [markdown]
# ## Where you are

# %%
check.progress()
