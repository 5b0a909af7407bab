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
# # 08 · Why does it work?
#
# **A peer lowers the NLL, seed after seed. The paper offers reasons: doubt, second opinions, flat minima. They all sound right, and each of them is measured easily enough. But to be there is not yet to be the reason.** In this
# chapter you take the reasons one by one, measure them, and then try to have each *without* a peer.
#
# | | |
# |---|---|
# | **After this chapter you can** | tell an explanation from something that merely goes with an effect; build a control that keeps one property of a peer and takes away the others; say how far a network stands from its cliff, and on which ruler; measure what a student took from its teacher |
# | **Time** | 45 minutes, of which less than one is the computer's |
# | **You need** | chapter 02 for entropy and the pull of a peer, chapter 03 for label smoothing as an ignorant teacher, chapter 04 for the step, chapter 07 for what a peer asks for |

# %% [markdown]
# ## Where we are going
#
# Five trainings of two networks, each against the same two networks alone. Two of them have a peer that says what it thinks. Two have nobody at all. One looks at its peer's features and never hears its opinion. A dot is one seed; left of zero is good.

# %% mystnb={"image": {"alt": "Five rows, a dot for each seed, their mean and its interval, of the difference in test NLL from two networks alone. All five means lie left of zero. A peer and smoothed labels stand at about the same place; a peer whose opinion and features are matched lies furthest to the left."}}
import copy
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dml_teach import losses, metrics, models, plots, recordings, scale
from dml_teach import seeds
from dml_teach.analysis import distillation, flatness, posteriors
from dml_teach.comparison import mean_and_deviation, paired
from dml_teach.data.batches import Batches
from dml_teach.data.images import split
from dml_teach.evaluation import predict
from dml_teach.published import read as published_numbers
from dml_teach.recipes import build_optimizer, learning_rate

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

recorded = recordings.load(Path("recordings/why.json"))


def over_seeds(arm, metric):
    """A number of an arm of the recording for each seed."""
    return recordings.per_seed(recordings.find_arm(recorded, arm), metric)


def minus(arm, baseline, metric):
    """An arm less another, seed by seed."""
    both = (over_seeds(name, metric) for name in (arm, baseline))
    return [a - b for a, b in zip(*both, strict=True)]


ways = {
    "a peer": "mutual",
    "a peer, opinion and features": "both",
    "a peer, features alone": "features",
    "nobody, smoothed labels": "smoothed",
    "nobody, lighter labels": "lighter",
}
plots.differences(
    {name: minus(arm, "independent", "nll") for name, arm in ways.items()},
    unit="nats",
    baseline="alone, test NLL",
)

# %% [markdown]
# All five means lie left, and all five intervals are clear of 0, the last one only just. The second row from below is the one to remember: two networks that never meet, with a pinch of label smoothing, come out about where two peers do. So a peer is *a* way to a lower NLL, and not the only one. What, then, does it do that the others do too, and what does nobody else do?
#
# The numbers are **ours**: two small networks on 500 images, paired seeds, made by `python tools/record.py why`; the [recording](recordings/why.json) has commit, versions and machine, and its question was written down before it was run. How to read an explanation in what follows:
#
# 1. *Is it there?* Networks with a peer have more of it than networks without.
# 2. *Is it enough?* Networks that get it some other way do as well.
# 3. *Is it needed?* Networks that have a peer, but lack it, do not do well.
#
# Many an explanation stops at the first question.
#
# ## First reason: doubt
#
# The paper's own: a network that is taught by a peer is less certain of its training images. A label says *all* for one class. A peer's posterior is a **soft label**; whoever has to satisfy both can not be certain, and is spared the last bit of certainty that
# makes a mistake expensive. Here are the paper's numbers for a ResNet-32 on CIFAR-100 and ours, both on the images that were *studied*: the entropy, which we call **doubt** from here on, and the probability of the favourite class.
#
# *Predict:* will the difference be as large with us, on ten classes?

# %%
literature = [n for n in published_numbers() if n.table == "analyses"]


def of_paper(metric, setting):
    """A number of the paper's analyses."""
    [found] = [
        n
        for n in literature
        if n.metric.startswith(metric) and n.setting == setting
    ]
    return float(found.value)


def line(name, values, digits=3):
    """A name and numbers, nothing where there is none."""
    cells = ("" if v is None else f"{v:.{digits}f}" for v in values)
    return f"{name:<26}" + "".join(f"{cell:>11}" for cell in cells)


print("seeds:", len(recorded["seeds"]))
print("on the images studied           alone     mutual")
settings = ("independent", "mutual")
for name, metric in (
    ("entropy (nats), paper", "posterior entropy"),
    ("first choice's share, paper", "posterior of the favourite"),
):
    print(line(name, [of_paper(metric, s) for s in settings], 2))
for name, metric in (
    ("entropy (nats), ours", "train_entropy"),
    ("first choice's share, ours", "train_favourite"),
):
    means = [mean_and_deviation(over_seeds(s, metric))[0] for s in settings]
    print(line(name, means, 2))
