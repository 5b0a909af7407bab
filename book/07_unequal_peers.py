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
# # 07 · Unequal peers
#
# **So far the peers were twins in all but their first weights. Now a wide network sits beside a narrow one. Must the better of the two listen to the weaker, what does it pay for that, and what can be done?** The paper says that both gain; others found that a
# strong network can lose more than two points. In this chapter you find out what a weak peer asks for, and make it do harm and no harm.
#
# | | |
# |---|---|
# | **After this chapter you can** | train networks of any two kinds as peers; say what target a peer sets for each image; tell when a weak peer harms; choose between the remedies, a smaller weight and another topology |
# | **Time** | 40 minutes, of which less than one is the computer's |
# | **You need** | chapter 02 for the gradient of $D_{KL}$, chapter 04 for the step, chapter 06 for the matrix $W$ |

# %% [markdown]
# ## Where we are going
#
# Three pairs of unlike networks on CIFAR-100. What does each network gain by having the other as its peer? To the left as the paper reports it, to the right as somebody found who repeated it with five seeds, on 45 000 of the 50 000 training images. (WRN-28-10 is a ResNet of 28 layers, each ten times as wide as usual.)

# %% mystnb={"image": {"alt": "Two panels, gain in points of accuracy by having a peer, for three pairs of networks. In the paper's panel all six gains are positive. In the others' panel the smaller network gains in each pair, WRN-28-10 gains nothing beside ResNet-32 and loses more than two points beside MobileNet."}}
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dml_teach import comparison, losses, models, plots, recordings, scale
from dml_teach import seeds, topology
from dml_teach.cohort import Cohort, Peer
from dml_teach.data.batches import evaluation_batches
from dml_teach.data.images import split
from dml_teach.published import read as published_numbers
from dml_teach.recipes import build_optimizer
from dml_teach.trainer import fit

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

pairs = (
    "WRN-28-10 + ResNet-32",
    "MobileNet + ResNet-32",
    "WRN-28-10 + MobileNet",
)
published = {
    (n.tier, n.networks, n.setting, n.of): float(n.value)
    for n in published_numbers()
    if n.table == "pairs" and n.networks in pairs
}


def published_gain(tier, pair, of):
    """Mutual less independent, in points."""
    mutual, alone = (
        published[tier, pair, setting, of]
        for setting in ("mutual", "independent")
    )
    return mutual - alone


figure, axes = plt.subplots(
    1, 2, figsize=(9, 2.7), sharex=True, sharey=True, layout="constrained"
)
for axis, tier in zip(axes, ("paper", "others"), strict=True):
    for row, pair in enumerate(pairs):
        for n, name in enumerate(pair.split(" + ")):
            gain = published_gain(tier, pair, f"net {n + 1}")
            at, colour = row + 0.36 * n - 0.18, plots.COLOURS[n]
            axis.barh(at, gain, height=0.32, color=colour)
            side = "left" if gain >= 0 else "right"
            beyond = 0.1 if gain >= 0 else -0.1
            axis.text(
                gain + beyond, at, name, ha=side, va="center", fontsize=8
            )
    axis.axvline(0, color=plots.GREY, linewidth=1)
    axis.set(title=tier, xlabel="Gain by the peer (points)")
    axis.set(yticks=[], xlim=(-3.4, 5.2))
    axis.spines[["top", "right", "left"]].set_visible(False)
axes[0].invert_yaxis()
plt.show()

# %%
for tier in ("paper", "others"):
    gains = [
        published_gain(tier, pair, of)
        for pair in pairs
        for of in ("net 1", "net 2")
    ]
    print(
        f"{tier:<7}smallest gain {min(gains):+.2f}, largest {max(gains):+.2f}"
    )

# %% [markdown]
# Where the two disagree is at the strong end. In the replication a WRN-28-10, 36.5 million parameters, loses 2.17 points beside a MobileNet that never comes near it. (That MobileNet is a weaker one than the paper's: 64 % alone against 74 %. The paper does not give its strides, and they matter.) The weak one gains in every row.
#
# Why should a good network lose by hearing a bad opinion? It still has the labels.
#
# ## Nothing in the loss asks for equals
#
# Two networks, eight times as wide the one as the other. *Predict:* what has to be the same about them so that they can be peers?

# %%
here = scale.current()
train, test = here.images()
training, _ = split(train, here.recipe.probe_images, here.subset)
images, labels = next(iter(evaluation_batches(training, 100)))

