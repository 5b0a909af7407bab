"""The demo: independent, distilled and mutual networks on the bundled images, paired by seed, in minutes on two cores.

For every seed two small networks are trained

    independent   each from the labels alone;
    distilled     anew from the same weights, each taught by the *other* one's independent twin, trained and frozen;
    mutual        anew from the same weights, teaching each other while they learn;

at temperature 1, which is the paper's, and at 2, which softens the posteriors. Every setting has the same loss, CE +
T^2 KL, the same batches and the same number of epochs; only who learns from whom differs. The test
images are read once, after the last epoch.
"""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from dml_teach import experiments, recordings
from dml_teach.errors import RunError
from dml_teach.experiments import Arm, Experiment, Topology
from dml_teach.files import write_json
from dml_teach.recipes import CLASSROOM, Recipe
from dml_teach.recordings import Row
from dml_teach.runs import Run

TRAINING_IMAGES = 500
PEERS = ("small", "small")
# Student 0 learns from the twin of student 1 (peer 3), student 1 from the twin of student 0 (peer 2).
TAUGHT_BY_THE_OTHERS_TWIN = ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 0.0), (0.0,) * 4, (0.0,) * 4)


class Setting(NamedTuple):
    """One row of the demo's table."""

    method: str
    temperature: float

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.method}-T{self.temperature:g}"

    @property
    def label(self) -> str:
        """As shown in tables and figures; independent networks know no temperature."""
        return self.method if self.method == "independent" else f"{self.method}, T = {self.temperature:g}"


BASELINE = Setting("independent", 1)
SETTINGS = (BASELINE, Setting("distilled", 1), Setting("mutual", 1), Setting("distilled", 2), Setting("mutual", 2))
LABELLED = {setting.label: setting for setting in SETTINGS}
METRICS = ("top1", "nll", "ensemble_top1", "ensemble_nll", "train_top1")


def experiment(recipe: Recipe = CLASSROOM) -> Experiment:
    """The demo as an experiment; the recipe's temperature is replaced by each setting's."""
    topologies: dict[str, Topology] = {
        "independent": "independent",
        "distilled": TAUGHT_BY_THE_OTHERS_TWIN,
        "mutual": "mutual",
    }
    arms = [
        Arm(
            name=setting.name,
            peers=PEERS,
            topology=topologies[setting.method],
            changes={"temperature": float(setting.temperature)},
            teachers=BASELINE.name if setting.method == "distilled" else None,
        )
        for setting in SETTINGS
    ]
    question = (
        "Who does better on 500 training images: networks alone, taught by a frozen twin, or teaching each other?"
    )
    return Experiment("demo", question, "bundled", recipe, tuple(arms), subset=TRAINING_IMAGES)


def run(
    out: Path, *, seeds: int, first_seed: int = 0, recipe: Recipe = CLASSROOM, workers: int | None = None
) -> dict[Setting, list[Run]]:
    """Train every setting with every seed and return the runs, in the order of the seeds.

    Args:
        out: the demo's folder; an earlier demo in it is replaced, anything else is left alone.
        seeds: how many.
        first_seed: the first of them; the others follow.
        recipe: hyper-parameters; its temperature is replaced by each setting's.
        workers: processes, each on one core; None takes one per core. Results do not depend on it.

    Raises:
        RunError: `out` holds something that no demo wrote.
    """
    _clear(out)
    write_json(out / "demo.json", {"seeds": seeds, "first_seed": first_seed})
    numbers = range(first_seed, first_seed + seeds)
    results = experiments.run(experiment(recipe), out, seeds=numbers, workers=workers)
    return {setting: results[setting.name] for setting in SETTINGS}


def record(results: dict[Setting, list[Run]]) -> dict[str, Any]:
    """The results as data, for `table` and the report: each setting's values seed by seed, and their origin."""
    first = results[BASELINE][0].config
    recipe = Recipe(**first["recipe"])
    whole = recordings.record(experiment(recipe), {setting.name: runs for setting, runs in results.items()})
    return {
        "seeds": whole["seeds"],
        "recipe": first["recipe"],
        **{name: first[name] for name in ("peers", "data", "provenance")},
        "settings": [
            {
                "method": setting.method,
                "temperature": setting.temperature,
                **{metric: recordings.per_seed(arm, metric) for metric in METRICS},
            }
            for setting, arm in zip(results, whole["arms"], strict=True)
        ],
    }


def table(recorded: dict[str, Any]) -> list[Row]:
    """One row for each setting of a `record`, called by its label; differences are from the independent networks."""
    return recordings.table(as_recording(recorded))


def as_recording(recorded: dict[str, Any]) -> dict[str, Any]:
    """A `record` in the form of a recording: its settings are the arms, called by their labels."""
    named = [{"name": Setting(each["method"], each["temperature"]).label, **each} for each in recorded["settings"]]
    return {**recorded, "arms": named}


def folder(out: Path, setting: Setting, seed: int) -> Path:
    """Where the run of a setting with a seed lies."""
    return experiments.folder(out, setting.name, seed)


def _clear(out: Path) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        json.loads((out / "demo.json").read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{out} holds something that no demo wrote; choose another --out") from error
    shutil.rmtree(out)