doubt = paired(*(over_seeds(s, "train_entropy") for s in settings[::-1]))
print(
    f"ours, paired by seed: {doubt.difference:+.3f} ± {doubt.half_width:.3f}",
    f"nats, higher in {doubt.won} of {doubt.seeds}",
)

# %% [markdown]
# It is there, in every seed, and it is small, where the paper has 1.45 nats more. Ten classes leave less room than a hundred ($\ln 10 = 2.3$ nats, $\ln 100 = 4.6$), and our networks come to know their 500 images by heart. The sign is the paper's, the size is not.
#
# ## Where does the doubt come from?
#
# Chapters 02 and 07 found where label and peer together pull to: the *middle* of the label $\mathbf 1_y$ and the peer's posterior $q$. Now let two peers be of one mind, $q = p$, and let both go there.
#
# *Predict:* both peers say .5, .3, .2, and the first class is right. What will they say after they have followed the pull? And after doing so ten times?

# %%
label = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
p = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
smoothing = 0.1
smooth_label = (1 - smoothing) * label + smoothing / 3

print("rounds   both peers say           their doubt")
for rounds in range(11):
    if rounds in (0, 1, 2, 3, 10):
        said = "  ".join(f"{share:.3f}" for share in p[0].tolist())
        print(f"{rounds:>6}   {said}{metrics.entropy(p.log()):>14.3f}")
    p = (label + p) / 2  # the peer says p as well
print(
    "smoothed label: for ever", f"{metrics.entropy(smooth_label.log()):.3f}"
)

# %% [markdown]
# What they leave to the wrong classes is halved, and halved again, and their doubt melts with it. There is nothing to keep it up: whoever is pulled by label and by a peer of the same opinion, $q = p$, is pulled to the label alone, $(p - \mathbf 1_y) + (p - q) = p - \mathbf 1_y$.


# %%
def pull(loss):
    """The gradient of a loss (logits) -> scalar at some logits."""
    z = torch.tensor([[2.0, 1.0, -1.0]], requires_grad=True)
    loss(z).backward()
    return z.grad


right = torch.tensor([0])
alone = pull(lambda z: losses.cross_entropy(z, right))
agreed = pull(
    lambda z: losses.cross_entropy(z, right) + losses.mimicry(z, z.detach())
)
print("a peer of one mind adds nothing:", torch.allclose(alone, agreed))

# %% [markdown]
# So a peer *hinders* certainty and does not forbid it. It holds up whoever is ahead, image by image, for as long as the two differ; left alone with each other for long enough, peers would talk each other into certainty. A smoothed label does forbid it: there the doubt is the goal.
#
# ## Doubt without a peer
#
# Now the second question: is doubt *enough*? Two ways to have more of it without anybody. **Smoothed labels**: chapter 03's ignorant teacher, who says "ten per cent for each class" whatever it sees, has a word of one or two per cent. **Lighter labels**: the
# same labels, but their loss counts three quarters, so that a network gets less far in the same number of steps. Both were set on other seeds (one or two for each dose), with the doubt that mutual learning leaves as the aim.
#
# *Predict:* the doubt is nearly the same. Which of them lowers the NLL on new images, and by how much of what a peer does?

# %%
rows = {
    "alone": "independent",
    "a peer": "mutual",
    "smoothed by .01": "smoothed-less",
    "smoothed by .02": "smoothed",
    "lighter": "lighter",
}
print("                  doubt on the images     test NLL         accuracy")
print("                    studied       new     less that of two alone")
for name, arm in rows.items():
    cells = "".join(
        f"{mean_and_deviation(over_seeds(arm, metric))[0]:>10.2f}"
        for metric in ("train_entropy", "test_entropy")
    )
    if arm != "independent":
        for metric, factor, digits in (("nll", 1, 3), ("top1", 100, 2)):
            both = (
                [factor * value for value in over_seeds(each, metric)]
                for each in (arm, "independent")
            )
            found = paired(*both)
            cell = f"{found.difference:+.{digits}f}"
            cells += f"{cell:>10} ± {found.half_width:.{digits}f}"
    print(f"{name:<17}{cells}")

# %%
for arm in ("smoothed-less", "smoothed", "lighter"):
    found = paired(*(over_seeds(each, "nll") for each in ("mutual", arm)))
    print(
        f"a peer less {arm:<14}{found.difference:+.3f}",
        f"± {found.half_width:.3f} nats, lower in",
        f"{found.seeds - found.won} of {found.seeds}",
    )

