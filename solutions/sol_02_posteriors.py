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
    ### BEGIN SOLUTION
    cold, hot = torch.tensor([1e-4, 1e6], dtype=torch.float64).log()
    for _ in range(80):
        middle = (cold + hot) / 2
        log_p = (logits.double() / middle.exp()).log_softmax(dim=1)
        doubt = -torch.xlogy(log_p.exp(), log_p.exp()).sum(dim=1).mean()
        cold, hot = (middle, hot) if doubt < entropy else (cold, middle)
    return middle.exp().item()
    ### END SOLUTION


# %% test="temperature_for_entropy" points=4
check.temperature_for_entropy(temperature_for_entropy)
### BEGIN HIDDEN TESTS
assert check.temperature_for_entropy(temperature_for_entropy, seed=201)
two = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
warm = temperature_for_entropy(two, 0.6)
assert abs(temperature_for_entropy(10 * two, 0.6) / warm - 10) < 1e-5
### END HIDDEN TESTS

# %% [markdown]
# One image, four classes, and the temperatures for four amounts of doubt:

# %% picture="Four bar charts of one posterior over the classes A to D, made to have an entropy of 0.2, 0.6, 1.0 and 1.3 nats. The first is nearly all A; the last is nearly even, with A still the highest."
z = torch.tensor([[3.0, 2.0, 0.0, -1.0]], dtype=torch.float64)
figure, axes = plt.subplots(
    1, 4, figsize=(7.4, 2.2), sharey=True, layout="constrained"
)
for axis, entropy in zip(axes, (0.2, 0.6, 1.0, 1.3), strict=True):
    t = temperature_for_entropy(z, entropy)
    axis.bar(
        list("ABCD"),
        (z / t).softmax(dim=1)[0].numpy(),
        color=plots.COLOURS[0],
    )
    axis.set_title(f"{entropy} nats: T = {t:.2f}", fontsize=9)
axes[0].set_ylabel("probability")
plt.show()

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
    ### BEGIN SOLUTION
    own = F.log_softmax(logits / temperature, dim=1)
    peer = F.log_softmax(peer_logits.detach() / temperature, dim=1)
    apart = F.kl_div(own, peer, reduction="batchmean", log_target=True)
    return apart * temperature**2
    ### END SOLUTION


# %% test="mended_mimicry" points=4
check.mended_mimicry(mended_mimicry)
### BEGIN HIDDEN TESTS
assert check.mended_mimicry(mended_mimicry, seed=202)
assert mended_mimicry(here[:, :3], there[:, :3], 2.0).isclose(
    mended_mimicry(here, there, 2.0)
)
### END HIDDEN TESTS

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
# ### BEGIN SOLUTION
# Two of the faults are only weights. The mean over 100 classes makes the mimicry term 100 times too weak, the missing $T^2$ at $T = 2$
# four times. Together the peer is heard 400 times too softly; the training is practically that of independent networks. But whoever tunes
# the weight of the term would find that out and undo it.
#
# The other two change what is learnt. With the arguments exchanged, one's own posterior weighs the logarithm, so one is only corrected where
# one is already confident, and hears little of the classes that the peer finds possible and oneself does not: just what a peer is for. Without
# detach the gradient runs into the peer as well, and it is pulled towards saying what is easy to copy.
#
# I find the missing detach worst: no weight repairs it, all curves look fine, and at $K = 2$ it works against both networks at once.
# ### END SOLUTION

# %% [markdown]
# ## Where you are

# %%
check.progress()
