"""What Figure 3 asks of trained networks: how certain they are of their training images, and how flat their minima.

The networks of a run are asked again, on the images they were trained on, without augmentation.
"""

import math
from pathlib import Path
from typing import Any

import torch

from dml_teach import seeds
from dml_teach.analysis.flatness import loss_under_noise
from dml_teach.analysis.posteriors import secondary_mass
from dml_teach.data import sets
from dml_teach.data.images import split
from dml_teach.evaluation import predict
from dml_teach.metrics import entropy
from dml_teach.recipes import Recipe
from dml_teach.reproduce.targets import NOISE
from dml_teach.runs import Run
from dml_teach.trainer import trained_network

DRAWS = 4


def of_run(run: Run, data: Path | str | None, device: torch.device) -> dict[str, list[float]]:
    """Numbers of each learning peer: `train_entropy` in nats, `train_favourite` in [0, 1], `rise_S` in nats for each
    noise scale S of `NOISE`."""
    recipe = Recipe(**run.config["recipe"])
    images, _ = sets.load(run.config["data"]["name"], data)
    training, _ = split(images, recipe.probe_images, run.config["data"]["training_images"])
    found: dict[str, list[float]] = {name: [] for name in ("train_entropy", "train_favourite", *map(rise, NOISE))}
    for k in run.learning:
        network = trained_network(run, k).to(device)
        logits = predict(network, training, device)
        found["train_entropy"].append(entropy(logits).mean().item())
        found["train_favourite"].append(1 - secondary_mass(logits).item())
        # The same directions for the same peer of every arm, so that differences are paired.
        generator = seeds.generator(run.config["seed"], "noise", k)
        plain, *shaken = loss_under_noise(network, training, device, [0.0, *NOISE], generator, DRAWS).mean(1).tolist()
        for scale, loss in zip(NOISE, shaken, strict=True):
            found[rise(scale)].append(loss - plain)
    assert all(math.isfinite(value) for values in found.values() for value in values)
    return found


def rise(scale: float) -> str:
    """The name of the rise of the loss at a noise scale."""
    return f"rise_{scale:g}"


def add(recorded: dict[str, Any], results: dict[str, list[Run]], data: Path | str | None, device: torch.device) -> None:
    """Put the measures of every run into a recording, as [seed][peer]."""
    for entry in recorded["arms"]:
        tables = [of_run(run, data, device) for run in results[entry["name"]]]
        for name in tables[0]:
            entry[name] = [[round(value, 6) for value in table[name]] for table in tables]