narrow_options = {"width": 4} if here.network == "small" else {}
KINDS = (  # peer 0 is the wide one, peer 1 the narrow one
    (here.teacher, here.teacher_options),
    (here.network, narrow_options),
)


def new_network(k, seed=0):
    """Peer k before its first step: 0 is wide, 1 is narrow."""
    name, options = KINDS[k]
    return models.build(
        name,
        train.classes,
        channels=train.channels,
        generator=seeds.generator(seed, "weights", k),
        **options,
    )


wide, narrow = new_network(0), new_network(1)
sizes = [sum(w.numel() for w in n.parameters()) for n in (wide, narrow)]
z = torch.stack([wide(images), narrow(images)])
print("the wide one has many times the weights:", sizes[0] > 4 * sizes[1])
print("logits side by side:", z.shape == (2, len(images), train.classes))
cohort = Cohort(
    [
        Peer(n, build_optimizer(here.recipe, n.parameters()))
        for n in (wide, narrow)
    ],
    topology.mutual(2),
)
paid = cohort.step(images, labels)
print("one step taken, both have paid:", tuple(paid.supervised.shape))

# %% [markdown]
# The classes, and nothing else. Peers exchange posteriors, and a posterior has no width and no depth. Neither do they need the same optimizer or rate: each step in [`cohort.py`](../dml_teach/cohort.py) is a peer's own. (Learning from each other's *features*, the numbers from which the last layer makes the logits, is another matter: those have to be equally long. Chapter 08 tries it.)
#
# ## Who pulls harder?
#
# The wide network knows more. So does it pull its peer more than it is pulled? *Predict* before you look, for one image and one step.

# %%
z = z.detach().double()
pulls = []
for k in (0, 1):
    own = z[k].clone().requires_grad_()
    losses.kl_divergence(z[1 - k], own).sum().backward()
    pulls.append(own.grad)
print("equal and opposite:", torch.allclose(pulls[0], -pulls[1]))

# %% [markdown]
# Not a bit. At $T = 1$ the pull on a peer's logits is $p_k - p_l$ ([`losses.kl_divergence`](../dml_teach/losses.py); `test_gradient_of_mimicry_is_temperature_times_own_minus_peer_posterior_over_the_batch` in [`tests/test_losses.py`](../tests/test_losses.py)), so on the other's it is the same with the
# other sign. The loss does not know who is right. It draws the two together, and each has to come half the way, as far as the logits go.
#
# ## What a weak peer asks for
#
# Add the label's pull, and ask where the two balance. With the mimicry loss weighed by $w$, the peer's posterior $q$, and the label as the posterior $\mathbf 1_y$ (1 for the class $y$, 0 for the rest):
#
# $$(p_k - \mathbf 1_y) + w\,(p_k - q) = 0 \quad\Longleftrightarrow\quad p_k = \frac{\mathbf 1_y + w\,q}{1 + w}$$
#
# The peer has replaced the label by a softer one. That is what `test_distillation_at_temperature_one_pulls_like_a_single_softer_label` says of a teacher, and it holds for a peer at every single step. *Predict:* a peer gives the right class .40. What is a network asked to believe that listens with weight 1, on an image that it
# would get perfectly right?

# %%


def asked_for(right, weight):
    """The right class's probability at which both pulls balance."""
    return (1 + weight * right) / (1 + weight)


def balance(right, weight, classes=10, steps=4000):
    """The same, found by going downhill on the two losses."""
    rest = (1 - right) / (classes - 1)
    peer = torch.full((1, classes), rest, dtype=torch.float64)
    peer[0, 0] = right
    own = torch.zeros_like(peer, requires_grad=True)
    label = torch.zeros(1, dtype=torch.int64)
    for _ in range(steps):
        loss = losses.cross_entropy(own, label)
        loss = loss + weight * losses.mimicry(own, peer.log())
        (slope,) = torch.autograd.grad(loss, own)
        own = (own - slope).detach().requires_grad_()
    return losses.log_posterior(own).exp()[0, 0].item()


print("the peer's belief   weight 1/4    weight 1    weight 4")
for right in (0.1, 0.4, 0.9):
    row = [asked_for(right, weight) for weight in (0.25, 1, 4)]
    found = [balance(right, weight) for weight in (0.25, 1, 4)]
    assert torch.allclose(torch.tensor(row), torch.tensor(found), atol=1e-3)
    print(f"{right:>17.2f}", "".join(f"{value:>12.2f}" for value in row))

