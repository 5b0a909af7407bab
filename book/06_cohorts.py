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
# # 06 · A cohort of N
#
# **Two peers have little choice: each listens to the other. With five there are many ways to draw the arrows, twenty opinions to compare, and a paper that reports a result which its own equations do not allow.** In this chapter you draw the arrows,
# count the cost, take the contradiction apart, and see how many peers are worth having.
#
# | | |
# |---|---|
# | **After this chapter you can** | write any topology down and check it; train N peers at the price of N; show that DML and DML$_e$ are one training, and name what is not; keep the gain of a network and the gain of an ensemble apart |
# | **Time** | 45 minutes, of which less than half a minute is the computer's |
# | **You need** | chapter 02 for KL and Jensen-Shannon, chapter 04 for the step, chapter 05 for the price of agreement |

# %% [markdown]
# ## Where we are going
#
# Four ways in which a group may talk. An arrow goes from the one who teaches to the one who learns.

# %% mystnb={"image": {"alt": "Four panels of circles with arrows. Mutual: four peers, arrows both ways between all. Ring: four peers, each teaches the next. One-way: peer 0 teaches three others. Two cliques: two triangles of peers that all teach each other, joined by one pair of arrows."}}
import tempfile
from pathlib import Path
from unittest.mock import patch

import matplotlib.pyplot as plt
import torch

from dml_teach import comparison, losses, models, plots, recordings, runs
from dml_teach import scale, seeds, topology
from dml_teach.analysis.posteriors import logits_of
from dml_teach.data.batches import evaluation_batches
from dml_teach.data.images import split
from dml_teach.errors import ConfigError
from dml_teach.published import read as published_numbers
from dml_teach.recipes import build_optimizer
from dml_teach.trainer import fit
from dml_teach.widgets import TopologyEditor

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

pairs_of = {0: (1, 2), 1: (0, 2), 2: (0, 1, 3)}
pairs_of |= {3: (4, 5, 2), 4: (3, 5), 5: (3, 4)}
cliques = torch.zeros(6, 6, dtype=torch.float64)
for k, teachers in pairs_of.items():
    cliques[k, list(teachers)] = 1 / len(teachers)

drawn = {
    "mutual": topology.mutual(4),
    "ring": topology.ring(4),
    "one-way": topology.one_way(4),
    "two cliques": cliques,
}
plots.topologies(drawn)

# %% [markdown]
# ## Draw your own
#
# A topology is a matrix $W$, and its row $k$ says from whom peer $k$ learns: from the **mixture** $q_k = \sum_l W_{kl}\, p_l$. Three of the four have names in [`topology.py`](../dml_teach/topology.py); the fourth was written by hand above: two **cliques**,
# groups in which everybody hears everybody, of three peers each, and a **bridge** between peers 2 and 3. A row has to sum to 1, or to 0 for somebody who listens to nobody. It is easily got wrong:

# %%
wrong = cliques.clone()
wrong[2] = torch.tensor([1 / 2, 1 / 2, 0, 1 / 2, 0, 0])
try:
    topology.validate(wrong)
except ConfigError as error:
    print("refused:", error)

checked = topology.validate(cliques, peers=6)
print("accepted:", tuple(checked.shape), checked.dtype)

# %% [markdown]
# Click on a cell or an arrow of the next one: it says what you have drawn, and whether it is a topology.

# %%
editor = TopologyEditor(topology.ring(4))
editor

# %% [markdown]
# What you draw is in `editor.matrix`, ready for training. [`topology.validate`](../dml_teach/topology.py) is asked by every cohort before it starts (`test_a_matrix_that_is_no_topology_is_refused_with_its_fault` in [`tests/test_topology.py`](../tests/test_topology.py)).
#
# What do we expect of such drawings? Whoever has few teachers hears few opinions *directly*. But a teacher has learnt from others, so a word travels on. *Predict:* in a ring of four, after how many
# steps has everybody heard, through others, from everybody? And in the two cliques?

# %%