# %% [markdown]
# Compare the rows "a peer" and "smoothed by .02". A little more doubt on the images studied without a peer than with one, and about the same gain in NLL: the interval of the difference holds 0. (It is wide enough for a good part of a peer's gain to hide in it.) The smaller dose gained less. An ignorant teacher who says the same of every image does, by this measure, what a peer does. **Doubt is enough**, here, for all of a peer's gain that these seeds can
# show.
#
# That is a statement about these networks and this measure. It does not say that a peer *works by* doubt: two things may come to the same number on two roads. And the doubt is not the same everywhere. On *new* images smoothed labels leave a good deal more of it than a peer does, at about the same NLL. Lighter labels, the crude way, gain less, and pay in accuracy. As
# for accuracy, a peer gains nothing in it here that one could point to; there is nothing to explain.
#
# ## Second reason: which wrong classes
#
# Doubt is only *how much* of the probability goes elsewhere. The paper's idea is finer: what matters is **where** it goes. A peer says "shirt, or else a coat", and never "shirt, or else a boot". Two networks that match their *secondary* probabilities, all but the favourite's, tell each other what resembles what. An ignorant
# teacher has no such thing to tell.
#
# So build a peer that has the doubt and lacks the knowledge. It names its favourite, with the share that it really has. All the other shares it gives away too, every one of them, but to other classes drawn by lot, anew for each image and each step.

# %%


def shuffled(p, chance):
    """The favourite stays; other shares go to other classes: (B, C)."""
    favourite = p.argmax(dim=1, keepdim=True)
    draws = torch.rand(p.shape, generator=chance)
    places = draws.scatter(1, favourite, 2.0).argsort(1, descending=True)
    by_size = p.sort(dim=1, descending=True).values
    return torch.zeros_like(p).scatter(1, places, by_size)


z = 2 * torch.randn(1000, 10, generator=torch.Generator().manual_seed(0))
p = losses.log_posterior(z).exp()
q = shuffled(p, torch.Generator().manual_seed(1))
same = torch.allclose(p.sort(1).values, q.sort(1).values)
print("the same shares:        ", same)
print("the same favourites:    ", torch.equal(p.argmax(1), q.argmax(1)))
doubts = (metrics.entropy(each.log()) for each in (p, q))
print("the same doubt:         ", torch.allclose(*doubts))
second = [each.topk(2, dim=1).indices[:, 1] for each in (p, q)]
kept = (second[0] == second[1]).double().mean()
print("same second choice in: ", f"one of {round(1 / kept.item())}")

# %% [markdown]
# That is the control: image by image the same doubt, word by word another content. Your own step of chapter 04 trains with it; what a peer publishes passes through `say` first. Half the images, to keep it short, and three seeds.

# %%
here = scale.current()
train, test = here.images()
half = None if here.subset is None else here.subset // 2
training, _ = split(train, here.recipe.probe_images, half)
recipe = here.recipe
seeds_here = (0, 1, 2)
cpu = torch.device("cpu")


def new_network(seed, k):
    """Peer k before its first step."""
    return models.build(
        here.network,
        train.classes,
        channels=train.channels,
        generator=seeds.generator(seed, "weights", k),
    )


