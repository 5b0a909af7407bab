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
# # Exercise 05: Do they agree?
#
# | | |
# |---|---|
# | **Difficulty** | ●●○ |
# | **Time** | 35 minutes |
# | **You need** | chapter 05: agreement, ensembles, both wrong |
# | **Points** | 12: two functions with 4 points each, one question with 4 |
#
# Two peers agree on 80 % of the images. Is that much? And what does a table say that reports the best peer and an ensemble of logits?
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
# ## 1. Agreement beyond chance
#
# Two peers that name *shoe* for nine images of ten agree often even if neither looks at the image. **Cohen's kappa** takes that off:
#
# $$\kappa_{kl} = \frac{a_{kl} - c_{kl}}{1 - c_{kl}}, \qquad c_{kl} = \sum_m f_k^m f_l^m ,$$
#
# where $a_{kl}$ is the share of images on which both name the same class, and $f_k^m$ the share of images that peer $k$ names $m$. It is 1 for
# full agreement and 0 for what chance gives; below 0 they avoid each other. Where $c_{kl} = 1$ it is not defined: return `nan`.

# %% task="agreement_beyond_chance"


def agreement_beyond_chance(logits: Tensor) -> Tensor:
    """Cohen's kappa of every pair of peers.

    Args:
        logits: (K, N, C) of K peers on N images.

    Returns:
        (K, K) float64; nan where both peers give every image one and the same name.
    """
    raise NotImplementedError("yours to write")


# %% test="agreement_beyond_chance" points=4
check.agreement_beyond_chance(agreement_beyond_chance)


# %% [markdown]
# Two peers that do not look at the images at all, and name the first of four classes more and more often:

# %% [markdown]
# ![Agreement and kappa of two peers that guess, against the share of the first class from 0.25 to 0.95. Agreement rises from 0.25 to 0.9; kappa stays near 0.](pictures/ex_05_do_they_agree.png)

# %% [markdown]
# ## 2. Find the bug
#
# This function makes a row of a results table from the logits of $K$ peers on the test set: how good a single network is, and how good all of
# them are together. Both numbers are computed without an error, and both are not what they seem. There are **two faults**, and both have been
# published.

# %%
def faulty_report(logits, labels):
    """Accuracy of a single network and of the ensemble, shares from 0 to 1."""
    accuracies = (logits.argmax(dim=2) == labels).double().mean(dim=1)
    single = accuracies.max().item()
    together = logits.mean(dim=0).argmax(dim=1)
    ensemble = (together == labels).double().mean().item()
    return single, ensemble


one_image = torch.tensor([[[9.0, 0.0]], [[0.0, 2.0]], [[0.0, 2.0]]])
print(
    "posteriors:", one_image.softmax(dim=2)[:, 0].numpy().round(3).tolist()
)
print("right is class 1;", faulty_report(one_image, torch.tensor([1])))

# %% [markdown]
# Write it so that both numbers can be compared with other people's: what a network of this kind can be expected to do, and what the
# **averaged posterior** does.

# %% task="mended_report"


def mended_report(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """What to expect of one network, and the accuracy of all together.

    Args:
        logits: (K, N, C) of K peers on N test images.
        labels: (N,) int64.

    Returns:
        The mean accuracy of the peers, and the accuracy of their averaged posterior; shares from 0 to 1.
    """
    raise NotImplementedError("yours to write")


# %% test="mended_report" points=4
check.mended_report(mended_report)

# %% [markdown]
# ## 3. Question
#
# *More alike, and better?* Two networks trained apart are each right on 70 % of the images, and both wrong on 15 %. Two that taught each other
# are each right on 71 %, and both wrong on 21 %. What happens to the accuracy of each pair's ensemble, roughly, and why? When would you still
# train them together?
#
# | points | for |
# |---|---|
# | 1 | the most that either pair's average can reach, with the numbers |
# | 1 | on how many images the average has something to decide, for each pair |
# | 1 | what happens to the single networks and to the ensemble, and the price of which of them is what |
# | 1 | a case in which you would train them together, with a reason |

# %% [markdown] question="more_alike_and_better" points=4
# *Your answer here.*

# %% [markdown]
# ## Where you are

# %%
check.progress()
