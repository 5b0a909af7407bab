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
# # 01 · One network
#
# **One network learns alone, gets everything right that it has studied, and is far too sure of itself.** That is the patient. The rest of the course is
# about a treatment, so first we look closely at the illness.
#
# | | |
# |---|---|
# | **After this chapter you can** | write the training loop that everything later builds on; read a posterior; say what cross-entropy rewards and what it leaves open |
# | **Time** | 25 minutes, of which a quarter of a minute is the computer's |
# | **You need** | chapter 00; PyTorch's tensors, modules and `backward()` |

# %% [markdown]
# ## Where we are going
#
# Two curves of the training that you will write below. The upper one is the accuracy on the images that the network studies, the lower one that on images
# it has never seen. It masters the first and stalls on the second. The gap between them is what a good companion could help with.

# %% mystnb={"image": {"alt": "Accuracy over the epochs: the line for training images climbs to 100 percent, the line for probe images levels off near 80 percent."}}
import math
import tempfile
from pathlib import Path

import torch

from dml_teach import losses, metrics, models, plots, scale, seeds, topology
from dml_teach.data.batches import Batches, evaluation_batches
from dml_teach.data.images import split
from dml_teach.recipes import learning_rate
from dml_teach.trainer import fit

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

here = scale.current()
train, test = here.images()
folder = Path(tempfile.mkdtemp())


def train_alone(seed):
    """One network on its own, trained by the library; returns its run."""
    return fit(
        [here.network],
        topology.independent(1),
        train,
        test,
        here.recipe,
        seed=seed,
        out=folder / f"seed-{seed}",
        subset=here.subset,
        progress=False,
    )


preview = train_alone(seed=0)
plots.metrics_of(
    preview,
    {"train_top1": "images it studies", "top1": "images it has never seen"},
)

# %% [markdown]
# That was one call of the library's `fit`. Now we take it apart and write it ourselves, and at the end we ask whether ours and the library's are the same.
#
# ## The images
#
# Three piles, and it matters that they never mix:
#
# - **training** images, which the network learns from;
# - **probe** images, held out, on which we look at the network while it learns;
# - **test** images, read once, at the very end. Whoever peeks earlier starts to choose what looks good on them, and then they prove nothing.

# %%
training, probe = split(train, here.recipe.probe_images, here.subset)
piles = {"training": training, "probe": probe, "test": test}
for name, pile in piles.items():
    low, high = pile.labels.bincount().aminmax()
    shape = tuple(pile.images.shape)
    print(f"{name:<9} {shape}, {low} to {high} images of each class")

# %% [markdown]
# The pixels are bytes. A network prefers numbers around 0, so a batch is *normalised*: scaled to $[0, 1]$, less the mean, divided by the standard
# deviation. `Batches` does that for a whole batch at once and shuffles anew every epoch. It draws from generators that we hand in, so that a seed fixes
# everything.

# %%
seed = 0
batches = Batches(
    training,
    here.recipe.batch_size,
    augment=here.recipe.augment,
    order=seeds.generator(seed, "order"),
    augmentation=seeds.generator(seed, "augmentation"),
)
size = here.recipe.batch_size
images, labels = next(iter(evaluation_batches(training, size)))
print("images:", tuple(images.shape), images.dtype)
print("labels:", tuple(labels.shape), labels.dtype)
print("batches in an epoch:", len(batches))

# %% [markdown]
# ## The network and its posterior
#
# A small convolutional network turns a batch of $B$ images into **logits** $z$ of shape $(B, C)$: one number for each of the $C$ classes. Softmax makes
# them positive and lets them sum to 1. The result is the **posterior**, what the network believes after having seen the image:
#
# $$p^m = \frac{\exp z^m}{\sum_{m'} \exp z^{m'}}$$
#
# The upper index counts classes; here and in all that follows it is no power. In code: [`losses.log_posterior`](../dml_teach/losses.py), its logarithm,
# which is kinder to small numbers.

# %%


def build(seed):
    """A network with first weights that the seed fixes."""
    weights = seeds.generator(seed, "weights")
    channels = train.channels
    return models.build(
        here.network, train.classes, channels=channels, generator=weights
    )


network = build(seed)
print("parameters:", sum(p.numel() for p in network.parameters()))

network.eval()
with torch.no_grad():
    logits = network(images)
posterior = losses.log_posterior(logits).exp()
print("logits:    ", tuple(logits.shape))
sums = posterior.sum(dim=1)
print("sums to 1: ", torch.allclose(sums, torch.ones(len(images))))

