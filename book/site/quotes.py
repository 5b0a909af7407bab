"""Differences that prose quotes from recordings, and how large they would have had to be to be found."""

import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tables import markdown

from dml_teach import comparison, demo, recordings
from dml_teach.errors import DataError
from dml_teach.reproduce import table

EFFECT = re.compile(r"(\w+): (.+?) (?:\u2212|-) (.+), ([\w.]+)(?: of peer (\d+))?")
IN_NATS = (
    *("nll", "ensemble_nll", "train_nll", "gap", "mean_pairwise_kl", "divergence", "test_divergence"),
    *("train_entropy", "test_entropy", "rise_0.05", "rise_0.1", "rise_fixed"),
)
UNITS = dict.fromkeys(IN_NATS, ("nats", 1, 3))  # all else are points: hundredths


def effect(found: Mapping[str, Mapping[str, Any]], text: str) -> str:
    """A difference between two arms of a recording, paired by seed, as prose may quote it.

    Args:
        found: the recordings by file name.
        text: "recording: arm - baseline, metric", as "cohort_size: mutual-2 - independent-2, top1", and at its
            end " of peer 0" for the first network of each arm instead of the mean over all.

    Raises:
        DataError: there is no such recording, or the text has another form.
        ConfigError: there is no such arm or metric.
    """
    _, paired, (unit, factor, digits), differences = change(found, text)
    if not any(differences):
        return f"0\u00a0{unit} in each of {paired.seeds} seeds"
    quoted = f"{table.signed(paired, factor, digits)}\u00a0{unit}"
    if paired.seeds == 1:
        return f"{quoted} (one seed)"
    side, sign = ("higher", 1) if paired.difference >= 0 else ("lower", -1)
    won = sum(sign * difference > 0 for difference in differences)
    return f"{quoted} ({side} in {won} of {paired.seeds})"


def power(found: Mapping[str, Mapping[str, Any]], texts: Sequence[str]) -> str:
    """What the comparisons could have shown: for each, its seeds, the deviation of its paired differences, and the
    smallest true difference that would have been found four times out of five."""
    rows = [["recording", "method \u2212 baseline", "seeds", "deviation of the differences", "found 4 times in 5"]]
    rows.append(["---", "---", "--:", "--:", "--:"])
    for text in texts:
        (name, arm, base), paired, (unit, factor, digits), differences = change(found, text)
        spread = statistics.stdev(differences)
        least = comparison.detectable(spread, paired.seeds)
        rows.append(
            [
                *(f"`{name}`", f"{arm} − {base}, {text.rpartition(', ')[2]}", str(paired.seeds)),
                *(f"{factor * value:.{digits}f} {unit}" for value in (spread, least)),
            ]
        )
    return markdown(rows)


def change(
    found: Mapping[str, Mapping[str, Any]], text: str
) -> tuple[tuple[str, str, str], comparison.Paired, tuple[str, int, int], list[float]]:
    """Recording, arm and baseline of a comparison; its difference; its unit, with the factor to it and the digits that
    it is shown with; and the difference of each seed. All but the unit in what is recorded: fractions or nats."""
    parts = EFFECT.fullmatch(text)
    if parts is None or f"{parts[1]}.json" not in found:
        raise DataError(f"'{text}': write recording: arm - baseline, metric; there are {', '.join(found)}")
    name, arm, base, metric, peer = parts.groups()
    recorded: Any = found[f"{name}.json"]
    recorded = demo.as_recording(recorded) if "settings" in recorded else recorded
    ours, theirs = (
        recordings.per_seed(recordings.find_arm(recorded, each), metric, None if peer is None else int(peer))
        for each in (arm, base)
    )
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    return (name, arm, base), comparison.paired(ours, theirs), UNITS.get(metric, ("points", 100, 2)), differences
