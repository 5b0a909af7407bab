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
# # 02 · Posteriors
#
# **Ask a network what it sees, and it names one class. Ask for its posterior, and it also tells you what else it could have been.** The second answer
# is the one that peers teach each other with. In this chapter you learn to read it, to measure how far apart two of them are, and to turn that
# distance into a pull.
#
# | | |
# |---|---|
# | **After this chapter you can** | soften a posterior and say what that changes; compute a KL divergence by hand, the right way round; write its gradient from memory; see through the commonest mistake in mutual learning |
# | **Time** | 35 minutes, of which a quarter of a minute is the computer's |
# | **You need** | chapter 01: logits, softmax, cross-entropy and its gradient |

# %% [markdown]
# ## What the label leaves out
#
# The next cell trains two networks, each alone, as at the end of chapter 01. The picture below it shows three images that neither has studied and
# both name correctly, with a strong second choice. The label gives all to one class. The networks do not, and look at where the rest goes.

# %%
import math
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from dml_teach import losses, metrics, plots, scale, topology
from dml_teach.analysis.posteriors import logits_of
from dml_teach.data.images import split
from dml_teach.trainer import fit

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

here = scale.current()
train, test = here.images()
_, probe = split(train, here.recipe.probe_images, here.subset)
run = fit(
    [here.network, here.network],
    topology.independent(2),
    train,
    test,
    here.recipe,
    seed=0,
    out=Path(tempfile.mkdtemp()) / "pair",
    subset=here.subset,
    checkpoint_seconds=None,  # sooner done again than resumed
    progress=False,
)
posteriors = run.posteriors[-1]  # (2, N, C): of each network at the end
labels = probe.labels

print("posteriors:", tuple(posteriors.shape))

# %% mystnb={"image": {"alt": "Three images of clothes. Beside each, bars for its five likeliest classes: the label has one full bar, the two networks divide theirs between the right class and one or two that look like it."}}
average = posteriors.mean(dim=0)
right = (posteriors.argmax(dim=2) == labels).all(dim=0)
runner_up = average.topk(2, dim=1).values[:, 1] * right
# For each class the image with the strongest runner-up; then three of them.
strongest = {labels[i].item(): i for i in runner_up.argsort()}.values()
shown = sorted(strongest, key=lambda i: -runner_up[i])[:3]

figure, axes = plt.subplots(
    2, 3, figsize=(9, 4.4), height_ratios=(1, 1.7), layout="constrained"
)
for (above, below), i in zip(axes.T, shown, strict=True):
    pixels = probe.images[i].permute(1, 2, 0)
    above.imshow(pixels, cmap="gray_r" if train.channels == 1 else None)
    above.axis("off")
    best = average[i].topk(5).indices
    label = (best == labels[i]).float()
    for place, (who, p, look) in enumerate(
        [
            ("label", label, {"color": "white", "edgecolor": plots.GREY}),
            (
                "network 0",
                posteriors[0, i, best],
                {"color": plots.COLOURS[0]},
            ),
            (
                "network 1",
                posteriors[1, i, best],
                {"color": plots.COLOURS[1]},
            ),
        ]
    ):
        rows = torch.arange(5) + 0.27 * (place - 1)
        below.barh(rows, 100 * p, height=0.25, label=who, **look)
    below.set_yticks(range(5), [train.class_names[c] for c in best])
    below.invert_yaxis()
    below.set_xlabel("Probability (%)")
    below.spines[["top", "right"]].set_visible(False)
axes[1, 2].legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# Nobody told these networks that a pullover looks like a shirt. They have found out, each for itself, and they say so with every answer. A label is a
# poor teacher in comparison: one word, and nothing about the neighbours.
#
# Is it more than an impression? Take the images that both name correctly, so that both say the same as the label, and ask each for its *second*
# choice.
#
# *Predict:* by pure chance two second choices agree once in $C - 1$ times, once in nine for ten classes. How often will these two networks agree?