# %% [markdown]
# *Predict:* this network has learnt nothing yet. How much probability will it give the right class, on average over ten classes? And what will its
# **cross-entropy** be, the mean of $-\ln p^y$ over the images, where $y$ is the label? Write both down, then run the next cell.

# %%
right = posterior[torch.arange(len(labels)), labels]
print(f"mean probability of the right class: {right.mean():.1f}")
by_hand = -right.log().mean()
library = losses.cross_entropy(logits, labels)
print("by hand equals the library's:", torch.allclose(by_hand, library))
print(
    "within 0.3 of ln C:",
    abs(by_hand.item() - math.log(train.classes)) < 0.3,
)

# %% [markdown]
# A network that knows nothing gives every class $1/C$, and pays $\ln C$, which is 2.30 for ten classes. Keep that number: it is the price of ignorance, and
# any loss above it is worse than a shrug.
#
# The equation
#
# $$L_C = -\frac{1}{B} \sum_{i=1}^{B} \ln p_i^{\,y_i}$$
#
# is [`losses.cross_entropy`](../dml_teach/losses.py), the supervised part of every loss in the paper: $i$ counts the images of the batch, and the small $C$
# of $L_C$ is the paper's, for *classification*. Its proof is in [`tests/test_losses.py`](../tests/test_losses.py).
#
# ## What pulls at a logit
#
# Learning follows the gradient, and the gradient of cross-entropy is as simple as it could be. Write the label as a vector too, the **one-hot** label, 1 at
# the class $y$ and 0 elsewhere:
#
# $$\frac{\partial L_C}{\partial z} = \frac{1}{B}\,(p - \text{one-hot}(y))$$
#
# The right class is pulled up by what it lacks, every other class is pushed down by what it has. Check it against PyTorch:

# %%
z = logits.clone().requires_grad_()
losses.cross_entropy(z, labels).backward()
one_hot = torch.nn.functional.one_hot(labels, train.classes)
formula = (posterior - one_hot) / len(labels)
close = torch.allclose(z.grad, formula, atol=1e-7)
print("gradient is (p - one-hot) / B:", close)

# %% [markdown]
# Look at what that asks for. The pull only ends when the right class has probability 1 and *all others have 0*: the shirt should have nothing of a
# coat, the sneaker nothing of a sandal. The label cannot say "a shirt, though it could pass for a coat". Somebody else could say that. Hold on to this
# thought; it is why a second network can teach at all.
#
# ## The loop
#
# One step: predict, measure, go downhill. This is the whole of it. (The learning rate, or just *rate*, falls from its first value to 0 along a cosine. `channels_last` is an order of
# the numbers in memory, faster on most processors, and changes no result.)

# %%
recipe = here.recipe
network = build(seed).to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(
    network.parameters(),
    lr=recipe.learning_rate,
    momentum=recipe.momentum,
    weight_decay=recipe.weight_decay,
    nesterov=True,
)

network.train()
for epoch in range(recipe.epochs):
    for step, (images, labels) in enumerate(batches):
        now = epoch + step / len(batches)  # in epochs
        optimizer.param_groups[0]["lr"] = learning_rate(recipe, now)
        loss = losses.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print("trained for", recipe.epochs, "epochs")

# %% [markdown]
# *Predict:* the preview at the top of this page came from the library, this one from your own loop, with the same seed. How close are the two networks'
# weights: roughly similar, equal to a few digits, or equal?

# %%
stored = preview.weights(0)
same = all(
    torch.allclose(value, stored[name], atol=1e-4)
    for name, value in network.state_dict().items()
)
print("every weight is the library's:", same)

# %% [markdown]
# They are the same network. A seed fixes the first weights and the order of the batches, and nothing else is left to chance. You will lean on this again
# and again: two trainings that share a seed are **paired**, and differ *only* in what you changed.
#
# ## How good is it?
#
# Now, once, the test images. (`network.eval()` changes over from training to testing, which matters to one kind of layer, batch norm; chapter 04 looks into it.)

# %%
network.eval()


@torch.no_grad()
def predict(net, data):
    """Logits (N, C) of a data set."""
    return torch.cat(
        [net(batch) for batch, _ in evaluation_batches(data, 500)]
    )


on_training, on_test = predict(network, training), predict(network, test)
studied = metrics.top1(on_training, training.labels).item()
unseen = metrics.top1(on_test, test.labels).item()
for name, share in {"training": studied, "test": unseen}.items():
    print(f"right on {name} images: about {10 * round(10 * share)} %")

