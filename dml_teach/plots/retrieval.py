"""Figures of retrieval: ranked lists, what average precision measures in them, and how far down one has to look."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from dml_teach.errors import ConfigError
from dml_teach.plots.figure import COLOURS, DASHES, GREY, Plot, blank
from dml_teach.reid.scores import PRECISIONS, ReidScores, average_precision

KINDS: dict[str, tuple[str, str, str]] = {
    "good": ("✓", COLOURS[2], ""),
    "wrong": ("✗", COLOURS[1], "//"),
    "distractor": ("0", COLOURS[4], ".."),
    "left out": ("–", "#ffffff", ""),
}
"""What an image of a ranked list can be: its sign, colour and hatch. What is left out has no rank."""


def ranked_lists(lists: Mapping[str, Sequence[str]], width: float = 0.55) -> Plot:
    """What stands where: for each query its gallery, nearest first, as boxes with a sign and the rank below.

    Args:
        lists: name of the query -> "good", "wrong", "distractor" or "left out" for each image, nearest first.
        width: of a box, in inches.
    """
    for name, kinds in lists.items():
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise ConfigError(f"list {name}: {unknown[0]!r}; an image is one of {', '.join(KINDS)}")
    longest = max(map(len, lists.values()))
    figure, (ax,) = blank(1, width=1.5 + width * longest, height=0.6 + 1.05 * width * 1.6 * len(lists))
    words = []
    for row, (name, kinds) in enumerate(lists.items()):
        rank, good = 0, []
        for place, kind in enumerate(kinds):
            sign, colour, hatch = KINDS[kind]
            out = kind == "left out"
            box = Rectangle(
                (place + 0.06, row), 0.88, 0.62, facecolor=colour, hatch=hatch, alpha=1 if out else 0.75,
                edgecolor=GREY if out else "white", linestyle=":" if out else "-",
            )  # fmt: skip
            ax.add_patch(box)
            label: dict[str, Any] = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}
            ax.text(place + 0.5, row + 0.31, sign, ha="center", va="center", fontsize=13, bbox=label)
            rank += not out
            ax.text(place + 0.5, row + 0.76, "" if out else str(rank), ha="center", va="center", color=GREY, fontsize=9)
            good += [rank] if kind == "good" else []
        words.append(f"{name}: good images on {_ranks(good)} of {rank}")
    ax.set(xlim=(0, longest), ylim=(len(lists), -0.1), xticks=[])
    ax.set_yticks([row + 0.31 for row in range(len(lists))], list(lists), color="black")
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    present = [kind for kind in KINDS if any(kind in kinds for kinds in lists.values())]
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=KINDS[kind][1], hatch=KINDS[kind][2], edgecolor=GREY) for kind in present
    ]
    figure.legend(handles, present, loc="outside lower center", ncols=len(present), frameon=False)
    return Plot(figure, "The gallery as each query ranks it, nearest first.", f"{'; '.join(words)}.")


def precisions(ranks: Sequence[int]) -> Plot:
    """The two average precisions of one query as areas: bars for the sum, trapezoids for the other.

    Args:
        ranks: (n,) of the good images, from 1.
    """
    places = np.sort(np.asarray(ranks))
    k = np.arange(1, len(places) + 1)
    recall = np.arange(len(places) + 1) / len(places)
    after = PRECISIONS["sum"](k, places)
    before = 2 * PRECISIONS["trapezoid"](k, places) - after
    figure, axes = blank(2, width=4.2, height=3.2)
    words = []
    for ax, (name, left), colour in zip(axes, (("sum", after), ("trapezoid", before)), COLOURS, strict=False):
        for n in range(len(places)):
            ax.fill_between(recall[n : n + 2], [left[n], after[n]], color=colour, alpha=0.35, edgecolor=colour)
        ax.plot(recall[1:], after, "o", color=colour, zorder=3, clip_on=False)
        area = average_precision(places, name)
        ax.set_title(f"{name}: {area:.3f}", fontsize=11)
        ax.set(xlabel="Recall: share of the good images found", ylabel="Precision", xlim=(0, 1), ylim=(0, 1.05))
        words.append(f"as {'bars' if name == 'sum' else 'trapezoids'} {area:.3f}")
    return Plot(
        figure,
        f"Precision over recall for good images on {_ranks(places.tolist())}, as two areas.",
        f"The area is {', '.join(words)}.",
    )


def cmc(named: Mapping[str, ReidScores]) -> Plot:
    """How far down one has to look: the share of queries with a good image among the first m, for each m."""
    figure, axes = blank(1)
    words = []
    for n, (name, scores) in enumerate(named.items()):
        ranks = np.arange(1, len(scores.cmc) + 1)
        look: dict[str, Any] = {"color": COLOURS[n % len(COLOURS)], "linestyle": DASHES[n % len(DASHES)]}
        axes[0].plot(ranks, 100 * scores.cmc, label=name, linewidth=2, **look)
        words.append(f"{name}: {100 * scores.cmc[0]:.1f} % at rank 1, {100 * scores.cmc[-1]:.1f} % at {len(ranks)}")
    axes[0].set(xlabel="Rank", ylabel="Queries with a good image so far (%)", ylim=(None, 101))
    axes[0].margins(x=0)
    axes[0].legend(frameon=False, loc="lower right")
    return Plot(figure, "Hits among the first images of the list, rank by rank.", f"{'; '.join(words)}.")


def _ranks(places: Sequence[int]) -> str:
    return f"rank{'s' * (len(places) > 1)} {', '.join(map(str, places))}" if places else "no rank"