# %%
second = posteriors.topk(2, dim=2).indices[:, right, 1]  # (2, n)
alike = (second[0] == second[1]).float().mean().item()
chance = 1 / (train.classes - 1)
print("agreement on the second choice")
print("  over three times chance:", alike > 3 * chance)

wrong = posteriors.argmax(dim=2) != labels
saved = (posteriors.topk(2, dim=2).indices[..., 1] == labels)[wrong]
print("a wrong first choice, but the second is right")
print(
    "  over twice chance:      ", saved.float().mean().item() > 2 * chance
)

# %% [markdown]
# Two networks that have never met agree on what else an image could be, far more often than chance would have it. What they say beyond the favourite is
# knowledge, not noise. Averaged over all images of a class, it draws a map:

# %% mystnb={"image": {"alt": "A square map, a row for each true class and a column for each class that gets probability. Off the diagonal, pullover, coat, shirt and dress share much of it with each other, and the shoes a little among themselves."}}
of_class = [average[labels == c].mean(dim=0) for c in labels.unique()]
mean = torch.stack(of_class)  # row: the true class
figure, axis = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
image = axis.imshow(100 * mean, cmap="cividis", vmax=30)
figure.colorbar(image, label="Mean probability (%), 30 and above")
if train.classes <= 20:  # more names than that would overlap
    ticks = range(train.classes)
    axis.set_xticks(ticks, train.class_names, rotation=90)
    axis.set_yticks(ticks, train.class_names)
axis.set(xlabel="goes to", ylabel="true class")
plt.show()

# %% [markdown]
# ## Temperature, or how to hear the quiet voices
#
# On images that a network has studied, the favourite takes nearly everything and the rest is a whisper: .001 here, .0003 there. Yet the *ratio* of
# the two still says that one is three times as likely as the other. A **temperature** $T$ makes whispers audible. It divides the logits before
# softmax:
#
# $$p^m(T) = \frac{\exp(z^m / T)}{\sum_{m'} \exp(z^{m'} / T)}$$
#
# In code: [`losses.log_posterior(logits, temperature)`](../dml_teach/losses.py). By hand it is simplest to see on probabilities: $T = 2$ takes the
# square root of each and lets them sum to 1 again; $T = 1/2$ squares them.
#
# *Predict:* three classes stand at 16 : 4 : 1. How do they stand at $T = 2$, and at $T = 1/2$? Does the order ever change?

# %%
odds = torch.tensor([16.0, 4.0, 1.0], dtype=torch.float64)
z = odds.log()  # any logits with these odds would do
for temperature in (0.5, 1, 2, 4):
    p = losses.log_posterior(z, temperature).exp()
    ratios = " : ".join(f"{x:g}" for x in (p / p[2]).round(decimals=2))
    shares = "  ".join(f"{x:.3f}" for x in p)
    print(f"T = {temperature:<4}{shares}   {ratios}")

moved = losses.log_posterior(z + 5) - losses.log_posterior(z)
print(
    "adding 5 to every logit changes nothing:",
    bool(moved.abs().max() < 1e-9),
)

# %% [markdown]
# The order stays; only the contrast changes. The last line matters too: softmax does not see a constant that is added to all logits. So the logarithm
# of a posterior can stand in for its logits, and we shall use that on the posteriors that the run has stored.
#
# How much a posterior leaves open is its **entropy**, $H(p) = -\sum_m p^m \ln p^m$. You met it in chapter 01: 0 when all is certain, $\ln C$ when
# nothing is known. Temperature moves a posterior along this scale.

# %%
stored = logits_of(posteriors[0])  # the logarithm, as good as logits
entropies = [metrics.entropy(stored / t).item() for t in (0.5, 1, 2, 4)]
print("entropy grows with T:", entropies == sorted(entropies))
print("and stays below ln C:", entropies[-1] < math.log(train.classes))
same = losses.log_posterior(stored, 4.0).argmax(dim=1) == stored.argmax(
    dim=1
)
print("favourites unchanged:", same.all().item())
certain = F.one_hot(labels, train.classes).double()
print("entropy of a label:  ", torch.special.entr(certain).sum().item())

