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
    ### BEGIN SOLUTION
    named = F.one_hot(logits.argmax(dim=2), logits.shape[2]).double()
    agreed = torch.einsum("knc,lnc->kl", named, named) / named.shape[1]
    often = named.mean(dim=1)
    chance = often @ often.T
    return (agreed - chance) / (1 - chance)
    ### END SOLUTION


# %% test="agreement_beyond_chance" points=4
check.agreement_beyond_chance(agreement_beyond_chance)
### BEGIN HIDDEN TESTS
assert check.agreement_beyond_chance(agreement_beyond_chance, seed=501)
### END HIDDEN TESTS

# %% [markdown]
# Two peers that do not look at the images at all, and name the first of four classes more and more often:

# %% picture="Agreement and kappa of two peers that guess, against the share of the first class from 0.25 to 0.95. Agreement rises from 0.25 to 0.9; kappa stays near 0."
generator = torch.Generator().manual_seed(0)
shares, plain, beyond = torch.linspace(0.25, 0.95, 15), [], []
for share in shares.tolist():
    often = torch.tensor([share] + 3 * [(1 - share) / 3]).expand(2, 4)
    guess = torch.multinomial(often, 4000, True, generator=generator)
    plain.append((guess[0] == guess[1]).double().mean().item())
    logits = F.one_hot(guess, 4).double()
    beyond.append(agreement_beyond_chance(logits)[0, 1].item())
figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
axis.plot(shares.numpy(), plain, color=plots.COLOURS[0], label="agreement")
axis.plot(shares.numpy(), beyond, color=plots.COLOURS[1], label="kappa")
axis.set_xlabel("share of the first class among the guesses")
axis.legend(frameon=False)
plt.show()

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
    ### BEGIN SOLUTION
    single = (logits.argmax(dim=2) == labels).double().mean()
    together = logits.double().softmax(dim=2).mean(dim=0).argmax(dim=1)
    return single.item(), (together == labels).double().mean().item()
    ### END SOLUTION


# %% test="mended_report" points=4
check.mended_report(mended_report)
### BEGIN HIDDEN TESTS
assert check.mended_report(mended_report, seed=502)
assert mended_report(one_image, torch.tensor([1]))[1] == 1.0
### END HIDDEN TESTS

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
# ### BEGIN SOLUTION
# Where both are wrong, their average is nearly always wrong. So the pair that was trained apart can at best be right on 85 % of the images,
# the other on 79 %. Apart, each is right on 70 %, so both are right on 55 % and exactly one of them on 30 %: on these the average can
# decide for the right one, and if it does so in six cases of ten the ensemble has 73 %. Together they are both right on 63 % and one of them
# on 16 %; six cases of ten give 72.6 %. The better networks make the worse ensemble, for they are wrong on the same images.
#
# I would train them together if only one of them is used in the end: on a telephone there is room for one, and that one is better and less
# sure of itself where it is wrong. If two can be asked, two that never met are at least as good.
# ### END SOLUTION

# %% [markdown]
# ## Where you are

# %%
check.progress()