# %% [markdown]
# A peer that knows the image, .90, costs little: .95. One that has no idea, .10, asks for .55, however sure the network could be. With weight 4, as when the divergences of five peers are summed, it asks for .28. **A weak peer is a ceiling on certainty**, another one for each image, and it is
# lowest where the peer is at a loss.
#
# Whether a ceiling is bad depends on what is above it. Chapters 01 and 04 have shown networks that are certain of all their few images and wrong about new ones; a ceiling may do them good. A network with enough images is certain for good reasons, and there a ceiling can only cost. That is an expectation. Now to test it.
#
# ## Watch one
#
# First a look, at one seed: the wide network alone, and beside the narrow one.

# %%
folder = Path(tempfile.mkdtemp())
pair = {}
for name in ("independent", "mutual"):
    pair[name] = fit(
        [new_network(0), new_network(1)],
        topology.by_name(name, 2),
        train,
        test,
        here.recipe,
        seed=0,
        out=folder / name,
        subset=here.subset,
        checkpoint_seconds=None,  # sooner done again than resumed
        progress=False,
    )


@torch.no_grad()
def belief_in_the_right_class(run, k):
    """Of peer k at the end of a run, for each training image: (N,)."""
    network = new_network(k)
    network.load_state_dict(run.weights(k))
    network.eval()
    found = []
    for images, labels in evaluation_batches(training, 250):
        p = losses.log_posterior(network(images)).exp()
        found.append(p.gather(1, labels[:, None])[:, 0])
    return torch.cat(found)


belief = {
    name: [belief_in_the_right_class(run, k) for k in (0, 1)]
    for name, run in pair.items()
}
mean = {name: float(of[0].mean()) for name, of in belief.items()}
print("the wide network's mean belief in the right class, on images")
print("that it studied, is lower with a narrow peer:")
print(mean["mutual"] < mean["independent"] - 0.05)

# %% mystnb={"image": {"alt": "Two scatter plots, one dot for each training image: the narrow network's belief in the right class to the right, the wide one's upwards. Alone, nearly all dots lie at the top, whatever the narrow one believes. As peers, the dots follow a slanted line that rises from one half at the left to one at the right, the target that the peer sets."}}
figure, axes = plt.subplots(
    1, 2, figsize=(8.4, 3.8), sharex=True, sharey=True, layout="constrained"
)
titles = {"independent": "each alone", "mutual": "as peers"}
line = torch.linspace(0, 1, 2)
for axis, (name, of) in zip(axes, belief.items(), strict=True):
    axis.scatter(of[1], of[0], s=10, alpha=0.5, linewidth=0)
    axis.plot(
        line,
        [asked_for(q, here.recipe.mimicry_weight) for q in line],
        color=plots.COLOURS[1],
        linewidth=2,
        label="what label and peer ask for",
    )
    axis.set(title=titles[name], xlabel="The narrow one's belief")
    axis.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("The wide one's belief")
axes[0].legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# Each dot is an image that both have studied. Alone, the wide network is certain of nearly all of them and does not care what another one finds hard. As peers, its dots lie along the line of the formula, most of them a little below: it believes in each image about as much as its peer lets it. *That* is how a weak network acts on a strong one. Where the narrow one gives the right class less than half, the wide one mostly still gives it more than half: it does not copy the error, it loses certainty.
#
# ## Few images: no harm
#
# Does that make the wide network any worse on new images? `python tools/record.py unequal` trained it with 500 images of clothes, in six seeds, beside different peers: an equal; the narrow one; the narrow one at a quarter of the weight; and the narrow one listening only. All of them start from the same weights as the network alone. (The numbers are of the wide one, peer 0, against itself alone: accuracy and NLL on new images, and in the last column accuracy on the images it studied, in points.)

# %%
few = recordings.load(Path("recordings/unequal.json"))
many = recordings.load(Path("recordings/weak_peer.json"))


def of_peer(recorded, name, k, metric):
    """A number for each seed, of peer k of an arm, accuracies in %."""
    factor = 100 if metric.endswith("top1") else 1
    entry = recordings.find_arm(recorded, name)
    return [factor * v for v in recordings.per_seed(entry, metric, peer=k)]


