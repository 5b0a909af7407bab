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
import multiprocessing
import os
import shutil
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from tqdm.auto import tqdm

from dml_teach import comparison, runs, topology
from dml_teach.comparison import Paired
from dml_teach.data import bundled
from dml_teach.errors import RunError
from dml_teach.files import write_json
from dml_teach.recipes import CLASSROOM, Recipe
from dml_teach.runs import Run
from dml_teach.trainer import fit, trained_network

NETWORK = "small"
TRAINING_IMAGES = 500


class Setting(NamedTuple):
    """One row of the demo's table."""

    method: str
    temperature: float

    @property
    def label(self) -> str:
        """As shown in tables and figures; independent networks know no temperature."""
        return self.method if self.method == "independent" else f"{self.method}, T = {self.temperature:g}"


BASELINE = Setting("independent", 1)
METRICS = ("top1", "nll", "ensemble_top1", "ensemble_nll")
SETTINGS = (BASELINE, Setting("distilled", 1), Setting("mutual", 1), Setting("distilled", 2), Setting("mutual", 2))


class Row(NamedTuple):
    """One setting's results on the test images, over the seeds: fractions for accuracies, nats for NLL.

    `single` is the mean of the two networks, `ensemble` their averaged posterior; both are (mean, standard deviation
    over seeds). The differences are from the independent networks, paired by seed.
    """

    setting: Setting
    single: tuple[float, float]
    single_difference: Paired | None
    single_nll: tuple[float, float]
    single_nll_difference: Paired | None
    ensemble: tuple[float, float]
    ensemble_difference: Paired | None
    ensemble_nll: tuple[float, float]
    training: tuple[float, float]


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
    workers = workers or min(os.cpu_count() or 1, seeds)
    # A spawned process starts clean: forking one that runs threads (PyTorch's, the progress bar's) can hang it.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        tqdm(total=seeds * len(SETTINGS), unit="run", desc="training") as bar,
    ):
        try:
            first = [pool.submit(train, out, BASELINE, seed, recipe) for seed in numbers]
            rest: list[Future[None]] = []
            for done in as_completed(first):
                done.result()
                bar.update()
                seed = numbers[first.index(done)]
                rest += [pool.submit(train, out, setting, seed, recipe) for setting in SETTINGS if setting != BASELINE]
            for done in as_completed(rest):
                done.result()
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return {setting: [runs.load(folder(out, setting, seed)) for seed in numbers] for setting in SETTINGS}


def train(out: Path, setting: Setting, seed: int, recipe: Recipe) -> None:
    """One setting with one seed, in this process; "distilled" needs the independent run of the same seed."""
    peers: list[str | nn.Module] = [NETWORK, NETWORK]
    frozen: tuple[int, ...] = ()
    matrix = topology.by_name("mutual" if setting.method == "mutual" else "independent", 2)
    if setting.method == "distilled":
        twins = runs.load(folder(out, BASELINE, seed))
        peers += [trained_network(twins, 0), trained_network(twins, 1)]
        # Student 0 learns from the twin of student 1 (peer 3), student 1 from the twin of student 0 (peer 2).
        matrix = topology.validate([[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
        frozen = (2, 3)
    fit(
        peers,
        matrix,
        bundled.load("train"),
        bundled.load("test"),
        recipe.with_(temperature=float(setting.temperature)),
        seed=seed,
        out=folder(out, setting, seed),
        subset=TRAINING_IMAGES,
        frozen=frozen,
        device="cpu",
        parallel=False,  # the demo's processes already use every core
        checkpoint_seconds=None,  # seconds of work: sooner done again than resumed
        progress=False,
    )


def record(results: dict[Setting, list[Run]]) -> dict[str, Any]:
    """The results as data, for `table` and the report: each setting's values seed by seed, and their origin."""
    base = results[BASELINE][0].config
    return {
        "seeds": [run.config["seed"] for run in results[BASELINE]],
        **{name: base[name] for name in ("recipe", "peers", "data", "provenance")},
        "settings": [
            {
                "method": setting.method,
                "temperature": setting.temperature,
                **{metric: [_over_peers(run, metric) for run in finished] for metric in METRICS},
                "train_top1": [float(run.curve("train_top1")[-1, run.learning].mean()) for run in finished],
            }
            for setting, finished in results.items()
        ],
    }


def table(recorded: dict[str, Any]) -> list[Row]:
    """One row for each setting of a `record`."""
    spread, rows = comparison.mean_and_deviation, []
    baseline = recorded["settings"][0]
    for values in recorded["settings"]:

        def difference(metric: str, values: dict[str, Any] = values) -> Paired | None:
            return None if values is baseline else comparison.paired(values[metric], baseline[metric])

        rows.append(
            Row(
                setting=Setting(values["method"], values["temperature"]),
                single=spread(values["top1"]),
                single_difference=difference("top1"),
                single_nll=spread(values["nll"]),
                single_nll_difference=difference("nll"),
                ensemble=spread(values["ensemble_top1"]),
                ensemble_difference=difference("ensemble_top1"),
                ensemble_nll=spread(values["ensemble_nll"]),
                training=spread(values["train_top1"]),
            )
        )
    return rows


def folder(out: Path, setting: Setting, seed: int) -> Path:
    """Where the run of a setting with a seed lies."""
    return out / f"{setting.method}-T{setting.temperature:g}" / f"seed-{seed}"


def _over_peers(run: Run, metric: str) -> float:
    """A metric of the test line; of one that each peer has, the mean over the learning peers."""
    assert run.test is not None
    value = run.test[metric]
    return sum(value[k] for k in run.learning) / len(run.learning) if isinstance(value, list) else value


def _clear(out: Path) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        json.loads((out / "demo.json").read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{out} holds something that no demo wrote; choose another --out") from error
    shutil.rmtree(out)
