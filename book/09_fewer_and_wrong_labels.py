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
# # 09 · Fewer and wrong labels
#
# **A label is the only thing that a network is told about the world, and it may be wrong, or missing.** A peer's opinion needs no label at all. So here, if anywhere, two who know little should be able to help each other. In this chapter you spoil labels and hide them, watch what a network does with
# a lie, and meet images that have two labels because the data set says so.
#
# | | |
# |---|---|
# | **After this chapter you can** | spoil and hide labels so that the result is comparable; see what is learnt by heart; say why a peer helps against wrong labels, and why fewer labels are another matter; find contradictions in a data set |
# | **Time** | 40 minutes, of which one is the computer's |
# | **You need** | chapter 04 for the step, chapter 07 for what a peer asks for |

# %% [markdown]
# ## Where we are going
#
# Of 500 images of clothes, 200 get a wrong label. The picture looks at these 200 alone, epoch by epoch. Does the network say the wrong class that it is told, or the right one that nobody told it?

# %% mystnb={"image": {"alt": "Shares of the images with a wrong label over thirty epochs. Both networks first say the right class for about half of these images. Then the line of the wrong label rises and the other falls. In the end the wrong label is named for nearly nine images in ten by a network alone, and for fewer by one with a peer, which names the right class more often."}}
import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dml_teach import comparison, losses, models, plots, recordings, scale
from dml_teach import seeds, topology
from dml_teach.cohort import Cohort, Peer
from dml_teach.data import duplicates, labels
from dml_teach.data.batches import Batches, evaluation_batches
from dml_teach.data.images import split
from dml_teach.published import read as published_numbers
from dml_teach.recipes import build_optimizer, learning_rate

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

here = scale.current()
train, test = here.images()
training, _ = split(train, here.recipe.probe_images, here.subset)


def new_cohort(matrix, seed):
    """Peers and their cohort before the first step."""
    peers = []
    for k in range(len(matrix)):
        network = models.build(
            here.network,
            train.classes,
            channels=train.channels,
            generator=seeds.generator(seed, "weights", k),
        )
        optimizer = build_optimizer(here.recipe, network.parameters())
        peers.append(Peer(network, optimizer))
    return Cohort(peers, matrix)


@torch.no_grad()
def answers(cohort, images):
    """The class that each peer names for each image: (K, N)."""
    found = []
    for peer in cohort.peers:
        peer.network.eval()
        named = [
            peer.network(pixels).argmax(dim=1)
            for pixels, _ in evaluation_batches(images, 500)
        ]
        found.append(torch.cat(named))
    return torch.stack(found)


def learn(matrix, told, seed, watch=False):
    """Train on the images with the labels that they are `told`.

    Returns the cohort, and, if asked to watch, the answers on the
    training images after each epoch: (E, K, N).
    """
    cohort = new_cohort(matrix, seed)
    batches = Batches(
        told,
        here.recipe.batch_size,
        augment=here.recipe.augment,
        order=seeds.generator(seed, "order"),
        augmentation=seeds.generator(seed, "augmentation"),
    )
    seen = []
    for epoch in range(here.recipe.epochs):
        for step, (pixels, told_labels) in enumerate(batches):
            now = epoch + step / len(batches)
            for peer in cohort.peers:
                for group in peer.optimizer.param_groups:
                    group["lr"] = learning_rate(here.recipe, now)
            cohort.step(pixels, told_labels)
        if watch:
            seen.append(answers(cohort, training))
    return cohort, torch.stack(seen) if watch else None


def spoil(seed):
    """The training images, 40 % of them with a wrong label."""
    return labels.corrupt(
        training, 0.4, seeds.generator(seed, "label noise")
    )


alone, together = topology.independent(2), topology.mutual(2)
told = spoil(seed=0)
wrong = told.labels != training.labels
cohorts, watched = {}, {}
for name, matrix in (("alone", alone), ("with a peer", together)):
    cohorts[name, 0], watched[name] = learn(matrix, told, 0, watch=True)

