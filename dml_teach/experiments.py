"""Experiments: methods that are compared with each other, seed by seed, trained in several processes and written down.

    experiment   a question, the data, a recipe, and some arms
    arm          one method: which networks, who learns from whom, what it changes in the recipe
    cell         an arm with a seed: one run folder, OUT/ARM/seed-N

`run` trains the cells that are not finished and leaves the others alone, so that the same call goes on after an
interruption. What the runs have to say is kept and tabulated by `recordings`.

An arm may have teachers: the networks of another arm, trained with the same seed and frozen. Its topology is then a
matrix over the learners first and the teachers after them, so that it says who listens to whom.
"""

import dataclasses
import multiprocessing
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from dml_teach import devices, models, runs, topology, trainer
from dml_teach import seeds as streams
from dml_teach.data import sets
from dml_teach.errors import ConfigError, Interrupted, RunError
from dml_teach.recipes import Recipe
from dml_teach.runs import Run

Topology = str | tuple[tuple[float, ...], ...]
OF_A_NEW_RUN = {"probe.safetensors", "metrics.jsonl", "checkpoints"}  # what stands in a run folder before config.json


@dataclass(frozen=True)
class Arm:
    """One method of an experiment.

    Attributes:
        name: of its folder and in tables.
        peers: names of the networks that learn.
        topology: a name of `topology.BY_NAME`, or the matrix; with teachers, over the learners and then the teachers.
        changes: to the experiment's recipe.
        teachers: the arm whose learners teach here, trained with the same seed and frozen.
        teaching: which of that arm's networks; None for all.
        options: of the networks that learn, as in `models.build`: the same for all, or a sequence with those of each.
        every_size: record the first k peers for each k, not all of them only. Independent peers do not know of each
            other, and peer j starts from the same weights in every cohort with the same seed: K of them hold every
            smaller independent cohort.
    """

    name: str
    peers: tuple[str, ...]
    topology: Topology = "independent"
    changes: Mapping[str, Any] = field(default_factory=dict)
    teachers: str | None = None
    teaching: tuple[int, ...] | None = None
    options: Mapping[str, Any] | Sequence[Mapping[str, Any]] = field(default_factory=dict)
    every_size: bool = False

    @property
    def learners(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and options of each network that learns."""
        each = [self.options] * len(self.peers) if isinstance(self.options, Mapping) else self.options
        return [(name, dict(options)) for name, options in zip(self.peers, each, strict=True)]


@dataclass(frozen=True)
class Experiment:
    """Methods to be compared.

    Attributes:
        name: of the experiment.
        question: what it asks, stated before it is run.
        data: a name of `sets.NAMES`.
        recipe: hyper-parameters that the arms share.
        arms: the methods.
        subset: train on this many images, drawn by content; None for all that are not held out.
    """

    name: str
    question: str
    data: str
    recipe: Recipe
    arms: tuple[Arm, ...]
    subset: int | None = None

    def __post_init__(self) -> None:
        sets.check(self.data)
        names: list[str] = []
        for arm in self.arms:
            if arm.name in names:
                raise ConfigError(f"experiment {self.name}: two arms are called '{arm.name}'; rename one")
            if arm.teachers is not None and arm.teachers not in names:
                raise ConfigError(
                    f"experiment {self.name}: the teachers of arm '{arm.name}' are of '{arm.teachers}', which must be"
                    " an arm before it"
                )
            if arm.every_size and arm.topology != "independent":
                raise ConfigError(f"experiment {self.name}: every_size of arm '{arm.name}' needs independent peers")
            names.append(arm.name)

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def recipe_of(self, arm: Arm) -> Recipe:
        """The experiment's recipe with the arm's changes."""
        return self.recipe.with_(**arm.changes)

    def teachers_of(self, arm: Arm) -> list[int]:
        """Which networks of its teachers' arm teach an arm."""
        everybody = range(len(self.arm(arm.teachers).peers)) if arm.teachers else ()
        return list(everybody if arm.teaching is None else arm.teaching)

    def matrix(self, arm: Arm) -> Tensor:
        """The arm's topology (K, K), teachers included."""
        peers = len(arm.peers) + len(self.teachers_of(arm))
        if isinstance(arm.topology, str):
            return topology.by_name(arm.topology, peers)
        return topology.validate(arm.topology, peers)


class Cell(NamedTuple):
    """An arm with a seed."""

    arm: Arm
    seed: int


def run(
    experiment: Experiment,
    out: Path | str,
    *,
    seeds: Sequence[int],
    workers: int | None = None,
    data: Path | str | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> dict[str, list[Run]]:
    """Train what is not finished, and return the runs of every arm, in the order of the seeds.

    A cell that was begun goes on from its checkpoint, to the bit as if it had never stopped.

    Args:
        experiment: what to train.
        out: the folder of its cells.
        seeds: all arms are trained with each of them.
        workers: processes, each on one core; None takes one per core, or one for a device that is not the CPU. Results
            do not depend on it.
        data: where the data set lies, as in `sets.load`.
        device: where to train, as in `trainer.fit`.
        progress: show a bar, a tick per cell.

    Raises:
        RunError: a cell's folder holds something else, or a run with other settings; or a process died.
        Interrupted: SIGTERM stopped a process; like after SIGINT, the same call goes on.
        ConfigError, DataError, CheckpointError, DivergedError: as in `trainer.fit` and `trainer.resume`.
    """
    out = Path(out)
    cells = [Cell(arm, seed) for seed in seeds for arm in experiment.arms]
    waiting = [cell for cell in cells if not is_finished(experiment, cell.arm, cell.seed, out)]
    if waiting:
        alone = devices.choose(device).type != "cpu"  # cells that share a GPU only wait for each other
        workers = workers or (1 if alone else min(os.cpu_count() or 1, len(waiting)))
        _train_all(experiment, waiting, out, workers, data, device, progress)
    return finished(experiment, out, seeds)


def finished(experiment: Experiment, out: Path | str, seeds: Sequence[int]) -> dict[str, list[Run]]:
    """The trained runs of every arm, in the order of the seeds.

    Raises:
        RunError: a cell is not finished, or was trained with other settings.
    """
    found: dict[str, list[Run]] = {}
    for arm in experiment.arms:
        for seed in seeds:
            if not is_finished(experiment, arm, seed, out):
                raise RunError(f"{folder(out, arm.name, seed)} is not finished; run the experiment again, it goes on")
        found[arm.name] = [runs.load(folder(out, arm.name, seed)) for seed in seeds]
    return found


def folder(out: Path | str, arm: str, seed: int) -> Path:
    """Where the run of an arm with a seed lies."""
    return Path(out) / arm / f"seed-{seed}"


def train(experiment: Experiment, cell: Cell, out: Path, data: Path | str | None = None, device: str = "cpu") -> None:
    """One cell, in this process, from its checkpoint if it was begun; its teachers must be finished."""
    arm, place = cell.arm, folder(out, cell.arm.name, cell.seed)
    images = sets.load(experiment.data, data)
    if (place / "config.json").exists():
        trainer.resume(place, *images, parallel=False, progress=False)
        return
    # As `fit` would build them by name, but with the arm's options.
    peers: list[str | nn.Module] = [
        models.build(
            name,
            images[0].classes,
            channels=images[0].channels,
            generator=streams.generator(cell.seed, "weights", k),
            **options,
        )
        for k, (name, options) in enumerate(arm.learners)
    ]
    if arm.teachers:
        taught = runs.load(folder(out, arm.teachers, cell.seed))
        peers += [trainer.trained_network(taught, taught.learning[j]) for j in experiment.teachers_of(arm)]
    trainer.fit(
        peers,
        experiment.matrix(arm),
        *images,
        experiment.recipe_of(arm),
        seed=cell.seed,
        out=place,
        subset=experiment.subset,
        frozen=range(len(arm.peers), len(peers)),
        device=device,
        parallel=False,  # the processes already use every core
        progress=False,
    )


def _train_all(
    experiment: Experiment,
    waiting: list[Cell],
    out: Path,
    workers: int,
    data: Path | str | None,
    device: str,
    progress: bool,
) -> None:
    """Train the cells, each as soon as its teachers are finished and a process is free."""
    running: dict[Future[int], Cell] = {}
    others = set(multiprocessing.active_children())
    # A spawned process starts clean: forking one that runs threads (PyTorch's, the progress bar's) can hang it.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker) as pool,
        tqdm(total=len(waiting), unit="run", desc=experiment.name, disable=not progress) as bar,
    ):
        try:
            while waiting or running:
                pending = {(cell.arm.name, cell.seed) for cell in (*waiting, *running.values())}
                ready = [cell for cell in waiting if (cell.arm.teachers, cell.seed) not in pending]
                for cell in ready[: workers - len(running)]:  # no more: what the pool has queued can not be cancelled
                    waiting.remove(cell)
                    running[pool.submit(_train_in_worker, experiment, cell, out, data, device)] = cell
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[future]
                    if stopped := future.result():
                        raise Interrupted(f"experiment {experiment.name} stopped; the same command goes on", stopped)
                    bar.update()
        except BrokenProcessPool as error:
            raise RunError(
                f"experiment {experiment.name}: a process died, perhaps for want of memory; run it again with fewer"
                " workers, it goes on"
            ) from error
        except BaseException:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()  # SIGTERM: a run in training writes a checkpoint and stops
            pool.shutdown(cancel_futures=True)
            raise


def _begin_worker() -> None:
    torch.set_num_threads(1)
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C in a terminal reaches a whole process group; who tells us to stop is our parent
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Without it, the workers of a killed parent would train on with nobody to take what they did."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # from a thread; files are only ever written whole


def _train_in_worker(experiment: Experiment, cell: Cell, out: Path, data: Path | str | None, device: str) -> int:
    """`train`; returns the number of the signal that stopped it, or 0."""
    try:
        train(experiment, cell, out, data, device)
    except Interrupted as stopped:
        return stopped.signal
    return 0


def is_finished(experiment: Experiment, arm: Arm, seed: int, out: Path | str) -> bool:
    """Whether the run of an arm with a seed is there to its end. What one left that was killed as it began is removed.

    Raises:
        RunError: its folder holds something else, or a run with other settings.
    """
    place = folder(out, arm.name, seed)
    if place.is_dir() and not (place / "config.json").exists():
        names = {path.name for path in place.iterdir()}
        if any(not name.endswith(".partial") for name in names - OF_A_NEW_RUN):
            raise RunError(f"{place} holds something that is no run; move it away, or choose another --out")
        shutil.rmtree(place)
    if not place.exists():
        return False
    found = runs.load(place)
    _require_settings(experiment, Cell(arm, seed), found)
    return found.test is not None


def _require_settings(experiment: Experiment, cell: Cell, found: Run) -> None:
    """Raise `RunError` with the first field in which a run is not what the experiment would train."""
    arm = cell.arm
    members = [[name, options, False] for name, options in arm.learners]
    if arm.teachers:
        teaching = experiment.arm(arm.teachers)
        members += [[*teaching.learners[j], True] for j in experiment.teachers_of(arm)]
    wanted = {
        "seed": cell.seed,
        "data.name": experiment.data,
        "data.training_images": experiment.subset,
        "peers": members,
        "topology": experiment.matrix(arm).tolist(),
        **{f"recipe.{name}": value for name, value in vars(experiment.recipe_of(arm)).items()},
    }
    if experiment.subset is None:
        del wanted["data.training_images"]
    config = found.config
    # A field that the recipe has got since the run was trained had its default then.
    recipe = {field.name: field.default for field in dataclasses.fields(Recipe)} | config["recipe"]
    there = {
        "seed": config["seed"],
        "data.name": config["data"]["name"],
        "data.training_images": config["data"]["training_images"],
        "peers": [[peer["network"], peer.get("options", {}), peer["frozen"]] for peer in config["peers"]],
        "topology": config["topology"],
        **{f"recipe.{name}": value for name, value in recipe.items()},
    }
    for name, value in wanted.items():
        if there[name] != value:
            raise RunError(
                f"{found.folder} was trained with other settings: {name} is {there[name]!r}, the experiment wants"
                f" {value!r}; move it away, or choose another --out"
            )