def compare(recorded, k, baseline, names):
    """Print what peer k gains in each arm over a baseline arm."""
    seeds_of = f"{len(recorded['seeds'])} seeds"
    print(f"{seeds_of:<16}     accuracy             NLL      training")
    for name in names:
        cells = []
        for metric, digits in (("top1", 2), ("nll", 3), ("train_top1", 1)):
            both = [
                of_peer(recorded, arm, k, metric)
                for arm in (name, baseline)
            ]
            pair = comparison.paired(*both)
            spread = f" ± {pair.half_width:.{digits}f}"
            spread = "" if metric == "train_top1" else spread
            cells.append(f"{pair.difference:+.{digits}f}{spread}")
        print(
            f"{name:<16}" + "".join(f"{c:>16}" for c in cells[:2]), end=""
        )
        print(f"{cells[2]:>10}")


compare(few, 0, "wide", ("wide-wide", "wide-narrow", "quarter", "one-way"))

# %% [markdown]
# In accuracy, no difference that could be told from chance, in any row. (The last row is exact: a network that listens to nobody *is* the network alone, weight for weight.) The narrow peer costs *training* accuracy, as a ceiling would. But look at the NLL: it falls, more than twice as much as beside an equal, and most of that stays at a quarter of
# the weight. With so few images the wide network was certain without good reason. A peer that did not know has talked it out of that.
#
# And the narrow one, against the narrow one alone?

# %%
compare(
    few, 1, "narrow", ("narrow-narrow", "wide-narrow", "quarter", "one-way")
)

# %% [markdown]
# It gains by the wide one, in all six seeds; by an equal nothing that could be told from chance, in accuracy. The gain is there as well if the wide network does not listen back; at a quarter of the weight the interval holds 0. So far this is close to the paper's story: the small one wins, and the large one does not pay.
#
# ## Enough images, and a very weak peer: harm
#
# Now the other half of the expectation. The same wide network with 1 600 images, for twelve epochs; and as a peer one of width 1, whose four layers have one, two, four and four channels. `python tools/record.py weak_peer`, six seeds. *Predict* the sign of each row. ("Less-weak" is the narrow one from before, of width 4.)

# %%
alone = [of_peer(many, "independent", k, "top1") for k in (0, 1)]
for k, name in enumerate(("wide", "tiny")):
    print(f"{name} alone:", " ".join(f"{value:.1f}" for value in alone[k]))
print()
print("the wide one, against itself alone")
arms = ("equal", "less-weak", "mutual", "quarter", "one-way")
compare(many, 0, "independent", arms)

# %% mystnb={"image": {"alt": "Differences in the wide network's accuracy from being alone, a dot for each of six seeds. Beside an equal they lie around zero, beside the narrow peer below zero, beside the tiny peer furthest below; at a quarter of the weight nearer to zero; if only the tiny one listens, exactly at zero."}}
shown = {
    "beside an equal": "equal",
    "beside width 4": "less-weak",
    "beside width 1": "mutual",
    "the same, weight 1/4": "quarter",
    "the same, one-way": "one-way",
}
plots.differences(
    {
        label: [
            a - b
            for a, b in zip(
                of_peer(many, name, 0, "top1"), alone[0], strict=True
            )
        ]
        for label, name in shown.items()
    },
    baseline="the wide network alone",
)

# %% [markdown]
# There it is. Beside an equal, nothing happens. Beside a peer of width 4 the wide network loses almost a point; beside the tiny one more than two, and a sixth of a nat. It is the size of what the replication saw happen to its WRN-28-10. The last column shows the ceiling at work: the wide network fits its own images less well.
#
# So the same pair of kinds, widths 32 and 4, does no harm with 500 images and harm with 1 600, and the formula offers a reason. A peer takes certainty away, on every image, by the measure of its own ignorance. What certainty is worth depends on how well-founded it was. (A caution: between the two recordings the number of epochs differs as well, and for the tiny one the width. Two other seeds had been looked at before each of them. They do not prove that the number of images alone decides.)
#
# And the tiny one? Alone, it fails outright in some seeds: with one channel in its first layer it can die, and name one class for everything. Nobody can say what such a network "gains" on average. But with a teacher to whom it listened at full weight, none of the six has died. (None of six against two of six is a hint, no proof.)

# %%
for name in ("independent", "quarter", "mutual", "one-way"):
    values = of_peer(many, name, 1, "top1")
    died = sum(value < 20 for value in values)
    print(f"{name:<12}{died} of {len(values)} tiny networks died")

