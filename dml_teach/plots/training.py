"""Figures of runs: curves over the epochs, differences between methods, gains over the size of a cohort."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from dml_teach.analysis.agreement import MEASURES, over_epochs
from dml_teach.comparison import paired
from dml_teach.plots.figure import COLOURS, DASHES, GREY, MARKERS, Plot, blank
from dml_teach.runs import Run

METRICS = {
    "top1": ("Probe accuracy", 100.0, "%"),
    "train_top1": ("Training accuracy", 100.0, "%"),
    "nll": ("Probe NLL", 1.0, "nats"),
    "entropy": ("Posterior entropy", 1.0, "nats"),
    "mimicry": ("Mimicry loss", 1.0, "nats"),
    "supervised": ("Supervised loss", 1.0, "nats"),
    "mean_agreement": ("Agreement of the peers", 100.0, "%"),
    "mean_pairwise_kl": ("Mean pairwise KL", 1.0, "nats"),
    "mean_both_wrong": ("Both peers wrong", 100.0, "%"),
    "ensemble_gain": ("Ensemble gain", 100.0, "points"),
}
"""Name, factor and unit in which a metric of `runs` or a measure of `analysis.agreement` is drawn."""


def curves(groups: Mapping[str, Sequence[Run]], metric: str) -> Plot:
    """A metric over the epochs, for each group of runs: mean over learning peers and seeds, and one deviation of seeds.

    Args:
        groups: label -> runs of one setting, one for each seed.
        metric: a key of `METRICS`.
    """
    name, _, unit = METRICS[metric]
    figure, axes = blank(1)
    endings = _draw_curves(axes[0], groups, metric)
    axes[0].legend(frameon=False)
    return Plot(figure, f"{name} over the epochs, in {unit}.", f"At the end {endings}.")


def side_by_side(
    groups: Mapping[str, Sequence[Run]],
    metrics: Sequence[str] = ("mean_agreement", "mean_pairwise_kl", "entropy"),
) -> Plot:
    """Several metrics over the epochs in a row, for each group of runs, as `curves` draws them one by one.

    Args:
        groups: label -> runs of one setting, one for each seed.
        metrics: keys of `METRICS`.
    """
    figure, axes = blank(len(metrics), width=3.1, height=3.1)
    words = []
    for ax, metric in zip(axes, metrics, strict=True):
        name, _, unit = METRICS[metric]
        words.append(f"{name} ({unit}): {_draw_curves(ax, groups, metric)}")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    names = ", ".join(METRICS[metric][0] for metric in metrics)
    return Plot(figure, f"Over the epochs, side by side: {names}.", f"At the end {'. '.join(words)}.")


def metrics_of(run: Run, labels: Mapping[str, str], factor: float = 100.0, ylabel: str = "Accuracy (%)") -> Plot:
    """Several metrics of one run over the epochs in one picture, mean over its learning peers: metric -> label."""
    figure, axes = blank(1)
    for (metric, label), colour, dashes in zip(labels.items(), COLOURS, DASHES, strict=False):
        values = factor * _mean_over_learning(run, metric)
        axes[0].plot(
            range(1, len(values) + 1), values.numpy(), color=colour, linestyle=dashes, linewidth=2, label=label
        )
    axes[0].set(xlabel="Epoch", ylabel=ylabel)
    axes[0].xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    axes[0].legend(frameon=False)
    last = [f"{label}: {factor * _mean_over_learning(run, metric)[-1]:.1f}" for metric, label in labels.items()]
    return Plot(figure, f"{ylabel} over the epochs: {', '.join(labels.values())}.", f"At the end {'; '.join(last)}.")


def differences(per_seed: Mapping[str, Sequence[float]], unit: str = "points", baseline: str = "independent") -> Plot:
    """Differences from a baseline, a row for each setting: a dot per seed, their mean and its 95 % interval."""
    figure, axes = blank(1, height=0.75 + 0.55 * len(per_seed))
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


def over_cohort_sizes(
    methods: Mapping[str, Mapping[int, Sequence[float]]], ylabel: str = "Ensemble gain (points)"
) -> Plot:
    """A value against the number of peers: a line for each method, the mean over seeds and its 95 % interval.

    Args:
        methods: label -> K -> a value for each seed, in the unit of `ylabel`. A single seed has no interval.
        ylabel: the value's name and unit.
    """
    figure, axes = blank(1)
    words = []
    for n, (label, by_size) in enumerate(methods.items()):
        sizes = sorted(by_size)
        results = [paired(by_size[k], [0.0] * len(by_size[k])) for k in sizes]
        means = [result.difference for result in results]
        spreads = [result.half_width if result.seeds > 1 else 0.0 for result in results]
        beside = 0.06 * (n - (len(methods) - 1) / 2)  # intervals at one K would cover each other
        axes[0].errorbar(
            [k + beside for k in sizes], means, yerr=spreads, label=label, capsize=4, linewidth=2, markersize=7,
            color=COLOURS[n % len(COLOURS)], linestyle=DASHES[n % len(DASHES)], marker=MARKERS[n % len(MARKERS)],
        )  # fmt: skip
        values = zip(sizes, means, spreads, strict=True)
        words.append(f"{label}: {', '.join(f'{m:.2f} ± {s:.2f} at K = {k}' for k, m, s in values)}")
    axes[0].set(xlabel="Peers in the cohort, K", ylabel=ylabel)
    axes[0].set_xticks(sorted({k for by_size in methods.values() for k in by_size}))
    axes[0].axhline(0, color=GREY, linewidth=1)
    axes[0].legend(frameon=False)
    subject = f"{ylabel} against the number of peers, mean over seeds and 95 % interval."
    return Plot(figure, subject, f"{'; '.join(words)}.")


def _draw_curves(ax: Axes, groups: Mapping[str, Sequence[Run]], metric: str) -> str:
    """Draw what `curves` says, and return where the lines end."""
    name, factor, unit = METRICS[metric]
    endings, means = [], []
    for (label, runs), colour, dashes in zip(groups.items(), COLOURS, DASHES, strict=False):
        seeds = torch.stack([_mean_over_learning(run, metric) for run in runs]) * factor  # (S, E)
        epochs = range(1, seeds.shape[1] + 1)
        mean = seeds.mean(dim=0)
        ax.plot(epochs, mean.numpy(), color=colour, linestyle=dashes, linewidth=2, label=label)
        if len(runs) > 1:
            spread = seeds.std(dim=0)
            ax.fill_between(
                epochs, (mean - spread).numpy(), (mean + spread).numpy(), color=colour, alpha=0.15, linewidth=0
            )
        means.append(mean)
        endings.append(f"{label}: {mean[-1]:.{1 if factor > 1 else 2}f}")
    ax.set(xlabel="Epoch", ylabel=f"{name} ({unit})")
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    if unit == "%":  # the first epochs of an accuracy would squeeze the rest, where the lines differ
        values = torch.cat(means)
        ax.set_ylim(bottom=max(0.0, float(values.quantile(0.15)) - 0.35 * float(values.max() - values.quantile(0.15))))
    return "; ".join(endings)


def _mean_over_learning(run: Run, metric: str) -> Tensor:
    if metric in MEASURES and run.epochs and metric not in run.epochs[0]:
        return over_epochs(run, [metric])[metric]
    values = run.curve(metric)
    return values[:, run.learning].mean(dim=1) if values.ndim == 2 else values
