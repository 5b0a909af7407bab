"""Figures of runs, each with a text alternative.

Colours are Okabe and Ito's, which stay apart for colour-blind readers, and every line has a dash pattern of its own as
a second cue. Figures are made without pyplot: they carry no global state and can be made in any thread.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from dml_teach.comparison import paired
from dml_teach.runs import Run

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = (
    "-",
    (0, (5, 1.5)),
    (0, (1.5, 1.2)),
    (0, (6, 1.5, 1.5, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
    (0, (1, 3)),
)
GREY = "#5b6470"

METRICS = {
    "top1": ("Probe accuracy", 100.0, "%"),
    "train_top1": ("Training accuracy", 100.0, "%"),
    "nll": ("Probe NLL", 1.0, "nats"),
    "entropy": ("Posterior entropy", 1.0, "nats"),
    "mimicry": ("Mimicry loss", 1.0, "nats"),
    "supervised": ("Supervised loss", 1.0, "nats"),
    "mean_agreement": ("Agreement of the peers", 100.0, "%"),
    "mean_pairwise_kl": ("Mean pairwise KL", 1.0, "nats"),
}
"""Name, factor and unit in which a metric of `runs` is drawn."""


@dataclass(frozen=True)
class Plot:
    """A figure and its text alternative.

    Attributes:
        figure: the picture.
        subject: what it shows; the same on every machine, so a notebook stores it beside the picture.
        finding: what it says, with its numbers.
    """

    figure: Figure
    subject: str
    finding: str

    @property
    def alt(self) -> str:
        """Subject and finding, for a reader who does not see the picture."""
        return f"{self.subject} {self.finding}"

    def _repr_png_(self) -> bytes:
        return self.png(dpi=110)

    def __repr__(self) -> str:
        return f"Figure. {self.subject}"

    def png(self, dpi: int = 160) -> bytes:
        """The picture."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
        return buffer.getvalue()

    def html(self) -> str:
        """The picture as a self-contained <img> with its text alternative."""
        data = base64.b64encode(self.png()).decode()
        return f'<img alt="{html.escape(self.alt, quote=True)}" src="data:image/png;base64,{data}">'


def curves(groups: Mapping[str, Sequence[Run]], metric: str) -> Plot:
    """A metric over the epochs, for each group of runs: mean over learning peers and seeds, and one deviation of seeds.

    Args:
        groups: label -> runs of one setting, one for each seed.
        metric: a key of `METRICS`.
    """
    name, factor, unit = METRICS[metric]
    figure, axes = _figure(1)
    endings, means = [], []
    for (label, runs), colour, dashes in zip(groups.items(), COLOURS, DASHES, strict=False):
        seeds = torch.stack([_mean_over_learning(run, metric) for run in runs]) * factor  # (S, E)
        epochs = range(1, seeds.shape[1] + 1)
        mean = seeds.mean(dim=0)
        axes[0].plot(epochs, mean.numpy(), color=colour, linestyle=dashes, linewidth=2, label=label)
        if len(runs) > 1:
            spread = seeds.std(dim=0)
            axes[0].fill_between(
                epochs, (mean - spread).numpy(), (mean + spread).numpy(), color=colour, alpha=0.15, linewidth=0
            )
        means.append(mean)
        endings.append(f"{label}: {mean[-1]:.{1 if factor > 1 else 2}f}")
    axes[0].set(xlabel="Epoch", ylabel=f"{name} ({unit})")
    if factor > 1:  # the first epochs of an accuracy would squeeze the rest, where the lines differ
        values = torch.cat(means)
        axes[0].set_ylim(
            bottom=max(0.0, float(values.quantile(0.15)) - 0.35 * float(values.max() - values.quantile(0.15)))
        )
    axes[0].legend(frameon=False)
    return Plot(figure, f"{name} over the epochs, in {unit}.", f"At the end {'; '.join(endings)}.")


