"""Figures without axes: who learns from whom, and the images themselves."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dml_teach.plots.figure import COLOURS, Plot, blank, empty


def topologies(matrices: Mapping[str, Tensor]) -> Plot:
    """Who learns from whom: each topology (K, K) as peers on a circle, an arrow from teacher to learner."""
    figure, axes = blank(len(matrices), width=2.5, height=2.7)
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
    figure = empty(0.95 * columns, 1.15 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, image, title in zip(axes, pixels, titles, strict=False):
        ax.imshow(image.permute(1, 2, 0).numpy(), cmap="gray_r" if len(image) == 1 else None)
        ax.set_title(title, fontsize=8)
    return Plot(
        figure, f"{len(pixels)} images in a grid, each titled with its class.", f"In order: {', '.join(titles)}."
    )
