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
# # Exercise 08: Why does it work?
#
# | | |
# |---|---|
# | **Difficulty** | ●●● |
# | **Time** | 45 minutes |
# | **You need** | entropy (chapter 02); flat and sharp minima |
# | **Points** | 12: two functions with 4 points each, one question with 4 |
#
# Two explanations are on offer: mutual learning keeps second opinions alive, and it finds flatter minima. You build a measure for each. The
# second is easily built so that it measures something else.
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
# ## 1. How many second opinions?
#
# Strike out a posterior's first choice and let the rest sum to 1 again: $q$. If $q$ is spread evenly over $n$ classes, its entropy is $\ln n$.
# So $e^{H(q)}$ counts the alternatives that the network sees beside its first choice, from 1 (one rival has all that is left) to $C - 1$ (no
# idea). Compute it for each image. A trained network may be so sure that $1 - p$ is rounded to 0; the rivals are still in its logits.

# %% task="effective_alternatives"


def effective_alternatives(logits: Tensor) -> Tensor:
    """The exponential of the entropy of each posterior without its first choice, renormalised.

    Args:
        logits: (N, C), C at least 2. Where several classes tie for the first place, one of them is struck out.

    Returns:
        (N,), of the dtype of `logits`, from 1 to C - 1.
    """
    raise NotImplementedError("yours to write")


# %% test="effective_alternatives" points=4
check.effective_alternatives(effective_alternatives)


# %% [markdown]
# Three posteriors with the same first choice at 0.7, and their alternatives:

# %% [markdown]
# ![Three bar charts over the classes A to E, each with A at 0.7. In the first B has all the rest: 1.0 alternatives. In the second B and C share it: 2.0. In the third B to E share it evenly: 4.0.](pictures/ex_08_why_does_it_work.png)

# %% [markdown]
# ## 2. Find the bug
#
# How much does the loss rise when the weights are shaken? The smaller the rise, the flatter the minimum. With weights $w_1, w_2, \dots$ (tensors)
# and given directions $e$ of noise, for each draw
#
# $$\text{rise} = L\Big(w_i + s \, \frac{\|w_i\|}{\sqrt{n_i}} \, e_i \Big) - L(w), \qquad n_i \text{ numbers in } w_i ,$$
#
# and then the mean over the draws. The noise is *relative*: measured by the root mean square of the tensor on which it falls. There are
# **three faults** in this program.

# %%
def faulty_rise(loss, weights, noises, scale):
    """Mean rise of the loss under noise."""
    total = 0.0
    for noise in noises:
        for w, e in zip(weights, noise, strict=True):
            w += scale * e
        total += float(loss(weights))
    return total / len(noises)


def bowl(weights):
    """The lowest loss, 0, is at w = 2."""
    return ((weights[0] - 2) ** 2).sum()


weights = [torch.tensor([2.0, 2.0])]
noises = 3 * [[torch.tensor([1.0, -1.0])]]
print("a rise:           ", faulty_rise(bowl, weights, noises, 0.1))
print("the same once more:", faulty_rise(bowl, weights, noises, 0.1))

# %% [markdown]
# The second call gives something else than the first. Write it so that it is right.

# %% task="mended_rise"


def mended_rise(
    loss, weights: list[Tensor], noises: list[list[Tensor]], scale: float
) -> float:
    """Mean rise of the loss under relative noise.

    Args:
        loss: a function from a list of tensors to a scalar.
        weights: I tensors; afterwards as they were.
        noises: D draws, each a list of I tensors of the shapes of the weights.
        scale: s, the ratio of the noise to the root mean square of the tensor that it falls on.

    Returns:
        The mean over the draws of the loss with noise minus the loss without.
    """
    raise NotImplementedError("yours to write")


# %% test="mended_rise" points=4
check.mended_rise(mended_rise)

# %% [markdown]
# ## 3. Question
#
# *Flat, or just modest?* Networks that taught each other have a smaller rise than networks trained alone, as the paper reports. A colleague
# says: "Of course. They are less sure of themselves, and a modest posterior always rises more slowly." Explain why that is a serious objection,
# and describe a measurement that could tell the two explanations apart.
#
# | points | for |
# |---|---|
# | 1 | a change of the network that leaves all names and changes the rise |
# | 1 | why the objection predicts the direction that was found |
# | 1 | a measurement that takes the certainty out |
# | 1 | a second one, or what makes the first one fair: noise, draws, seeds |

# %% [markdown] question="flat_or_modest" points=4
# *Your answer here.*

# %% [markdown]
# ## Where you are

# %%
check.progress()
