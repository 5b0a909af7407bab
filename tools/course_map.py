"""Draw the map of the course, the first picture of the book: `python tools/course_map.py [--out FILE]`.

A box for each chapter, an arrow to the next one of its part, and from chapter 06 to the parts that it opens. What is
drawn is written into the file as text, too: so a test can tell whether the picture is that of this program, and every
chapter of the book on it. When a chapter gets another title, or there is a new one, change `PARTS` and draw again.
"""

import argparse
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from dml_teach.plots import COLOURS, GREY

FILE = Path(__file__).resolve().parents[1] / "book" / "figures" / "course_map.png"
INK = "#1d2530"
ROUND = "round,pad=0,rounding_size=0.08"
LONGEST = 23  # characters in a line of a title
DOTS = 200  # an inch; the picture is shown at half of its size in pixels


class Chapter(NamedTuple):
    """A box: the chapter's title as its first heading has it, what it is about in one line, and where it stands."""

    title: str
    about: str
    place: tuple[float, float]  # of the left lower corner, inches
    exercise: bool = True


class Part(NamedTuple):
    """A panel: its name, colour, and the chapters in it by number."""

    name: str
    colour: str
    corner: tuple[float, float]
    size: tuple[float, float]
    chapters: dict[str, Chapter]


WIDTH, HEIGHT = 7.2, 7.25
BOX = (2.06, 0.66)
LEFT, MIDDLE, RIGHT = 0.25, 2.57, 4.89
COLUMN = (2.26, 3.02)
TOP = {"00": Chapter("Welcome", "the idea in one picture", (MIDDLE, 6.55), exercise=False)}
PARTS = (
    Part(
        "From one network to N peers",
        COLOURS[0],
        (0.15, 3.72),
        (6.9, 2.3),
        {
            "01": Chapter("One network", "what it knows, how sure", (LEFT, 4.94)),
            "02": Chapter("Posteriors", "temperature and KL", (MIDDLE, 4.94)),
            "03": Chapter("Distillation", "a teacher, then a student", (RIGHT, 4.94)),
            "04": Chapter("Two peers", "Algorithm 1 by hand", (LEFT, 3.86)),
            "05": Chapter("Do they agree?", "and the price of it", (MIDDLE, 3.86)),
            "06": Chapter("A cohort of N", "who learns from whom", (RIGHT, 3.86)),
        },
    ),
    Part(
        "How far, and why?",
        COLOURS[1],
        (0.15, 0.2),
        COLUMN,
        {
            "07": Chapter("Unequal peers", "small beside large", (LEFT, 2.16)),
            "08": Chapter("Why does it work?", "doubt and flat minima", (LEFT, 1.25)),
            "09": Chapter("Fewer and wrong labels", "what a peer makes up for", (LEFT, 0.34)),
        },
    ),
    Part(
        "Finding people again",
        COLOURS[2],
        (2.47, 0.2),
        COLUMN,
        {
            "10": Chapter("Who is this?", "people nobody has seen", (MIDDLE, 2.16), exercise=False),
            "11": Chapter("The metric", "CMC and two mAPs", (MIDDLE, 1.25)),
            "12": Chapter("Mutual learning for re-identification", "", (MIDDLE, 0.34), exercise=False),
        },
    ),
    Part(
        "Further out",
        COLOURS[3],
        (4.79, 0.2),
        COLUMN,
        {
            "13": Chapter("Many devices", "a peer on each rank", (RIGHT, 2.16), exercise=False),
            "14": Chapter("Beyond", "new ideas, and your own", (RIGHT, 1.25), exercise=False),
        },
    ),
)
CHAPTERS = TOP | {number: chapter for part in PARTS for number, chapter in part.chapters.items()}
NEXT = (
    ("00", "01"), ("01", "02"), ("02", "03"), ("03", "04"), ("04", "05"), ("05", "06"), ("06", "07"), ("06", "10"),
    ("06", "13"), ("07", "08"), ("08", "09"), ("10", "11"), ("11", "12"), ("13", "14"),
)  # fmt: skip
"""What leads into what."""


def words() -> str:
    """The map as text: parts with their chapters, and what leads into what."""
    parts = "; ".join(
        f"{part.name}: " + ", ".join(f"{number} {each.title}" for number, each in part.chapters.items())
        for part in PARTS
    )
    arrows = ", ".join(f"{a} to {b}" for a, b in NEXT)
    return f"00 {TOP['00'].title}; {parts}. Leads into: {arrows}."


def draw() -> Figure:
    """The map."""
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DOTS, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT), frame_on=False)
    axes.set_axis_off()
    for part in PARTS:
        _panel(axes, part)
        for number, chapter in part.chapters.items():
            _box(axes, number, chapter, part.colour)
    _box(axes, "00", TOP["00"], GREY)
    for a, b in NEXT:
        _arrow(axes, a, b)
    _capstone(axes)
    _signet(axes)
    _exercise(axes, RIGHT + 0.12, 6.9)
    axes.text(RIGHT + 0.3, 6.9, "with an exercise", color=INK, fontsize=8.5, va="center")
    return figure


