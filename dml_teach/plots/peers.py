"""Figures of peers compared with peers: (K, K) matrices of any measure, with every entry written out."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from matplotlib.colors import Normalize
from torch import Tensor

from dml_teach.analysis.agreement import both_wrong, same_wrong
from dml_teach.analysis.posteriors import logits_of
from dml_teach.errors import ConfigError
from dml_teach.metrics import mean_off_diagonal
from dml_teach.plots.figure import Plot, blank
from dml_teach.runs import Run


class _Measure(NamedTuple):
    name: str
    last: Callable[[Run], Tensor]  # (K, K) after the last epoch
    factor: float
    unit: str


MATRICES = {
    "agreement": _Measure(
        "Images on which two peers name the same class", lambda run: run.curve("agreement")[-1], 100, "%"
    ),
    "pairwise_kl": _Measure(
        "Mean KL divergence between two peers", lambda run: run.curve("pairwise_kl")[-1], 1, "nats"
    ),
    "both_wrong": _Measure(
        "Images that both peers name wrongly", lambda run: both_wrong(*_last_answers(run)), 100, "%"
    ),
    "same_wrong": _Measure(
        "Images to which both peers give the same wrong name", lambda run: same_wrong(*_last_answers(run)), 100, "%"
    ),
}
"""What `matrices` can draw, by name."""


def matrices(groups: Mapping[str, Sequence[Run]], metric: str = "agreement") -> Plot:
    """The (K, K) matrices of a measure after the last epoch, averaged over seeds, side by side.

    Args:
        groups: label -> runs of one setting, one for each seed.
        metric: a key of `MATRICES`. On the diagonal of the wrong ones stands each peer's own error.
    """
    if metric not in MATRICES:
        raise ConfigError(f"matrices can not draw '{metric}': choose {', '.join(MATRICES)}")
    measure = MATRICES[metric]
    named = {
        label: measure.factor * torch.stack([measure.last(run) for run in runs]).mean(dim=0)
        for label, runs in groups.items()
    }
    return heatmaps(named, f"{measure.name}, at the end.", measure.unit)


def similarity(named: Mapping[str, Tensor], names: Sequence[str] | None = None) -> Plot:
    """Linear CKA of every pair of networks, as `analysis.features.cka_matrix` gives it.

    Args:
        named: label -> (K, K), a picture for each.
        names: of the K networks; their numbers if none.
    """
    return heatmaps(named, "Linear CKA between the features of two networks.", "", names)


def heatmaps(named: Mapping[str, Tensor], subject: str, unit: str, names: Sequence[str] | None = None) -> Plot:
    """Matrices (K, K) in one scale of colour, side by side: label -> matrix in the unit given, "" for none."""
    longest = max(map(len, named.values()))
    size = max(2.3, 0.55 * longest + 0.9)
    figure, axes = blank(len(named), width=size, height=size + 0.45)
    entries = torch.cat([m.flatten() for m in named.values()])
    pairs = torch.cat([m[~torch.eye(len(m), dtype=torch.bool)] for m in named.values()])
    if not len(pairs):
        raise ConfigError("a matrix of peers compared with peers needs at least two peers")
    # The scale begins below the lowest pair, so that pairs differ in colour even where the diagonal is far away.
    low, high = float(pairs.min()), float(entries.max())
    scale = Normalize(low - (high - low) / 2, max(high, low + 1e-9))
    digits, words = 1 if unit == "%" else 2, []
    for ax, (label, matrix) in zip(axes, named.items(), strict=True):
        picture = ax.imshow(matrix.numpy(), cmap="cividis", norm=scale)
        colours = picture.to_rgba(matrix.numpy())  # (K, K, 4)
        for k in range(len(matrix)):
            for l in range(len(matrix)):
                red, green, blue, _ = colours[k, l]
                dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.46
                ax.text(
                    l, k, f"{matrix[k, l]:.{digits}f}", ha="center", va="center", color="white" if dark else "black",
                    fontsize=11 if longest <= 4 else 9,
                )  # fmt: skip
        ticks = range(len(matrix))
        ax.set(xticks=ticks, yticks=ticks, title=label, xlabel="" if names else "peer")
        if names:
            ax.set_xticklabels(names, rotation=30, ha="right", rotation_mode="anchor")
            ax.set_yticklabels(names)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        words.append(f"{label}: {float(mean_off_diagonal(matrix)):.{digits}f} {unit}".rstrip())
    if not names:
        axes[0].set_ylabel("peer")
    return Plot(figure, subject, f"Mean over pairs {'; '.join(words)}.")


def _last_answers(run: Run) -> tuple[Tensor, Tensor]:
    return logits_of(run.posteriors[-1]), run.probe.labels
