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
    ### BEGIN SOLUTION
    blocks = [
        torch.ones(size, size, dtype=torch.float64)
        for size in (first, second)
    ]
    hears = torch.block_diag(*blocks).fill_diagonal_(0)
    hears[first - 1, first] = hears[first, first - 1] = 1
    return hears / hears.sum(dim=1, keepdim=True)
    ### END SOLUTION


# %% test="two_cliques" points=4
check.two_cliques(two_cliques)
### BEGIN HIDDEN TESTS
assert check.two_cliques(two_cliques, seed=601)
assert torch.equal(two_cliques(1, 1), topology.mutual(2))
topology.validate(two_cliques(5, 6), peers=11)
### END HIDDEN TESTS

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

# %% picture="A matrix of seven by seven weights. Two blocks on the diagonal, four by four and three by three, with an empty diagonal, and one weight on either side of the corner where they touch. The rows of the two peers at the bridge are paler."
figure, axis = plt.subplots(figsize=(3.4, 3.0), layout="constrained")
shown = axis.imshow(
    two_cliques(4, 3).numpy(), cmap="Blues", vmin=0, vmax=0.6
)
axis.set_title(f"{rounds(two_cliques(4, 3))} steps", fontsize=10)
axis.set_xlabel("is heard")
axis.set_ylabel("hears")
figure.colorbar(shown, label="weight")
plt.show()

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
    ### BEGIN SOLUTION
    others = torch.cat([logits[:k], logits[k + 1 :]]).detach()
    heard = others.softmax(dim=2).mean(dim=0)
    own = logits[k].log_softmax(dim=1)
    return (torch.xlogy(heard, heard) - heard * own).sum(dim=1).mean()
    ### END SOLUTION


# %% test="mended_dml_e" points=4
check.mended_dml_e(mended_dml_e)
### BEGIN HIDDEN TESTS
assert check.mended_dml_e(mended_dml_e, seed=602)
alike = torch.randn(1, 4, 3).expand(3, 4, 3)
assert mended_dml_e(alike, 1).abs() < 1e-6
### END HIDDEN TESTS

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
# ### BEGIN SOLUTION
# For one peer $l$ the gradient of $D_{KL}(p_l \,\|\, p_k)$ for the logits of $k$ is $p_k - p_l$, since only the cross term $-\sum_m p_l^m \ln p_k^m$
# depends on them. The mean over $l \neq k$ is $p_k - \bar p$ with $\bar p = \frac{1}{K-1} \sum_{l \neq k} p_l$. The divergence from $\bar p$ has
# the gradient $p_k - \bar p$ by the same formula. The two losses differ by a constant, the Jensen-Shannon divergence of the others.
#
# So no difference in training can come from the formula. But the authors' code adds the $K - 1$ divergences up and does not divide. With five
# networks its mimicry has four times the weight, and the averaged teacher has the weight 1. The table then compares two weights rather than
# two losses. That is a guess until it is tested: train both with mimicry weight 1 and both with 4, the same five seeds in each of the four
# arms, and compare after the last epoch, paired by seed. By the identity each pair of arms with one weight should tie.
# ### END SOLUTION

# %% [markdown]
# ## Where you are

# %%
check.progress()