def _panel(axes: Axes, part: Part) -> None:
    (x, y), (width, height) = part.corner, part.size
    look: dict[str, Any] = {
        "facecolor": part.colour,
        "alpha": 0.11,
        "linewidth": 0,
        "boxstyle": "round,pad=0,rounding_size=0.12",
    }
    axes.add_patch(FancyBboxPatch((x, y), width, height, **look))
    axes.text(x + 0.1, y + height - 0.19, part.name, color=INK, fontsize=10, fontweight="bold", va="center")


def _box(axes: Axes, number: str, chapter: Chapter, colour: str) -> None:
    x, y = chapter.place
    look: dict[str, Any] = {"facecolor": "white", "edgecolor": colour, "linewidth": 1.5, "boxstyle": ROUND}
    axes.add_patch(FancyBboxPatch((x, y), *BOX, zorder=2, **look))
    write: dict[str, Any] = {"color": INK, "va": "center", "zorder": 3}
    axes.text(x + 0.08, y + 0.43, number, **{**write, "color": colour}, fontsize=12, fontweight="bold")
    # A title of two lines takes the place of what it is about.
    lines = textwrap.wrap(chapter.title, LONGEST, break_on_hyphens=False)
    bold: dict[str, Any] = {"fontsize": 9.5 if max(map(len, lines)) < 21 else 8.5, "fontweight": "bold"}
    axes.text(x + 0.37, y + 0.43, lines[0], **write, **bold)
    if len(lines) > 1:
        axes.text(x + 0.37, y + 0.18, lines[1], **write, **bold)
    else:
        axes.text(x + 0.37, y + 0.18, chapter.about, **write, fontsize=8.5)
    if chapter.exercise:
        _exercise(axes, x + BOX[0] - 0.2, y + BOX[1])


def _exercise(axes: Axes, x: float, y: float) -> None:
    """The mark of a chapter with an exercise: a tick in a disc."""
    axes.plot(x, y, "o", color=INK, markersize=8, zorder=4, linewidth=0)
    axes.plot([x - 0.025, x - 0.006, x + 0.028], [y, y - 0.022, y + 0.024], color="white", linewidth=1.3, zorder=5)


def _capstone(axes: Axes) -> None:
    """The box that readers fill in themselves."""
    x, y = RIGHT, 0.34
    look: dict[str, Any] = {
        "facecolor": "none",
        "edgecolor": COLOURS[3],
        "linewidth": 1.5,
        "linestyle": (0, (3, 2)),
        "boxstyle": ROUND,
    }
    axes.add_patch(FancyBboxPatch((x, y), *BOX, zorder=2, **look))
    axes.text(x + 0.37, y + 0.43, "Your own experiment", color=INK, fontsize=9.5, fontweight="bold", va="center")
    axes.text(x + 0.37, y + 0.18, "predict, test, report", color=INK, fontsize=8.5, va="center")
    _line(axes, (x + BOX[0] / 2, CHAPTERS["14"].place[1]), (x + BOX[0] / 2, y + BOX[1]))


def _signet(axes: Axes) -> None:
    """Two networks three times: alone, one taught by the other, teaching each other."""
    for n, ways in enumerate(((), (1,), (1, -1))):
        left, right, y = 0.3 + 0.68 * n, 0.66 + 0.68 * n, 6.9
        for x in (left, right):
            axes.plot(x, y, "o", markersize=9, color="white", markeredgecolor=COLOURS[0], markeredgewidth=1.5, zorder=3)
        for way in ways:
            ends = ((left, y), (right, y))[::way]
            bend = "arc3,rad=-0.5" if len(ways) > 1 else "arc3"
            look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 8, "color": COLOURS[0], "linewidth": 1.2}
            axes.add_patch(FancyArrowPatch(*ends, connectionstyle=bend, shrinkA=5.5, shrinkB=5.5, **look))


def _line(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A straight arrow."""
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 13, "color": GREY, "linewidth": 1.6, "zorder": 1}
    axes.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=1, **look))


def _arrow(axes: Axes, a: str, b: str) -> None:
    """From the edge of one box to that of another, or of the panel that it opens; round corners if not in line."""
    (x, y), (left, bottom), (width, height) = CHAPTERS[a].place, CHAPTERS[b].place, BOX
    if y == bottom:
        _line(axes, (x + width, y + height / 2), (left, bottom + height / 2))
        return
    opened = [part for part in PARTS if b in part.chapters and a not in part.chapters]
    top = opened[0].corner[1] + opened[0].size[1] if opened else bottom + height
    start, end = (x + width / 2, y), (left + width / 2, top)
    if x != left:  # down to a bar between the rows, along it, and down again
        bar = (y + top) / 2
        axes.plot([start[0], start[0], end[0]], [y, bar, bar], color=GREY, linewidth=1.6, zorder=1)
        start = (end[0], bar)
    _line(axes, start, end)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Draw the map of the course.")
    parser.add_argument("--out", type=Path, default=FILE, help="where to (default: %(default)s)")
    out = parser.parse_args(arguments).out
    draw().savefig(out, metadata={"Description": words(), "Software": None})
    print(f"{out.name}: {len(CHAPTERS)} chapters")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