figure, axis = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for n, (name, said) in enumerate(watched.items()):
    for believed, dashes in ((told, "-"), (training, (0, (4, 2)))):
        agree = said[:, :, wrong] == believed.labels[wrong]
        axis.plot(
            range(1, len(said) + 1),
            100 * agree.float().mean(dim=(1, 2)),
            color=plots.COLOURS[n],
            linestyle=dashes,
            linewidth=2,
            label=f"{name}: the {'wrong label' if believed is told else 'right class'}",
        )
axis.set(
    xlabel="Epoch", ylabel="Named for spoilt images (%)", ylim=(0, 100)
)
axis.spines[["top", "right"]].set_visible(False)
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Look at the dashed lines first. In the first third of the training a network comes to give about half of the spoilt images their *right* class, against what it has been told, and the wrong label to one in ten. (Dashed and solid need not sum to 100: it may name a third class.) Then the lie wins. With a peer it wins over fewer images, and a little more of the truth is left in the end.
#
# ## Wrong on purpose
#
# To find out what wrong labels do, one has to know which are wrong. So they are spoilt on purpose: exactly 40 % of them, drawn at random, become some *other* class, each of the others as likely. That is [`labels.corrupt`](../dml_teach/data/labels.py). (Some authors draw from all classes, the right one too; then of ten classes "40 %" leaves 36 % wrong. Ask which one before you compare numbers.)

# %%
print("wrong labels:", int(wrong.sum()), "of", len(wrong))
again = spoil(seed=0).labels
print("the same ones for the same seed:", torch.equal(again, told.labels))
told_as = torch.stack([training.labels, told.labels])
counts = torch.zeros(train.classes, train.classes)
counts.index_put_(tuple(told_as), torch.ones(1), accumulate=True)
most = bool((counts.argmax(dim=1) == torch.arange(train.classes)).all())
print("in each class the right label is still the commonest:", most)

# %% [markdown]
# The last line is why anything can be learnt at all. Of the coats, sixty in a hundred are called coats, and the other forty are called nine different things. Whoever looks for what coats have in common finds the truth. A wrong label fits nothing that the network knows, and it can only be learnt one image at a time: *by heart*.
#
# *Predict:* a network fits its training labels perfectly, the wrong ones too. How good can it be on new images?

# %%


def score(cohort):
    """Accuracy of each peer on test images, in %: (K,)."""
    right = answers(cohort, test) == test.labels
    return 100 * right.float().mean(dim=1)


def by_heart(cohort, told):
    """Share of the wrong labels that each peer has learnt: (K,)."""
    spoilt = told.labels != training.labels
    said = answers(cohort, training)[:, spoilt]
    return (said == told.labels[spoilt]).float().mean(dim=1)


SEEDS = (0, 1)
for seed in SEEDS[1:]:
    for name, matrix in (("alone", alone), ("with a peer", together)):
        cohorts[name, seed], _ = learn(matrix, spoil(seed), seed)
truth, _ = learn(topology.independent(1), training, 0)
lied_to = cohorts["alone", 0]
print(
    "learnt by heart, alone: more than two thirds of the lies:",
    bool(by_heart(lied_to, told).mean() > 2 / 3),
)
print(
    "costs more than ten points on new images:",
    bool(score(truth).mean() - score(lied_to).mean() > 10),
)

# %% [markdown]
# So a lie is not simply learnt beside the truth: it is paid for. (In part the price is that the 200 true labels are missing. And this was one seed of each.) And a peer? Two seeds here, paired: same first weights, same lies.

# %%
gains, fewer = [], []
for seed in SEEDS:
    pair, single = (cohorts[n, seed] for n in ("with a peer", "alone"))
    lies = spoil(seed)
    gains.append((score(pair) - score(single)).mean())
    fewer.append((by_heart(single, lies) - by_heart(pair, lies)).mean())
higher = sum(gains) > 0
print(
    "on new images better with a peer, both seeds together:", bool(higher)
)

