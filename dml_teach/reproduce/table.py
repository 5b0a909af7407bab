"""A target's table: what the paper says, what others found and what came out here, side by side."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dml_teach import comparison, models, recordings
from dml_teach.comparison import Paired
from dml_teach.overview import text
from dml_teach.published import PLUS_MINUS, Number
from dml_teach.reproduce.setups import CIFAR
from dml_teach.reproduce.targets import Line, Plan, Source

HEAD = ("networks", "setting", "of", "paper", "others", "ours", "difference", "seeds won")
NOT_RUN = "not run"
PERCENT = ("top1", "mAP")
MINUS = "\u2212"


def rows(plan: Plan, recorded: Mapping[str, Any] | None, numbers: Sequence[Number]) -> list[tuple[str, ...]]:
    """The lines of a plan as text, in the order of `HEAD`; where the metrics differ, each names its own.

    Args:
        plan: the target.
        recorded: the recording of its experiment; None before it is run.
        numbers: what is published.
    """
    several = len({line.metric for line in plan.lines}) > 1
    found = []
    for line in plan.lines:
        named = f"{line.networks}: {line.metric}" if several else line.networks
        setting, ours, difference, won = _ours(line, recorded)
        texts = [published(line, tier, numbers) for tier in ("paper", "others")]
        found.append((named, setting, line.of, *texts, ours, difference, won))
    return found


def published(line: Line, tier: str, numbers: Sequence[Number]) -> str:
    """What one tier says of a line. Where somebody ran several seeds, only what they found; else every value."""
    of = [
        number
        for number in numbers
        if (number.tier, number.networks, number.setting) == (tier, line.networks, line.setting)
        and number.data == line.data
        and (number.metric == line.metric or line.metric == "count")
    ]
    exact = [number for number in of if number.of == line.of]
    exact = [number for number in exact if number.spread] or exact
    if not exact and line.of == "mean":
        both = {number.of: number.text for number in of if number.of in ("net 1", "net 2")}
        return " / ".join(both[net] for net in sorted(both))
    return "; ".join(dict.fromkeys(f"{n.text} million" if n.metric == "million" else n.text for n in exact))


def values(recorded: Mapping[str, Any], source: Source, measure: str) -> list[float]:
    """A number of ours for each seed."""
    entry = recordings.find_arm(recorded, chosen(recorded, source))
    found: list[Any] = entry[f"ensemble_{measure}" if source.ensemble else measure]
    if source.ensemble:
        return [float(value) for value in found]
    return [statistics.fmean(seed) if source.peer is None else seed[source.peer] for seed in found]


def chosen(recorded: Mapping[str, Any], source: Source) -> str:
    """The arm of a source; of several, the one whose accuracy on the held-out probe images is best after the last
    epoch, on average over the seeds. The test images have no say in it."""

    def held_out(arm: str) -> float:
        curves = recordings.find_arm(recorded, arm)["curves"]["top1"]
        return statistics.fmean(curve[-1] for curve in curves)

    return source.arms[0] if len(source.arms) == 1 else max(source.arms, key=held_out)


def left_out(plan: Plan) -> list[str]:
    """What is not run, with the reason, each once."""
    found: dict[str, list[str]] = {}
    for line in plan.lines:
        if line.ours is None:
            names = found.setdefault(line.why, [])
            names.extend([line.networks] if line.networks not in names else [])
    return [f"{', '.join(names)}: {why}" for why, names in found.items()]


def as_text(found: Sequence[Sequence[str]]) -> str:
    """Rows under their head, for a terminal."""
    return "\n".join(text.table(HEAD, found))


def as_markdown(found: Sequence[Sequence[str]]) -> str:
    """Rows under their head, as a pipe table."""
    lines = [HEAD, ("---",) * 3 + ("--:",) * (len(HEAD) - 3), *found]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def signed(change: Paired, factor: float, digits: int) -> str:
    """A paired difference with its 95 % interval; a single seed has none."""
    number = f"{factor * change.difference:+.{digits}f}".replace("-", MINUS)
    return number if change.seeds == 1 else f"{number}{PLUS_MINUS}{factor * change.half_width:.{digits}f}"


def _ours(line: Line, recorded: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    """A line's setting, with the temperature where it was chosen; our number; its difference; the seeds won."""
    if line.measure == "parameters":
        name, options = CIFAR.get(line.networks, ("inception_v1", {}))
        count = sum(p.numel() for p in models.build(name, 100, **options).parameters())
        return line.setting, f"{count:,}", "", ""
    if line.ours is None or recorded is None:
        return line.setting, NOT_RUN, "", ""
    setting = line.setting
    if len(line.ours.arms) > 1:
        arm = recordings.find_arm(recorded, chosen(recorded, line.ours))
        setting = setting.replace("T tuned", f"T = {arm['changes']['temperature']:g} of 1, 2, 4")
    numbers = values(recorded, line.ours, line.measure)
    factor, digits = (100, 2) if line.measure in PERCENT else (1, 4)
    mean, deviation = comparison.mean_and_deviation(numbers)
    ours = f"{factor * mean:.{digits}f}".replace("-", MINUS)
    if not math.isnan(deviation):
        ours += f"{PLUS_MINUS}{factor * deviation:.{digits}f}"
    if line.baseline is None:
        return setting, ours, "", ""
    change = comparison.paired(numbers, values(recorded, line.baseline, line.measure))
    return setting, ours, signed(change, factor, digits), f"{change.won}/{change.seeds}"