# %% [markdown]
# It has the textbook by heart and gets one question in five of the exam wrong. The wrong answers are not the worst, though. Ask it *how sure* it is. There
# are three ways to ask:
#
# - **confidence** is the highest probability of a posterior: how much the network stakes on its answer;
# - **entropy**, $H(p) = -\sum_m p^m \ln p^m$, is the measure of doubt: 0 when all is certain, $\ln C$ when nothing is known
#   ([`metrics.entropy`](../dml_teach/metrics.py), proven in [`tests/test_metrics.py`](../tests/test_metrics.py)). Its unit, with the natural logarithm, is the **nat**;
# - **NLL**, the negative log-likelihood, is cross-entropy on images that nobody trains on. It punishes a wrong answer the more, the surer it was given, so
#   it sees what accuracy does not.

# %%
confidence = losses.log_posterior(on_test).exp().max(dim=1).values
wrong = on_test.argmax(dim=1) != test.labels
sure = confidence[wrong].mean() > 0.6
above = confidence.mean() > unseen
print("mean confidence when wrong is above 60 %:", bool(sure))
print("more confident than it is accurate:      ", bool(above))

doubt = metrics.entropy(on_training)
nll_training = metrics.nll(on_training, training.labels)
nll_test = metrics.nll(on_test, test.labels)
print("doubt on what it studied, below 0.25 nats:", bool(doubt < 0.25))
worse = nll_test > 5 * nll_training
print("NLL on test, over 5 times that on training:", bool(worse))

# %% mystnb={"image": {"alt": "Two histograms of the network's confidence on test images. Right answers pile up near 100 percent. Wrong answers spread from 30 to 100 percent, with their highest bar near 100 percent as well."}}
plots.confidences(on_test, test.labels)

# %% [markdown]
# On the images it has studied, this network has little doubt left. On those it has not, it is surer than it has reason to be, and where it is wrong it is
# often very sure. Each of these costs it dearly in NLL.
#
# ## A second opinion
#
# Nothing about the training says *which* of the many ways to fit the images a network should take. Another seed takes another way.

# %%
other = train_alone(seed=1)
mine, theirs = preview.posteriors[-1, 0], other.posteriors[-1, 0]
same = (mine.argmax(dim=1) == theirs.argmax(dim=1)).double().mean().item()
print(
    "equally good on the test set, within 3 points:",
    abs(preview.test["top1"][0] - other.test["top1"][0]) < 0.03,
)
print(
    "yet they disagree on at least one probe image in twenty:", same < 0.95
)

# %% [markdown]
# Two networks, equally good, that differ in *where* they are good. So each of them knows something that the other does not. The obvious use is to ask both
# and average: an **ensemble**.

# %%
average = (mine + theirs) / 2
nll = {}
for name, p in {"mine": mine, "theirs": theirs, "average": average}.items():
    nll[name] = (
        -p[torch.arange(len(probe)), probe.labels].log().mean().item()
    )
below = nll["average"] < (nll["mine"] + nll["theirs"]) / 2
print("the average's NLL is below the mean of the two:", below)

# %% [markdown]
# (That one is no accident: the logarithm is concave, so averaging posteriors can never do worse than the mean of the two losses.)
#
# But an ensemble needs both networks for ever. Could each of them *learn* what the other knows, so that afterwards one is enough? That is the question of
# this course.
#
# ## Summary
#
# - A network turns an image into logits, softmax turns logits into a posterior, cross-entropy asks the posterior for certainty in the right class.
# - The gradient for the logits is $p$ minus the one-hot label: labels push all wrong classes down alike, however similar they look.
# - On few images a network fits them all, is sure of nearly everything, and is wrong in one case out of five.
# - A seed fixes a training run; two runs with one seed are a *pair*, and differ only in what you changed.
# - Networks from different seeds are equally good and disagree: each knows something that the other does not.
#
# ## Recall
#
# 1. What does an untrained network pay in cross-entropy, for ten classes and for a hundred?
# 2. Write the gradient of cross-entropy for the logits from memory. When is it zero?
# 3. Why are the test images read only once?
# 4. Accuracy stays the same and NLL rises. What happened?
# 5. Why is the average of two posteriors never worse, in NLL, than the mean of the two?
#
# **In class.** [Exercise 01](../exercises/ex_01_one_network.ipynb) has tasks on this chapter for 30 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** With paper and pencil: an image could be a shirt ($z = 2$), a coat ($z = 1$) or a bag ($z = -3$), and the label says shirt. Which way, and how
# strongly, is each logit pulled? Then check yourself with three lines of PyTorch.
#
# [Chapter 02](02_posteriors.ipynb) looks at what a posterior knows beyond its favourite class.
