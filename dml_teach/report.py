"""The demo's results as a table in the terminal and as one HTML file that opens with no network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dml_teach import plots
from dml_teach.comparison import Paired
from dml_teach.demo import BASELINE, Row, Setting, record, table
from dml_teach.files import write_atomic, write_json
from dml_teach.plots import Plot
from dml_teach.runs import Run

HEADERS = ("setting", "top-1 %", "difference", "seeds won", "NLL", "ensemble %", "difference", "ens. NLL", "training %")


def cells(row: Row) -> tuple[str, ...]:
    """One row of the table as text, in the order of `HEADERS`."""
    return (
        row.setting.label,
        _percent(row.single),
        _difference(row.single_difference),
        "" if row.single_difference is None else f"{row.single_difference.won}/{row.single_difference.seeds}",
        f"{row.single_nll[0]:.3f}",
        _percent(row.ensemble),
        _difference(row.ensemble_difference),
        f"{row.ensemble_nll[0]:.3f}",
        f"{100 * row.training[0]:.1f}",
    )


def as_text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines = [HEADERS, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADERS))]
    text = [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    seeds = rows[-1].single_difference.seeds if rows[-1].single_difference else 0
    text.insert(1, "-" * len(text[0]))
    text += [
        "",
        f"Fashion-MNIST slice, test set read once after the last epoch, {seeds} seeds. Accuracies: mean ± standard",
        "deviation over seeds of the mean of two networks; ensemble: their averaged posterior. Difference: from",
        "independent, paired by seed, with its 95 % interval.",
    ]
    return "\n".join(text)


def as_markdown(rows: Sequence[Row]) -> str:
    """The table for a README."""
    lines = [HEADERS, tuple("---" if i == 0 else "--:" for i in range(len(HEADERS))), *(cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures(results: dict[Setting, list[Run]], recorded: dict[str, Any]) -> dict[str, Plot]:
    """The report's figures by name."""
    groups = {setting.label: runs for setting, runs in results.items()}
    headline = {setting.label: results[setting] for setting in (BASELINE, Setting("mutual", 1), Setting("mutual", 2))}
    baseline, *others = recorded["settings"]
    per_seed = {
        Setting(each["method"], each["temperature"]).label: [
            100 * (a - b) for a, b in zip(each["top1"], baseline["top1"], strict=True)
        ]
        for each in others
    }
    return {
        "accuracy": plots.curves(groups, "top1"),
        "entropy": plots.curves(groups, "entropy"),
        "agreement": plots.matrices(headline, "agreement"),
        "differences": plots.differences(per_seed),
    }


def write(out: Path, results: dict[Setting, list[Run]]) -> Path:
    """Write results.json and report.html into the demo's folder and return the report's path."""
    environment = Environment(loader=PackageLoader("dml_teach"), autoescape=True, undefined=StrictUndefined)
    recorded = record(results)
    rows = table(recorded)
    page = environment.get_template("report.html").render(
        headers=HEADERS,
        rows=[(cells(row), row.setting.method) for row in rows],
        finding=finding(rows),
        figures=figures(results, recorded),
        record=recorded,
    )
    write_json(out / "results.json", recorded)
    path = out / "report.html"
    write_atomic(path, page.encode())
    return path


def finding(rows: Sequence[Row]) -> list[str]:
    """What the numbers say, in sentences that follow from them alone."""
    sentences = []
    for row in rows:
        if row.setting.method == "mutual" and row.single_difference is not None:
            sentences.append(f"Mutual learning at T = {row.setting.temperature:g} {_verdict(row.single_difference)}.")
    base = rows[0]
    best = max(rows[1:], key=lambda row: row.single[0])
    sentences.append(
        f"Two independent networks asked together reach {100 * base.ensemble[0]:.1f} %; "
        f"the best single network here ({best.setting.label}) reaches {100 * best.single[0]:.1f} %."
    )
    better = [row.setting.label for row in rows[1:] if row.single_nll[0] < base.single_nll[0]]
    calmer = "; ".join(better) or "none"
    sentences.append(f"NLL, which punishes false certainty, is lower than that of independent networks for: {calmer}.")
    return sentences


def _verdict(paired: Paired) -> str:
    if paired.seeds == 1:
        return f"differs by {100 * paired.difference:+.2f} points in the one seed that was run: no word on spread"
    numbers = (
        f"{100 * paired.difference:+.2f} ± {100 * paired.half_width:.2f} points, {paired.won} of {paired.seeds} seeds"
    )
    if abs(paired.difference) <= paired.half_width:
        return f"shows no clear difference from independent networks ({numbers})"
    return f"{'gains' if paired.difference > 0 else 'loses'} against independent networks ({numbers})"


def _percent(value: tuple[float, float]) -> str:
    mean, deviation = value
    return f"{100 * mean:.2f} ± {100 * deviation:.2f}" if deviation == deviation else f"{100 * mean:.2f}"


def _difference(paired: Paired | None) -> str:
    if paired is None:
        return ""
    interval = "" if paired.seeds == 1 else f" ± {100 * paired.half_width:.2f}"
    return f"{100 * paired.difference:+.2f}".replace("-", "\u2212") + interval