# %% mystnb={"image": {"alt": "Probabilities of three classes against the temperature on a logarithmic axis. At one quarter the favourite has nearly all, at sixteen all three are close to one third, and the lines never cross."}}
temperatures = torch.logspace(-2, 4, 61, base=2, dtype=torch.float64)
fan = torch.stack(
    [losses.log_posterior(z, t).exp() for t in temperatures.tolist()]
)
figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for m, name in enumerate(("16", "4", "1")):
    axis.plot(
        temperatures,
        100 * fan[:, m],
        color=plots.COLOURS[m],
        linestyle=plots.DASHES[m],
        linewidth=2,
        label=f"odds {name}",
    )
axis.axhline(100 / 3, color=plots.GREY, linewidth=0.8)
axis.set_xscale("log", base=2)
axis.set_xticks([0.25, 0.5, 1, 2, 4, 8, 16], ["¼", "½", 1, 2, 4, 8, 16])
axis.set(xlabel="Temperature", ylabel="Probability (%)")
axis.spines[["top", "right"]].set_visible(False)
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Cold, and the posterior becomes a label. Hot, and it says nothing at all. The paper's mutual learning has no temperature, which is $T = 1$, and so has
# ours unless a cell says otherwise.
#
# ## How far apart are two opinions?
#
# Let $q$ be the opinion of a peer and $p$ your own. The **Kullback-Leibler divergence**
#
# $$D_{KL}(q \,\|\, p) = \sum_m q^m \ln \frac{q^m}{p^m}$$
#
# asks, class by class: *where the peer sees probability, how much less do you see?* It is 0 when the two are equal and never negative. The one in
# front, $q$, is the **reference**: it does the weighing. Take four classes and probabilities that are powers of two, so that every logarithm is a
# whole number of $\ln 2$:
#
# | | shirt | coat | bag | shoe | sum |
# |---|--:|--:|--:|--:|--:|
# | peer $q$ | 1/2 | 1/4 | 1/8 | 1/8 | 1 |
# | you $p$ | 1/8 | 1/2 | 1/4 | 1/8 | 1 |
# | $\ln (q/p)$, in units of $\ln 2$ | 2 | −1 | −1 | 0 | |
# | times $q$ | 1 | −1/4 | −1/8 | 0 | 5/8 |
#
# So $D_{KL}(q \,\|\, p) = \frac58 \ln 2$. *Predict:* now let your own opinion do the weighing, $D_{KL}(p \,\|\, q)$. More, less, or the same? Fill in
# the last line again, with $p$ in front, before you run the cell.

# %%
q = torch.tensor([[1 / 2, 1 / 4, 1 / 8, 1 / 8]], dtype=torch.float64)
p = torch.tensor([[1 / 8, 1 / 2, 1 / 4, 1 / 8]], dtype=torch.float64)


def kl(reference, own):
    """D_KL(reference || own) of probabilities (..., C), as in the equation."""
    return (reference * (reference / own).log()).sum(dim=-1)


print(
    "D(q || p) in units of ln 2:", round(kl(q, p).item() / math.log(2), 9)
)
print(
    "D(p || q) in units of ln 2:", round(kl(p, q).item() / math.log(2), 9)
)
library = losses.kl_divergence(q.log(), p.log())
print("the library's, from logits:", torch.allclose(library, kl(q, p)))

# %% [markdown]
# Not the same: a divergence is no distance, and it matters who is in front. The function is [`losses.kl_divergence(reference_logits,
# logits)`](../dml_teach/losses.py), the reference first, as it is written; that it is never negative, and that it is not symmetric, is proven in
# [`tests/test_losses.py`](../tests/test_losses.py).
#
# ## Which way round?
#
# A peer hesitates between shirt and coat, and is sure that it is no bag. Two listeners have answered. One *covers* all that the peer finds possible,
# and a bag besides. The other *picks* the shirt.