def rounds_until_all_are_heard(matrix):
    """Steps until a word from anybody has come to everybody, or None."""
    peers = len(matrix)
    hears = (matrix > 0) | torch.eye(peers, dtype=torch.bool)
    heard = torch.eye(peers, dtype=torch.bool)
    for step in range(1, peers):
        heard = (hears.double() @ heard.double()) > 0
        if heard.all():
            return step
    return None


print("              arrows   teachers of a peer   rounds")
for name, matrix in drawn.items():
    arrows = matrix > 0
    low, high = arrows.sum(dim=1).aminmax()
    print(
        f"{name:<14}{arrows.sum():>6}{f'{low} to {high}':>21}",
        f"{rounds_until_all_are_heard(matrix)!s:>8}",
    )

# %% [markdown]
# A training has hundreds of steps, so three rounds are nothing: in every drawing but one-way, everybody hears everybody in the end. Keep that in mind for the experiment below.
#
# ## A random partner
#
# A fifth way: in every step, each peer draws *one* of its teachers and listens to that one alone. The recipe calls it `partners="one"`; the drawing is [`topology.draw_partners`](../dml_teach/topology.py). *Predict:* what does
# a peer learn from, on average over many draws?

# %%
generator = torch.Generator().manual_seed(0)
everybody = topology.mutual(4)
draws = torch.stack(
    [topology.draw_partners(everybody, generator) for _ in range(4000)]
)
print("a single teacher in each row:", bool((draws.sum(dim=2) == 1).all()))
moved = (draws[1:] != draws[:-1]).any(dim=2).any(dim=1)
print(
    "others from one step to the next, mostly:",
    bool(moved.float().mean() > 0.9),
)
apart = (draws.mean(dim=0) - everybody).abs().max()
print("the mean of 4000 draws is W, to .03:", bool(apart < 0.03))

# %% [markdown]
# On average it *is* mutual learning, since the pull is linear in the opinions that are heard: over the other $K - 1$ peers $l$, $\frac{1}{K-1} \sum_{l \ne k} (p_k - p_l) = p_k - q_k$. Each step is noisier, that is all. On one machine nothing is saved, as everybody predicts anyway. On many machines it is the difference
# between sending a posterior to everybody and sending it to one (`test_a_drawn_partner_is_one_of_the_teachers_and_on_average_the_topology` in [`tests/test_settings.py`](../tests/test_settings.py)).
#
# ## What does a cohort cost?
#
# The paper's loss for $K$ networks compares everybody with everybody:
#
# $$L_k = L_{C_k} + \frac{1}{K-1} \sum_{l \ne k} D_{KL}(p_l \,\|\, p_k)$$
#
# That is $K(K-1)$ divergences a step, 56 for eight peers. But write one out and look at what depends on whom:
#
# $$\sum_l W_{kl}\, D_{KL}(p_l \,\|\, p_k) \;=\; \underbrace{-\sum_l W_{kl}\, H(p_l)}_{\text{each entropy is needed once}} \;-\; \sum_m \underbrace{\Bigl(\sum_l W_{kl}\, p_l^m\Bigr)}_{q_k^m,\ \text{a row of } W P} \ln p_k^m$$
#
# The first part is a number that everybody has published. The second needs only the mixture $q_k$: for each image the $K$ posteriors are the rows of a matrix $P$, and $q_k$ is row $k$ of the small product $W P$. So $K$ forward passes, $K$ entropies, one product. Write it as it stands,
# compare it with the double loop, and count how many posteriors each of them computes.

# %%


def divergences(logits, k):
    """D_KL(p_l || p_k) for every other peer l, batch means: (K - 1,)."""
    others = [l for l in range(len(logits)) if l != k]
    return torch.stack(
        [
            losses.kl_divergence(logits[l].detach(), logits[k]).mean()
            for l in others
        ]
    )


def by_pairs(logits):
    """What each peer pays, by the double loop: (K,)."""
    peers = range(len(logits))
    return torch.stack([divergences(logits, k).mean() for k in peers])


def by_mixtures(logits):
    """The same from published posteriors and one product: (K,)."""
    published = losses.publish(logits)
    matrix = topology.mutual(len(logits)).to(logits)
    mixtures = torch.einsum("kl,lbc->kbc", matrix, published.posteriors)
    entropies = matrix @ published.negative_entropies  # (K, B)
    log_p = losses.log_posterior(logits)
    return (entropies - (mixtures * log_p).sum(dim=-1)).mean(dim=-1)