def train_by_hand(seed, say):
    """Two networks; each hears what `say` makes of the other's opinion."""
    networks = [new_network(seed, k) for k in (0, 1)]
    optimizers = [build_optimizer(recipe, n.parameters()) for n in networks]
    batches = Batches(
        training,
        recipe.batch_size,
        augment=recipe.augment,
        order=seeds.generator(seed, "order"),
        augmentation=seeds.generator(seed, "augmentation"),
    )
    chance = seeds.generator(seed, "lots")
    every = (batch for _ in range(recipe.epochs) for batch in batches)
    for step, (images, labels) in enumerate(every):
        logits = [network.train()(images) for network in networks]
        opinions = [z.detach().softmax(dim=1) for z in logits]
        heard = [say(p, chance) for p in opinions]
        for k, optimizer in enumerate(optimizers):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step / len(batches))
            loss = losses.cross_entropy(logits[k], labels)
            if heard[1 - k] is not None:
                log_p = losses.log_posterior(logits[k])
                loss = loss - (heard[1 - k] * log_p).sum(dim=1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return networks


says = {
    "alone": lambda p, chance: None,
    "a peer": lambda p, chance: p,
    "a shuffled peer": shuffled,
}
pairs = {
    name: [train_by_hand(seed, say) for seed in seeds_here]
    for name, say in says.items()
}
print(*pairs, sep=", ")

# %% [markdown]
# (The mimicry here is $-\sum_m q^m \ln p^m$, the cross-entropy with the peer's posterior. It is the KL divergence up to the peer's own entropy, in which your network does not occur: the same gradient.)
#
# First, do the secondary probabilities look different in the end? Each image's posterior is sorted, then averaged by rank ([`posteriors.mass_by_rank`](../dml_teach/analysis/posteriors.py), proven by `test_mass_by_rank_is_the_mean_of_the_sorted_posteriors`).

# %% mystnb={"image": {"alt": "Mean probability by rank on a logarithmic axis, on training images, three lines over the ranks 1 to 10. The networks alone fall most steeply at first; those with a peer lie above them at ranks 2 to 4; those with a shuffled peer start lower at rank 2 and lie highest in the tail."}}


def ask(networks, images):
    """Logits (K, N, C)."""
    return torch.stack([predict(n, images, cpu) for n in networks])


studied, new = (
    {name: [ask(p, images) for p in each] for name, each in pairs.items()}
    for images in (training, test)
)
plots.ranks({name: torch.cat(z) for name, z in studied.items()})

# %%


def by_hand(metric, logits):
    """A metric of each pair, mean of its two networks: one a seed."""
    return {
        name: [metric(z).mean().item() for z in each]
        for name, each in logits.items()
    }


def higher(values, name, other):
    """Whether `name` has more than `other`, on average over the seeds."""
    return paired(values[name], values[other]).difference > 0


mass = by_hand(posteriors.secondary_mass, studied)
later = by_hand(
    lambda z: posteriors.mass_by_rank(z)[:, 3:].sum(-1), studied
)
print(f"on average over {len(seeds_here)} paired seeds")
for name in ("a peer", "a shuffled peer"):
    more = higher(mass, name, "alone")
    print(f"{name} leaves more to other classes than being alone: {more}")
tail = {
    name: [a / b for a, b in zip(later[name], mass[name], strict=True)]
    for name in mass
}
print(
    "a shuffled peer, more of it beyond the third choice than a true one:",
    higher(tail, "a shuffled peer", "a peer"),
)

# %% [markdown]
# Whoever has a peer, true or shuffled, leaves the first choice less. But look at where the lines in the picture differ. With a true peer most of the extra probability goes to the *second and third* choice. With a shuffled one it is spread along the tail. That fits the paper's mechanism: peers who hand on what resembles what can agree on a second choice, and a network that hears lots in its place learns to spread. (A picture of ranks does not say *which* class comes second; whether it is the one that looks alike is not shown by it.)
#
# Does it help? The next cell has the digits of your machine, which differ from ours.

# %% tags=["nbval-ignore-output"]
# not compared: digits of a training differ between processors
nll = by_hand(lambda z: metrics.nll(z, test.labels), new)
top1 = by_hand(lambda z: 100 * metrics.top1(z, test.labels), new)
print("                  test NLL      accuracy, a number a seed")
for name in pairs:
    cells = "".join(f"{value:>8.3f}" for value in nll[name])
    cells += "  " + "".join(f"{value:>7.1f}" for value in top1[name])
    print(f"{name:<16}{cells}")

# %%
less = paired(nll["a peer"], nll["alone"])
print("a peer lowers the NLL, on average:    ", less.difference < 0)
more = paired(top1["a shuffled peer"], top1["a peer"])
print("shuffled, accuracy within two points: ", abs(more.difference) < 2)

# %% [markdown]
# With us the shuffled peer's NLL lies between the other two, and its networks are as accurate as those with a true peer, or more so. Before this page was written we had also tried, without recording it, all 500 images, on two other seeds, and there the shuffled peer had the *lower* NLL of the two. So three seeds here and two there do not agree on who is better, and neither shows that second choices have to be the
# right ones. It is not a perfect control, either: peers that hear noise never come to agree, so they keep more doubt, and doubt alone lowers the NLL, as you have seen. Content went out, and more doubt came in.
#
# Ten kinds of clothes may be the wrong place for the question. Among a hundred classes there is more to say about what resembles what. We have not run it there.

# %% [markdown]
# ## Third reason: flat minima
#
# A network is a point in a landscape, its loss the height. If the ground around it is **flat**, small changes of the weights cost little; and since training and test images are never quite alike, so the thought goes, a network on flat ground is not thrown off by the difference. The paper throws noise on the weights of two MobileNets trained on Market-1501, one alone and one with a peer, and watches the training loss rise:

# %%
for deviation in ("0.5", "1.0"):
    metric = (
        f"rise of the training loss under weight noise, σ = {deviation}"
    )
    alone, mutual = (of_paper(metric, setting) for setting in settings)
    print(
        f"σ = {deviation}: alone {alone:+.3f}, mutual {mutual:+.3f} nats",
        "(paper, read off its Figure 3)",
    )

# %% [markdown]
# It rises less with a peer. What the paper does not say is what $\sigma$ *is*. So take it at its word first: a number from a bell curve of that width is added to every weight. The cell does so to a copy, and counts from the loss without noise.
#
# *Predict:* our network, alone, $\sigma = 0.5$: how much does its training loss rise? The paper's rises by .056 nats.

# %%


def fixed_noise(network, deviation, chance):
    """Training NLL with noise of one deviation on every weight."""
    shaken = copy.deepcopy(network)
    with torch.no_grad():
        for weight in shaken.parameters():
            noise = torch.randn(weight.shape, generator=chance)
            weight.add_(deviation * noise)
    return metrics.nll(predict(shaken, training, cpu), training.labels)


def fixed_rise(network, deviation, draws=4):
    """Mean rise of the loss; the same directions for every network."""
    chance = torch.Generator().manual_seed(8)
    plain = metrics.nll(predict(network, training, cpu), training.labels)
    shaken = [fixed_noise(network, deviation, chance) for _ in range(draws)]
    return (torch.stack(shaken).mean() - plain).item()


network = pairs["alone"][0][0]
rise = fixed_rise(network, 0.5)
guessing = torch.tensor(float(train.classes)).log()
print("worse than guessing:      ", rise > guessing.item())
print("a hundred nats and more:  ", rise > 100)

# %% [markdown]
# It is ruined: a hundred nats and more, where the paper has .056. The paper can not have meant this, or its networks are of another make. What is 0.5? For the scale of a batch norm, which is about 1, a change by half; for a weight of a convolution, which is about a tenth, five times its size. **A deviation without a scale means nothing**, and that alone makes the paper's figure hard to compare with anything.
#
# ## A ruler that one can bend
#
# It gets worse. Batch norm divides by the deviation of what it gets. So *all weights in front of it may be multiplied by four, and the network computes the same*. (Its running statistics and the small number that it adds against division by zero have to come along.)
#
# *Predict:* the same function, at another place in the space of weights. Does noise of a fixed size hurt it more, less, or alike?

# %%


def rescaled(network, factor):
    """The same function with all convolutions so many times as large."""
    same = copy.deepcopy(network)
    with torch.no_grad():
        for module in same.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.mul_(factor)
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.mul_(factor)
                module.running_var.mul_(factor**2)
                module.eps *= factor**2
    return same


larger = rescaled(network, 4)
answers = [
    predict(n, training, cpu).softmax(dim=1) for n in (network, larger)
]
print("the same posteriors:", torch.allclose(*answers, atol=1e-3))
sigma = 0.02
before, after = (fixed_rise(n, sigma) for n in (network, larger))
print(f"the rise at σ = {sigma} is a quarter or less:", after < before / 4)

# %% [markdown]
# Nothing that the network says of any image has changed, and it stands "flatter" by far: the same noise has become small beside larger weights. With this ruler you can make any network of this kind as flat as you wish. That is why the library takes the noise **relative** to each tensor: a tensor $w$ of $n$ numbers gets noise of
# deviation $s \cdot \lVert w \rVert / \sqrt n$, so many per cent of its root mean square ([`flatness.relative_noise`](../dml_teach/analysis/flatness.py)).

# %%
generator = torch.Generator().manual_seed(0)
w = 0.1 * torch.randn(64, 32, 3, 3, generator=generator)
for factor in (1, 4):
    noise = flatness.relative_noise(factor * w, generator)
    size = noise.std() / (factor * w).square().mean().sqrt()
    print(f"weights times {factor}: noise / weights = {size:.2f}")

relative = [
    flatness.sharpness(n, training, cpu, torch.Generator().manual_seed(8))
    for n in (network, larger)
]
print("the same rise for both:", torch.allclose(*relative, rtol=0.02))

# %% [markdown]
# Now the same function has the same flatness (`test_weights_before_a_batch_norm_may_be_doubled_and_the_loss_under_noise_stays`). The ruler is still a choice: it knows of this one way to stretch a network and of no other. So state the scale, and look through more than one.
#
# ## Is it flatter?
#
# First a picture, of three seeds' networks that you have trained. The band is the spread over directions and networks; every network is shaken in the same directions.

# %% mystnb={"image": {"alt": "Rise of the training loss against the scale of relative noise, three lines with wide overlapping bands. All start at zero and bend upwards; the networks alone rise most, but the bands of all three overlap."}}
scales = (0.0, 0.05, 0.1, 0.15, 0.2)
shaken = {
    name: torch.cat(
        [
            flatness.loss_under_noise(
                pair[0],
                training,
                cpu,
                scales,
                seeds.generator(seed, "noise"),
                draws=2,
            )
            for seed, pair in zip(seeds_here, each, strict=True)
        ],
        dim=1,
    )
    for name, each in pairs.items()
}
plots.flatness(shaken, scales)

# %% [markdown]
# Lines apart, bands one upon the other. With another seed two of them may change places, and a figure of one network of each kind would not show it.
#
# *Predict,* for the recording: on which rulers is a network with a peer flatter than one alone? And one with smoothed labels, whose NLL is as low?

# %%
rulers = {
    "relative .05": "rise_0.05",
    "relative .10": "rise_0.1",
    "fixed .02": "rise_fixed",
}
print("rise of the training loss, nats; less that of two alone")
print("               alone   a peer              smoothed by .02")
for ruler, metric in rulers.items():
    base, _ = mean_and_deviation(over_seeds("independent", metric))
    cells = f"{base:>8.3f}"
    for arm in ("mutual", "smoothed"):
        found = paired(
            *(over_seeds(each, metric) for each in (arm, "independent"))
        )
        cells += f"   {found.difference:+.3f} ± {found.half_width:.3f}"
    print(f"{ruler:<12}{cells}")

# %% [markdown]
# In the column "a peer" no ruler shows anything: the intervals hold 0, and on each of the three the sign changes from seed to seed. That peers end on flatter ground, as in the paper's figure, is neither shown here nor refuted. Now read the other column. The networks with smoothed labels have about as low an NLL, and they stand on *steeper* ground than two strangers, in every seed by every ruler; all three intervals are clear of 0.
#
# So, the three questions. Is it there? Not so that we could see it, and what one sees depends on ruler and seed. Is it enough? We have no network that is flat and nothing else. Is it needed? **No**: smoothed labels do without. Measured this way, the landscape does not explain the lower NLL.
#
# One more objection is a serious one. It is not about the ruler on the ground but about the *height*: what rises is a loss, in nats, and the networks that are compared differ in how sure they are. That is a question of the exercise.
#
# ## A rival: features instead of opinions
#
# If peers are to become alike, why at the last layer? The paper also lets them match their *features*, the $D$ numbers $f_k$ from which peer $k$'s last layer, its **head**, makes the logits, by squared distance. It reports an order and no numbers that we could quote: alone < opinions and features < opinions (**paper**). In the library its weight $v$ is `feature_weight`, and for two peers $k$ and $l$ the loss is
#
# $$L_k = L_{C_k} + D_{KL}(p_l \,\|\, p_k) + v \cdot \frac1D \lVert f_k - f_l \rVert^2$$

# %%
generator = torch.Generator().manual_seed(0)
f = [torch.randn(25, 64, generator=generator) for _ in (0, 1)]
by_squares = (f[0] - f[1]).square().sum(dim=1).mean() / 64
row = torch.tensor([0.0, 1.0])  # whom peer 0 listens to
library = losses.feature_distance(f[0], f, row)
print("the library's:", torch.allclose(by_squares, library))

# The head makes up for features of another size: the same opinions.
head = torch.randn(10, 64, generator=generator)
twice = [2 * each for each in f]
print(
    "same opinions:", torch.allclose(f[0] @ head.T, twice[0] @ (head / 2).T)
)
further = losses.feature_distance(twice[0], twice, row) / library
print(f"distance: {further:.0f} times as far")

# %% [markdown]
# ([`losses.feature_distance`](../dml_teach/losses.py), proven by `test_feature_distance_is_the_weighted_mean_square_and_no_gradient_reaches_the_peers` in [`tests/test_settings.py`](../tests/test_settings.py).) The same trap again: features have no scale of their own, posteriors do. And more is asked: that two networks should not only *say* the
# same, but say it in the same inner words, number by number. Two networks from different first weights have no reason to put the same thing into feature 17.
#
# *Predict:* where do features alone stand between two strangers and two peers? And do they help peers, or hold them up, as the paper says?

# %%
print("                       test NLL            accuracy    KL apart")
print("                       less that of two alone          (test)")
for name, arm in {
    "opinions": "mutual",
    "features": "features",
    "opinions and features": "both",
}.items():
    cells = ""
    for metric, factor, digits in (("nll", 1, 3), ("top1", 100, 2)):
        both = (
            [factor * value for value in over_seeds(each, metric)]
            for each in (arm, "independent")
        )
        found = paired(*both)
        cells += f"  {found.difference:+.{digits}f}"
        cells += f" ± {found.half_width:.{digits}f}"
    apart, _ = mean_and_deviation(over_seeds(arm, "mean_pairwise_kl"))
    print(f"{name:<22}{cells}{apart:>9.3f}")
found = paired(*(over_seeds(each, "nll") for each in ("both", "mutual")))
print(
    "features added to opinions:",
    f"{found.difference:+.3f} ± {found.half_width:.3f} nats",
)

# %% [markdown]
# Features alone lower the NLL as well, and added to opinions they lower it a little *further*, by an interval that is just clear of 0: for the NLL, the reverse of the paper's order. Two weights, .1 and 1, had been looked at on two other seeds, and the larger was kept. The paper's weight and the scale of its distance are not known, its measure is accuracy, its data are others; so this is no refutation. It is one more way to a lower NLL. (Among so many
# intervals of accuracy one that just misses 0 is no discovery.)
#
# It also bears on a question that was left open: is doubt *needed*? Peers who match features alone are hardly more doubtful of the images they studied than two strangers:

# %%
for arm in ("mutual", "features"):
    for metric, images in (("train_entropy", "studied"), ("nll", "new")):
        found = paired(
            *(over_seeds(each, metric) for each in (arm, "independent"))
        )
        what = "doubt" if images == "studied" else "NLL"
        print(
            f"{arm:<9}{what:<6}on images {images:<8}",
            f"{found.difference:+.3f} ± {found.half_width:.3f} nats",
        )

# %% [markdown]
# About a quarter of a peer's doubt, and most of its gain, as far as so few seeds can tell. So more doubt on the images studied is enough, and much of the gain can be had with hardly any of it: there is more than one road.
#
# ## What a student takes from its teacher
#
# Recent theory (*On the Generalization of Knowledge Distillation: An Information-Theoretic View*, [arXiv:2605.13143](https://arxiv.org/abs/2605.13143)) ties three quantities together: how **sharp** the teacher's minimum is, how far the student **strays** from the teacher, and how much worse the student is on new images than on those it studied, its
# **generalisation gap**. In its spirit, a flat teacher whom a student follows closely should leave a small gap. The theory proves bounds about the trainings as random processes, and has no experiments. We take none of that over: we *measure* three related numbers and look.
#
# | here | what is measured |
# |---|---|
# | sharpness | rise of the teacher's training loss under relative noise of scale .1 |
# | divergence | mean $D_{KL}(\text{teacher} \,\Vert\, \text{student})$ on the images |
# | gap | test NLL less training NLL |
#
# [`distillation.transfer`](../dml_teach/analysis/distillation.py) takes all of them at once; `test_a_transfer_holds_what_its_parts_measure` is its proof. Let peer 1 of each of your pairs be the teacher and peer 0 the student. The strangers are the control: neither of them ever taught anybody.
#
# *Predict:* which of your three kinds of pairs has the smallest gap?

# %% mystnb={"image": {"alt": "Two panels of nine points, three for each kind of pair: the student's gap in NLL against the teacher's sharpness, and against the divergence from the teacher. In the right panel the strangers lie apart, at high divergence and high gap; in the left one sharpness does not order the points."}}
transfers = {
    name: [
        distillation.transfer(
            pair[1],
            pair[0],
            training,
            test,
            cpu,
            seeds.generator(seed, "noise"),
            draws=2,
        )
        for seed, pair in zip(seeds_here, each, strict=True)
    ]
    for name, each in pairs.items()
}
figure, axes = plt.subplots(
    1, 2, figsize=(7.6, 3.6), sharey=True, layout="constrained"
)
for n, (name, found) in enumerate(transfers.items()):
    look = {"color": plots.COLOURS[n], "label": name}
    gaps = [each.student.nll for each in found]
    for axis, quantity in zip(
        axes, ("sharpness", "divergence"), strict=True
    ):
        x = [getattr(each, quantity) for each in found]
        axis.plot(x, gaps, plots.MARKERS[n], markersize=9, **look)
        axis.spines[["top", "right"]].set_visible(False)
axes[0].set(xlabel="Teacher's sharpness (nats)")
axes[1].set(xlabel="Divergence from the teacher (nats)")
axes[0].set_ylabel("Student's gap in NLL (nats)")
handles = axes[0].get_legend_handles_labels()
figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)
plt.show()

