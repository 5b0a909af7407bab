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
# # 05 · Do they agree?
#
# **Networks that teach each other come to agree. Is that what we wanted?** Agreement can mean that both have found the truth, or that both repeat the same mistake. In this chapter you measure it,
# watch it grow, look at the images on which it breaks, and work out to the last digit what it costs.
#
# | | |
# |---|---|
# | **After this chapter you can** | measure agreement in three ways and say what each is blind to; find the images that peers argue about; read a reliability diagram; explain why an average helps, and why agreement makes it help less |
# | **Time** | 40 minutes, of which a quarter of a minute is the computer's |
# | **You need** | chapter 02 for KL, entropy and Jensen-Shannon, chapter 04 for the training of a pair |

# %% [markdown]
# ## Where we are going
#
# Four networks were trained alone and four together, on the same 500 images, from the same first weights. After every epoch all of them were shown 200 images that nobody studies. Left: how
# far apart their posteriors are. Right: how often two of them name the same class.

# %% mystnb={"image": {"alt": "Two panels over 30 epochs, a line for independent and a line for mutual peers. In the left one, mean pairwise KL, both lines jump about and then settle, the mutual one at about half the height of the other. In the right one, agreement in per cent, both lines come up from below the frame, climb to nearly 90 and end close together."}}
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from dml_teach import comparison, losses, metrics, plots, runs, scale
from dml_teach import topology
from dml_teach.analysis import agreement, calibration
from dml_teach.analysis.posteriors import logits_of
from dml_teach.evaluation import predict
from dml_teach.published import read as published_numbers
from dml_teach.trainer import fit, trained_network

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

recordings = Path("recordings")
recorded = {
    name: runs.load(recordings / "agreement" / name)
    for name in ("independent", "mutual")
}
plots.side_by_side(
    {name: [run] for name, run in recorded.items()},
    ("mean_pairwise_kl", "mean_agreement"),
)

# %% [markdown]
# Two measures of one thing, and they do not tell the same story. By the left one mutual learning has nearly halved the distance. By the right one hardly anything has happened. Both are right, and the
# chapter is about why.
#
# ## A recording
#
# A run leaves a folder with its settings, its metrics and, for questions that nobody has thought of yet, *every posterior of every peer on every probe image after every epoch*. These two folders lie in
# the book (**ours**: one seed, made by `python tools/record.py agreement`), and [`runs.load`](../dml_teach/runs.py) reads them. So what this page says about them is the same on every machine.

# %%
for name, run in recorded.items():
    shape = tuple(run.posteriors.shape)
    print(f"{name:<12} (epoch, peer, image, class) = {shape}")

probe = recorded["mutual"].probe
labels, class_names = probe.labels, recorded["mutual"].class_names
same = recorded["independent"].probe.hashes == probe.hashes
print("both were shown the same images:", same)

# The posteriors after the last epoch, (K, N, C)
final = {name: run.posteriors[-1] for name, run in recorded.items()}

# %% [markdown]
# ## First measure: do they name the same class?
#
# The **agreement** of peers $k$ and $l$ is the share of images on which their favourites are the same. Three lines:

# %%
named = final["independent"].argmax(dim=-1)  # (K, N)
same_name = named[:, None] == named[None, :]  # (K, K, N)
by_hand = same_name.double().mean(dim=-1)
print(by_hand)

library = metrics.agreement(logits_of(final["independent"]))
print("the library's:", torch.equal(by_hand, library))

# %% [markdown]
# In code: [`metrics.agreement`](../dml_teach/metrics.py), proven in [`tests/test_metrics.py`](../tests/test_metrics.py).
#
# These four have never met. Each is wrong on a good fifth of the images. *Predict:* if the mistakes of two networks had nothing to do with each other, on how many of the 200 images would *both* be wrong? And
# on how many are they really?

# %%
print("of 200 images        wrong   both wrong   both wrong     the same")
print("                  (a peer)    by chance      counted   wrong name")
for name, p in final.items():
    z = logits_of(p)
    wrong = 1 - metrics.top1(z, labels)  # (K,)
    both = agreement.both_wrong(z, labels)  # (K, K)
    alike = agreement.same_wrong(z, labels)
    chance = torch.outer(wrong, wrong)
    columns = [wrong.mean()]
    columns += [metrics.mean_off_diagonal(m) for m in (chance, both, alike)]
    print(
        f"{name:<14}"
        + "".join(f"{len(labels) * share:>12.2f}" for share in columns)
    )