# %% mystnb={"image": {"alt": "Bars for shirt, bag and coat. The peer has two high bars, shirt and coat, and almost none for bag. The one who covers has three equal bars. The one who picks has one high bar, shirt."}}
three = {
    "peer": torch.tensor([0.49, 0.02, 0.49], dtype=torch.float64),
    "covers": torch.tensor([1 / 3, 1 / 3, 1 / 3], dtype=torch.float64),
    "picks": torch.tensor([0.90, 0.05, 0.05], dtype=torch.float64),
}
figure, axis = plt.subplots(figsize=(6.4, 3), layout="constrained")
for n, (who, opinion) in enumerate(three.items()):
    axis.bar(
        torch.arange(3) + 0.27 * (n - 1),
        100 * opinion,
        width=0.25,
        label=who,
        color=plots.COLOURS[n],
        hatch=("", "//", "..")[n],
        edgecolor="white",
    )
axis.set_xticks(range(3), ["shirt", "bag", "coat"])
axis.set_ylabel("Probability (%)")
axis.spines[["top", "right"]].set_visible(False)
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# *Predict:* which of the two is nearer to the peer?

# %%
peer = three["peer"]
print("            D(peer || own)   D(own || peer)")
for who in ("covers", "picks"):
    forward, backward = kl(peer, three[who]), kl(three[who], peer)
    print(f"{who:<12}{forward:>8.2f}{backward:>17.2f}")

# %% [markdown]
# It depends on who weighs.
#
# - **The peer in front**: whoever denies what the peer finds likely pays dearly, as *picks* does for the coat: .49 × ln(.49 / .05) alone is more than
#   one nat. Covering wins. This direction is called *mode covering*.
# - **Yourself in front**: you pay only where you put probability yourself. *Picks* says little about coats, so the coat costs it nothing, while
#   *covers* is fined for the bag. Picking wins: *mode seeking*.
#
# Mutual learning wants you to take over *all* that the peer finds possible; that is the knowledge beyond the label. So the peer is the reference, and
# peer $k$ who listens to peer $l$ pays $D_{KL}(p_l \,\|\, p_k)$, as the paper writes it. With the two swapped the code still runs and the loss still
# falls, which is why this mistake lives long in public code.
#
# ## The pull on a logit
#
# A loss teaches through its gradient. The one of cross-entropy was $p$ minus the one-hot label. This one is as simple:
#
# $$\frac{\partial D_{KL}(q \,\|\, p)}{\partial z} = p - q$$
#
# You are pulled up where the peer gives more than you, and pushed down where it gives less, until you agree. Check it against PyTorch, on the two
# networks: network 0 listens, network 1 is the peer, and the loss is the mean over a batch of $B$ images.

# %%
mine = stored.clone().requires_grad_()
theirs = logits_of(posteriors[1])
losses.kl_divergence(theirs, mine).mean().backward()
formula = (posteriors[0] - posteriors[1]) / len(labels)
close = torch.allclose(mine.grad, formula, atol=1e-7)
print("gradient is (p - q) / B:", close)
sums = mine.grad.sum(dim=1)
print("the pulls on one image cancel:", bool(sums.abs().max() < 1e-7))

# %% [markdown]
# And the other way round? Suppose that you rule the coat out, while the peer finds it as likely as the shirt. *Predict:* which direction pulls your
# coat up, and how strongly?

# %%
sure = torch.tensor([[0.998, 0.001, 0.001]], dtype=torch.float64)
peer = torch.tensor([[0.499, 0.002, 0.499]], dtype=torch.float64)
for name, direction in {
    "D(peer || own)": lambda z: losses.kl_divergence(peer.log(), z),
    "D(own || peer)": lambda z: losses.kl_divergence(z, peer.log()),
}.items():
    z = sure.log().requires_grad_()
    direction(z).sum().backward()
    pull = -z.grad[0]
    print(f"{name}   pull on the coat: {pull[2]:.3f}")

