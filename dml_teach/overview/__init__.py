"""Which runs there are, and how they compare: what `dml-teach runs` prints.

Runs that differ only in the seed form a group: a row with mean and standard deviation over its seeds. Against a
baseline, groups are compared seed by seed (`against`). `text` writes both down for a terminal.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dml_teach import comparison, runs, topology
from dml_teach.errors import ConfigError, RunError
from dml_teach.recipes import Recipe
from dml_teach.runs import Run

OF_CLASSES = ("top1", "nll", "ensemble_top1", "ensemble_nll")
OF_RETRIEVAL = ("mAP", "rank1", "ensemble_mAP", "ensemble_rank1")
METRICS = OF_CLASSES + OF_RETRIEVAL
"""What is shown of the test line: of a run, those of its kind of test."""

NOT_SETTINGS = {"format", "seed", "device", "provenance", "recipe", "data"}
"""What of config.json does not decide about results, or is taken apart."""


class Entry(NamedTuple):
    """One run in the overview.

    Attributes:
        run: as loaded.
        seed: of the run.
        epochs: how many there are to be.
        settings: all that decides about its results but the seed, flat: name -> value.
        labels: its data, peers and topology in words.
        results: those of `METRICS` that the test line has, the mean over the learning peers where each has its own;
            None while the run is not finished.
    """

    run: Run
    seed: int
    epochs: int
    settings: dict[str, Any]
    labels: dict[str, str]
    results: dict[str, float] | None


Group = list[Entry]
"""Runs that differ in nothing but the seed, in the order of their seeds; no seed twice."""


def search(folders: Sequence[Path]) -> tuple[list[Entry], list[str]]:
    """All runs in these folders and below, each once, and a line for each folder that looked like one and is none.

    Raises:
        RunError: a folder does not exist.
    """
    found: dict[Path, Entry] = {}
    skipped: dict[Path, str] = {}
    for folder in folders:
        if not folder.is_dir():
            raise RunError(f"{folder} is not a folder; name one that has runs in it or below it")
        for config in sorted(folder.rglob("config.json")):
            place = config.parent.resolve()
            try:
                found.setdefault(place, read(config.parent))
            except RunError as error:
                skipped.setdefault(place, " ".join(str(error).split()))
    return list(found.values()), list(skipped.values())


def read(folder: Path) -> Entry:
    """One run.

    Raises:
        RunError: it is none, or its files lack what every run has.
    """
    try:
        run = runs.load(folder)
        config, recipe, data = run.config, run.config["recipe"], run.config["data"]
        settings = {name: value for name, value in config.items() if name not in NOT_SETTINGS}
        # As `resume` reads it: a field that came later has its default in an older run.
        settings |= {name: value for name, value in vars(Recipe(**recipe)).items() if name != "name"}
        settings |= {f"data.{name}": value for name, value in data.items()}
        labels = {
            "data": f"{data['name']}, {data['training_images']} images",
            "peers": peers_in_words(config["peers"]),
            "topology": topology_in_words(config["topology"], run.learning),
        }
        results = None
        if run.test is not None:
            known = OF_RETRIEVAL if "mAP" in run.test else OF_CLASSES
            results = {metric: _over_peers(run, metric) for metric in known}
        return Entry(run, int(config["seed"]), int(recipe["epochs"]), settings, labels, results)
    except (KeyError, TypeError, AttributeError, IndexError, ZeroDivisionError, ConfigError) as error:
        what = f"{type(error).__name__}: {error}"
        raise RunError(f"{folder}: config.json or metrics.jsonl is not as a run's ({what})") from error


def groups(entries: Iterable[Entry]) -> list[Group]:
    """The runs in groups, in the order in which they come.

    A run that was made again, with the same settings and the same seed, goes to another group, so that no seed counts
    twice. A run that is not finished stands alone.
    """
    found: dict[tuple[str, int | Path], Group] = {}
    times: Counter[tuple[str, int]] = Counter()
    for entry in entries:
        settings = json.dumps(entry.settings, sort_keys=True)
        if entry.results is None:
            found[settings, entry.run.folder] = [entry]
        else:
            found.setdefault((settings, times[settings, entry.seed]), []).append(entry)
            times[settings, entry.seed] += 1
    return [sorted(group, key=lambda entry: entry.seed) for group in found.values()]


def peers_in_words(peers: Sequence[dict[str, Any]]) -> str:
    """The networks of a cohort with their number: "2 small", "small, resnet32", "1 frozen small, 1 small"."""
    counted = Counter(("frozen " if peer["frozen"] else "") + peer["network"] for peer in peers)
    if len(counted) == len(peers):
        return ", ".join(counted)
    return ", ".join(f"{count} {name}" for name, count in counted.items())


def topology_in_words(matrix: Sequence[Sequence[float]], learning: Sequence[int]) -> str:
    """The name of W (K, K) in `topology.BY_NAME`, or "custom". The rows of peers that do not learn are not used."""
    used = topology.validate(matrix).clone()
    used[[k for k in range(len(used)) if k not in learning]] = 0
    for name in ("independent", *topology.BY_NAME):  # a single peer is alone in any of them
        if torch.allclose(used, topology.by_name(name, len(used))):
            return name
    return "custom"


def _over_peers(run: Run, metric: str) -> float:
    assert run.test is not None
    value = run.test[metric]
    return sum(value[k] for k in run.learning) / len(run.learning) if isinstance(value, list) else float(value)


def spread(group: Group, metric: str) -> tuple[float, float | None]:
    """Mean and standard deviation of a metric over a finished group's seeds; a single seed has no deviation."""
    mean, deviation = comparison.mean_and_deviation([entry.results[metric] for entry in group if entry.results])
    return mean, deviation if len(group) > 1 else None


def as_data(found: Sequence[Group]) -> list[dict[str, Any]]:
    """The groups for JSON: settings, runs, and mean and deviation of each metric."""
    return [
        {
            "folder": folder_of(group),
            **group[0].labels,
            "settings": group[0].settings,
            "runs": [
                {
                    "folder": str(entry.run.folder),
                    "seed": entry.seed,
                    "epochs_done": len(entry.run.epochs),
                    "epochs": entry.epochs,
                    "test": entry.results,
                }
                for entry in group
            ],
            "test": {metric: spread(group, metric) for metric in group[0].results} if group[0].results else None,
        }
        for group in found
    ]


def folder_of(group: Group) -> str:
    """Where the group's runs lie: one folder, or a pattern such as "runs/ring/seed-*"."""
    places = [str(entry.run.folder) for entry in group]
    return places[0] if len(places) == 1 else os.path.commonprefix(places) + "*"  # noqa: RUF071, letters are meant


def numbers(seeds: Sequence[int]) -> str:
    """Seeds in brief: "0-4", or "0, 2, 7"."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]}-{seeds[-1]}"
    return ", ".join(map(str, seeds))


def short(value: Any) -> str:
    """A setting's value in a few characters."""
    text = "not recorded" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 50 else text[:47] + "..."