# %% tags=["nbval-ignore-output"]
# not compared: a tenth of the lies more or less, on another processor
for seed, share in zip(SEEDS, fewer, strict=True):
    print(
        f"seed {seed}: {100 * share:+.0f} lies in a hundred fewer by heart"
    )

# %% [markdown]
# The pair knows new images better, and it has learnt fewer lies by heart. (Two seeds show that here, and more in the recording below.) Where does that come from? Nobody in the pair has seen a single right label for the spoilt images. Two things are at work, and you know both. What a peer asks for is $(\mathbf 1_y + q)/2$ (chapter 07): a lie $y$ is only half believed where the other one does not believe it.
# And the two do not go astray together: they started from different weights. *Predict:* when one of two networks *alone* has learnt a lie, has the other one learnt it too? Look in the middle of training, when about half of the lies are learnt.

# %%
said = watched["alone"]  # (E, 2, N)
lies = (said[:, :, wrong] == told.labels[wrong]).float()  # (E, 2, n)
middle = (lies.mean(dim=(1, 2)) - 0.5).abs().argmin()
first, second = lies[middle].bool()
chance = first.float().mean() * second.float().mean()
both = (first & second).float().mean()
one = (first ^ second).float().mean()
print("learnt by one and not by the other, more than one lie in eight:")
print(bool(one > 1 / 8))
print("learnt by both more often than by chance:", bool(both > chance))

# %% [markdown]
# They agree more than chance would have it, since some images are easy to learn by heart for anybody. But for many a lie there is one who still holds out, and its opinion pulls the other one back. Whoever listens has a witness.
#
# ### How much is it worth?
#
# Two seeds are few. The recordings have more, of these clothes and of 2 000 images of CIFAR-100 with 800 wrong labels: `python tools/record.py label_noise_fashion` and `label_noise`. Two peers and four, against as many alone. The first column says how well the networks fit what they were *told*: whoever knew the truth and ignored all lies would reach 60 %. The last is the accuracy of two or four asked together.

# %%
RECORDINGS = Path("recordings")
NOISE = {
    name: recordings.load(RECORDINGS / f"{file}.json")
    for name, file in {
        "clothes": "label_noise_fashion",
        "CIFAR-100": "label_noise",
    }.items()
}


def per_seed(recorded, name, metric):
    """The mean over an arm's peers, a number for each seed; in %."""
    factor = 100 if metric.endswith("top1") else 1
    entry = recordings.find_arm(recorded, name)
    return [factor * v for v in recordings.per_seed(entry, metric)]


def mean_of(recorded, name, metric):
    """The same, over the seeds as well."""
    values = per_seed(recorded, name, metric)
    return sum(values) / len(values)


def gain(recorded, name, baseline, metric, digits=2):
    """A difference, paired by seed, with its 95 % interval."""
    pair = comparison.paired(
        per_seed(recorded, name, metric),
        per_seed(recorded, baseline, metric),
    )
    return f"{pair.difference:+.{digits}f} ± {pair.half_width:.{digits}f}"


for data, recorded in NOISE.items():
    print(f"{data}, {len(recorded['seeds'])} seeds")
    print("                  fits   accuracy      NLL   ensemble")
    for k in (2, 4):
        for method in ("independent", "mutual"):
            name = f"{method}-{k}"
            print(
                f"{name:<15}",
                f"{mean_of(recorded, name, 'train_top1'):>6.1f}",
                f"{mean_of(recorded, name, 'top1'):>10.2f}",
                f"{mean_of(recorded, name, 'nll'):>8.3f}",
                f"{mean_of(recorded, name, 'ensemble_top1'):>10.2f}",
            )

