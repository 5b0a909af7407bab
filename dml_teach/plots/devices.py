"""What crosses between ranks: how long it takes, measured and modelled."""

from collections.abc import Callable, Mapping, Sequence

from dml_teach.plots.figure import COLOURS, DASHES, GREY, MARKERS, Plot, blank

POINTS = 60  # of a drawn line


def costs(
    measured: Mapping[str, Sequence[tuple[float, float]]],
    modelled: Mapping[str, Callable[[float], float]],
    marks: Mapping[str, float] | None = None,
) -> Plot:
    """Seconds against bytes, both on scales of powers of ten: a dot for each measurement, a line for each model.

    Args:
        measured: label -> [(bytes, seconds)], each at least one.
        modelled: the same labels -> seconds of so many bytes.
        marks: what is of a certain size: its name -> bytes.
    """
    figure, (ax,) = blank(1, width=7.2, height=4.0)
    words = []
    sizes = [size for points in measured.values() for size, _ in points] + list((marks or {}).values())
    low, high = min(sizes) / 1.5, max(sizes) * 1.5
    for (label, points), colour, dashes, marker in zip(measured.items(), COLOURS, DASHES, MARKERS, strict=False):
        along = [low * (high / low) ** (step / (POINTS - 1)) for step in range(POINTS)]
        ax.plot(along, [1e3 * modelled[label](size) for size in along], color=colour, linestyle=dashes, linewidth=2,
                label=f"{label}, modelled")  # fmt: skip
        ax.plot([size for size, _ in points], [1e3 * seconds for _, seconds in points], marker, color=colour,
                markersize=7, label=f"{label}, measured")  # fmt: skip
        apart = [seconds / modelled[label](size) for size, seconds in points]
        words.append(f"{label}: measured is {min(apart):.1f} to {max(apart):.1f} times what is modelled")
    for name, size in (marks or {}).items():
        ax.axvline(size, color=GREY, linewidth=1)
        where = ax.get_xaxis_transform()
        ax.text(size, 0.3, f" {name} ", rotation=90, ha="right", va="bottom", color=GREY, transform=where,
                bbox={"color": "white", "pad": 1})  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="Bytes of one rank", ylabel="Time (ms)", xlim=(low, high))
    ax.legend(frameon=False, loc="upper left")
    subject = f"Time against bytes, measured and modelled: {', '.join(measured)}."
    return Plot(figure, subject, f"{'; '.join(words)}.")
