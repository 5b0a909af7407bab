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
# # 00 · Welcome
#
# **Can two students who know nothing teach each other something?** In 2018 Ying Zhang and colleagues trained two networks side by side and
# let each of them listen to the other's opinion. Both, they reported, came out better than networks trained alone. There was no teacher in the room.
# The paper is called *Deep Mutual Learning*, **DML** for short, and this course takes it apart, rebuilds it, and tests its claims.
#
# | | |
# |---|---|
# | **After this chapter you can** | find your way through the course, check your installation, and say what the three ways of learning differ in |
# | **Time** | 10 minutes |
# | **You need** | Python, and a first acquaintance with PyTorch: tensors, modules, a training loop you have seen before |

# %% [markdown]
# ## The whole course in one picture
#
# Circles are networks. Those that train side by side are called **peers**, and all of them together a **cohort**. An arrow goes from the one who
# teaches to the one who learns. Everybody also learns from the labels; the arrows are what comes on top.

# %% mystnb={"image": {"alt": "Three panels with two or three circles each. Independent: no arrows. One-way: an arrow from circle 0 to circle 1. Mutual: arrows in both directions between all circles."}}
from dml_teach import plots, topology

plots.topologies(
    {
        "independent": topology.independent(2),
        "one-way": topology.one_way(2),
        "mutual, two": topology.mutual(2),
        "mutual, three": topology.mutual(3),
    }
)

# %% [markdown]
# A picture like this is a matrix, the **topology** $W$. Row $k$ says whom peer $k$ listens to, and its entries are the weights of the others'
# opinions. A row sums to 1, or to 0 if that peer listens to nobody.

# %%
for name in ("independent", "one-way", "mutual"):
    print(name)
    print(topology.by_name(name, 3), end="\n\n")

# %% [markdown]
# Everything that this course teaches is such a matrix put into the same few lines of code. Training alone (*independent*), learning from a
# teacher (*distillation*, where the teacher has finished), teaching each other (*mutual learning*), a ring of whispers: the trainer never changes, only $W$ does. In `dml_teach` the matrices live in
# [`topology.py`](../dml_teach/topology.py), the step that uses them in [`cohort.py`](../dml_teach/cohort.py).

# %% [markdown]
# ## Is everything here?
#
# The next cell asks the course's doctor. What it prints depends on your machine, so it belongs to the few outputs that nobody compares. You need not
# understand every line; the last ones matter.

# %% tags=["nbval-ignore-output"]
# not compared: versions, device and folders differ from machine to machine
from dml_teach.doctor import examine

print(examine())

# %% [markdown]
# If a line says *missing* or *not found*, the last lines tell what to do. CIFAR-100 is the paper's data set, small colour photographs of a hundred kinds of
# things. The notebooks do not need it: by default they use a small slice of Fashion-MNIST, ten kinds of clothes in 28 x 28 grey pixels, that came with the package.

# %%
from dml_teach import scale

here = scale.current()
train, test = here.images()
print("scale:          ", here.name)
print("training images:", tuple(train.images.shape), train.images.dtype)
print("test images:    ", tuple(test.images.shape))
print("classes:        ", ", ".join(train.class_names))

# %% mystnb={"image": {"alt": "Twenty small grey pictures of clothes and shoes, each with the name of its class above."}}
plots.images(
    train.images[:20], [train.class_names[y] for y in train.labels[:20]]
)

# %% [markdown]
# ## The way through
#
# ![The course as a map. From one network to N peers: 00 Welcome leads to 01 One network, 02 Posteriors, 03 Distillation, 04 Two peers, 05 Do they agree? and 06 A cohort of N. From there three ways go on: 07 Unequal peers, 08 Why does it work?, 09 Fewer and wrong labels; 10 Who is this?, 11 The metric, 12 Mutual learning for re-identification; 13 Many devices, 14 Beyond, and an experiment of your own. Chapters 01 to 09 and 11 have exercises.](figures/course_map.png)
#
# The numbers give the order of reading. After chapter 06 the three columns can also be read by themselves, each from its top; chapter 14 comes last. [The cheat sheet](reference/cheat_sheet.md) has on one page what one looks up most often.
#
# ## How a chapter works
#
# - **Run it.** Read a cell, then press <kbd>Shift</kbd>+<kbd>Enter</kbd>. Every output you see was made by running the notebook from top to bottom,
#   and a machine runs it again and compares after every change to the course.
# - **Predict first.** Where it says *Predict*, stop and write your guess down before you run the cell. A guess that turns out wrong teaches more
#   than a page that you nod at.
# - **Follow the thread.** An equation names the function that computes it and the test that proves it. What a chapter builds step by step is what the
#   library contains, so by the end you have seen all that matters from the inside.
# - **Play.** Some chapters hold a widget, which answers to mouse and keyboard: on the web as it stands, in JupyterLab once you have run its cell.
# - **Recall.** Each chapter closes with five questions. Answer them with the page closed.
#
# Chapters train real networks, small ones, in seconds. One switch makes them bigger: set the environment variable `DML_TEACH_SCALE` to `laptop` or `paper`
# before you start JupyterLab and the same cells train the paper's ResNets on CIFAR-100, if it is there. (The text was written for the outputs of the
# `classroom` scale, which is the default.)

# %%
for each in scale.SCALES.values():
    print(
        f"{each.name:<10} {each.network:<9} on {each.subset or 'all'} images of {each.data}, {each.recipe.epochs} epochs"
    )

# %% [markdown]
# ## Whose number is it?
#
# Papers report numbers, others try to repeat them, and sometimes get different ones. So every number in this course that the page has not just
# computed says whose it is, its **tier**:
#
# | tier | who measured it | example |
# |---|---|---|
# | **paper** | the authors | two ResNet-32 on CIFAR-100: 68.99 % alone, 71.19 % and 70.75 % together |
# | **others** | somebody who ran it again | the same pair, five seeds: 69.56 % alone, 70.95 % together |
# | **ours** | this course | with the command, the seeds and the machine beside it |
#
# (ResNet-32 is the smallest of the paper's networks, with half a million weights. The others whose names you will meet are MobileNet, InceptionV1 and
# WRN-28-10, with 3.3, 7.8 and 36.5 million (**paper**). A *seed* is the number that fixes all chance in a training; five seeds are five trainings.)
#
# Where an effect does not show, the course says so. *Predict:* how large is the gain from a partner who is as clueless as you are? The two example
# rows hold the answer for one case; work it out in **points**, which is short for percentage points. Chapter by chapter you will see where it comes
# from, and where it fails to come.

# %%
paper = {"alone": 68.99, "together": (71.19 + 70.75) / 2}
others = {"alone": 69.56, "together": 70.95}
for tier, numbers in {"paper": paper, "others": others}.items():
    print(
        f"{tier:<7} gain {numbers['together'] - numbers['alone']:+.2f} points"
    )

# %% [markdown]
# ## Summary
#
# - A cohort is a set of networks, its peers, and a topology $W$ that says who learns from whom.
# - Independent training, distillation and mutual learning are three matrices, not three programs.
# - Numbers come in three tiers, and outputs are checked by running them.
#
# ## Recall
#
# 1. What does row $k$ of the topology say? What does a row of zeros mean?
# 2. Which peers learn from others in `one_way(3)`?
# 3. Why does each row of `mutual(3)` hold one half twice, and not one twice?
# 4. What are the three tiers of numbers, and why keep them apart?
# 5. What would the matrix of a ring of four peers look like? Check with `topology.ring(4)`.
#
# [Chapter 01](01_one_network.ipynb) begins with a single network, because before two can teach each other, one has to learn.
