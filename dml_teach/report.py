"""The demo's results as a table in the terminal and as one HTML file that opens with no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dml_teach import plots, recordings
from dml_teach.comparison import Paired
from dml_teach.demo import BASELINE, LABELLED, Setting, record, table
from dml_teach.files import write_atomic, write_json
from dml_teach.plots import Plot
from dml_teach.recordings import Row, Value
from dml_teach.runs import Run

HEADERS = (
    "setting", "top-1 %", "difference", "seeds won", "NLL", "difference", "ensemble %", "difference", "training %",
)  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """One row of the table as text, in the order of `HEADERS`."""
    single, nll, ensemble = (row.values[metric] for metric in ("top1", "nll", "ensemble_top1"))
    return (
        row.arm,
        _percent(single),
        _difference(single.difference),
        "" if single.difference is None else f"{single.difference.won}/{single.difference.seeds}",
        f"{nll.mean:.3f}",
        _difference(nll.difference, factor=1, digits=3),
        _percent(ensemble),
        _difference(ensemble.difference),
        f"{100 * row.values['train_top1'].mean:.1f}",
    )


def as_text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines = [HEADERS, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADERS))]
    text = [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    compared = rows[-1].values["top1"].difference
    seeds = compared.seeds if compared else 0
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


def retrieval_as_markdown(recorded: Mapping[str, Mapping[str, Any]]) -> str:
    """A table of recordings of retrieval, by the name of the data: the baseline's values, the others' differences."""
    head = ("data", "setting", "mAP", "rank-1", "mAP, concatenated", "rank-1, concatenated")
    lines = [head, ("---", "---", *["--:"] * 4)]
    for name, recording in recorded.items():
        for row in recordings.table(recording):
            shown = (row.values[metric] for metric in ("mAP", "rank1", "ensemble_mAP", "ensemble_rank1"))
            lines.append((name, row.arm, *(_difference(v.difference) if v.difference else _percent(v) for v in shown)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures(results: dict[Setting, list[Run]], recorded: dict[str, Any]) -> dict[str, Plot]:
    """The report's figures by name."""
    groups = {setting.label: runs for setting, runs in results.items()}
    headline = {setting.label: results[setting] for setting in (BASELINE, Setting("mutual", 1), Setting("mutual", 2))}
    baseline, *others = recorded["settings"]

    def per_seed(metric: str, factor: float) -> dict[str, list[float]]:
        return {
            Setting(each["method"], each["temperature"]).label: [
                factor * (a - b) for a, b in zip(each[metric], baseline[metric], strict=True)
            ]
            for each in others
        }

    return {
        "accuracy": plots.curves(groups, "top1"),
        "entropy": plots.curves(groups, "entropy"),
        "agreement": plots.matrices(headline, "agreement"),
        "differences": plots.differences(per_seed("top1", 100)),
        "nll_differences": plots.differences(per_seed("nll", 1), unit="nats of NLL, lower is better"),
    }


def write(out: Path, results: dict[Setting, list[Run]]) -> Path:
    """Write results.json and report.html into the demo's folder and return the report's path."""
    environment = Environment(loader=PackageLoader("dml_teach"), autoescape=True, undefined=StrictUndefined)
    recorded = record(results)
    rows = table(recorded)
    page = environment.get_template("report.html").render(
        headers=HEADERS,
        rows=[(cells(row), LABELLED[row.arm].method) for row in rows],
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
        accuracy, nll = row.values["top1"].difference, row.values["nll"].difference
        if LABELLED[row.arm].method == "mutual":
            assert accuracy is not None and nll is not None
            sentences.append(
                f"Mutual learning at T = {LABELLED[row.arm].temperature:g}, against independent networks: accuracy"
                f" {_verdict(accuracy, 100, 2, ' points')}; NLL, which punishes false"
                f" certainty, {_verdict(nll, 1, 3, ' nats')}."
            )
    together = rows[0].values["ensemble_top1"].mean
    best = max(rows[1:], key=lambda row: row.values["top1"].mean)
    sentences.append(
        f"Two independent networks asked together reach {100 * together:.1f} %; "
        f"the best single network here ({best.arm}) reaches {100 * best.values['top1'].mean:.1f} %."
    )
    return sentences


def _verdict(paired: Paired, factor: float, digits: int, unit: str) -> str:
    """A paired difference in words: beyond its interval or within it."""
    numbers = _difference(paired, factor, digits) + unit
    if paired.seeds == 1:
        return f"differs by {numbers} in the one seed that was run, which says nothing about spread"
    if abs(paired.difference) <= paired.half_width:
        return f"shows no clear difference ({numbers})"
    return f"is {'higher' if paired.difference > 0 else 'lower'} ({numbers}, {paired.seeds} seeds)"


def _percent(value: Value) -> str:
    mean, deviation = 100 * value.mean, 100 * value.deviation
    return f"{mean:.2f} ± {deviation:.2f}" if deviation == deviation else f"{mean:.2f}"


def _difference(paired: Paired | None, factor: float = 100, digits: int = 2) -> str:
    if paired is None:
        return ""
    interval = "" if paired.seeds == 1 else f" ± {factor * paired.half_width:.{digits}f}"
    return f"{factor * paired.difference:+.{digits}f}".replace("-", "\u2212") + interval