# %% [markdown]
# More than three times as many as chance would give. And mostly with the same wrong name. So networks that never exchanged a word share more than three quarters of their mistakes: what is hard lies in the
# image, not in the network. So much agreement is no sign of teaching. It is where we start from
# ([`agreement.both_wrong`, `agreement.same_wrong`](../dml_teach/analysis/agreement.py), proven in [`tests/analysis/test_agreement.py`](../tests/analysis/test_agreement.py)).
#
# With teaching, names hardly move: a point or two more agreement, and on 200 images a point is two images. Names are a coarse measure. A network that goes from 90 : 10 to 60 : 40 still names the same class.
#
# ## Second measure: how far apart are their posteriors?
#
# For that we have the KL divergence of chapter 02, now for every pair: row $k$ is the one who learns, column $l$ the one it listens to, and the entry is the mean of $D_{KL}(p_l \,\|\, p_k)$ over the images
# ([`metrics.pairwise_kl`](../dml_teach/metrics.py)).

# %% mystnb={"image": {"alt": "Two 4 by 4 matrices of the mean KL divergence between peers, zero on the diagonal. All other entries of the independent peers are larger than any of the mutual ones."}}
plots.matrices(
    {name: [run] for name, run in recorded.items()}, "pairwise_kl"
)

# %% [markdown]
# Every entry on the right is smaller than every entry on the left. This is the quantity that mutual learning goes downhill on, if only on training images; it is good to see that it holds on images that nobody has studied.
#
# And KL has a blind spot of its own. *Predict:* after the *first* epoch, when they know next to nothing, will KL be small or large? And agreement?

# %%
measured = {
    name: agreement.over_epochs(run) for name, run in recorded.items()
}
print("                   KL (nats)    same name    entropy (nats)")
for epoch in (1, 10, 30):
    for name, curve in measured.items():
        kl, names, doubt = (
            curve[measure][epoch - 1]
            for measure in ("mean_pairwise_kl", "mean_agreement", "entropy")
        )
        print(
            f"epoch {epoch:>2} {name:<12}{kl:>6.2f}{100 * names:>12.0f} %{doubt:>14.2f}"
        )

# %% [markdown]
# After one epoch the four independent networks name the same class on little more than half of the images, and yet their KL is about as small as at the end. Nobody has an opinion yet: they spread their probability widely, and wide posteriors
# overlap. So keep the two apart:
#
# | measure | sees | is blind to |
# |---|---|---|
# | agreement | which class is named | how sure anybody is |
# | KL | every probability | whether the names differ |
#
# In the middle of the training both jump up and down: the rate is still high there, and one batch more or less moves a network a good way. One should not read much into a single epoch of a single run.
#
# ## Doubt
#
# The last column is the entropy of the posteriors. Here is the whole curve:

# %% mystnb={"image": {"alt": "Posterior entropy on probe images over 30 epochs. Both lines fall and flatten; that of the mutual peers ends a little above that of the independent ones."}}
plots.curves({name: [run] for name, run in recorded.items()}, "entropy")

# %% [markdown]
# Networks that teach each other end with a little more doubt. Chapter 02 said why: label and peer together pull to the *middle* of the one-hot label and the peer's opinion. The paper reports the same with greater force, 1.71 nats
# against 0.26 for a ResNet-32 on its training images of CIFAR-100 (**paper**). Ours are other images, other networks, and images that they have *not* studied; the direction is the same, the size is not.
#
# ## Another seed
#
# One recorded run is an anecdote. Train a pair here, alone and together, from a seed that the recording has not used, and put it beside the curves.
#
# *Predict:* will the two pairs lie near the ends of their curves? A pair has one teacher each, the recording's peers have three.

# %%
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
        progress=False,
    )


pairs = {name: train_pair(name, seed=2) for name in recorded}
alone, mutual = (pairs[name].test for name in ("independent", "mutual"))
print("on the test images, the mutual pair against the other")
ratio = mutual["mean_pairwise_kl"] / alone["mean_pairwise_kl"]
print("  KL below three quarters of it:   ", ratio < 0.75)
apart = abs(mutual["mean_agreement"] - alone["mean_agreement"])
print("  agreement within 5 points of it: ", apart < 0.05)
doubt = [sum(pair["entropy"]) for pair in (mutual, alone)]
print("  more doubt:                      ", doubt[0] > doubt[1])