def metrics_of(run: Run, labels: Mapping[str, str], factor: float = 100.0, ylabel: str = "Accuracy (%)") -> Plot:
    """Several metrics of one run over the epochs in one picture, mean over its learning peers: metric -> label."""
    figure, axes = _figure(1)
    for (metric, label), colour, dashes in zip(labels.items(), COLOURS, DASHES, strict=False):
        values = factor * _mean_over_learning(run, metric)
        axes[0].plot(
            range(1, len(values) + 1), values.numpy(), color=colour, linestyle=dashes, linewidth=2, label=label
        )
    axes[0].set(xlabel="Epoch", ylabel=ylabel)
    axes[0].legend(frameon=False)
    last = [f"{label}: {factor * _mean_over_learning(run, metric)[-1]:.1f}" for metric, label in labels.items()]
    return Plot(figure, f"{ylabel} over the epochs: {', '.join(labels.values())}.", f"At the end {'; '.join(last)}.")


def confidences(logits: Tensor, labels: Tensor) -> Plot:
    """How sure a network is when it is right and when it is wrong: logits (N, C), labels (N,) -> two histograms."""
    confidence, named = logits.softmax(dim=-1).max(dim=-1)
    right = named == labels
    figure, axes = _figure(1, height=3.2)
    bins = torch.linspace(0, 100, 21).tolist()
    styles: tuple[dict[str, Any], ...] = ({"alpha": 0.55}, {"histtype": "step", "linewidth": 2.5})
    for which, label, colour, style in zip((right, ~right), ("right", "wrong"), COLOURS, styles, strict=False):
        axes[0].hist((100 * confidence[which]).numpy(), bins, color=colour, label=f"{label} answers", **style)
    axes[0].set(xlabel="Confidence: highest probability (%)", ylabel="Images")
    axes[0].legend(frameon=False)
    means = [f"{100 * confidence[which].mean():.0f} % when {w}" for which, w in ((right, "right"), (~right, "wrong"))]
    return Plot(figure, "Confidence of right and of wrong answers, as histograms.", f"Mean {', '.join(means)}.")


def matrices(groups: Mapping[str, Sequence[Run]], metric: str = "agreement") -> Plot:
    """The (K, K) matrices of "agreement" or "pairwise_kl" after the last epoch, averaged over seeds, side by side."""
    figure, axes = _figure(len(groups), width=2.3, height=2.75)
    last = {label: torch.stack([run.curve(metric)[-1] for run in runs]).mean(dim=0) for label, runs in groups.items()}
    percent = metric == "agreement"
    off_diagonal = torch.cat([m[~torch.eye(len(m), dtype=torch.bool)] for m in last.values()])
    low, high = float(off_diagonal.min()), float(1 if percent else off_diagonal.max())
    words = []
    for ax, (label, matrix) in zip(axes, last.items(), strict=True):
        ax.imshow(matrix.numpy(), cmap="cividis", vmin=low - (high - low) * 0.5, vmax=high)
        for k in range(len(matrix)):
            for l in range(len(matrix)):
                dark = float(matrix[k, l]) < (low + high) / 2
                text = f"{100 * matrix[k, l]:.1f}" if percent else f"{matrix[k, l]:.2f}"
                ax.text(l, k, text, ha="center", va="center", color="white" if dark else "black", fontsize=11)
        ticks = range(len(matrix))
        ax.set(xticks=ticks, yticks=ticks, xlabel="peer", title=label)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        others = float(matrix[~torch.eye(len(matrix), dtype=torch.bool)].mean())
        words.append(f"{label}: {100 * others:.1f} %" if percent else f"{label}: {others:.2f} nats")
    axes[0].set_ylabel("peer")
    what = "Images on which two peers name the same class" if percent else "Mean KL divergence between two peers"
    return Plot(figure, f"{what}, at the end.", f"Mean over pairs {'; '.join(words)}.")


