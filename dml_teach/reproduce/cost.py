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
    facts = sets.FACTS[experiment.data]
    images = experiment.subset or facts.images - experiment.recipe.probe_images
    epochs = experiment.recipe.epochs
    lines = [
        f"{experiment.name}: {len(experiment.arms)} methods x {len(seeds)} seeds, {images} images of"
        f" {facts.name}, {epochs} epochs, recipe {experiment.recipe.name}",
        "",
        f"{'method':<44}{'networks':>9}{'TFLOP a seed':>14}{'finished':>10}",
    ]
    total = left = taken = 0.0
    for arm in experiment.arms:
        flops = epochs * images * _arithmetic(experiment, arm, facts) / 1e12
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


def _arithmetic(experiment: Experiment, arm: Arm, facts: sets.Facts) -> float:
    """Operations for one image of one epoch: every learner forward and backward, every teacher forward."""
    resize = experiment.recipe.resize
    learning = sum(training_flops(*each, facts, resize) for each in arm.learners)
    teachers = [] if arm.teachers is None else experiment.arm(arm.teachers).learners
    teaching = sum(training_flops(*teachers[j], facts, resize) for j in experiment.teachers_of(arm))
    return learning + teaching / cost.PASSES


def _seconds(folder: Path) -> float:
    return sum(record["seconds"] for record in runs.load(folder).epochs)
