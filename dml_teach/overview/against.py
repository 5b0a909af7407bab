"""Groups of runs against a baseline, paired by seed.

What else differs between the two is named, since a difference in accuracy says little about who learns from whom if the
epochs differ too.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from dml_teach import comparison
from dml_teach.comparison import Paired
from dml_teach.errors import ConfigError
from dml_teach.overview import METRICS, Entry, Group, folder_of, groups, numbers, short

SAME_DATA = ("data.name", "data.class_names", "data.channels", "data.test_images")
"""Where these differ, the runs answered other questions, and are not compared."""
SAME_EFFORT = ("data.training_images", "data.probe_images", "data.sha256", "epochs")
"""Where these differ, they may be the reason of whatever difference is found."""


class Comparison(NamedTuple):
    """A group against the baseline.

    Attributes:
        group: its runs.
        differences: for each of `METRICS` that the test lines have, group minus baseline over the seeds that both have;
            `won` counts the seeds in which the group is better, which for an NLL is lower.
        differs: settings and circumstances with other values: name -> (the baseline's, the group's), in words.
        alone: seeds without a partner, the baseline's and the group's.
        warnings: what makes the comparison doubtful.
    """

    group: Group
    differences: dict[str, Paired]
    differs: dict[str, tuple[str, str]]
    alone: tuple[list[int], list[int]]
    warnings: list[str]


def against(entries: Sequence[Entry], baseline: Sequence[Entry]) -> tuple[list[Comparison], list[str]]:
    """Compare each group of runs with the baseline, and say of each run that is left out why it is.

    The baseline's own runs may be among the entries.

    Raises:
        ConfigError: the baseline is not one group of finished runs, or nothing could be compared with it.
    """
    finished = groups(entry for entry in baseline if entry.results)
    if len(finished) != 1:
        found = "; ".join(folder_of(group) for group in finished) or "none that is finished"
        raise ConfigError(f"--against must name runs that differ in nothing but the seed; found: {found}")
    own = {entry.run.folder.resolve() for entry in baseline}
    others = [entry for entry in entries if entry.run.folder.resolve() not in own]
    compared = []
    left_out = [f"{entry.run.folder} is not finished" for entry in [*baseline, *others] if not entry.results]
    for group in groups(entry for entry in others if entry.results):
        try:
            compared.append(compare(group, finished[0]))
        except ConfigError as error:
            left_out.append(str(error))
    if not compared:
        reason = "; ".join(left_out) or "there is no run but the baseline's own"
        raise ConfigError(f"nothing to compare with {folder_of(finished[0])}: {reason}")
    return compared, left_out


def compare(group: Group, baseline: Group) -> Comparison:
    """One group of finished runs against another, paired by seed.

    Raises:
        ConfigError: they are of different data, or have no seed in common.
    """
    name, differs = folder_of(group), differences_in_settings(group, baseline)
    for field in SAME_DATA:
        if field in differs:
            raise ConfigError(f"{name} has other data than the baseline: {change(field, differs)}")
    ours, theirs = ({entry.seed: entry.results or {} for entry in side} for side in (group, baseline))
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        raise ConfigError(
            f"{name} has seeds {numbers(sorted(ours))}, the baseline {numbers(sorted(theirs))}: none in common to"
            " pair; train with --seed and --seeds as the baseline was"
        )
    differences = {}
    for metric in (metric for metric in METRICS if metric in ours[seeds[0]]):
        method, base = ([side[seed][metric] for seed in seeds] for side in (ours, theirs))
        difference = comparison.paired(method, base)
        # Less NLL is better: won are the seeds in which the baseline is above.
        won = comparison.paired(base, method).won if metric.endswith("nll") else difference.won
        differences[metric] = difference._replace(won=won)
    doubts = [change(field, differs) for field in SAME_EFFORT if field in differs]
    warnings = [f"{name} differs from the baseline in {'; '.join(doubts)}: that alone may explain it"] if doubts else []
    alone = (sorted(theirs.keys() - ours.keys()), sorted(ours.keys() - theirs.keys()))
    return Comparison(group, differences, differs, alone, warnings)


def differences_in_settings(group: Group, baseline: Group) -> dict[str, tuple[str, str]]:
    """Settings and circumstances that differ: name -> (the baseline's, the group's), in words."""
    sides = [{**side[0].settings, **_circumstances(side)} for side in (baseline, group)]
    found = {}
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        if sides[0].get(name) != sides[1].get(name):
            words = (baseline[0].labels.get(name, ""), group[0].labels.get(name, ""))
            if words[0] == words[1]:  # no label, or one that does not tell them apart
                words = (short(sides[0].get(name)), short(sides[1].get(name)))
            found[name] = words
    if found.keys() & {"data.training_images", "data.probe_images"}:
        found.pop("data.sha256", None)  # of all images together: other numbers of them say as much
    return found


def _circumstances(group: Group) -> dict[str, str]:
    """Where the group's runs were made and with what: no settings, but good to know when numbers differ."""
    made = [entry.run.config.get("provenance", {}) for entry in group]
    facts = {
        "device": {str(entry.run.config.get("device")) for entry in group},
        "processor": {str(each.get("hardware", {}).get("processor")) for each in made},
        "torch": {str(each.get("versions", {}).get("torch")) for each in made},
        "commit": {str(each.get("commit"))[:10] for each in made},
    }
    return {name: " and ".join(sorted(values)) for name, values in facts.items()}


def change(field: str, differs: dict[str, tuple[str, str]]) -> str:
    """One of the differences as "name: baseline's -> group's"."""
    before, after = differs[field]
    return f"{field}: {before} -> {after}"


def as_data(compared: Sequence[Comparison], baseline: str) -> dict[str, Any]:
    """The comparisons for JSON; the half width of a single seed, which is infinite, is null."""
    return {
        "baseline": baseline,
        "comparisons": [
            {
                "folder": folder_of(each.group),
                **each.group[0].labels,
                "differences": {
                    metric: found._asdict() | {"half_width": found.half_width if found.seeds > 1 else None}
                    for metric, found in each.differences.items()
                },
                "differs": {
                    name: dict(zip(("baseline", "run"), words, strict=True)) for name, words in each.differs.items()
                },
                "seeds_without_partner": dict(zip(("baseline", "run"), each.alone, strict=True)),
                "warnings": each.warnings,
            }
            for each in compared
        ],
    }