def differences(per_seed: Mapping[str, Sequence[float]], unit: str = "points", baseline: str = "independent") -> Plot:
    """Differences from a baseline, a row for each setting: a dot per seed, their mean and its 95 % interval."""
    figure, axes = _figure(1, height=0.75 + 0.55 * len(per_seed))
    words = []
    for row, (label, values) in enumerate(per_seed.items()):
        result, colour = paired(values, [0.0] * len(values)), COLOURS[(row + 1) % len(COLOURS)]
        axes[0].scatter(values, [row] * len(values), s=28, color=colour, alpha=0.55, linewidth=0)
        spread = result.half_width if result.seeds > 1 else 0
        axes[0].errorbar(
            result.difference,
            row,
            xerr=spread,
            fmt="D",
            color=colour,
            markersize=8,
            capsize=5,
            linewidth=2,
            markeredgecolor="white",
        )
        words.append(
            f"{label}: {result.difference:+.2f} ± {spread:.2f} {unit}, {result.won} of {result.seeds} seeds above 0"
        )
    axes[0].axvline(0, color=GREY, linewidth=1)
    axes[0].set(yticks=range(len(per_seed)), xlabel=f"Difference from {baseline}, paired by seed ({unit})")
    axes[0].set_yticklabels(per_seed)
    axes[0].set_ylim(len(per_seed) - 0.4, -0.6)
    return Plot(figure, f"Difference from {baseline}, paired by seed, mean and 95 % interval.", f"{'; '.join(words)}.")


def topologies(matrices: Mapping[str, Tensor]) -> Plot:
    """Who learns from whom: each topology (K, K) as peers on a circle, an arrow from teacher to learner."""
    figure, axes = _figure(len(matrices), width=2.5, height=2.7)
    words = []
    for ax, (label, matrix) in zip(axes, matrices.items(), strict=True):
        peers = len(matrix)
        angles = torch.arange(peers) * (2 * torch.pi / peers) + (torch.pi if peers == 2 else torch.pi / 2)
        places = torch.stack([angles.cos(), angles.sin()], dim=1).mul(0.7 if peers == 2 else 0.95).tolist()
        for k, l in matrix.nonzero().tolist():
            bend = "arc3,rad=0.22" if matrix[l, k] > 0 else "arc3,rad=0"
            arrow = {"arrowstyle": "-|>", "color": COLOURS[0], "connectionstyle": bend, "shrinkA": 17, "shrinkB": 17}
            width = 1 + 1.5 * float(matrix[k, l])
            ax.annotate("", places[k], places[l], arrowprops={**arrow, "linewidth": width, "mutation_scale": 16})
        for k, place in enumerate(places):
            ax.plot(*place, "o", markersize=27, color="#eaf2f8", markeredgecolor=COLOURS[0], markeredgewidth=1.6)
            ax.text(place[0], place[1], str(k), ha="center", va="center", fontsize=12)
        ax.set(xlim=(-1.35, 1.35), ylim=(-1.2, 1.35), aspect="equal")
        ax.set_title(label, pad=10)
        ax.axis("off")
        edges = [f"{k} from {l}" for k, l in matrix.nonzero().tolist()]
        words.append(f"{label}: {', '.join(edges) or 'nobody learns from anybody'}")
    return Plot(
        figure, "Who learns from whom: peers as circles, an arrow from teacher to learner.", f"{'; '.join(words)}."
    )


def images(pixels: Tensor, titles: Sequence[str], columns: int = 10) -> Plot:
    """Small images (N, C, H, W) uint8 in a grid, each with its title."""
    rows = -(-len(pixels) // columns)
    figure = Figure(figsize=(0.95 * columns, 1.15 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, image, title in zip(axes, pixels, titles, strict=False):
        ax.imshow(image.permute(1, 2, 0).numpy(), cmap="gray_r" if len(image) == 1 else None)
        ax.set_title(title, fontsize=8)
    return Plot(
        figure, f"{len(pixels)} images in a grid, each titled with its class.", f"In order: {', '.join(titles)}."
    )


def _mean_over_learning(run: Run, metric: str) -> Tensor:
    values = run.curve(metric)
    return values[:, run.learning].mean(dim=1) if values.ndim == 2 else values


def _figure(columns: int, width: float = 6.4, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * columns, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(GREY)
        ax.tick_params(colors=GREY)
    return figure, axes
