"""A picture with its words, and the look that all pictures share.

Colours are Okabe and Ito's, which stay apart for colour-blind readers; dashes, markers or hatches are a second cue
beside them. Figures are made without pyplot: they carry no global state and can be made in any thread.
"""

import base64
import html
import io
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

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
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "--", "\\\\", "oo")
GREY = "#5b6470"


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


def blank(columns: int, width: float = 6.4, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side, each `width` inches wide."""
    figure = empty(width * columns, height)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for ax in axes:
        style(ax)
    return figure, axes


def empty(width: float, height: float) -> Figure:
    """A figure without axes, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def style(ax: Axes) -> None:
    """Take away what does not inform and soften the rest."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(colors=GREY)
