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
# # 04 · Two peers
#
# **Two networks start from nothing. Neither is the teacher, and still each of them becomes one.** This is the paper's idea in its smallest form,
# Algorithm 1, and in this chapter you write it yourself, line by line, until it does to the last digit what the library does.
#
# | | |
# |---|---|
# | **After this chapter you can** | write the step of mutual learning and defend each of its lines; say what goes wrong without `detach`; tell the two orders of updating apart; train a pair and report honestly what it gained |
# | **Time** | 45 minutes, of which less than one is the computer's |
# | **You need** | chapter 01 for the loop, chapter 02 for $D_{KL}$ and its gradient |

# %% [markdown]
# ## Where we are going
#
# The next cell trains the same two networks twice: each alone, then with an ear for each other. Same first weights, same batches in the same order.
# The lines are their NLL on images that neither has studied, the mean of the two; low is good.

# %% mystnb={"image": {"alt": "Probe NLL over thirty epochs. Both lines fall from 1.8 to about 0.7 nats. They run together at first; from the eighth epoch on the line of the pair that teaches each other is mostly the lower one, and it ends below."}}
import copy
import itertools
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from dml_teach import comparison, demo, losses, models, plots, scale, seeds
from dml_teach import topology
from dml_teach.cohort import Cohort, Peer
from dml_teach.data.batches import Batches
from dml_teach.data.images import split
from dml_teach.recipes import build_optimizer
from dml_teach.trainer import fit

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

here = scale.current()
train, test = here.images()
folder = Path(tempfile.mkdtemp())


def train_pair(name, seed):
    """Two networks, "independent" or "mutual", trained by the library."""
    return fit(
        [here.network, here.network],
        topology.by_name(name, 2),
        train,
        test,
        here.recipe,
        seed=seed,
        out=folder / f"{name}-{seed}",
        subset=here.subset,
        checkpoint_seconds=None,  # sooner done again than resumed
        progress=False,
    )


alone = [train_pair("independent", seed=0)]
mutual = [train_pair("mutual", seed=0)]
plots.curves({"each alone": alone, "teaching each other": mutual}, "nll")

# %% [markdown]
# One seed proves nothing; at the end we take another, and a recording of twelve seeds. First: what happens in one step?
#
# ## Two networks, one batch
#
# Two networks of the same kind, and an optimizer for each. They have different first weights, and that is essential: at the end of this page you will
# see what happens to twins. They are in double precision here, for one reason alone: so that we can compare results to many digits.

# %%
training, _ = split(train, here.recipe.probe_images, here.subset)
batches = Batches(
    training,
    here.recipe.batch_size,
    augment=here.recipe.augment,
    order=seeds.generator(0, "order"),
    augmentation=seeds.generator(0, "augmentation"),
)


def new_network(k):
    """Peer k before its first step."""
    weights = seeds.generator(0, "weights", k)
    channels = train.channels
    return models.build(
        here.network, train.classes, channels=channels, generator=weights
    ).double()


def new_pair():
    """Two networks and their optimizers."""
    networks = [new_network(0), new_network(1)]
    return networks, [
        build_optimizer(here.recipe, network.parameters())
        for network in networks
    ]


def double(epochs):
    """Batches without end, in double precision."""
    while True:
        for images, labels in epochs:
            yield images.double(), labels


first_batches = list(itertools.islice(double(batches), 20))
images, labels = first_batches[0]

networks, _ = new_pair()
logits = [network(images) for network in networks]
p = [losses.log_posterior(z).exp() for z in logits]
print("batches kept for later:", len(first_batches))
print("logits of each peer:", [tuple(z.shape) for z in logits])
print("one opinion:", torch.allclose(p[0], p[1]))

