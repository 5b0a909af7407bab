"""Figures of posteriors: of one image, of one image at many temperatures, of all images."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from dml_teach.analysis.posteriors import mass_by_rank
from dml_teach.errors import ConfigError
from dml_teach.losses import kl_divergence, log_posterior
from dml_teach.plots.figure import COLOURS, DASHES, GREY, HATCHES, MARKERS, Plot, blank


def confidences(logits: Tensor, labels: Tensor) -> Plot:
    """How sure a network is when it is right and when it is wrong: logits (N, C), labels (N,) -> two histograms."""
    confidence, named = logits.softmax(dim=-1).max(dim=-1)
    right = named == labels
    figure, axes = blank(1, height=3.2)
    bins = torch.linspace(0, 100, 21).tolist()
    styles: tuple[dict[str, Any], ...] = ({"alpha": 0.55}, {"histtype": "step", "linewidth": 2.5})
    for which, label, colour, style in zip((right, ~right), ("right", "wrong"), COLOURS, styles, strict=False):
        axes[0].hist((100 * confidence[which]).numpy(), bins, color=colour, label=f"{label} answers", **style)
    axes[0].set(xlabel="Confidence: highest probability (%)", ylabel="Images")
    axes[0].legend(frameon=False)
    means = [f"{100 * confidence[which].mean():.0f} % when {w}" for which, w in ((right, "right"), (~right, "wrong"))]
    return Plot(figure, "Confidence of right and of wrong answers, as histograms.", f"Mean {', '.join(means)}.")


def posteriors(
    p: Tensor,
    class_names: Sequence[str],
    label: int | Tensor | None = None,
    names: Sequence[str] | None = None,
    top: int = 5,
) -> Plot:
    """What K peers make of one image: a bar for each peer in each of the likeliest classes, the right class marked.

    Args:
        p: probabilities (K, C), for example `run.posteriors[-1, :, image]`.
        class_names: C of them.
        label: the right class, shown even if no peer finds it likely; None if it is not known.
        names: of the K peers; "peer 0", ... if none.
        top: how many classes: those with the highest mean over the peers.
    """
    names = names or [f"peer {k}" for k in range(len(p))]
    right = None if label is None else int(label)
    shown = p.mean(dim=0).argsort(descending=True).tolist()[:top]
    if right is not None and right not in shown:
        shown[-1] = right
    figure, axes = blank(1, height=0.9 + 0.28 * len(shown) * max(2, 0.6 * len(p)))
    _bars(axes[0].barh, p[:, shown], names, height=0.8)
    axes[0].set_yticks(range(len(shown)), [class_names[c] + "\n(right)" * (c == right) for c in shown])
    axes[0].invert_yaxis()
    axes[0].set(xlabel="Probability (%)", xlim=(0, 100))
    if right is not None:
        row = shown.index(right)
        axes[0].axhspan(row - 0.47, row + 0.47, color="#eef1f4", zorder=0)
        axes[0].get_yticklabels()[row].set(fontweight="bold", color="black")
    axes[0].legend(frameon=False, loc="lower right")
    favourites = [
        f"{name}: {class_names[int(q.argmax())]} {100 * q.max():.0f} %" for name, q in zip(names, p, strict=True)
    ]
    told = "" if right is None else f" The right class is {class_names[right]}."
    return Plot(figure, "Probabilities that the peers give to one image.", f"{'; '.join(favourites)}.{told}")


def distributions(named: Mapping[str, Tensor], class_names: Sequence[str]) -> Plot:
    """Two or more distributions over the same classes as bars; the words tell their KL divergences, in both directions.

    Args:
        named: label -> probabilities (C,), none of them 0. Divergences are between the first and each of the others.
        class_names: C of them.

    Raises:
        ConfigError: a probability is not above 0, as it would be in any posterior, or the sum is not 1.
    """
    for name, p in named.items():
        if not (p > 0).all() or abs(float(p.sum()) - 1) > 1e-4:
            raise ConfigError(f"distribution '{name}': {p.tolist()}; give probabilities above 0 with sum 1")
    figure, axes = blank(1, height=3.2)
    _bars(axes[0].bar, torch.stack(list(named.values())), list(named), width=0.8)
    axes[0].set_xticks(range(len(class_names)), class_names)
    axes[0].set(ylabel="Probability (%)")
    axes[0].legend(frameon=False)
    (first, p), *others = named.items()
    words = []
    for other, q in others:
        there, back = (float(kl_divergence(a.log(), b.log())) for a, b in ((p, q), (q, p)))
        words.append(f"D_KL({first} || {other}) = {there:.3f} nats, D_KL({other} || {first}) = {back:.3f} nats")
    return Plot(figure, f"Probabilities of {' and '.join(named)} as bars, class by class.", f"{'; '.join(words)}.")


def temperatures(
    logits: Tensor, class_names: Sequence[str], low: float = 0.25, high: float = 16.0, top: int = 5
) -> Plot:
    """A fan: the posterior of one image, softmax(logits / T), as the temperature rises.

    Args:
        logits: (C,).
        class_names: C of them.
        low: the lowest temperature.
        high: the highest.
        top: how many classes have a colour and a name; the others are thin and grey.
    """
    figure, axes = blank(1)
    scale = torch.logspace(float(torch.tensor(low).log2()), float(torch.tensor(high).log2()), 81, base=2).double()
    fan = torch.stack([100 * log_posterior(logits.double(), t).exp() for t in scale.tolist()])  # (81, C)
    order = logits.argsort(descending=True).tolist()
    for c in order[top:]:
        axes[0].plot(scale.numpy(), fan[:, c].numpy(), color="#c3c9d0", linewidth=1, zorder=1)
    for n, c in enumerate(order[:top]):
        look: dict[str, Any] = {"color": COLOURS[n % len(COLOURS)], "linestyle": DASHES[n % len(DASHES)]}
        axes[0].plot(scale.numpy(), fan[:, c].numpy(), linewidth=2, label=class_names[c], **look)
    axes[0].axvline(1, color=GREY, linewidth=1)
    axes[0].set_xscale("log", base=2)
    axes[0].xaxis.set_major_formatter(lambda t, _: f"{t:g}")
    axes[0].set(xlabel="Temperature T", ylabel="Probability (%)", xlim=(low, high), ylim=(0, None))
    axes[0].legend(frameon=False)
    favourite = class_names[order[0]]
    at = [(t, 100 * float(log_posterior(logits.double(), t).exp()[order[0]])) for t in (low, 1.0, high)]
    words = ", ".join(f"{p:.0f} % at T = {t:g}" for t, p in at)
    return Plot(
        figure, "The posterior of one image as the temperature rises.", f"The favourite, {favourite}, has {words}."
    )


def ranks(named: Mapping[str, Tensor]) -> Plot:
    """Mean probability of the first choice, the second, and so on, on a logarithmic axis.

    Args:
        named: label -> logits (N, C) of a network, or (K, N, C) of peers, whose means are averaged.
    """
    figure, axes = blank(1)
    words = []
    for n, (label, logits) in enumerate(named.items()):
        mass = mass_by_rank(logits).reshape(-1, logits.shape[-1]).mean(dim=0)
        sparse = max(1, len(mass) // 12)
        axes[0].plot(
            range(1, len(mass) + 1), mass.numpy(), label=label, linewidth=2, markersize=6,
            markevery=(n % sparse, sparse), color=COLOURS[n % len(COLOURS)], linestyle=DASHES[n % len(DASHES)],
            marker=MARKERS[n % len(MARKERS)],
        )  # fmt: skip
        words.append(f"{label}: {mass[0]:.3f}, the second {mass[1]:.3f}, the rest {mass[2:].sum():.3f}")
    axes[0].set_yscale("log")
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set(xlabel="Rank of the class in the image's posterior", ylabel="Mean probability")
    axes[0].legend(frameon=False)
    return Plot(figure, "Mean probability of the classes by rank.", f"First choice {'; '.join(words)}.")


def _bars(draw: Any, p: Tensor, names: Sequence[str], **thickness: float) -> None:
    """K bars for each of C classes, in per cent, p (K, C); `draw` is an axes' bar or barh."""
    ((side, whole),) = thickness.items()
    each = whole / len(p)
    for k, (name, row) in enumerate(zip(names, p, strict=True)):
        places = torch.arange(len(row)) + each * (k - (len(p) - 1) / 2)
        look = {"color": COLOURS[k % len(COLOURS)], "hatch": HATCHES[k % len(HATCHES)], "edgecolor": "white"}
        draw(places.numpy(), (100 * row).numpy(), label=name, zorder=2, **{side: 0.92 * each}, **look)