# %%
print("mutual less independent        accuracy           NLL          fits")
for data, recorded in NOISE.items():
    for k in (2, 4):
        arms = (f"mutual-{k}", f"independent-{k}")
        print(
            f"{data:<10} K = {k}, one    ",
            f"{gain(recorded, *arms, 'top1'):>14}",
            f"{gain(recorded, *arms, 'nll'):>14}",
            f"{gain(recorded, *arms, 'train_top1', digits=1):>12}",
        )
        print(
            f"{data:<10} K = {k}, ensemble",
            f"{gain(recorded, *arms, 'ensemble_top1'):>13}",
            f"{gain(recorded, *arms, 'ensemble_nll'):>14}",
        )

print()
print("others, ResNet-32 x 8 on all of CIFAR-100, 40 % wrong, five seeds")
for n in published_numbers():
    if n.tier == "others" and "label noise" in n.data:
        print(
            f"{n.setting:<12}{n.of:<10}{float(n.value):.2f}",
            f"± {float(n.spread):.2f} %",
        )

# %% [markdown]
# On the clothes the pairs with a peer fit two points less of what they were told, ten images of 500; the two seeds above say which: about ten of the 200 lies. (For four the interval reaches almost to 0.) A peer brings more than two points. Remember chapter 04: with *right* labels the same pair on the same 500 images gained no accuracy that could be told from chance. On 2 000 images of CIFAR-100 a network that is lied to hardly learns its hundred classes: its probabilities are worth about as much as those of one that knows nothing and says so, $\ln 100 = 4.61$ nats.
# There a peer brings about one point, and more than a quarter of a nat. With all of CIFAR-100 the replication's eight gain eight points. The sign is the same in all three. The sizes are not, and the three differ in too much to say why.
#
# And the ensembles? In chapter 06, with right labels, strangers made the more accurate one, but for the paper's. On the clothes it is the peers this time, for two and for four of them, and so it is in the replication. The sum of chapter 06 holds: averaging loses, and here the members have gained more than it loses. (On CIFAR-100 our seeds can not tell.)
#
# ## One picture, two labels
#
# Nobody had to spoil CIFAR-100 for it to contradict itself. It holds some images more than once, byte for byte: [`duplicates.find`](../dml_teach/data/duplicates.py) compares hashes (`test_groups_are_those_of_comparing_everything_with_everything` in [`tests/data/test_duplicates.py`](../tests/data/test_duplicates.py)), and `python tools/duplicates.py` has written down what it found, hashes and
# labels without a pixel. *Predict:* how many of the 60 000, and do their labels agree?

# %%
path = Path("recordings/duplicates/cifar100.json")
recorded = json.loads(path.read_text())
twins = [
    duplicates.Twins(
        t["sha256"], tuple(duplicates.Copy(**copy) for copy in t["copies"])
    )
    for t in recorded["twins"]
]
disputed = [t for t in twins if t.conflict]
across = [t for t in twins if t.files == {"train", "test"}]
print("images that are there twice:", len(twins))
print("with two different labels:", len(disputed))
print("in the training file and in the test file:", len(across))
print()
pairs_of_labels = sorted(
    " / ".join(sorted({copy.label for copy in t.copies})) for t in disputed
)
for names in sorted(set(pairs_of_labels)):
    print(f"{pairs_of_labels.count(names)} x {names}")

# %%
print("in our own images of clothes:", end=" ")
print(len(duplicates.find({"train": train, "test": test})))

# %% [markdown]
# Seventeen contradictions, and they are not careless ones: seal or otter, girl or baby, snake or worm. It is as if two people had looked at one picture and seen two things. What should a network say? Ask the loss. If an image comes with each of two labels equally often, the cross-entropy is least where the network says half and half, and there it is not 0:

# %%
own = torch.zeros(2, 10, dtype=torch.float64).requires_grad_()
seal_or_otter = torch.tensor([3, 7])  # one image, so one row of logits
for _ in range(4000):
    loss = losses.cross_entropy(own[:1].expand(2, -1), seal_or_otter)
    (slope,) = torch.autograd.grad(loss, own)
    own = (own - slope).detach().requires_grad_()