# %%
measured = {
    name: {
        "divergence": [each.divergence for each in found],
        "divergence, test": [each.test_divergence for each in found],
        "gap": [each.student.nll for each in found],
    }
    for name, found in transfers.items()
}
print("lower than with two strangers, on average over three seeds?")
for name in ("a peer", "a shuffled peer"):
    for quantity in ("divergence", "divergence, test", "gap"):
        values = {each: measured[each][quantity] for each in measured}
        lower = higher(values, "alone", name)
        print(f"  {name + ', ' + quantity:<34}{lower}")

# %% [markdown]
# Two who learned together stay close, on the images they studied and on new ones, and the gap is smaller than the strangers'. In the left panel, sharpness sorts nothing that three seeds could show.
#
# Mind what a gap is: test NLL *less training NLL*. Who doubts more on the images studied has a higher training NLL, and the gap closes **from the wrong end**, whether or not anything gets better on new images. The shuffled peer is the example: a clearly smaller gap, and hardly a lower test NLL. Whoever shows you a gap should show both ends.
#
# ## Finished teachers, three kinds
#
# A cleaner trial: the same student from the same first weights, and a *finished* teacher who was trained alone, or with a peer, or with smoothed labels. One more student hears the first of them at $T = 4$. All from the recording.
#
# *Predict:* whose student has the smallest gap: that of the flattest teacher, or that of the most doubtful one?