# %% [markdown]
# About seventy times. With yourself in front, every pull is multiplied by your own probability: what you have ruled out, nobody can talk you into.
# With the peer in front, it can.
#
# ## A label is a peer who is never in doubt
#
# Put a one-hot label in the place of $q$. Its entropy is 0, all terms but one vanish, and what is left is $-\ln p^y$: cross-entropy. So labels and
# peers pull in one and the same way, only towards different places, and one may simply add them up. For one image:
#
# $$L = L_C + D_{KL}(q \,\|\, p), \qquad \frac{\partial L}{\partial z} = (p - \text{one-hot}) + (p - q) = 2\left(p - \tfrac12(\text{one-hot} + q)\right)$$

# %%
one_hot = F.one_hot(labels, train.classes).to(stored.dtype)
as_peer = logits_of(one_hot)  # a posterior without doubt
from_label = losses.kl_divergence(as_peer, stored).mean()
supervised = losses.cross_entropy(stored, labels)
print("KL from a label is CE:", torch.allclose(from_label, supervised))

mine = stored.clone().requires_grad_()
both = losses.cross_entropy(mine, labels) + losses.mimicry(mine, theirs)
both.backward()
middle = (one_hot + posteriors[1]) / 2
formula = 2 * (posteriors[0] - middle) / len(labels)
close = torch.allclose(mine.grad, formula, atol=1e-7)
print("together they pull to the middle of both:", close)

# %% [markdown]
# With a peer at its side, a network is asked for half certainty and half the peer's opinion, and twice as forcefully as by the label alone. It never has to
# be surer than that middle. Remember the patient of chapter 01, who was too sure of nearly everything.
#
# The **mimicry loss**, `losses.mimicry(logits, peer_logits)`, is the batch mean of the divergence from a peer, with the peer held fixed: no gradient reaches it. [Chapter
# 04](04_two_peers.ipynb) shows what happens when one forgets that.
#
# ## Temperature, and why it is squared
#
# Now both posteriors at temperature $T$. The chain rule gives
#
# $$\frac{\partial D_{KL}(q(T) \,\|\, p(T))}{\partial z} = \frac{1}{T}\,\bigl(p(T) - q(T)\bigr)$$
#
# so the pull shrinks twice: by the factor $1/T$ in front, and because the softened posteriors are closer to each other, by about another $1/T$. The
# pull of the label does not shrink with it. To keep the two in proportion the loss is multiplied by $T^2$. See how long the gradient is, with and
# without:

# %%
own = torch.tensor([[16.0, 4.0, 1.0]], dtype=torch.float64).log()
other = torch.tensor([[4.0, 16.0, 1.0]], dtype=torch.float64).log()


def pull(temperature, factor):
    """Length of the gradient of factor * KL at that temperature."""
    z = own.clone().requires_grad_()
    loss = losses.kl_divergence(other, z, temperature).sum()
    (factor * loss).backward()
    return z.grad.norm().item()


print("  T    without    with T squared")
for t in (1, 2, 4, 8):
    bare, squared = pull(t, 1) / pull(1, 1), pull(t, t**2) / pull(1, 1)
    print(f"{t:>3}{bare:>11.3f}{squared:>14.3f}")

z = own.clone().requires_grad_()
losses.mimicry(z, other, temperature=4.0).backward()
same = math.isclose(z.grad.norm().item(), pull(4, 16), rel_tol=1e-9)
print("losses.mimicry has the square inside:", same)

# %% [markdown]
# Without the square a mimicry loss at $T = 8$ is a seventieth of what it was, and a tuned weight would be tuned to nothing else than that. The
# gradient with its $T^2$ is proven in [`tests/test_losses.py`](../tests/test_losses.py). On the two trained networks it is the same story:

# %%


def pull_of_peer(temperature):
    """Length of the pull of network 1 on network 0, with T squared."""
    z = stored.clone().requires_grad_()
    losses.mimicry(z, theirs, temperature).backward()
    return z.grad.norm().item()


ratio = pull_of_peer(4.0) / pull_of_peer(1.0)
print(
    "T = 4 against T = 1, without T squared, below 1/4:", ratio / 16 < 0.25
)
print("T = 4 against T = 1, with it, above 1/2:          ", ratio > 0.5)

# %% [markdown]
# ## All of it in one picture
#
# Here are temperature, entropy, both divergences and the pull, to be moved by hand: what two recorded networks that never met say of one image. Move the
# temperature with the mouse or with the arrow keys.
#
# *Predict:* when it gets hotter than 1, the two come closer to each other, because all opinions do. When it gets *colder*, each becomes surer of its own
# favourite. Do they drift apart then?

# %%
from dml_teach import runs
from dml_teach.widgets import TemperatureExplorer

recorded = runs.load("recordings/agreement/independent")
image = 8
logits = logits_of(recorded.posteriors[-1, :2, image].double())
explorer = TemperatureExplorer(
    *logits.round(decimals=3),
    recorded.class_names,
    names=("peer 0", "peer 1"),
)
explorer

# %% [markdown]
# They do not, for both have the same favourite: in the end each is a label, and it is the same label. The divergence is largest near $T = 1$, where they
# differ in their second thoughts. Had they had different favourites, it would have grown without end. Try it: set `image = 50` and run the cell again.
#
# The widget lives on this page without Python; where Python runs too, it sees what you have chosen:

# %%
print("T =", explorer.temperature)

# %% [markdown]
# ## A trap: the mean over everything
#
# PyTorch has this divergence as `F.kl_div`. It wants the *log*-posterior of the learner first and the reference second, the other way round than one
# writes it. And its default, `reduction="mean"`, divides by the number of images *and by the number of classes*.
#
# *Predict:* with 100 classes, how many times too weak is the mimicry then? Would you notice from the loss curve?

# %%
random = torch.Generator().manual_seed(0)
for classes in (10, 100):
    z_own, z_peer = torch.randn(2, 64, classes, generator=random).double()
    log_p, q = F.log_softmax(z_own, dim=1), F.softmax(z_peer, dim=1)
    ours = losses.mimicry(z_own, z_peer)
    default = F.kl_div(log_p, q, reduction="none").mean()
    batch = F.kl_div(log_p, q, reduction="batchmean")
    print(
        f"{classes:>3} classes: too weak by a factor of {ours / default:.0f};"
    )
    print(f"    'batchmean' is right: {torch.allclose(batch, ours)}")

# %% [markdown]
# (The cell takes the mean itself, because PyTorch prints a warning about its own default, and means to change it one day. Much public code has run
# with it.) A peer that is heard at one hundredth of its voice is not heard. The training runs, nothing fails, and the result is two independent
# networks and a report that mutual learning does not help. `test_mimicry_does_not_shrink_with_the_number_of_classes` stands guard.
#
# ## Many peers, one average
#
# With two peers to listen to, should you pay for each of them, or for their average? By hand: one peer says $(.8, .1, .1)$, the other $(.1, .8, .1)$,
# and you know nothing. Your row of the topology (chapter 00) gives each of them the weight 1/2. In the library, `publish` makes posteriors of all logits at
# once, `mimicry_of_mixture` is the weighted mean of the divergences from each, and `mimicry_of_ensemble` the divergence from the average.

# %%
opinions = torch.tensor(
    [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [1 / 3, 1 / 3, 1 / 3]],
    dtype=torch.float64,
)
logits = opinions.log()[:, None]  # (K, B, C): three peers, one image
published = losses.publish(logits)
row = topology.mutual(3)[2]  # the third listens to both others

