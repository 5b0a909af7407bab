"""What Figure 3 asks of trained networks: how certain they are of their training images, and how flat their minima.

The networks of a run are asked again, on the images they were trained on, without augmentation.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dml_teach import seeds
from dml_teach.analysis.distillation import divergence
from dml_teach.analysis.flatness import loss_under_noise, standard_noise
from dml_teach.analysis.posteriors import secondary_mass
from dml_teach.data import sets
from dml_teach.data.images import ImageSet, split
from dml_teach.evaluation import predict
from dml_teach.metrics import entropy
from dml_teach.reproduce.targets import NOISE
from dml_teach.runs import Run
from dml_teach.trainer import trained_network

Measure = Callable[[Run, Path | str | None, torch.device], dict[str, list[float]]]
"""Of a finished run, with its data's folder, on a device: names, and a number for each learning peer."""
DRAWS = 4
FIXED_NOISE = 0.02
"""Standard deviation of noise that falls on every weight alike, whatever the tensor's size."""


def of_run(run: Run, data: Path | str | None, device: torch.device) -> dict[str, list[float]]:
    """Numbers of each learning peer: `train_entropy` in nats, `train_favourite` in [0, 1], `rise_S` in nats for each
    noise scale S of `NOISE`."""
    training = _studied(run, data)
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


def of_pair(run: Run, data: Path | str | None, device: torch.device) -> dict[str, list[float]]:
    """Numbers of each learning peer of a run of two networks, in nats, and those of `of_run`.

    `train_nll`; `test_entropy`; `divergence`, the mean D_KL(other || peer) on the training images, and
    `test_divergence`; `rise_fixed`, the rise of the training loss under noise of `FIXED_NOISE` on every weight.
    """
    assert run.test is not None
    training = _studied(run, data)
    networks = [trained_network(run, k).to(device) for k in (0, 1)]
    logits = [predict(network, training, device) for network in networks]
    found = of_run(run, data, device)
    for k in run.learning:
        generator = seeds.generator(run.config["seed"], "fixed noise", k)
        plain, shaken = loss_under_noise(
            networks[k], training, device, [0.0, FIXED_NOISE], generator, DRAWS, standard_noise
        ).mean(1)
        numbers = {
            "train_nll": plain,
            "test_entropy": run.test["entropy"][k],
            "divergence": divergence(logits[1 - k], logits[k]),
            "test_divergence": run.test["pairwise_kl"][k][1 - k],
            "rise_fixed": shaken - plain,
        }
        for name, value in numbers.items():
            found.setdefault(name, []).append(float(value))
    return found


def _studied(run: Run, data: Path | str | None) -> ImageSet:
    """The images that the run was trained on, with their true labels."""
    images, _ = sets.load(run.config["data"]["name"], data)
    return split(images, run.config["recipe"]["probe_images"], run.config["data"]["training_images"])[0]


def rise(scale: float) -> str:
    """The name of the rise of the loss at a noise scale."""
    return f"rise_{scale:g}"


def add(
    recorded: dict[str, Any],
    results: dict[str, list[Run]],
    data: Path | str | None,
    device: torch.device,
    measure: Measure = of_run,
) -> None:
    """Put the measures of every run into a recording, as [seed][peer]."""
    for entry in recorded["arms"]:
        tables = [measure(run, data, device) for run in results[entry["name"]]]
        for name in tables[0]:
            entry[name] = [[round(value, 6) for value in table[name]] for table in tables]