def posteriors_computed(way, logits):
    """How many times a posterior of one peer is computed on the way."""
    whole = losses.log_posterior
    with patch.object(losses, "log_posterior", side_effect=whole) as spy:
        way(logits)
    batch = logits[0].numel()
    return sum(call.args[0].numel() // batch for call in spy.mock_calls)


random = torch.Generator().manual_seed(0)
print("peers   divergences   posteriors by pairs   by mixtures   equal")
for peers in (2, 3, 5, 8):
    z = torch.randn(peers, 64, 100, generator=random).double()
    counts = [
        posteriors_computed(way, z) for way in (by_pairs, by_mixtures)
    ]
    equal = torch.allclose(by_pairs(z), by_mixtures(z))
    print(
        f"{peers:>5}{peers * (peers - 1):>14}{counts[0]:>22}{counts[1]:>14}",
        f"   {equal}",
    )

# %% [markdown]
# Equal to the last digits, and linear instead of quadratic. The library's [`losses.mimicry_of_mixture`](../dml_teach/losses.py) is the same for one peer at a time, and `test_mixture_form_has_the_value_and_gradient_of_the_pairwise_double_loop` in
# [`tests/test_losses.py`](../tests/test_losses.py) holds it to the double loop, for any temperature.
#
# How much is that in time? Beside the networks themselves the losses are small in either form. What counts is that nothing else is added. `python benchmarks/mutual_step.py` times a mutual step of two and of four ResNet-32 against as many independent ones on your
# machine. What came out on ours is in the project's README: the two could not be told apart (**ours**). Peers do not cost more for talking.
#
# ## A result that can not be
#
# The paper tries a variant, **DML$_e$**: instead of listening to each peer, listen to their averaged posterior, $D_{KL}(q_k \,\|\, p_k)$. With five MobileNets on Market-1501 it reports a mAP of about 53.7 for DML$_e$ against about 56.1 for DML (**paper**, read off its
# figures): a clear loss.
#
# You have seen in chapter 02 why that should not happen. Now on real posteriors: the four independent networks of the [recording](recordings/agreement/independent/config.json) from chapter 05, all losses written out by hand.
#
# *Predict* three things: which of the two losses is larger? By how much? And which pulls more strongly?

# %%


def dml(logits, k):
    """The paper's loss: the mean of the divergences."""
    return divergences(logits, k).mean()


def dml_e(logits, k):
    """The divergence from the averaged posterior of the others."""
    others = [l for l in range(len(logits)) if l != k]
    published = torch.stack([logits[l].detach() for l in others])
    average = losses.log_posterior(published).exp().mean(dim=0)
    return losses.kl_divergence(average.log(), logits[k]).mean()


def summed(logits, k):
    """What the authors' code does: the sum of the divergences."""
    return divergences(logits, k).sum()


def pull(loss, logits, k):
    """Gradient for the logits of peer k, of each image: (N, C)."""
    z = [own.clone() for own in logits]
    z[k].requires_grad_()
    loss(z, k).backward()
    return len(logits[k]) * z[k].grad


run = runs.load(Path("recordings/agreement/independent"))
z = logits_of(run.posteriors[-1].double())  # (4, N, C)
published = losses.publish(z)
W = topology.mutual(len(z))

print("          value                 difference   Jensen-Shannon")
print("          DML    DML_e    sum                of the others")
for k in range(len(z)):
    values = [loss(z, k).item() for loss in (dml, dml_e, summed)]
    between = losses.jensen_shannon(published, W[k]).mean().item()
    print(
        f"peer {k}",
        "".join(f"{value:>8.4f}" for value in values),
        f"{values[0] - values[1]:>12.4f}{between:>16.4f}",
    )

# %%
for k in range(len(z)):
    pulls = {loss: pull(loss, z, k) for loss in (dml, dml_e, summed)}
    largest = pulls[dml].abs().max()
    apart = (pulls[dml] - pulls[dml_e]).abs().max() / largest
    times = torch.linalg.norm(pulls[summed]) / torch.linalg.norm(pulls[dml])
    assert apart < 1e-6
    print(
        f"peer {k}: DML and DML_e pull alike, to 1e-6: {bool(apart < 1e-6)};",
        f"the sum pulls {times:.4f} times as much",
    )

# %% [markdown]
# The values differ, by the Jensen-Shannon divergence of the others, exactly. But that is a quantity in which peer $k$ does not occur, so its gradient is zero and the pull is the same. **DML and DML$_e$ are one training with two names.**
# Are they, in a training as well? Three networks, five steps, losses by hand:

# %%
here = scale.current()
train, test = here.images()
training, _ = split(train, here.recipe.probe_images, here.subset)
images, labels = next(iter(evaluation_batches(training, 25)))
images = images.double()


def after_five_steps(loss):
    """All weights of three peers that pay this mimicry loss, (n,)."""
    networks = [
        models.build(
            here.network,
            train.classes,
            channels=train.channels,
            generator=seeds.generator(0, "weights", k),
        ).double()
        for k in range(3)
    ]
    optimizers = [
        build_optimizer(here.recipe, network.parameters())
        for network in networks
    ]
    for _ in range(5):
        logits = [network(images) for network in networks]
        for k, optimizer in enumerate(optimizers):
            supervised = losses.cross_entropy(logits[k], labels)
            optimizer.zero_grad()
            (supervised + loss(logits, k)).backward()
            optimizer.step()
    return torch.cat(
        [p.detach().flatten() for n in networks for p in n.parameters()]
    )


weights = {loss: after_five_steps(loss) for loss in (dml, dml_e, summed)}
for loss in (dml_e, summed):
    close = torch.allclose(
        weights[dml], weights[loss], rtol=1e-6, atol=1e-9
    )
    print(f"{loss.__name__:<7} has the weights of dml: {close}")

# %% [markdown]
# In the library the two are [`losses.mimicry_of_mixture`](../dml_teach/losses.py) and [`losses.mimicry_of_ensemble`](../dml_teach/losses.py); `test_dml_and_dml_e_have_the_same_gradient` and
# `test_dml_e_is_kl_to_the_mean_posterior_and_lower_by_the_jensen_shannon_divergence` are their proofs, and a recipe asks for the second with `mimicry="ensemble"`.
#
# So where does the paper's difference come from? Look at the third loss. The authors' published code does not divide by $K - 1$: it *sums* the divergences. At $K = 5$ its "DML" listens to its peers four times as loudly as its DML$_e$, which has a single divergence. Then the two curves in the paper
# compare two *weights* of the mimicry loss, not two kinds of teacher. That is a hypothesis: we can not run the authors' experiment. What supports it is that somebody who divides finds no difference: with eight ResNet-32 on CIFAR-100, 72.04 ± 0.09 % for DML
# and 72.14 ± 0.13 % for DML$_e$ over five seeds (**others**). What four times the weight does to *our* networks you will see further down.
#
# ## Three ways to talk, one training
#
# Three peers, trained here in four ways: alone, all with all, in a ring, and each with a random partner in every step. (Half the usual number of epochs, to keep it short.) You have seen that in all three conversations everybody is heard by everybody, within two rounds.
#
# *Predict:* how far apart will the peers be in the end? Put the four in order.

# %%
folder = Path(tempfile.mkdtemp())
short = here.recipe.with_(epochs=max(1, here.recipe.epochs // 2))
ways = {
    "alone": (topology.independent(3), short),
    "all with all": (topology.mutual(3), short),
    "a ring": (topology.ring(3), short),
    "a random partner": (topology.mutual(3), short.with_(partners="one")),
}
trained = {
    name: fit(
        [here.network] * 3,
        matrix,
        train,
        test,
        recipe,
        seed=0,
        out=folder / name,
        subset=here.subset,
        progress=False,
    )
    for name, (matrix, recipe) in ways.items()
}
kl = {name: run.test["mean_pairwise_kl"] for name, run in trained.items()}
talking = [kl[name] for name in ways if name != "alone"]
print("every conversation brings the peers closer than three")
print("quarters of the distance alone: ", max(talking) < 0.75 * kl["alone"])
print(
    "the three within a third of each other:",
    max(talking) < 4 / 3 * min(talking),
)

# %% mystnb={"image": {"alt": "Mean pairwise KL over the epochs for four ways. The line of the peers alone ends highest; the three lines of the peers that talk end together, at about half its height."}}
plots.curves(
    {name: [run] for name, run in trained.items()}, "mean_pairwise_kl"
)

# %% [markdown]
# That somebody talks makes a difference; who talks to whom makes hardly any, at three peers and this size. A ring has half the arrows and brings the peers as close together. (We see it here for one seed. One seed can say nothing about *accuracy*, so
# the cell does not ask.) Where the choice is sure to matter is elsewhere: a ring sends half as many posteriors, or a quarter as many at five peers, and that counts when peers live on different machines.
#
# ## How many peers?
#
# The paper's Figure 2 draws accuracy against the number of peers, for the single networks and for their ensemble. Beside it stand a replication and ours. The three differ in everything: in data, networks, and measure.
#
# - **paper**: MobileNets on Market-1501, mAP, read off the figure; number of seeds not stated.
# - **others**: ResNet-32 on all of CIFAR-100, accuracy, five seeds.
# - **ours**: small networks on 2 000 images of CIFAR-100, accuracy, made by `python tools/record.py cohort_size`. These networks are far from good, and that is on purpose: they fit their images and generalise badly, so there is much to gain.

# %%
ours = recordings.load(Path("recordings/cohort_size.json"))
sizes = (1, 2, 3, 4, 5)
print("seeds of ours:", len(ours["seeds"]))


def arm(method, k):
    """The recorded arm of k peers; one peer alone is in both methods."""
    name = f"{method}-{k}" if k > 1 else "independent-1"
    return recordings.find_arm(ours, name)


def of_ours(method, k, metric):
    """A number for each seed, accuracies in %."""
    factor = 100 if metric.endswith("top1") else 1
    return [
        factor * value
        for value in recordings.per_seed(arm(method, k), metric)
    ]


literature = published_numbers()


def of_others(tier, data, network, method, k, of):
    """A published number, or None."""
    names = {f"{network} × {k}"}
    if k == 2:
        names.add(f"{network} + {network}")
    found = [
        float(n.value)
        for n in literature
        if (n.tier, n.data, n.setting) == (tier, data, method)
        and n.networks in names
        and n.of == of
        and n.table in ("pairs", "cohorts", "market-cohorts")
        and not n.note.startswith("one seed")
    ]
    return found[0] if found else None


tiers = {
    "paper": ("Market-1501", "MobileNet", (1, 2, 3, 4, 5)),
    "others": ("CIFAR-100", "ResNet-32", (2, 4, 8, 12)),
}
points = {}  # (tier, method, of) -> K -> value
for method in ("independent", "mutual"):
    for of, metric in (("mean", "top1"), ("ensemble", "ensemble_top1")):
        for tier, (data, network, counts) in tiers.items():
            values = {
                k: of_others(tier, data, network, method, k, of)
                for k in counts
            }
            points[tier, method, of] = {
                k: value for k, value in values.items() if value is not None
            }
        points["ours", method, of] = {
            k: sum(of_ours(method, k, metric)) / len(ours["seeds"])
            for k in sizes
        }
for (tier, method, of), values in points.items():
    shown = "  ".join(f"{k}: {value:.2f}" for k, value in values.items())
    print(f"{tier:<7}{method:<12}{of:<9} {shown}")

# %% mystnb={"image": {"alt": "Three panels, accuracy against the number of peers: paper, others, ours. Solid lines for single networks, dashed lines for ensembles. In all panels single mutual networks lie above single independent ones. The ensembles lie above both; in the paper's panel the mutual ensemble is on top, in the others' and in ours the independent one."}}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.9), layout="constrained")
for axis, tier in zip(axes, ("paper", "others", "ours"), strict=True):
    for n, method in enumerate(("independent", "mutual")):
        for of, dashes, face in (
            ("mean", "-", plots.COLOURS[n]),
            ("ensemble", (0, (4, 2)), "white"),
        ):
            values = points[tier, method, of]
            axis.plot(
                list(values),
                list(values.values()),
                color=plots.COLOURS[n],
                linestyle=dashes,
                marker=plots.MARKERS[n],
                markerfacecolor=face,
                label=f"{method}, {'one' if of == 'mean' else 'ensemble'}",
            )
    axis.set(title=tier, xlabel="Peers in the cohort, K")
    counts = sorted(points[tier, "mutual", "mean"])
    if tier == "others":  # each of these has about twice the peers
        axis.set_xscale("log", base=2)
        axis.minorticks_off()
    axis.set_xticks(counts, counts)
    axis.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("mAP (%)")
axes[1].set_ylabel("Accuracy (%)")
handles = axes[0].get_legend_handles_labels()
figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False)
plt.show()

# %% [markdown]
# First the solid lines, one network out of the cohort. In all three panels a network that had peers is better than one that had none, and the first peers bring most of it: from the fourth to the fifth the paper's line rises by 0.3 points, from four to twelve peers the replication's by less than half a point.
#
# Is ours more than noise? Paired by seed, mutual less independent, with the 95 % interval:

# %%
print("             one network                     ensemble")
print("K       points          NLL            points          NLL")
for k in sizes[1:]:
    cells = []
    for metric in ("top1", "nll", "ensemble_top1", "ensemble_nll"):
        both = [of_ours(m, k, metric) for m in ("mutual", "independent")]
        pair = comparison.paired(*both)
        cells.append(f"{pair.difference:+.2f} ± {pair.half_width:.2f}")
    print(f"{k}  " + "".join(f"{cell:>15}" for cell in cells))
five, two = (of_ours("mutual", k, "top1") for k in (5, 2))
pair = comparison.paired(five, two)
print(
    f"one of five less one of two, points: {pair.difference:+.2f}", end=""
)
print(f" ± {pair.half_width:.2f}")

# %% [markdown]
# A single network gains more than a point of accuracy, and its NLL falls by about half a nat; no interval of these holds 0. And more than one peer? The last line compares five with two, and there the interval does hold 0: in our data the second network brings the gain, and what three more add to its accuracy can not be told from nothing. On few images of a hundred classes, with training that never augments, a companion helps much more than it did on the clothes of chapter 04. That is a pattern that we see and have not proven: *the more a
# network overfits, the more a peer can give it.*
#
# ## Is the crowd wiser?
#
# Now the dashed lines, and here the three contradict each other. In the paper, the ensemble of mutual peers is the best of all. In the replication it is the ensemble of networks that *never met*: with eight ResNet-32, 76.93 % against 76.06 %.
#
# Chapter 05 has prepared us. An ensemble's accuracy is that of a member plus what averaging adds. Mutual learning raises the first and lowers the second. *Predict,* for each of the panels: which of the two wins?

# %%
last = {"paper": 5, "others": 8, "ours": 5}
print("                 a member     averaging    so the")
print("                 gains        loses        ensemble")
for tier, k in last.items():
    one, together = (
        {m: points[tier, m, of][k] for m in ("independent", "mutual")}
        for of in ("mean", "ensemble")
    )
    added = {m: together[m] - one[m] for m in one}
    member = one["mutual"] - one["independent"]
    averaging = added["mutual"] - added["independent"]
    print(
        f"{tier:<7} K = {k}{member:>+12.2f}{averaging:>+13.2f}",
        f"{member + averaging:>+11.2f}",
    )

# %% [markdown]
# One sum, three outcomes. Averaging loses in every tier, since peers that talk are more alike. In the paper a member gains so much, nearly ten points of mAP, that the ensemble comes out ahead all the same. With ResNet-32 the member's gain is
# smaller than the loss. Whether the crowd is wiser for having talked depends on how much each of its members had to learn. With 40 % of the labels wrong, to take one more case, eight ResNet-32 gain 8.25 points each, from 50.81 % to 59.06 %, and there the mutual
# ensemble is ahead again, 65.66 % against 64.85 % (**others**).
#
# What averaging adds, against the number of peers, in ours:

# %% mystnb={"image": {"alt": "Ensemble gain in points of accuracy against the number of peers from 2 to 5, with intervals. Both lines rise; that of the independent peers lies clearly above that of the mutual ones."}}
plots.over_cohort_sizes(
    {
        method: {
            k: [
                whole - one
                for whole, one in zip(
                    of_ours(method, k, "ensemble_top1"),
                    of_ours(method, k, "top1"),
                    strict=True,
                )
            ]
            for k in sizes[1:]
        }
        for method in ("independent", "mutual")
    }
)

# %% [markdown]
# (In NLL our own mutual ensembles do come out ahead, by less and less as they grow, as the last column of the table before shows. Which one is "better" depends on whether you ask for names or for probabilities.)
#
# ## The mean and the sum
#
# Back to the contradiction. What does it do to five peers if the divergences are summed, as in the authors' code, so that mimicry weighs four times as much? *Predict:* more agreement or less? And a single network, better or worse?

# %%
mean, total, of_average = (
    recordings.find_arm(ours, name)
    for name in ("mutual-5", "summed-5", "dml_e-5")
)
print("                        mean      sum     sum less mean")
for metric, factor in {
    "mean_pairwise_kl": 1,
    "mean_agreement": 100,
    "top1": 100,
    "nll": 1,
    "ensemble_top1": 100,
    "ensemble_nll": 1,
}.items():
    both = [
        [factor * value for value in recordings.per_seed(each, metric)]
        for each in (total, mean)
    ]
    pair = comparison.paired(*both)
    averages = [sum(values) / len(values) for values in both]
    print(
        f"{metric:<18}{averages[1]:>10.2f}{averages[0]:>9.2f}",
        f"{pair.difference:>+10.2f} ± {pair.half_width:.2f}",
    )
same = all(of_average[name] == mean[name] for name in ("top1", "nll"))
print("DML_e: each peer of each seed as with the mean:", same)

# %% [markdown]
# Far more agreement and a lower NLL for each network; for its accuracy nothing that could be told from chance; and an ensemble that is a point worse: the price of agreement once more. The last line is a run of its own for each seed, with DML$_e$ for a loss, and it ends in the same networks as the mean. What matters for the contradiction is that *the weight makes a difference that the kind of average can not make*. Had we called the sum "DML" and compared it with DML$_e$, we should have published a difference between the two,
# and looked for its reason in the average.
#
# ## Summary
#
# - A topology is a matrix whose rows sum to 1 or 0. In nearly all of them everybody hears everybody within a few steps; at three peers, who listens to whom hardly mattered.
# - $K$ peers need $K$ forward passes and one small product, not $K(K-1)$ divergences.
# - DML and DML$_e$ have one gradient; their values differ by the Jensen-Shannon divergence of the others. The sum has $K - 1$ times the pull, which may be why the paper sees a difference.
# - The first peers bring most. In ours the second network brings all the accuracy, as far as five seeds can tell.
# - Talking raises the member and lowers what averaging adds. The paper's mutual ensembles win; others' ResNet-32 ensembles are more accurate if they never met, and so are ours of four and five.
#
# ## Recall
#
# 1. Write down $W$ for a chain of four: peer 0 learns from nobody, each other peer from the one before. What does peer 3 hear of peer 0?
# 2. Why does a random partner give mutual learning on average? Which property of the gradient makes it so?
# 3. In the mixture form, which quantities does a peer have to publish so that the others can report the paper's value exactly?
# 4. DML and DML$_e$ differ in value and not in gradient. Where does the difference go?
# 5. A cohort's members gain 3 points and its ensemble loses 1. What has averaging lost? What would you use the cohort for?
#
# **In class.** [Exercise 06](../exercises/ex_06_cohorts.ipynb) has tasks on this chapter for 40 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** Write a *star* as a matrix: peer 0 learns from all others, all others learn from peer 0. Validate it, count its rounds, and train five peers in it and in a ring, with three seeds. Compare the NLL, paired by seed, and say what you
# may conclude. Then make the mixture form of the loss fail: find a single character which, put into `by_mixtures`, leaves every gradient right and makes the reported value wrong.
#
# You now have the whole method. But all peers so far were equals. [Chapter 07](07_unequal_peers.ipynb) puts a small network beside a large one, and asks what a strong one gets from a weak.
