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
# # Exercise 04: Two peers
#
# | | |
# |---|---|
# | **Difficulty** | ●●○ |
# | **Time** | 40 minutes |
# | **You need** | chapter 04; of chapter 02 the gradient of $D_{KL}$ |
# | **Points** | 12: two functions with 4 points each, one question with 4 |
#
# In chapter 04 two networks taught each other, and you wrote the step. Here you turn the divergence round and see what it then asks of a
# network, and you find three faults in a step that somebody else has written.
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
# ## 1. The other way round
#
# A peer pays $D_{KL}(p_{\text{peer}} \,\|\, p_{\text{self}})$, and the pull on its logits is $p_{\text{self}} - p_{\text{peer}}$. Suppose
# somebody exchanges the two:
#
# $$L = \frac{1}{B} \sum_{b} D_{KL}(p_b \,\|\, q_b) = \frac{1}{B} \sum_b \sum_m p_b^m \ln \frac{p_b^m}{q_b^m},
# \qquad p = \text{softmax}(\text{logits}), \quad q = \text{softmax}(\text{target}).$$
#
# Compute $\partial L / \partial\, \text{logits}$. On paper first: now the logits stand in *two* places, in front of the logarithm and
# inside it. Then in code, for a whole batch, and so that logits of 10 000 do no harm.

# %% task="reverse_kl_gradient"


def reverse_kl_gradient(logits: Tensor, target: Tensor) -> Tensor:
    """The gradient of mean_b D_KL(p_b || q_b) for the logits of p.

    Args:
        logits: (B, C), one's own.
        target: (B, C), the peer's logits; q is their softmax.

    Returns:
        (B, C), of the same dtype.
    """
    raise NotImplementedError("yours to write")


# %% test="reverse_kl_gradient" points=4
check.reverse_kl_gradient(reverse_kl_gradient)


# %% [markdown]
# What does the exchange do to a network? A peer finds A and B equally likely. A network that is sure of A, and has never thought of B,
# follows either pull downhill for twenty steps. This is what your function should make of it:

# %% [markdown]
# ![Four bar charts of probabilities for the classes A to D. The peer: A and B one half each. The start: A nearly 1. After twenty steps with the peer in front, A and B are nearly one half each. After twenty steps with oneself in front, A is still nearly 1 and B nearly 0.](pictures/ex_04_two_peers.png)

# %% [markdown]
# With the peer in front, one pays for every class that the peer finds possible. With oneself in front one pays only for what one says
# oneself, and a class with $p \approx 0$ is hardly pulled at: what you do not think possible, you do not hear.
#
# ## 2. Find the bug
#
# The step below is meant to be the *simultaneous* step of chapter 04, with SGD and a batch from a loader. It is put together from public
# code. It runs, the losses go down, and the two networks gain nothing from each other. There are **three faults** in it, each of them found
# in a repository that people use.
#
# Run it a few times, change things, print what you like. An evaluation on test images has just run before it.

# %%
def faulty_step(networks, optimizers, images, labels):
    """One mini-batch for two peers; returns what each has paid, (2,)."""
    logits = [network(images) for network in networks]
    paid = []
    for k in (0, 1):
        own = F.log_softmax(logits[k], dim=1)
        peer = F.softmax(logits[1 - k], dim=1)
        supervised = F.cross_entropy(logits[k], labels)
        mimicry = F.kl_div(own, peer, reduction="none").mean()
        paid.append(supervised + mimicry)
    for optimizer in optimizers:
        optimizer.zero_grad()
    (paid[0] + paid[1]).backward()
    for optimizer in optimizers:
        optimizer.step()
    return torch.stack(paid).detach()


def small_network(seed):
    """Three classes from four numbers, with dropout and batch norm."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(4, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(8, 3),
    )


networks = [small_network(0), small_network(1)]
optimizers = [torch.optim.SGD(n.parameters(), lr=0.1) for n in networks]
images, labels = torch.randn(8, 4), torch.randint(0, 3, (8,))
for network in networks:
    network.eval()  # what the evaluation left behind
for _ in range(3):
    print(faulty_step(networks, optimizers, images, labels).tolist())

# %% [markdown]
# Now write it so that it is right. Keep the signature; ask each network once; both learn from what was said *before* anybody moved.

# %% task="mended_step"


def mended_step(networks, optimizers, images, labels) -> Tensor:
    """One simultaneous step: each of two peers pays CE + D_KL(peer || self), means over the batch.

    Args:
        networks: two, from images (B, ...) to logits (B, C).
        optimizers: one for each.
        images: (B, ...).
        labels: (B,) int64.

    Returns:
        (2,), what each has paid, without a graph behind it.
    """
    raise NotImplementedError("yours to write")


# %% test="mended_step" points=4
check.mended_step(mended_step)

# %% [markdown]
# ## 3. Question
#
# *Why must the peer be detached?* In `faulty_step`, describe in your own words what the loss of peer 0 asks of **peer 1**, with the
# formula of its pull. Then say why two networks that do this to each other may show a *falling* mimicry loss and still learn nothing from
# each other.
#
# | points | for |
# |---|---|
# | 1 | whose weights the loss of peer 0 moves, and why |
# | 1 | the pull on peer 1's logits, in a formula or rightly in words (you have just computed it) |
# | 1 | what it asks of peer 1, as one would say it to a person |
# | 1 | why a small divergence then proves nothing |

# %% [markdown] question="why_detach" points=4
# *Your answer here.*

# %% [markdown]
# ## Where you are
#
# `check.progress()` shows what you have passed. Next is exercise 05: now that they teach each other, do they agree, and on what?

# %%
check.progress()
