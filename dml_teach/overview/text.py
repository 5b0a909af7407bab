"""The overview of runs as tables for a terminal."""

from collections.abc import Sequence

from dml_teach.overview import OF_CLASSES, Group, folder_of, numbers, short, spread
from dml_teach.overview.against import Comparison, change

SHOWN = {
    "top1": ("top-1 %", 100, 2),
    "nll": ("NLL", 1, 3),
    "ensemble_top1": ("ensemble %", 100, 2),
    "ensemble_nll": ("ensemble NLL", 1, 3),
    "mAP": ("mAP %", 100, 2),
    "rank1": ("rank-1 %", 100, 2),
    "ensemble_mAP": ("ensemble mAP %", 100, 2),
    "ensemble_rank1": ("ensemble rank-1 %", 100, 2),
}
"""Heading, factor and digits; only what some run has is shown."""

USUAL = {"order": "simultaneous", "mimicry": "pairwise", "temperature": 1.0}
"""Shown only where a run has another value."""

WORDS = ("folder", "data", "peers", "topology", "settings", "networks", "setting", "of")
"""Headings of columns that stand to the left."""

NONE_FOUND = """No runs here. Make some:
  dml-teach demo                             independent, distilled and mutual networks, compared
  dml-teach train bundled --out runs/first   two networks that teach each other"""


def overview(found: Sequence[Group]) -> str:
    """A row for each group; what all rows share is said once, above."""
    metrics = [metric for metric in SHOWN if any(metric in (group[0].results or {}) for group in found)]
    metrics = metrics or list(OF_CLASSES)
    rows = [_row(group, other, metrics) for group, other in zip(found, _other_settings(found), strict=True)]
    shared = [name for name in ("data", "peers", "topology", "settings") if len({row[name] for row in rows}) == 1]
    said = [f"{name} {rows[0][name]}" for name in shared if rows[0][name]]
    lines = [f"all: {'; '.join(said)}", ""] if said else []
    shown = [name for name in rows[0] if name not in shared]
    lines += table(shown, [[row[name] for name in shown] for row in rows])
    lines += ["", "Test set, after the last epoch; top-1 and NLL: mean of the peers that learn."]
    if "mAP" in metrics:
        lines[-1] = lines[-1].replace("top-1 and NLL", "top-1, NLL, mAP and rank-1")
        lines.append("Ensemble mAP and rank-1 are of the peers' concatenated embedding, no single network's.")
    if any(len(group) > 1 for group in found):
        lines.append("Several seeds: mean ± standard deviation over them.")
    open_ends = [group[0].run.folder for group in found if not group[0].results]
    if open_ends:
        lines.append(f"Not finished: {len(open_ends)}. If interrupted, go on with: dml-teach resume {open_ends[0]}")
    return "\n".join(lines)


def _row(group: Group, other: str, metrics: Sequence[str]) -> dict[str, str]:
    first = group[0]
    row = {"folder": folder_of(group), **first.labels, "settings": other}
    row |= {"seeds": numbers([entry.seed for entry in group]), "epochs": f"{len(first.run.epochs)}/{first.epochs}"}
    for metric in metrics:
        heading, factor, digits = SHOWN[metric]
        mean, deviation = spread(group, metric) if metric in (first.results or {}) else (None, None)
        row[heading] = "-" if mean is None else f"{factor * mean:.{digits}f}"
        row[heading] += "" if deviation is None else f" ± {factor * deviation:.{digits}f}"
    return row


def _other_settings(found: Sequence[Group]) -> list[str]:
    """For each group: order, mimicry and temperature where unusual, and what else tells it from the other groups."""
    all_settings = [group[0].settings for group in found]
    names = dict.fromkeys(name for settings in all_settings for name in settings)
    telling = [
        name
        for name in names
        if not name.startswith("data.") and name not in ("peers", "topology", "epochs", *USUAL)
        and len({short(settings.get(name)) for settings in all_settings}) > 1
    ]  # fmt: skip
    return [
        ", ".join(
            [f"{name} {short(settings[name])}" for name, usual in USUAL.items() if settings[name] != usual]
            + [f"{name} {short(settings.get(name))}" for name in telling]
        )
        for settings in all_settings
    ]


def comparisons(compared: Sequence[Comparison], baseline: str) -> str:
    """A row for each comparison, then what differs in each."""
    metrics = list(compared[0].differences)  # of one baseline, so the same in all
    headings = ["folder", "seeds", *(text for metric in metrics for text in (SHOWN[metric][0], "won"))]
    rows, notes = [], []
    for each in compared:
        name = folder_of(each.group)
        row = [name, str(each.differences[metrics[0]].seeds)]
        for metric in metrics:
            (_, factor, digits), found = SHOWN[metric], each.differences[metric]
            interval = "" if found.seeds == 1 else f" ± {factor * found.half_width:.{digits}f}"
            row += [f"{factor * found.difference:+.{digits}f}{interval}", f"{found.won}/{found.seeds}"]
        rows.append(row)
        notes.append(f"  {name}")
        notes += [f"    {change(field, each.differs)}" for field in each.differs] or ["    nothing that is recorded"]
        for whose, seeds in zip(("baseline", "run"), each.alone, strict=True):
            notes += [f"    left out, {whose} without a partner: seed {numbers(seeds)}"] if seeds else []
    explained = [
        "",
        "Difference from the baseline, paired by seed, with its 95 % interval (none for a single seed); accuracies in",
        "points. Won: seeds in which the run is better, with a higher accuracy or a lower NLL.",
    ]
    return "\n".join([f"against {baseline}", "", *table(headings, rows), *explained, "", "What differs", *notes])


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table in which numbers stand to the right."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = ["<" if name in WORDS else ">" for name in headings]
    text = [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, aligned, widths, strict=True)).rstrip()
        for line in lines
    ]
    return [text[0], "-" * max(map(len, text)), *text[1:]]
