"""The paper's tables and figures, re-run by a command: `dml-teach reproduce TARGET`.

    OUT/EXPERIMENT/ARM/seed-N     the runs; targets at one scale share them, and none is trained twice
    OUT/TARGET-SCALE.json         the recording, as `recordings` describes it
    OUT/TARGET-SCALE.md           the table: paper, others and ours side by side, and what was not run

`targets` says what each target is, `table` sets its numbers side by side, `cost` counts before anything is trained.
"""

from pathlib import Path
from typing import Any, NamedTuple

from dml_teach import devices, experiments, published, recordings
from dml_teach.errors import RunError
from dml_teach.files import write_atomic
from dml_teach.reproduce import cost, measures, table, targets
from dml_teach.reproduce.targets import Plan

SEEDS = {"smoke": 1, "classroom": 3, "laptop": 3, "paper": 5}
"""How many, where nobody says."""


class Result(NamedTuple):
    """A target's table as text, and the file that holds it."""

    text: str
    path: Path


def run(
    target: str,
    scale: str = "classroom",
    *,
    seeds: int | None = None,
    out: Path | str = "runs/reproduce",
    data: Path | str | None = None,
    workers: int | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Result:
    """Train what is not finished of a target, write its recording and its table, and return the table.

    Args:
        target: one of `targets.TARGETS`.
        scale: one of `setups.SCALES`.
        seeds: how many, from 0 on; None for those of `SEEDS`.
        out: the folder of runs, recordings and tables.
        data: where the data set lies.
        workers: processes; see `experiments.run`.
        device: where to train, as in `trainer.fit`.
        progress: show a bar, a tick for each run.

    Raises:
        ConfigError: there is no such target or scale.
        RunError: a file can not be written; or as in `experiments.run`.
    """
    plan, name = targets.plan(target, scale), f"{target}-{scale}"
    recorded = None
    if plan.experiment is not None:
        chosen = range(seeds or SEEDS[scale])
        place = Path(out) / plan.experiment.name
        results = experiments.run(
            plan.experiment, place, seeds=chosen, workers=workers, data=data, device=device, progress=progress
        )
        recorded = recordings.record(plan.experiment, results, curves=("top1",), data=data)
        if plan.measures:
            measures.add(recorded, results, data, devices.choose(device))
        recordings.save(Path(out) / f"{name}.json", recorded)
    rows = table.rows(plan, recorded, published.read())
    path, notes = Path(out) / f"{name}.md", _notes(plan, recorded, scale)
    page = [f"# {plan.title}", table.as_markdown(rows), *notes]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, ("\n\n".join(page) + "\n").encode())
    except OSError as error:
        raise RunError(f"{path} can not be written ({error.strerror}); choose another --out") from error
    return Result("\n".join([plan.title, "", table.as_text(rows), "", *notes]), path)


def describe(target: str, scale: str = "classroom", *, seeds: int | None = None, out: Path | str) -> str:
    """What `run` would do and cost, as text; nothing is trained or written."""
    plan = targets.plan(target, scale)
    if plan.experiment is None:
        return f"{plan.title}: counted at once, nothing is trained"
    place = Path(out) / plan.experiment.name
    text = [plan.title, cost.describe(plan.experiment, range(seeds or SEEDS[scale]), place)]
    return "\n".join(text + [f"not run: {line}" for line in table.left_out(plan)])


def _notes(plan: Plan, recorded: dict[str, Any] | None, scale: str) -> list[str]:
    """What a reader must know of the table."""
    notes = []
    if recorded is not None:
        data, seeds = recorded["data"], len(recorded["seeds"])
        trained = sorted({_described(peer) for arm in recorded["arms"] for peer in arm["peers"]})
        notes.append(
            f"Ours, scale {scale}: {', '.join(trained)} on {data['training_images']} training images of {data['name']},"
            f" {recorded['recipe']['epochs']} epochs, {seeds} seed{'s'[: seeds > 1]}; mean ± standard deviation over"
            f" the seeds; difference from {plan.against}, paired by seed, with its 95 % interval; test images read"
            " once, after the last epoch."
        )
        if recorded["data"]["name"] not in ("tiny-market", "market1501") and plan.lines[0].metric == "mAP %":
            notes.append("The paper's are mAP on Market-1501; ours are top-1 accuracy in percent.")
        if scale != "paper":
            notes.append("Networks and images stand in for the paper's: signs may be compared, levels may not.")
    return notes + [f"Not run: {line}." for line in table.left_out(plan)]


def _described(peer: dict[str, Any]) -> str:
    options = ", ".join(f"{name} {value}" for name, value in peer.get("options", {}).items())
    return peer["network"] + (f" ({options})" if options else "")
