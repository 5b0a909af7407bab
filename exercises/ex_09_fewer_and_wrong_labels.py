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
# # Exercise 09: Fewer and wrong labels
#
# | | |
# |---|---|
# | **Difficulty** | ●●○ |
# | **Time** | 45 minutes |
# | **You need** | chapter 04; mean and standard error |
# | **Points** | 14: one function with 4 points, two with 3, one question with 4 |
#
# Where labels are few, or wrong, a peer's opinion is worth most. You write the loss, spoil labels on purpose, and mend a comparison that would
# have found a gain in any case.
#
# Write your code where it says `NotImplementedError`, run the cell, then run the check below it. It answers in words. When you are stuck,
# `check.NAME.hint(1)`, then 2, then 3.

# %%
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from dml_teach.classroom import check

torch.set_num_threads(1)

# %% [markdown]
# ## 1. Most images have no label
#
# A divergence needs two opinions and no label. So with few labels: the cross-entropy over the images **that have one**, the divergence over
# **all**, each a mean over its own images, and the two added:
#
# $$L = \frac{1}{|\{b : y_b \geq 0\}|} \sum_{b : y_b \geq 0} -\ln p_b^{y_b} \; + \; \frac1B \sum_b D_{KL}(p_{\text{peer},b} \,\|\, p_b) .$$
#
# A label of $-1$ means none. In a batch without any label the first part is 0.

# %% task="semi_supervised_loss"


def semi_supervised_loss(
    logits: Tensor, peer_logits: Tensor, labels: Tensor
) -> Tensor:
    """Cross-entropy where there is a label, plus mimicry everywhere.

    Args:
        logits: (B, C) of the peer that learns; the gradient flows here.
        peer_logits: (B, C) of the peer it listens to.
        labels: (B,) int64, -1 where there is none.

    Returns:
        A scalar tensor, in nats.
    """
    raise NotImplementedError("yours to write")


# %% test="semi_supervised_loss" points=4
check.semi_supervised_loss(semi_supervised_loss)

# %% [markdown]
# ## 2. Wrong on purpose
#
# To see how a method stands wrong labels one needs labels that are wrong in a known way: of $N$ labels exactly `round(share * N)`, chosen at
# random, become **another** class, every other class alike. Two runs with equal generators get equal labels.

# %% task="wrong_labels"


def wrong_labels(
    labels: Tensor, classes: int, share: float, generator: torch.Generator
) -> Tensor:
    """Labels of which a given share is wrong.

    Args:
        labels: (N,) int64; afterwards as they were.
        classes: how many there are, at least 2.
        share: of the labels that become wrong, from 0 to 1; round(share * N) of them.
        generator: all chance comes from here.

    Returns:
        (N,) int64.
    """
    raise NotImplementedError("yours to write")


# %% test="wrong_labels" points=3
check.wrong_labels(wrong_labels)


# %% [markdown]
# A thousand labels of four classes, 40 % of them wrong:

# %% [markdown]
# ![A matrix of four by four shares: rows are the right classes, columns the labels. The diagonal is 0.6, everything else about 0.13.](pictures/ex_09_fewer_and_wrong_labels.png)

# %% [markdown]
# ## 3. Find the bug
#
# Test accuracy after every epoch, for some seeds, once with a peer and once alone. Is mutual learning better, and how sure can one be? There
# are **three faults** in this comparison: two of them let it find a gain where there is none, one hides a gain that is there.

# %%
def faulty_comparison(mutual, alone):
    """Gain of mutual learning and its standard error, from accuracies (S, E) of S seeds in E epochs."""
    best = mutual.max(dim=1).values
    baseline = alone[:, -1]
    difference = (best.mean() - baseline.mean()).item()
    spread = best.var(correction=0) + baseline.var(correction=0)
    return difference, (spread / len(best)).sqrt().item()


generator = torch.Generator().manual_seed(1)
luck = 0.03 * torch.randn(
    5, 1, generator=generator
)  # of a seed: both share it
noise = 0.01 * torch.randn(2, 5, 20, generator=generator)
mutual, alone = 0.7 + luck + noise  # nothing but noise sets them apart
gain, error = faulty_comparison(mutual, alone)
print(f"gain {gain:.3f}, standard error {error:.3f}")

# %% [markdown]
# Write it so that it is right: what the last epoch says, for each seed its own difference, and the standard error of the mean of those. One
# seed says nothing about chance, so there the standard error is `nan`.

# %% task="mended_comparison"


def mended_comparison(mutual: Tensor, alone: Tensor) -> tuple[float, float]:
    """Gain of mutual learning after the last epoch, paired by seed.

    Args:
        mutual: (S, E) accuracies of S seeds after each of E epochs.
        alone: (S, E), row s from the same seed.

    Returns:
        The mean of mutual - alone over the seeds, and its standard error (nan for one seed).
    """
    raise NotImplementedError("yours to write")


# %% test="mended_comparison" points=3
check.mended_comparison(mended_comparison)

# %% [markdown]
# ## 4. Question
#
# *How can one who does not know teach another who does not know?* With 40 % wrong labels a replication finds cohorts of eight at 59.06 %
# where networks alone reach 50.81 %. Nobody in the cohort has ever seen the right labels of the spoilt images. Explain how the cohort can gain,
# and what would have to be true of the wrong labels for it to gain nothing.
#
# | points | for |
# |---|---|
# | 1 | how a wrong label is learnt, compared with a right one |
# | 1 | in what different networks differ on a spoilt image, and in what they do not |
# | 1 | how the pull of the peers and that of the label meet there |
# | 1 | wrong labels with which it would not work, and why |

# %% [markdown] question="who_teaches_whom" points=4
# *Your answer here.*

# %% [markdown]
# ## Where you are

# %%
check.progress()