# %%
teacher_of = {
    "taught": "independent",
    "taught-T4": "independent",
    "taught-by-mutual": "mutual",
    "taught-by-smoothed": "smoothed",
}


def of_peer(arm, metric, k):
    """A number of peer k of an arm for each seed."""
    entry = recordings.find_arm(recorded, arm)
    return [values[k] for values in entry[metric]]


def gap(arm):
    """The student's gap in NLL for each seed."""
    both = of_peer(arm, "nll", 0), of_peer(arm, "train_nll", 0)
    return [test - studied for test, studied in zip(*both, strict=True)]


print("                      the teacher's      the student's")
print("                    doubt  sharpness  divergence    gap    test NLL")
for arm, teacher in {"independent": None, **teacher_of}.items():
    values = [None, None, None]
    if teacher is not None:
        values = [
            of_peer(teacher, "train_entropy", 1),
            of_peer(teacher, "rise_0.1", 1),
            of_peer(arm, "divergence", 0),
        ]
    values += [gap(arm), of_peer(arm, "nll", 0)]
    cells = "".join(
        f"{'':>10}" if v is None else f"{mean_and_deviation(v)[0]:>10.3f}"
        for v in values
    )
    print(f"{'no teacher' if teacher is None else arm:<18}{cells}")

# %%
print("the student's gap, less that without a teacher")
for arm in teacher_of:
    found = paired(gap(arm), gap("independent"))
    print(
        f"  {arm:<20}{found.difference:+.3f} ± {found.half_width:.3f} nats"
    )