# %% [markdown]
# ## Remedies
#
# **Listen less.** A smaller weight raises the ceiling: with weight 1/4, a peer that gives the right class .10 asks for .82 instead of .55. Our weight of 1/4 brought back most of the accuracy, and not all of the NLL. It may cost the weak one, though: beside so quiet a teacher one of the six tiny ones died, and the narrow one's gain could no longer be told from chance.
#
# **Do not listen.** A row of zeros. Then the wide network is a teacher that is still learning, and the narrow one its student: distillation without waiting for the teacher.
#
# **Choose your company.** A topology can do more than all or nothing. Here two wide networks listen to each other, and the narrow one to both:

# %% mystnb={"image": {"alt": "Three circles. Peers 0 and 1 teach each other, and both teach peer 2, which teaches nobody."}}
company = topology.validate(
    [[0, 1, 0], [1, 0, 0], [1 / 2, 1 / 2, 0]], peers=3
)
print("who listens to the narrow one:", int((company[:, 2] > 0).sum()))
plots.topologies({"0 and 1 are wide": company})

# %% [markdown]
# **Listen where it knows better.** The weak peer need not be weak everywhere. Whom to believe can be decided for each image, and [exercise 07](../exercises/ex_07_unequal_peers.ipynb) lets you write the loss.
#
# ## And together?
#
# One more consequence. Chapter 05 has averaged the posteriors of equals and always gained. *Predict:* the average of a good network and a weak one, against the good one by itself?

# %%
together = {}
for name in ("independent", "mutual", "equal"):
    entry = recordings.find_arm(many, name)
    both = recordings.per_seed(entry, "ensemble_top1")
    wide_one = of_peer(many, name, 0, "top1")
    together[name] = [
        100 * a - b for a, b in zip(both, wide_one, strict=True)
    ]
print("ours: both together less the wide one, in points")
for name, values in together.items():
    result = comparison.paired(values, [0.0] * len(values))
    print(f"{name:<12}{result.difference:+.2f} ± {result.half_width:.2f}")

pair_of = "WRN-28-10 + MobileNet"
print(f"others: {pair_of} together less WRN-28-10")
for setting in ("independent", "mutual"):
    one, both = (
        published["others", pair_of, setting, of]
        for of in ("net 1", "ensemble")
    )
    print(f"{setting:<12}{both - one:+.2f}")

# %% [markdown]
# The average of two unequals that never met is no better than the better one alone, and that of unequal peers is clearly worse than the better of them. The weak one has half of the vote either way; but a strong one that has lost its certainty is more easily outvoted. That fits; it was not tested by itself. An ensemble is for equals, and here even theirs gains nothing that could be told from chance.
#
# ## Summary
#
# - Peers need the same classes and nothing else in common.
# - On the logits two peers pull alike in opposite directions, whoever is right. Label and peer together ask for $(\mathbf 1_y + wq)/(1 + w)$: a peer is a ceiling on certainty, lowest where it is at a loss.
# - With 500 images a narrow peer changed nothing in a wide network's accuracy and lowered its NLL more than an equal did. With 1 600 images a tiny one cost it two points and a sixth of a nat. The narrow one gained two thirds of a point by the wide one.
# - Remedies: a smaller weight, a row of zeros, better company, selective listening.
#
# ## Recall
#
# 1. Two peers, $T = 1$. One gives the right class .9, the other .3. With what force does each pull the other's logit of that class?
# 2. A peer gives the right class .2. What do label and peer ask for at weight 1, and at weight 1/2?
# 3. Why can a weak peer lower the NLL of a strong one without changing its accuracy?
# 4. Write $W$ for four peers of which two strong ones listen to each other, and two weak ones to both strong ones and not to each other.
# 5. The paper's WRN-28-10 gains beside a MobileNet, the replication's loses. Name two differences between their MobileNets or their trainings that you know of, and one thing that you can not know.
#
# **In class.** [Exercise 07](../exercises/ex_07_unequal_peers.ipynb) has tasks on this chapter for 40 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** If it is the number of images that decides, then somewhere between 500 and 1 600 a weak peer turns from a help into a harm for the NLL. Predict where, then train the wide network with the tiny one and alone at three sizes, two seeds each, and draw the paired difference. Does accuracy turn at the same place?
#
# A peer takes certainty away, and sometimes that helps. Is this all that mutual learning does? [Chapter 08](08_why_does_it_work.ipynb) asks why it works.