each = losses.mimicry_of_mixture(logits[2], published, row)
from_average = losses.mimicry_of_ensemble(logits[2], published, row)
between = losses.jensen_shannon(published, row)
print(f"mean of the two divergences:     {each:.3f}")
print(f"divergence from their average:   {from_average:.3f}")
print(f"Jensen-Shannon of the two peers: {between.item():.3f}")
print(
    "the first is the sum of the others:",
    torch.allclose(each, from_average + between),
)

# %% [markdown]
# The difference is the **Jensen-Shannon divergence** of the peers, how much they differ *among themselves*: the entropy of their average less the
# average of their entropies. With the weights $W_{kl}$ of your row $k$,
#
# $$\text{JS} = H\!\left(\sum_l W_{kl}\, p_l\right) - \sum_l W_{kl}\, H(p_l)$$
#
# Unlike KL it has nobody in front, and it is never more than $\ln 2$ for two ([`losses.jensen_shannon`](../dml_teach/losses.py)). And look: *your own*
# posterior $p_k$ does not occur in it, since no peer listens to itself and $W_{kk} = 0$. *Predict:* so which of the two losses pulls you more strongly?

# %%
pulls = []
for loss in (losses.mimicry_of_mixture, losses.mimicry_of_ensemble):
    z = logits[2].clone().requires_grad_()
    loss(z, published, row).backward()
    pulls.append(z.grad)
print("the same pull:", torch.allclose(pulls[0], pulls[1]))
average_opinion = (opinions[0] + opinions[1]) / 2
formula = opinions[2] - average_opinion
print(
    "own posterior minus the average:", torch.allclose(pulls[0][0], formula)
)

# %% [markdown]
# Neither. What does not depend on you can not pull at you. Learning from the peers one by one and learning from their averaged posterior, which the
# paper calls DML$_e$ and reports as worse, are the same training. What may lie behind that report is a story for [chapter 06](06_cohorts.ipynb); the proof is
# `test_dml_and_dml_e_have_the_same_gradient` in [`tests/test_losses.py`](../tests/test_losses.py).
#
# ## Summary
#
# - A posterior knows more than its favourite: networks that never met agree on the second choice. A label can not say it.
# - Temperature divides logits. It changes the contrast, never the order; entropy measures what it leaves open.
# - $D_{KL}(q \,\|\, p)$ is weighed by the one in front. With the peer in front you must cover all that it finds possible.
# - Its gradient is $p - q$. A label is the special case without doubt, and label and peer together pull to the middle of both.
# - At temperature $T$ the loss carries $T^2$, or the pull fades. The mean runs over images, never over classes.
# - Listening to peers one by one or to their average gives the same pull; the values differ by the peers' Jensen-Shannon divergence.
#
# ## Recall
#
# 1. Three classes stand at 9 : 4 : 1. How do they stand at $T = 2$?
# 2. Why is the peer in front, and not the learner? Give the argument with the coat that you had ruled out.
# 3. Write the gradient of $D_{KL}(q \,\|\, p)$ for the logits of $p$, first at $T = 1$, then at $T$. Where does the second $1/T$ come from?
# 4. What becomes of the divergence when $q$ is a one-hot label? And of $D_{KL}(p \,\|\, q)$?
# 5. Somebody reports that mutual learning does nothing on CIFAR-100. Which argument of which function do you ask about first?
#
# **In class.** [Exercise 02](../exercises/ex_02_posteriors.ipynb) has tasks on this chapter for 40 minutes, with checks that tell at once what is right and what is not yet.
#
# **By yourself.** Write `mimicry(logits, peer_logits, temperature)` yourself, in three lines, with nothing but `log_softmax`. Compare its value with
# `losses.mimicry` on random logits, then its gradient, then try it at $T = 4$. Then swap the two arguments and find a test that notices.
#
# [Chapter 03](03_distillation.ipynb) puts a network with a finished opinion in the peer's place, and calls it a teacher.