print("less that of the student of the teacher who was alone")
for arm in ("taught-T4", "taught-by-mutual", "taught-by-smoothed"):
    found = paired(gap(arm), gap("taught"))
    print(
        f"  {arm:<20}{found.difference:+.3f} ± {found.half_width:.3f} nats"
    )

# %% [markdown]
# Against no teacher, no student's gap differs by more than chance could do. Against the student of the teacher who was trained alone two do: the students of the teacher with a peer and of the one with smoothed labels have smaller gaps. Now look at what those two teachers have in common. It is not flatness; the one with smoothed labels is no flatter than the one who was alone. It is
# *doubt*. Nor does a close student have a small gap: the two who follow most closely, those of the teacher who was alone, have the two largest. That teacher is the surest of the three.
#
# A handful of seeds, four students, and quantities that are related to those of the theory and not the same: a theory of what holds on average over all trainings is neither confirmed nor harmed by this.
#
# ## What is left
#
# Four explanations, three questions, at this size: two small networks, 500 images, ten classes, and the NLL as what is to be explained.
#
# | explanation | is it there? | is it enough? | is it needed? |
# |---|---|---|---|
# | more doubt on the images studied | yes, in every seed | yes: smoothed labels at a little more doubt come to about the same NLL | not for all of it: matched features have hardly more, and most of the gain |
# | second choices that are shared | it looks so: the extra goes to the second and third choice | not tried: nobody here has them without a peer | not settled: with second choices drawn by lot most of the gain was gone on three seeds and none on two others, and the doubt had changed too |
# | flatter ground | not to be seen; it depends on ruler and seed | not tried | no: smoothed labels do without |
# | a close, flat teacher and a small gap | close, yes | no: among finished teachers the doubtful ones leave the smaller gaps; sharpness and closeness do not order them | not tried |
#
# What **survives** is humble. Left to themselves these networks go on to be sure of 500 images when little is left to be learnt from them, and pay for it on new ones. *Several mild hindrances* lower the NLL: a peer's opinion, its features, a word of smoothing. A peer's opinion does it at the paper's own weight of 1, and that is worth something: nobody had to choose a dose.
#
# What **does not survive** as the reason is flat ground, and doubt on studied images as the *only* reason. What **can not be told apart** at this size is whether a peer's second choices matter beyond the doubt that they carry, and whether it is doubt that does the work or something that comes with it.
#
# And one thing was never on trial. In accuracy there is no gain here that would need a reason. On CIFAR-100, with a hundred classes, there is one: more than a point in our own recording (chapter 06), about two in the paper. None of these controls has been run there. If you have a GPU and an evening, that is the experiment to do.
#
# ## Summary
#
# - An explanation has three questions to answer: is it there, is it enough, is it needed. Controls that have one property of a peer and lack the others answer the last two.
# - Peers leave each other more doubt on studied images: in every seed here, if far less than the paper reports. Between peers of one mind doubt melts away; a peer delays certainty, a smoothed label forbids it.
# - A word of label smoothing comes to about the NLL of mutual learning, with nobody to talk to. Matched features come close, with hardly more doubt.
# - A shuffled peer keeps every share and loses every resemblance. What that costs, our few seeds do not agree on.
# - Noise on the weights needs a scale. A batch-normed layer may be stretched without changing the function, and stretches the flatness with it. Relative noise does not see that one trick.
# - A generalisation gap can close from the wrong end.
#
# ## Recall
#
# 1. Two peers say the same thing. What does each of them add to the other's gradient, and what happens to their doubt in the end?
# 2. "Networks with a peer have more doubt and a lower NLL, so doubt lowers the NLL." Which two of the three questions are still open, and which trainings here answer one of them?
# 3. What does the shuffled peer keep of an opinion, and what does it take away? Name one thing that changes besides.
# 4. Multiply all convolutions by four, batch norms adjusted. What becomes of the function, of the rise under fixed noise, of the rise under relative noise?
# 5. A paper shows a smaller rise of the loss for its method, at $\sigma = 0.5$. Which three things do you ask?
#
# **In class.** [Exercise 08](../exercises/ex_08_why_does_it_work.ipynb) has tasks on this chapter for 45 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** `train_by_hand` takes any `say`. Let peers talk about *other* images: `lambda p, chance: p.roll(1, 0)` hands to each image what was said of its neighbour in the batch. Predict doubt, NLL and accuracy before you run it, with three seeds and paired differences. One of the three may surprise you; say why it should
# not, and what it tells you about the word "teaching".
#
# All labels have been true so far, and all were there. [Chapter 09](09_fewer_and_wrong_labels.ipynb) makes some of them wrong, and then takes most of them away.