p = losses.log_posterior(own[0]).exp()
print("says:", f"{p[3]:.2f} and {p[7]:.2f}")
print("pays:", f"{loss:.2f}, ln 2 = {math.log(2):.2f}")
peer = losses.log_posterior(own[:1]).detach()
opinion = losses.mimicry(own[:1], peer)
print("a peer that says the same asks for more:", bool(opinion > 1e-9))

# %% [markdown]
# A soft posterior is the *right* answer here, and a label has no way of saying so. A peer has. But do not expect it to settle the dispute: two who both say "half and half" agree.
#
# How much could that be worth? At most this, if every disputed or repeated image of the test file went from always wrong to always right:

# %%
tests = recorded["images"]["test"]
copies = [copy for t in twins for copy in t.copies if copy.file == "test"]
print(f"test images with a copy: {len(copies)} of {tests:,}")
print(f"worth at most {100 * len(copies) / tests:.2f} points of accuracy")

# %% [markdown]
# Far too little to explain any gain of accuracy in this book that could be told from chance. It is a lesson about data sets rather than about peers. (Pictures that are only nearly the same are not counted here.) Where labels are disputed more often than in seventeen of 60 000 cases, in medicine say, the question is a real one.
#
# ## Fewer labels
#
# Now hide labels instead of spoiling them. [`labels.hide`](../dml_teach/data/labels.py) leaves a tenth, the same share of each class, and writes $-1$ for the rest. The paper's extension to such data pays for labels where there are any, and for the peer on **all** images. For two peers $k$ and $l$, a batch of $B$ images, and $\mathcal L$ for those of them that have a label:
#
# $$L_k \;=\; \underbrace{\frac{1}{|\mathcal L|} \sum_{b \in \mathcal L} -\ln p_{k,b}^{\,y_b}}_{\text{images with a label}} \;+\; \underbrace{\frac{1}{B} \sum_{b=1}^{B} D_{KL}(p_{l,b} \,\|\, p_{k,b})}_{\text{all images}}$$
#
# *Predict:* on which images does the gradient of each part act?

# %%
partly = labels.hide(training, 0.1)
known = partly.labels >= 0
each = torch.bincount(partly.labels[known], minlength=train.classes)
print("a tenth has a label:", int(known.sum()) == round(len(known) / 10))
print("classes differ by at most:", int(each.max() - each.min()))

order = torch.cat([known.nonzero()[:10], (~known).nonzero()[:40]])[:, 0]
pixels, seen = next(iter(evaluation_batches(partly.take(order), 50)))
listens, speaks = (p.network.train() for p in new_cohort(together, 0).peers)
z = listens(pixels).detach().requires_grad_()
opinion = speaks(pixels).detach()
for name, loss in {
    "labels": losses.cross_entropy(z, seen),
    "peer": losses.mimicry(z, opinion),
}.items():
    (slope,) = torch.autograd.grad(loss, z)
    felt = slope.abs().sum(dim=1) > 0
    print(f"{name:<7}felt by {int(felt.sum())} of {len(felt)} images")

# %% [markdown]
# So on nine images in ten a network hears nothing but its peer, who has been told nothing about them either. (It is the cohort's ordinary loss: [`losses.cross_entropy`](../dml_teach/losses.py) leaves out what has no label; `test_an_image_without_a_label_costs_nothing_but_is_mimicked_on` in [`tests/test_settings.py`](../tests/test_settings.py).) Keep in mind what such a loss can *not* do:

# %%
sure, unsure = torch.tensor([[9.0, 0, 0]]), torch.zeros(1, 3)
for name, opinion in {
    "both sure, and wrong": sure,
    "both clueless": unsure,
}.items():
    print(f"{name}: {losses.mimicry(opinion, opinion).item():.3f} nats")

# %% [markdown]
# Agreement is free, whatever it is about. Against wrong labels a peer was a witness, as it had heard true ones about similar images. Here it has heard as little as you. What two networks can win from images without labels is consistency: where they disagree at least one is wrong, and the divergence makes them look for something that both can say.
#
# Is that worth anything? Two recordings: 1 600 images of clothes, of which 80 have a label (`python tools/record.py few_labels_fashion`), and 5 000 images of CIFAR-100, of which 500 have one (`few_labels`). Two networks learn from the images with labels alone, two also listen to each other on all images, and two have all labels.

