"""What a target would cost, before anything is trained: networks, passes over images, arithmetic, and what is done."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dml_teach import cost, experiments, models, runs
from dml_teach.data import sets
from dml_teach.experiments import Arm, Experiment
from dml_teach.recipes import sizes


def training_flops(name: str, options: dict[str, Any], data: sets.Facts, resize: str = "") -> float:
    """Floating-point operations of one image, forward and backward; `cost.PASSES` times those of its forward pass."""
    height, width = (sizes(resize) or ((data.height, data.width),))[-1]
    network = models.build(name, data.classes, channels=data.channels, **options)
    return cost.operations(network, 2, data.channels, height, width) / 2  # of one image batch norm has no statistics


def describe(experiment: Experiment, seeds: Sequence[int], out: Path | str) -> str:
    """The cost as text: a line for each arm and the sum, with what is finished and how long that took."""
    lines = [
        f"{experiment.name}: {len(experiment.arms)} methods x {len(seeds)} seeds, {training_images(experiment)} images"
        f" of {sets.FACTS[experiment.data].name}, {experiment.recipe.epochs} epochs, recipe {experiment.recipe.name}",
        "",
        f"{'method':<44}{'networks':>9}{'TFLOP a seed':>14}{'finished':>10}",
    ]
    total = left = taken = 0.0
    for arm in experiment.arms:
        flops = tflop(experiment, arm)
        done = [seed for seed in seeds if experiments.is_finished(experiment, arm, seed, out)]
        total, left = total + flops * len(seeds), left + flops * (len(seeds) - len(done))
        taken += sum(_seconds(experiments.folder(out, arm.name, seed)) for seed in done)
        lines.append(f"{arm.name:<44}{len(arm.peers):>9}{flops:>14,.1f}{len(done):>7}/{len(seeds)}")
    lines += ["", f"all seeds: {total:,.1f} TFLOP, {left:,.1f} of them still to do"]
    if taken and left < total:
        hours = left * taken / (total - left) / 3600
        lines.append(
            f"what is finished took {taken / 3600:.2f} hours of one process; at that speed {hours:.2f} are left"
        )
    return "\n".join(lines)


def training_images(experiment: Experiment) -> int:
    """How many images an epoch has."""
    return experiment.subset or sets.FACTS[experiment.data].images - experiment.recipe.probe_images


def tflop(experiment: Experiment, arm: Arm) -> float:
    """10^12 operations of one run: every learner forward and backward on each image of each epoch, every teacher
    forward. What is computed between the epochs and at the end, on other images, is not counted."""
    facts, resize = sets.FACTS[experiment.data], experiment.recipe.resize
    learning = sum(training_flops(*each, facts, resize) for each in arm.learners)
    teachers = [] if arm.teachers is None else experiment.arm(arm.teachers).learners
    teaching = sum(training_flops(*teachers[j], facts, resize) for j in experiment.teachers_of(arm))
    return experiment.recipe.epochs * training_images(experiment) * (learning + teaching / cost.PASSES) / 1e12


def _seconds(folder: Path) -> float:
    return sum(record["seconds"] for record in runs.load(folder).epochs)