# %% mystnb={"image": {"alt": "The two curves of the mean pairwise KL from the recording, and at the right edge two markers for the pairs trained here, each near the end of the curve of its kind."}}
figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for n, (name, pair) in enumerate(pairs.items()):
    look = {"color": plots.COLOURS[n], "linestyle": plots.DASHES[n]}
    kl = measured[name]["mean_pairwise_kl"]
    axis.plot(range(1, len(kl) + 1), kl, label=f"{name}, recorded", **look)
    last = pair.epochs[-1]
    axis.plot(
        last["epoch"],
        last["mean_pairwise_kl"],
        plots.MARKERS[n],
        markersize=10,
        color=plots.COLOURS[n],
        markeredgecolor="black",
        label=f"{name}, trained here",
        zorder=3,
    )
axis.set(xlabel="Epoch", ylabel="Mean pairwise KL (nats)")
axis.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside lower center", ncols=2, frameon=False)
plt.show()

# %% [markdown]
# Another seed tells the same story. (Two seeds are still few. The [demo's recording](recordings/demo.json), which chapter 04 has read, holds twelve.)
#
# ## Third measure: which images do they argue about?
#
# Both measures so far are means over images. Which images are they? We need a number for each image, one that treats all peers alike: their **Jensen-Shannon divergence**, the entropy of their average opinion less their average entropy.
# Chapter 02 met it between the lines of a proof. Here it has a plain meaning: of the doubt of the whole group, it is the part that comes from *differing*, not from each one's own hesitation.
#
# $$\text{JS} = H(\bar p) - \frac1K \sum_k H(p_k), \qquad \bar p = \frac1K \sum_k p_k$$

# %%


def entropy(p):
    """H(p) in nats: probabilities (..., C) -> (...)."""
    return torch.special.entr(p).sum(dim=-1)


dispute = {
    name: entropy(p.mean(dim=0)) - entropy(p).mean(dim=0)
    for name, p in final.items()
}
for name, by_hand in dispute.items():
    library = agreement.disagreement(logits_of(final[name]))
    close = torch.allclose(by_hand, library, atol=1e-5)
    print(f"{name:<12}mean {by_hand.mean():.3f}  the library's: {close}")
hard = torch.corrcoef(torch.stack(list(dispute.values())))[0, 1]
print(f"correlation between the two cohorts: {hard:.2f}")

# %% [markdown]
# The function is [`agreement.disagreement`](../dml_teach/analysis/agreement.py), 0 if all say the same and $\ln K$ at most; `test_disagreement_is_the_entropy_of_the_mean_minus_the_mean_entropy` proves it. The last line says that the two
# cohorts argue about much the same images. Look at them: the independent peers' worst disputes, with what each of the four says.

# %% mystnb={"image": {"alt": "Four pictures of clothes and shoes, each with bars below for its three likeliest classes and one bar for each of four peers. In each, at least two peers put most of their probability on different classes."}}


def show_disputes(p, images):
    """Pictures, and what each of the peers p (K, N, C) says of them."""
    figure, axes = plt.subplots(
        2,
        len(images),
        figsize=(2.5 * len(images), 4.4),
        height_ratios=(1, 1.5),
        layout="constrained",
    )
    for (above, below), i in zip(axes.T, images, strict=True):
        pixels = probe.images[i].permute(1, 2, 0)
        above.imshow(pixels, cmap="gray_r")
        above.set_title(f"label: {class_names[labels[i]]}", fontsize=10)
        above.axis("off")
        best = p[:, i].mean(dim=0).topk(3).indices
        for k in range(len(p)):
            below.barh(
                torch.arange(3) + 0.2 * (k - 1.5),
                100 * p[k, i, best],
                height=0.18,
                color=plots.COLOURS[k],
                hatch=plots.HATCHES[k],
                edgecolor="white",
                label=f"peer {k}",
            )
        below.set_yticks(range(3), [class_names[c] for c in best])
        below.invert_yaxis()
        below.set_xlabel("Probability (%)")
        below.set_xlim(0, 100)
        below.spines[["top", "right"]].set_visible(False)
    handles = axes[1, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4)
    plt.show()


worst = dispute["independent"].argsort(descending=True)
show_disputes(final["independent"], worst[:4])

# %% [markdown]
# Some of them are very sure, and they are sure of different things. Now the question that decides whether four are worth more than one. Average the four posteriors. *Predict:* on the twenty most disputed images, is the average right more often than a
# single peer? And on the hundred that they agree about best?