# %%
FEW = {
    name: recordings.load(RECORDINGS / f"{file}.json")
    for name, file in {
        "clothes": "few_labels_fashion",
        "CIFAR-100": "few_labels",
    }.items()
}
for data, few in FEW.items():
    title = f"{data}, {len(few['seeds'])} seeds"
    print(f"{title:<20} accuracy        NLL    agreement")
    for name in ("independent", "mutual", "all-labels"):
        print(
            f"{name:<20}{mean_of(few, name, 'top1'):>7.2f} %",
            f"{mean_of(few, name, 'nll'):>9.3f}",
            f"{100 * mean_of(few, name, 'mean_agreement'):>9.1f} %",
        )

# %%
arms = ("mutual", "independent")
for data, few in FEW.items():
    print(f"{data}, mutual less independent")
    print("  accuracy, points:", gain(few, *arms, "top1"))
    print("  NLL, nats:       ", gain(few, *arms, "nll", digits=3))
    print("  agreement:       ", gain(few, *arms, "mean_agreement", 3))

# %% [markdown]
# They agree on far more new images, on CIFAR-100 about twice as many, and name the right class no more often that we could see. The intervals of the accuracy are wide: on the clothes a gain as with wrong labels may hide in it, a good part of what all labels bring may not. So agreement was free, and it bought no accuracy that these seeds can show.
#
# On CIFAR-100 it bought something else: the NLL is clearly lower. But look at where it is. A network that knows nothing and says so has $\ln 100 = 4.61$ nats; these are far above that, with a peer and without. They have learnt 500 labels by heart and are sure of whatever looks a little like them. A peer has learnt *the same* labels by heart, from other first weights, so the two err differently; and being asked to agree on 4 500 images that neither knows, both give up some of their conviction. That is worth having, and it is no knowledge.
#
# The paper's later version has a section on few labels; its numbers are not known to us, so nothing can be set beside ours. (On CIFAR-100 batches are larger here and the rate is lower than in chapter 06, whose settings leave two or three labels in a batch; with them networks alone had been seen to learn nothing, before this was recorded.)
#
# ## Summary
#
# - With 40 % wrong labels a network first says what fits together, then learns the lies by heart, and ends more than ten points below one that was told the truth. With a peer it learns fewer of them, and is more than two points better on clothes, about one on CIFAR-100, eight in a replication.
# - A few images of CIFAR-100 come twice and with two labels; there the right posterior is half and half. They are worth next to nothing in accuracy.
# - With few labels a peer has heard as little as you. Ours came to agree much more, and were no more accurate that we could see; on CIFAR-100 they were less sure of their errors.
#
# ## Recall
#
# 1. Of ten classes, 40 % of the labels are drawn again from *all* classes. How many are wrong? Why is the right label still the commonest?
# 2. A network names the right class for most spoilt images in epoch 8, and the wrong one in epoch 30. What has it learnt first, and why in that order?
# 3. An image has a wrong label, and the peer gives the right class .6 and the wrong label .1. What do label and peer together ask for, of these two classes?
# 4. What is the least possible cross-entropy on an image that comes with three different labels equally often? What does the network say there?
# 5. Two networks agree on every unlabelled image. What do you know about their accuracy?
#
# **In class.** [Exercise 09](../exercises/ex_09_fewer_and_wrong_labels.ipynb) has tasks on this chapter for 45 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** Draw the first figure again for wrong labels of another kind: every spoilt image of class $c$ is called $c + 1$. (That is one line: a shift that is always 1.) Predict both dashed lines before you run it, for a network alone and for a pair, with two seeds.
#
# That is the method from all sides, on images of which the classes are known. The next question has none, and [chapter 10](10_who_is_this.ipynb) asks it: who is this?
