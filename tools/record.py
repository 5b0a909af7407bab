"""Run a named experiment and write what it finds into the book's recordings.

    python tools/record.py NAME [--data DIR] [--out FOLDER] [--seeds N] [--workers N] [--dry-run]

    agreement                                    four networks' posteriors to look at: run folders, without weights
    cohort_size, label_noise, few_labels         small networks on CIFAR-100
    resnet32, fitted, fitted_augmented, mixed, whole    ResNet-32 and others on CIFAR-100: hours
    distillation, why, unequal, weak_peer, label_noise_fashion, few_labels_fashion    the bundled images: minutes
    tiny_market, omniglot                        re-identification; the first draws its images, the second needs them

`book_experiments.py` has their questions and settings; --dry-run counts what one costs and what of it is done. The
cells lie in FOLDER/NAME/ARM/seed-N. What is finished there is not trained again, what was interrupted goes on: so the
same command is given until it is done. Seeds that the recording has are kept, and not trained again either, whether
their cells are still there or not: new ones are added to them. To make it anew, move NAME.json away.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from book_experiments import EXPERIMENTS, Planned

from dml_teach import experiments, recordings
from dml_teach.errors import DmlTeachError, Interrupted, RunError
from dml_teach.joining import joined, recipe_of
from dml_teach.reproduce import cost, measures
from dml_teach.runs import Run

RECORDINGS = Path(__file__).resolve().parents[1] / "book" / "recordings"
PUBLISHED = ("config.json", "metrics.jsonl", "posteriors.safetensors", "probe.safetensors")  # of a run folder
CURVES = ("top1", "nll", "train_top1", "mean_agreement", "mean_pairwise_kl")  # on the probe images


def kept_of(planned: Planned) -> dict[str, Any] | None:
    """The recording that there is of an experiment, or None.

    Raises:
        RunError: it asked something else, or had another recipe: what is trained now could not be added to it.
    """
    path, asked = path_of(planned), planned.experiment
    if not path.exists():
        return None
    kept = recordings.load(path)
    for field, there, wanted in (
        ("question", kept["question"], asked.question),
        ("recipe", vars(recipe_of(kept)), vars(asked.recipe)),
    ):
        if there != wanted:
            raise RunError(f"{path} is of another {field}; move it away, and all its seeds are trained again")
    return kept


def path_of(planned: Planned) -> Path:
    """Of the recording of an experiment."""
    return RECORDINGS / f"{planned.experiment.name}.json"


def write_json(
    planned: Planned, results: dict[str, list[Run]], data: Path | None, kept: Mapping[str, Any] | None
) -> Path:
    """The recording with the seeds kept and those of the runs, and the numbers of its measure if there is one; returns
    its path."""
    path = path_of(planned)
    recorded = recordings.record(planned.experiment, results, curves=CURVES, data=data)
    if planned.measure:
        measures.add(recorded, results, data, torch.device("cpu"), planned.measure)
    if kept:
        recorded = joined(kept, recorded)
    recordings.save(path, recorded)
    for row in recordings.table(recorded):
        print(f"{row.arm:<16}" + "  ".join(f"{name} {value.mean:.4f}" for name, value in row.values.items()))
    return path


def copy_runs(planned: Planned, results: dict[str, list[Run]]) -> Path:
    """The run folders of the first seed, without weights, as NAME/ARM; returns the path of NAME."""
    folder = RECORDINGS / planned.experiment.name
    for arm, finished in results.items():
        (folder / arm).mkdir(parents=True, exist_ok=True)
        for name in PUBLISHED:
            shutil.copyfile(finished[0].folder / name, folder / arm / name)
    return folder


def main(arguments: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=EXPERIMENTS)
    parser.add_argument("--data", type=Path, help="folder of the data set, or its parent")
    parser.add_argument("--out", type=Path, default=Path("runs/recordings"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, help="how many in all, from 0 on (default: the experiment's)")
    parser.add_argument("--workers", type=int, help="processes, one core each (default: all cores)")
    parser.add_argument("--dry-run", action="store_true", help="count what it costs, and what of it is done")
    chosen = parser.parse_args(arguments)
    if chosen.seeds is not None and chosen.seeds < 1:
        parser.error("argument --seeds: at least 1")
    planned = EXPERIMENTS[chosen.name]
    out = chosen.out / chosen.name
    try:
        kept = None if planned.folders else kept_of(planned)
        seeds = range(len(kept["seeds"]) if kept else 0, chosen.seeds or planned.seeds)
        if kept:
            print(f"{path_of(planned)} has {len(kept['seeds'])} seeds; to be added: {len(seeds)}")
        if not seeds:
            return 0
        if chosen.dry_run:
            print(cost.describe(planned.experiment, seeds, out))
            return 0
        results = experiments.run(planned.experiment, out, seeds=seeds, workers=chosen.workers, data=chosen.data)
        written = copy_runs(planned, results) if planned.folders else write_json(planned, results, chosen.data, kept)
        print(f"written: {written}")
    except DmlTeachError as error:
        print(f"record: error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Interrupted):
        print("record: interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