# %%
groups = {
    "the 20 most disputed": slice(0, 20),
    "the next 80": slice(20, 100),
    "the 100 calmest": slice(100, None),
}
print("right answers               independent           mutual")
print("                         a peer   average   a peer   average")
for group, places in groups.items():
    line = f"{group:<22}"
    for name, p in final.items():
        some = dispute[name].argsort(descending=True)[places]
        right = p[:, some].argmax(dim=-1) == labels[some]  # (K, n)
        average = p[:, some].mean(dim=0).argmax(dim=-1) == labels[some]
        line += f"{right.sum().item() / len(p):>9g}"
        line += f"{average.sum().item():>10}"
    print(line)

# %% [markdown]
# Where they argue, one peer alone is right about half the time, and the average better than that. Where they agree, the average has nothing to add: all say the same, so it says so too. **What an ensemble gains
# it gains in the disputes.** (Twenty images are few; the pattern is the point, not the last digit.)
#
# ## Look for yourself
#
# All that both recordings hold, to be walked through: an epoch, an image, and what every peer says of it. Images come with a sign for the ensemble of all four, ✓ where it is right and ✗ where it is wrong.
#
# **Find out, with the widget alone:** for which ten images do the *independent* peers disagree most after the last epoch, and on how many of these is their ensemble right?
#
# *Predict* the second number first. Then move the epochs, by mouse, by arrow keys or with *Play*, and watch the favourites change hands.

# %%
from dml_teach.widgets import AgreementExplorer

explorer = AgreementExplorer(recorded["independent"], recorded["mutual"])
explorer

# %% [markdown]
# The ten are the first ten of the gallery, and two of them carry a ✗: a dress and a pair of trousers defeat the ensemble. Look at who outvotes whom.
#
# Three things to try. Sort by *who is right*: on the images that come first, nobody is. Choose one on which peers disagree, and go back through the epochs: was there a time when they agreed, and on the right name? And take the disputes of the *mutual* peers: on
# how many of them would *you* have known the label?
#
# What you have chosen is at hand in Python, for a closer look in the next cell:

# %%
i = explorer.image
print(f"epoch {explorer.epoch}, image {i}: {class_names[labels[i]]}")
shares = final["independent"][:, i, labels[i]]
print("given to the label, %:", [round(100 * x) for x in shares.tolist()])

# %% [markdown]
# And the opposite case, which no measure of disagreement ever shows you:

# %%
for name, p in final.items():
    favourite = p.argmax(dim=-1)  # (K, N)
    one_voice = (favourite == favourite[0]).all(dim=0)
    mistaken = one_voice & (favourite[0] != labels)
    mistakes = (favourite != labels).sum().item() / len(p)
    print(
        f"{name:<12}{one_voice.sum()} of 200 with one voice,",
        f"{mistaken.sum()} of these wrong;",
        f"a peer is wrong on {mistakes:g}",
    )

# %% [markdown]
# On nearly half of a peer's mistakes all four make the *same* mistake, whether they have met or not. There, no vote helps, and no peer can teach what nobody knows.
#
# ## What an average gains, to the last digit
#
# Take the squared distance between a posterior and the one-hot label $\mathbf 1_y$. For every image,
#
# $$\underbrace{\lVert \bar p - \mathbf 1_y \rVert^2}_{\text{the average's error}} \;=\; \underbrace{\frac1K \sum_k \lVert p_k - \mathbf 1_y \rVert^2}_{\text{a member's error}} \;-\; \underbrace{\frac1K \sum_k \lVert p_k - \bar p \rVert^2}_{\text{spread}}$$
#
# This is no bound and no approximation (Krogh and Vedelsby, 1995; multiply it out, the mixed terms cancel because $\bar p$ is the mean). The spread does not know the label: it is pure disagreement, and it is *subtracted*.
#
# *Predict:* mutual learning makes members better, and it makes them more alike. Which of the three terms falls, which rises?

# %%
one_hot = F.one_hot(labels, len(class_names)).double()


def square(difference):
    """Mean over images (and peers) of the squared length."""
    return difference.square().sum(dim=-1).mean()


parts = {}
for name, p in final.items():
    p = p.double()
    average = p.mean(dim=0)
    member, spread = square(p - one_hot), square(p - average)
    whole = square(average - one_hot)
    parts[name] = torch.stack([member, spread, whole])
    print(
        f"{name:<12}member {member:.4f} - spread {spread:.4f}",
        f"= average {member - spread:.4f}:",
        torch.allclose(member - spread, whole),
    )
change = parts["mutual"] - parts["independent"]
print(
    f"change      member {change[0]:+.4f}   spread {change[1]:+.4f} ",
    f" average {change[2]:+.4f}",
)