# %% [markdown]
# Both look at the *same* batch. That is not to save time: a divergence compares two opinions *about one image*. PyTorch would not complain if the
# posterior of one batch were compared with that of another; shapes fit, the loss falls, and a shoe is asked to agree with a shirt.
#
# ## What each of them pays
#
# The paper's equations, with peers counted from 0 as Python does:
#
# $$L_0 = L_{C_0} + D_{KL}(p_1 \,\|\, p_0), \qquad L_1 = L_{C_1} + D_{KL}(p_0 \,\|\, p_1)$$
#
# The label's part is chapter 01. The peer's part is chapter 02: the *other* one in front, since you are to cover what it finds possible. No weight,
# no temperature.
#
# *Predict:* which of the two parts is larger in the very first step, when both networks know nothing?

# %%
for k in (0, 1):
    supervised = losses.cross_entropy(logits[k], labels)
    mimicry = losses.kl_divergence(logits[1 - k], logits[k]).mean()
    print(f"peer {k}: supervised part larger:", bool(supervised > mimicry))

# %% [markdown]
# The label's, by far: two who know nothing both spread their probability over all classes, and so they nearly agree. There is nothing to copy yet.
# Mutual learning starts as learning from labels, and the peer's voice grows with what it has to say.
#
# ## Publish: an opinion without strings
#
# Peer 1's posterior stands in the loss of peer 0. It was computed from peer 1's weights, and PyTorch remembers that. *Predict:* peer 0 calls
# `backward()` on its own loss. Which network's weights receive a gradient?

# %%


def gradients(network):
    """All of a network's gradients in one vector, or None."""
    found = [w.grad for w in network.parameters() if w.grad is not None]
    return torch.cat([g.flatten() for g in found]) if found else None


for name, opinion in {
    "as it is": logits[1],
    "detached": logits[1].detach(),
}.items():
    for network in networks:
        network.zero_grad()
    loss = losses.cross_entropy(logits[0], labels)
    loss = loss + losses.kl_divergence(opinion, logits[0]).mean()
    loss.backward(retain_graph=True)
    reached = [gradients(network) is not None for network in networks]
    print(
        f"{name}: gradient in peer 0 {reached[0]}, in peer 1 {reached[1]}"
    )

# %% [markdown]
# Both! Unless the opinion is **detached**, peer 0's loss pulls at peer 1 as well. What does it ask of it? To say what peer 0 says already: the
# cheapest way to close a gap is that the other one moves. A teacher who is marked by how much the pupil agrees begins to flatter. See it on the
# logits alone:

# %%
teacher = torch.tensor([[4.0, 1.0, 0.0]], dtype=torch.float64)
pupil = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
before = losses.kl_divergence(teacher, pupil).item()

leak = teacher.clone().requires_grad_()
losses.kl_divergence(leak, pupil).sum().backward()
flattering = teacher - leak.grad
after = losses.kl_divergence(flattering, pupil).item()
print("the pupil has not moved, and pays less:", after < before)
belief = losses.log_posterior(torch.cat([teacher, flattering])).exp()
print(f"the teacher's belief in class 0: {belief[0, 0]:.2f}, ", end="")
print(f"then {belief[1, 0]:.2f}")

# %% [markdown]
# So a peer **publishes**: it gives its posterior away as a number, without the strings that lead back to its weights. In the library that is
# [`losses.publish`](../dml_teach/losses.py), for all peers at once, and `losses.mimicry` detaches as well;
# `test_peer_receives_no_gradient_from_mimicry` and `test_published_posteriors_carry_no_gradient` keep it so. It may matter in practice. One public
# replication on CIFAR-100 reports 69.89 % alone and 69.95 and 70.11 % for two peers that were not detached; later, with peers that are, 70.97 % alone and 72.97
# and 72.85 % for the two (**others**, one seed, best epoch). More must have changed in between, since the network alone has moved as well.
#
# ## Downhill
#
# The paper's Equations 6 and 7 print the update as $\Theta \leftarrow \Theta + \gamma \, \partial L / \partial \Theta$, with $\Theta$ for a network's weights and
# $\gamma$ for the rate. *Predict:* what would that plus do? PyTorch has a switch for it, `maximize=True`, so ask:

# %%
for sign, upwards in {"minus": False, "plus": True}.items():
    network, peer = new_network(0), new_network(1)(images).detach()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.05, maximize=upwards
    )
    paid = []
    for _ in range(6):
        z = network(images)
        loss = losses.cross_entropy(z, labels) + losses.mimicry(z, peer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        paid.append(loss.item())
    print(
        f"{sign:<6} after five steps the loss is lower: {paid[-1] < paid[0]}"
    )

# %% [markdown]
# A slip of the pen, then; the loss is to go down. Papers have them, and a formula is only safe once a test has run it.
#
# ## The step, first version
#
# Now the parts in one place: everybody predicts, everybody publishes, then everybody learns.

# %%


def first_step(networks, optimizers, images, labels):
    """One mini-batch, both peers at once; returns what each has paid."""
    logits = [network(images) for network in networks]
    published = [z.detach() for z in logits]
    paid = []
    for k, optimizer in enumerate(optimizers):
        supervised = losses.cross_entropy(logits[k], labels)
        peer = published[1 - k]
        mimicry = losses.kl_divergence(peer, logits[k]).mean()
        optimizer.zero_grad()
        (supervised + mimicry).backward()
        optimizer.step()
        paid.append(torch.stack([supervised, mimicry]).detach())
    return torch.stack(paid)  # (peer, part)


networks, optimizers = new_pair()
paid = first_step(networks, optimizers, images, labels)
print("paid:", tuple(paid.shape), "for two peers, two parts each")
print("all above zero:", bool((paid > 0).all()))

# %% [markdown]
# A dozen lines, and it is mutual learning. Look at `published` once more. It does a second duty: when peer 1 comes to learn, peer 0 has already
# moved, but peer 1 still hears what peer 0 said *before*. Nobody is first. One could update the two side by side on two machines that exchange
# nothing but posteriors.
#
# ## The other order
#
# Algorithm 1 in the paper does it one after the other. After peer 0's update, the posteriors are predicted again, *on the same mini-batch*, and peer
# 1 learns from the newest opinion.

# %% mystnb={"image": {"alt": "Two timelines with a lane for each peer. Simultaneous: both predict, then both update, and an arrow goes from each prediction to the other's update. Sequential: both predict, peer 0 updates with peer 1's prediction and predicts again, then peer 1 updates with that second prediction."}}
lanes = {
    "simultaneous": [
        ["predict", "update", "", ""],
        ["predict", "update", "", ""],
    ],
    "sequential": [
        ["predict", "update", "predict again", ""],
        ["predict", "", "", "update"],
    ],
}
hears = {  # from the (time, peer) of a prediction to that of an update
    "simultaneous": [((0, 0), (1, 1)), ((0, 1), (1, 0))],
    "sequential": [((0, 1), (1, 0)), ((2, 0), (3, 1))],
}
look = {
    "predict": {"facecolor": "#d6e6f2", "edgecolor": plots.COLOURS[0]},
    "predict again": {"facecolor": "white", "edgecolor": plots.COLOURS[0]},
    "update": {"facecolor": "#f9dfcc", "edgecolor": plots.COLOURS[1]},
}
figure, axes = plt.subplots(
    2, 1, figsize=(7.4, 3.6), sharex=True, layout="constrained"
)
for axis, (order, peers) in zip(axes, lanes.items(), strict=True):
    for k, turns in enumerate(peers):
        for time, does in enumerate(turns):
            if does:
                axis.barh(k, 0.8, left=time, height=0.7, **look[does])
                axis.text(time + 0.4, k, does, ha="center", va="center")
    for (then, teacher), (now, learner) in hears[order]:
        axis.annotate(
            "",
            (now, learner),
            (then + 0.8, teacher),
            arrowprops={"arrowstyle": "-|>", "color": plots.GREY},
        )
    axis.set_yticks([0, 1], ["peer 0", "peer 1"])
    axis.set_title(order, loc="left", fontsize=10)
    axis.set_xticks([])
    axis.invert_yaxis()
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
axes[1].set_xlabel("time within one step →")
plt.show()

# %% [markdown]
# The second prediction has two traps of its own. It is only an opinion, so it needs no gradient: `torch.no_grad()`. The other trap is **batch norm**, a layer
# that these networks have after every convolution. In training mode it takes from each channel the mean of the *batch* and divides by the batch's deviation, and it
# keeps running averages of both, its running statistics; in eval mode, for test images, it uses those instead. The second prediction is a forward pass in training
# mode, so batch norm counts the batch *again*. See the counter:

# %%


def counted(network):
    """How many batches the network's batch norms have counted."""
    counters = {
        value.item()
        for name, value in network.named_buffers()
        if name.endswith("num_batches_tracked")
    }
    assert len(counters) == 1
    return counters.pop()


network = new_network(0)
network(images)
print("after the first prediction:", counted(network))
with torch.no_grad():
    network(images)
print("after the second:          ", counted(network))

# %% [markdown]
# Peer 0 would count every batch twice and peer 1 once: two peers that no longer are trained alike. Eval mode is no way out. There, batch norm uses
# its running statistics instead of the batch's, so it would be another posterior than the one that peer 1 is compared with; and whoever forgets to
# switch back trains in eval mode from then on. The cure is to let the second pass write its statistics on scrap paper:

# %%


@torch.no_grad()
def predict_again(network, images):
    """Logits after an update; the running statistics stay as they are."""
    scratch = {name: b.clone() for name, b in network.named_buffers()}
    return torch.func.functional_call(network, scratch, (images,))


network = new_network(0)
once = network(images)
again = predict_again(network, images)
print("counted:", counted(network), "batch")
print(
    "the same opinion, as nothing was updated:", torch.allclose(once, again)
)
print("carries a gradient:", again.requires_grad)

# %% [markdown]
# ## The whole of Algorithm 1
#
# Here are both orders in one function. Compare it with `first_step`: it sets training mode first, and the one `if` near the end is all that tells the
# orders apart.

# %%


def step(networks, optimizers, images, labels, order):
    """Algorithm 1 for two peers; returns what each has paid, (2, 2)."""
    for network in networks:
        network.train()  # whoever evaluated it may have left it in eval mode

    logits = [network(images) for network in networks]
    published = [z.detach() for z in logits]

    paid = []
    for k, optimizer in enumerate(optimizers):
        peer = published[1 - k]
        supervised = losses.cross_entropy(logits[k], labels)
        mimicry = losses.kl_divergence(peer, logits[k]).mean()

        optimizer.zero_grad()
        (supervised + mimicry).backward()
        optimizer.step()

        if order == "sequential" and k == 0:
            published[k] = predict_again(networks[k], images)
        paid.append(torch.stack([supervised, mimicry]).detach())
    return torch.stack(paid)


# %% [markdown]
# *Predict:* the same pair makes one step in each order. Which peers end with the same weights in both: peer 0, peer 1, both, or none?

# %%
ended = {}
for order in ("simultaneous", "sequential"):
    networks, optimizers = new_pair()
    step(networks, optimizers, images, labels, order)
    ended[order] = networks


def same(a, b):
    """Whether two networks agree in every weight and every statistic."""
    return all(
        torch.allclose(x, y, rtol=1e-7, atol=1e-9)
        for x, y in zip(
            a.state_dict().values(), b.state_dict().values(), strict=True
        )
    )


for k in (0, 1):
    equal = same(ended["simultaneous"][k], ended["sequential"][k])
    print(f"peer {k} is the same in both orders:", equal)

# %% [markdown]
# The first to move hears the same opinion in either order; only the second hears a newer one. (From the second step on both differ, since each learns
# from the other.)
#
# Neither order is *the* right one. Ours is simultaneous by default: it treats the peers alike, and they can run side by side. The authors' published
# code does a third thing: it draws a **new mini-batch for each network's update**. Within such an update both look at the same images, so nothing is
# wrong with the divergence. But each network then learns from only every second batch that is drawn, and the other one's forward pass on it serves
# for an opinion alone.
#
# | for one update of each peer | forward passes | they learn from the same images | peer 1 hears peer 0 as it was |
# |---|--:|---|---|
# | simultaneous | 2 | yes | before its update |
# | sequential (Algorithm 1) | 3 | yes | after it |
# | a new batch for each (published code) | 4 | no | after it |
#
# That is another algorithm, whatever it is called, and it would spoil our comparison: a network that trained alone on *every* batch is no longer its
# pair.
#
# ## Is it the library's?
#
# [`cohort.Cohort`](../dml_teach/cohort.py) does the same for any number of peers and any topology. Let both go twenty steps, in both orders, and
# compare every loss, every weight and every running statistic.
#
# *Predict:* to how many digits will they agree? Note that the library never computes a divergence for each pair; it mixes the posteriors first
# (`losses.mimicry_of_mixture`).

# %%
pairs = {}
for order in ("simultaneous", "sequential"):
    networks, optimizers = new_pair()
    by_hand = [
        step(networks, optimizers, images, labels, order)
        for images, labels in first_batches
    ]

    twins, their_optimizers = new_pair()
    peers = [
        Peer(*each) for each in zip(twins, their_optimizers, strict=True)
    ]
    cohort = Cohort(peers, topology.mutual(2), order=order)
    reports = [cohort.step(*batch) for batch in first_batches]
    library = torch.stack(
        [torch.stack([r.supervised, r.mimicry], dim=1) for r in reports]
    )

    paid = torch.stack(by_hand)  # (step, peer, part)
    print(order)
    print("  paid:", tuple(paid.shape))
    close = torch.allclose(paid, library, rtol=1e-7, atol=1e-9)
    print("  every loss is the library's:  ", close)
    equal = [same(a, b) for a, b in zip(networks, twins, strict=True)]
    print("  every weight is the library's:", all(equal))
    print("  batches counted:              ", counted(networks[0]))
    pairs[order] = networks

orders = zip(pairs["simultaneous"], pairs["sequential"], strict=True)
print(
    "after 20 steps the two orders differ:",
    not any(same(*o) for o in orders),
)

# %% [markdown]
# Yours is the library's, or the other way round. The same comparison for two, three and four peers is `test_step_equals_algorithm_1_written_by_hand`
# in [`tests/test_cohort.py`](../tests/test_cohort.py), and `test_batch_norm_moves_exactly_once_a_step` watches the counter. From here on the library
# may do the training: you know what is inside.
#
# ## Twins
#
# *Predict:* give both peers the *same* first weights, as one would who starts from a single pretrained network. What do they teach each other?

# %%
networks = [new_network(0), new_network(0)]
optimizers = [
    build_optimizer(here.recipe, n.parameters()) for n in networks
]
single = copy.deepcopy(networks[0])
own = build_optimizer(here.recipe, single.parameters())
heard = []
for images, labels in first_batches[:5]:
    paid = step(networks, optimizers, images, labels, "simultaneous")
    heard.append(paid[:, 1])
    own.zero_grad()
    losses.cross_entropy(single(images), labels).backward()
    own.step()
silent = torch.stack(heard).abs().max() < 1e-12
print("they pay nothing for each other:", bool(silent))
print("and are still twins:            ", same(*networks))
print("the same as training alone:     ", same(networks[0], single))

# %% [markdown]
# Nothing, for ever. What two peers can give each other is what sets them apart, and here it comes from nothing else than their first weights.
# (Dropout, or a different view of the images for each, breaks the tie too.) The guard is
# `test_identical_twins_with_the_same_batch_never_teach_each_other_anything`.
#
# ## Does it help?
#
# One more seed, with both trainings. What is printed below are differences, *paired by seed*: two trainings with one seed share first weights and batches,
# so what is left is the effect and some chance.
#
# *Predict* three things: will a network with a peer be more accurate on test images? More sure of itself, or less? And will the two peers be more
# alike than two networks alone?

# %%
alone.append(train_pair("independent", seed=1))
mutual.append(train_pair("mutual", seed=1))


def tested(runs, metric):
    """A metric on the test images: mean of both peers, for each seed."""
    return [sum(run.test[metric]) / 2 for run in runs]


def probed(runs, metric):
    """The same on the probe images, after the last epoch."""
    return [run.curve(metric)[-1].mean().item() for run in runs]


nll = comparison.paired(tested(mutual, "nll"), tested(alone, "nll"))
top1 = comparison.paired(tested(mutual, "top1"), tested(alone, "top1"))
doubt = comparison.paired(
    probed(mutual, "entropy"), probed(alone, "entropy")
)
apart = {
    name: sum(probed(runs, "mean_pairwise_kl"))
    for name, runs in {"alone": alone, "mutual": mutual}.items()
}
print("seeds:", nll.seeds)
print("test NLL lower on average:            ", nll.difference < 0)
print(
    "accuracy within 2 points of each other:", abs(top1.difference) < 0.02
)
print("more doubt on images it never saw:    ", doubt.difference > 0)
print(
    "the peers are closer to each other:   ",
    apart["mutual"] < apart["alone"],
)

# %% [markdown]
# ## What may be said
#
# A lower NLL, more doubt, and no large difference in accuracy. Two seeds are few, so here are twelve (**ours**: `dml-teach demo --seeds 12`, with
# commit, versions and machine in the [recording](recordings/demo.json)). *Predict:* in how many of the twelve is the NLL lower, and in how many the
# accuracy higher?

# %%
recorded = json.loads(Path("recordings/demo.json").read_text())
rows = {row.arm: row.values for row in demo.table(recorded)}
single, pair = rows["independent"], rows["mutual, T = 1"]

print("test images, mean of two networks      alone  mutual  difference")
for name, metric, factor, digits in (
    ("NLL (nats)", "nll", 1, 3),
    ("accuracy (%)", "top1", 100, 2),
    ("accuracy of both, averaged (%)", "ensemble_top1", 100, 2),
):
    a, b = single[metric].mean, pair[metric].mean
    change = pair[metric].difference
    print(
        f"{name:<36}{factor * a:8.{digits}f}{factor * b:8.{digits}f}"
        f"  {factor * change.difference:+.{digits}f}"
        f" ± {factor * change.half_width:.{digits}f},"
        f" higher in {change.won} of {change.seeds}"
    )

# %% mystnb={"image": {"alt": "Two rows of dots, a dot for each of twelve seeds, with their mean and its interval. In the row of the NLL all dots lie left of zero, and so does the interval. In the row of the error rate they lie on both sides of zero, and the interval holds it."}}
settings = {
    (s["method"], s["temperature"]): s for s in recorded["settings"]
}


def minus(metric, factor):
    """Mutual minus alone, seed by seed."""
    both = (settings[name, 1][metric] for name in ("mutual", "independent"))
    return [factor * (a - b) for a, b in zip(*both, strict=True)]


plots.differences(
    {
        "NLL (0.01 nats)": minus("nll", 100),
        "errors (points)": minus("top1", -100),
    },
    unit="less is better",
    baseline="alone",
)

# %% [markdown]
# The NLL is far beyond chance: lower in every seed, and its interval stays clear of zero. The accuracy is not a small gain, it is *none that twelve
# seeds can show*. And the third line says: if you can afford to ask two networks, two that never met do at least as well. Others see other things, on
# other data and with other networks (two ResNet-32 on CIFAR-100, accuracy in %):
#
# | tier | alone | mutual | seeds |
# |---|--:|--:|---|
# | **paper** | 68.99 | 71.19 and 70.75 | not stated |
# | **others** | 69.56 ± 0.33 | 70.95 ± 0.26 | five, on 45 000 of the 50 000 training images |
# | **others** | 70.98 | 70.86 and 70.90 | six |
#
# So keep two questions apart. *Does a peer change what a network believes?* Yes: the NLL is lower in every one of our seeds, and here the peers kept
# more doubt. *Does that make its first choice better?* It depends, and on what it depends is a subject of the chapters that follow. The paper looked
# at certainty too: on its training images a ResNet-32 has a mean entropy of 0.26 nats alone and 1.71 with a peer (**paper**).
#
# ## What goes wrong
#
# Each of these stands somewhere in public code. None raises an error. The tests named are in [`tests/test_losses.py`](../tests/test_losses.py) and
# [`tests/test_cohort.py`](../tests/test_cohort.py).
#
# - *The peer is not detached*: the teacher is pulled towards the pupil.
#   `test_published_posteriors_carry_no_gradient`
# - *The two posteriors of the divergence are swapped*: you need no longer cover what the peer finds possible.
#   `test_mimicry_is_not_symmetric`
# - *The mean runs over the classes too*: a hundredth of the peer's voice at 100 classes.
#   `test_mimicry_does_not_shrink_with_the_number_of_classes`
# - *Eval mode after an evaluation, never undone*: from the second epoch on, batch norm stands still.
#   `test_a_network_left_in_eval_mode_trains_in_train_mode_all_the_same`
# - *Predicting again in the plain way*: batch norm counts batches twice.
#   `test_batch_norm_moves_exactly_once_a_step`
# - *Posteriors of different batches compared*: a shoe is asked to agree with a shirt.
#   `test_peers_see_the_same_batch_and_sequential_predicts_on_it_again_without_gradient`
# - *Both peers start from the same weights*: nothing, for ever.
#   `test_identical_twins_with_the_same_batch_never_teach_each_other_anything`
# - *One seed, or the best epoch as seen on test images*: a gain that nobody finds again; seen by you, from now on.
#
# ## Summary
#
# - One step of mutual learning: all predict on one batch, publish without gradient, pay label and peer, update.
# - Without `detach` the pupil's loss moves the teacher, and the teacher begins to flatter.
# - Simultaneous or sequential is a choice; the second prediction carries no gradient and leaves batch norm alone. A new batch for each peer is
#   another algorithm.
# - Twenty-odd lines of yours equal the library's step in every loss, weight and statistic.
# - What peers give each other is what sets them apart: twins have nothing to say.
# - Here, a peer lowers the NLL in every seed and leaves accuracy where it was. Both halves belong in the report.
#
# ## Recall
#
# 1. Write the step for two peers from memory. Where is `detach`, and what breaks without it?
# 2. After one step, whose weights differ between the two orders, and why only those?
# 3. Why not simply call the network again in the sequential order? Name both traps.
# 4. Why do two networks have to differ before they can teach each other? What makes them differ here?
# 5. Look once more at the first two lines of the table of twelve seeds. Say in one sentence what you would report.
#
# **In class.** [Exercise 04](../exercises/ex_04_two_peers.ipynb) has tasks on this chapter for 40 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** *Spot the bug.* Take `step`, plant one mistake of the list in it, and give it to your neighbour together with the losses of twenty
# steps beside the right ones. Which mistakes show in the losses, which only in the weights, and which in neither? Then write the assertion that would
# have caught each.
#
# [Chapter 05](05_do_they_agree.ipynb) asks how far peers come to agree, and what their agreement costs.
