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
# # Exercise 03: Distillation
#
# | | |
# |---|---|
# | **Difficulty** | ●●○ |
# | **Time** | 40 minutes |
# | **You need** | chapter 03; of chapter 02 the temperature and $T^2$ |
# | **Points** | 12: two functions with 4 points each, one question with 4 |
#
# Several teachers at once, and one who was never told that class is over.
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
# ## 1. A committee of teachers
#
# $K$ networks that have finished training teach one student together. The student learns from the labels and from the teachers' **averaged
# posterior**:
#
# $$L = (1 - w) \, CE + w \, T^2 \, \frac1B \sum_b D_{KL}\Big( \frac1K \sum_k p_k \,\Big\|\, p_{\text{student}} \Big),
# \qquad p = \text{softmax}(z / T) \text{ in the second part.}$$
#
# The teachers may be very sure: a probability of exactly 0 must do no harm.

# %% task="ensemble_distillation"


def ensemble_distillation(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    weight: float,
) -> Tensor:
    """Distillation from the averaged posterior of several teachers.

    Args:
        student_logits: (B, C); the gradient flows here.
        teacher_logits: (K, B, C), of K teachers; no gradient flows here.
        labels: (B,) int64.
        temperature: T, above 0.
        weight: w, the teachers' share, from 0 to 1.

    Returns:
        A scalar tensor, in nats.
    """
    raise NotImplementedError("yours to write")


# %% test="ensemble_distillation" points=4
check.ensemble_distillation(ensemble_distillation)


# %% [markdown]
# Why not average logits? Two teachers; the first is almost sure of A, the second finds B a little likelier. The louder one decides the mean
# of the logits alone:

# %% [markdown]
# ![Four bar charts over the classes A and B. The first teacher: A 0.998. The second: B 0.73. The mean of their probabilities: A 0.63. The softmax of their mean logits: A 0.93.](pictures/ex_03_distillation.png)

# %% [markdown]
# ## 2. Find the bug
#
# One step of distillation, $CE + T^2 \, D_{KL}(\text{teacher} \,\|\, \text{student})$. The loss is right. There are **three faults** in what
# surrounds it. Before this step the teacher was trained; the student has just been evaluated.

# %%
def faulty_distillation_step(
    student, teacher, optimizer, images, labels, temperature
):
    """One step of the student; returns its loss."""
    student.train()
    own = student(images)
    said = teacher(images)
    apart = F.kl_div(
        F.log_softmax(own / temperature, dim=1),
        F.softmax(said / temperature, dim=1),
        reduction="batchmean",
    )
    loss = F.cross_entropy(own, labels) + temperature**2 * apart
    loss.backward()
    optimizer.step()
    return loss.item()


def small_network(seed):
    """Three classes from four numbers, with dropout and batch norm."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)
    )


teacher, student = small_network(0), small_network(1)
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
images, labels = torch.randn(8, 4), torch.randint(0, 3, (8,))
for _ in range(3):
    loss = faulty_distillation_step(
        student, teacher, optimizer, images, labels, 2.0
    )
    print(round(loss, 4), "the teacher has counted", end=" ")
    print(int(teacher[1].num_batches_tracked), "batches")

# %% [markdown]
# Write it so that it is right.

# %% task="mended_distillation_step"


def mended_distillation_step(
    student: nn.Module,
    teacher: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    temperature: float,
) -> float:
    """One step of the student, CE + T^2 D_KL(teacher || student), means over the batch.

    Args:
        student: from images (B, ...) to logits (B, C); asked once.
        teacher: the same; asked once, and not touched.
        optimizer: of the student.
        images: (B, ...).
        labels: (B,) int64.
        temperature: T, above 0.

    Returns:
        What the student has paid.
    """
    raise NotImplementedError("yours to write")


# %% test="mended_distillation_step" points=4
check.mended_distillation_step(mended_distillation_step)

# %% [markdown]
# ## 3. Question
#
# *What does a teacher add?* A teacher has learnt its training images by heart and gives each of them its right class with $p = 0.9999$. A
# student is distilled on the same images, once at $T = 1$ and once at $T = 4$. What does it hear in each case that the labels do not say
# already? And why do the authors of the paper, and others who distil on the same data, see different gains?
#
# | points | for |
# |---|---|
# | 1 | what is heard at $T = 1$, with the size of the numbers |
# | 1 | what changes at $T = 4$, and what $T^2$ is for there |
# | 1 | where that knowledge is, if the posterior hardly shows it |
# | 1 | a sensible reason for different gains |

# %% [markdown] question="what_a_teacher_adds" points=4
# *Your answer here.*

# %% [markdown]
# ## Where you are

# %%
check.progress()