# %% [markdown]
# There it is. The members have become better, but the spread has shrunk by nearly as much, and only the small remainder reaches the average. **Agreement is the price of mutual learning, and the ensemble pays it.** A single
# network taken from the cohort gets the whole gain; whoever keeps all four and averages them gets a small part of it. (One seed, again; twelve follow.)
#
# The NLL has no such neat equation, but the same sign. On each image the average gains $\ln \bar p^y - \frac1K \sum_k \ln p_k^y$, which is never negative (chapter 01), and 0 when all give the label the same probability. Where does that gain come from?

# %%
for name, p in final.items():
    right = p[:, torch.arange(len(labels)), labels].double()  # (K, N)
    gain = right.mean(dim=0).log() - right.log().mean(dim=0)  # (N,)
    order = dispute[name].argsort(descending=True)
    share = gain[order[:50]].sum() / gain.sum()
    print(
        f"{name:<12}gain in NLL {gain.mean():.3f} nats,",
        f"{100 * share:.0f} % of it from the 50 most disputed images;",
        f"never negative: {bool((gain > -1e-9).all())}",
    )

# %% [markdown]
# ## Is the price always worth it?
#
# One seed and 200 images can not tell. More seeds and more images can; all numbers are accuracies in %. First the demo's twelve seeds (**ours**, two small networks, 4 000 test images); then two equal networks on all of CIFAR-100, five seeds (**others**; sources in
# [`published.csv`](../dml_teach/published.csv)).

# %%
demo = json.loads((recordings / "demo.json").read_text())
settings = {
    s["method"]: s for s in demo["settings"] if s["temperature"] == 1
}
print("                       one network      both averaged")
print("                     alone   mutual     alone   mutual")


def line(name, one, both):
    cells = [f"{value:>9.2f}" for value in (*one, *both)]
    print(f"{name:<17}{cells[0]}{cells[1]} {cells[2]}{cells[3]}")


def mean_of(metric, method):
    return 100 * sum(settings[method][metric]) / len(demo["seeds"])


methods = ("independent", "mutual")
line(
    "small, ours",
    [mean_of("top1", method) for method in methods],
    [mean_of("ensemble_top1", method) for method in methods],
)
literature = [
    number
    for number in published_numbers()
    if (number.tier, number.table) == ("others", "pairs")
]
for network in ("ResNet-32", "MobileNet", "WRN-28-10"):
    found = {
        (number.of, number.setting): float(number.value)
        for number in literature
        if number.networks == f"{network} + {network}"
        and number.note.startswith("5 seeds")
    }
    line(
        network,
        [found["mean", method] for method in methods],
        [found["ensemble", method] for method in methods],
    )

# %% [markdown]
# In every line the last step, from one network to the average, is *smaller* with mutual learning: that is the price. Whether the average itself ends higher depends on what the members have gained. By these means, ResNet-32 and our small networks average better when
# they never met; MobileNet and WRN when they did. The paper, with its MobileNets on Market-1501, finds mutual ensembles better throughout (chapter 06).
#
# For our own line, is the difference between the two ensembles more than noise? Paired by seed, with the 95 % interval:

# %%
for metric, factor, unit in (
    ("top1", 100, "points"),
    ("ensemble_top1", 100, "points"),
    ("nll", 1, "nats"),
    ("ensemble_nll", 1, "nats"),
):
    pair = comparison.paired(
        *(
            [factor * value for value in settings[method][metric]]
            for method in reversed(methods)
        )
    )
    print(
        f"{metric:<14}{pair.difference:+.3f} ± {pair.half_width:.3f} {unit}"
    )

# %% [markdown]
# In accuracy, no: both intervals hold 0. In NLL mutual learning lowers a single network's by far more than the ensemble's, and still lowers both. The two networks together have lost a good part of what each of them has won, not all of it.
#
# ## Do they know when they are wrong?
#
# Agreement asks what the others think. **Calibration** asks the world: of all images on which a network says 70 %, is it right on 70 %? Sort the images by confidence, cut into bins, and compare mean confidence with accuracy in each bin. The picture of that is a **reliability diagram**; the
# mean of the gaps, weighted by the $n_b$ images in each bin $b$ of the $N$ in all, is the **expected calibration error**:
#
# $$\text{ECE} = \sum_b \frac{n_b}{N} \,\bigl|\,\text{accuracy}_b - \text{confidence}_b\,\bigr|$$
#
# In code [`calibration.ece`](../dml_teach/analysis/calibration.py), proven against a loop over the bins in [`tests/analysis/test_calibration.py`](../tests/analysis/test_calibration.py). Bins need images, so this is a question to the pairs that you have trained,
# on all test images. By hand for one network first:

# %%
cpu = torch.device("cpu")
on_test = {
    name: torch.stack(
        [predict(trained_network(pair, k), test, cpu) for k in (0, 1)]
    )
    for name, pair in pairs.items()
}  # logits (2, N, C) of each pair

z = on_test["independent"][0]
confidence, favourite = losses.log_posterior(z).exp().max(dim=-1)
right = (favourite == test.labels).double()
by_hand = 0.0
for b in range(calibration.BINS):
    low, high = b / calibration.BINS, (b + 1) / calibration.BINS
    inside = (confidence > low) & (confidence <= high)
    if inside.any():
        gap = (right[inside].mean() - confidence[inside].mean()).abs()
        by_hand += inside.double().mean() * gap
library = calibration.ece(z, test.labels)
close = torch.isclose(library, torch.as_tensor(by_hand).double(), atol=1e-3)
print("the library's:", bool(close))
print("more confident than right:", bool(confidence.mean() > right.mean()))

# %% [markdown]
# *Predict:* three candidates, one network of each pair, and the average of the two that never met. Put them in order of their calibration error.

# %% mystnb={"image": {"alt": "Three reliability diagrams with histograms of confidence below. In all three nearly all bars of accuracy stay below the diagonal, so the networks are more confident than right. The gap is largest for the network trained alone, and smaller for the one with a peer and for the average of two."}}
plots.calibration(
    {
        "alone": on_test["independent"][0],
        "with a peer": on_test["mutual"][0],
        "two alone, averaged": metrics.ensemble(on_test["independent"]),
    },
    test.labels,
)

# %% tags=["nbval-ignore-output"]
# not compared: digits of a training differ between processors
print("                    NLL    calibration error")
for name, z in on_test.items():
    mean_nll = metrics.nll(z, test.labels).mean()
    error = calibration.ece(z, test.labels).mean()
    print(f"{name + ', one':<18}{mean_nll:.3f}{100 * error:>14.1f} %")
    both = metrics.ensemble(z)
    mean_nll = metrics.nll(both, test.labels)
    error = calibration.ece(both, test.labels)
    print(f"{name + ', both':<18}{mean_nll:.3f}{100 * error:>14.1f} %")

# %% [markdown]
# Nearly all bars end below the diagonal: everybody promises more than they keep. In these pairs a peer brings the promise nearer to the truth, and so does averaging two strangers; both put doubt where a single network has none. In its promises, a network that had a peer comes close to two
# strangers together, at half the price when it is used. That is the bargain of mutual learning, and in our small world it is a bargain in probabilities, not in accuracy.
#
# ## Summary
#
# - Agreement counts names, KL compares probabilities. Each is blind to what the other sees; after one epoch KL is small *because* nobody knows anything.
# - Networks that never met are wrong together more than three times as often as chance would have it: hard images are hard for all.
# - Teaching each other nearly halved the KL here, moved names by a point or two, and left a little more doubt.
# - The Jensen-Shannon divergence of the peers ranks images by dispute. An ensemble gains in the disputes; where all say the same there is nothing to gain.
# - The average's squared error is a member's less the spread, exactly. Mutual learning lowers both, so single networks profit more than ensembles: agreement is the price.
# - Networks promise more than they keep; a peer, or averaging, closes part of that gap.
#
# ## Recall
#
# 1. Two peers give (.9, .1) and (.6, .4) for two classes. What is their agreement on this image, and is their KL 0?
# 2. Each of two networks is wrong on 20 % of the images, both are wrong on 15 %. What would chance give, and what do you conclude?
# 3. Why may KL be small when agreement is low? Give an example with two classes.
# 4. Write down the identity for the squared error. Which of its terms can you compute without labels?
# 5. Somebody shows that peers of a mutual cohort agree on 95 % of the images and calls that success. Which two numbers do you ask for?
#
# **In class.** [Exercise 05](../exercises/ex_05_do_they_agree.ipynb) has tasks on this chapter for 35 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** Write `disagreement(p)` for probabilities (K, N, C) yourself, then find the ten images of the *mutual* recording on which the peers argue most, and the ten on which all four are wrong with one voice. Describe each in a
# word. Is there a kind of image that is in one list and never in the other? Then prove the identity for the squared error on paper, in four lines.
#
# In [chapter 06](06_cohorts.ipynb) the cohort grows, and you decide who listens to whom.
