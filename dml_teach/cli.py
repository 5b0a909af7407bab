"""The command line: `dml-teach ...`, the same as `python -m dml_teach ...`.

A wrong name, path or value gets one line on stderr and exit code 2; an interruption exits with 130.
"""

import dataclasses
import inspect
import json
import operator
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from dml_teach import __version__, ranks
from dml_teach.classroom import commands as classroom
from dml_teach.errors import ConfigError, DmlTeachError, Interrupted
from dml_teach.recipes import Recipe

app = typer.Typer(
    name="dml-teach",
    help="Deep Mutual Learning: train networks that teach each other, and see what they learn from it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(classroom.app, name="classroom")

DEFAULTS = {
    "bundled": ("small,small", "classroom"),
    "cifar10": ("resnet32,resnet32", "laptop"),
    "cifar100": ("resnet32,resnet32", "laptop"),
    "tiny-market": ("small_reid,small_reid", "retrieval"),
    "omniglot": ("small_reid,small_reid", "retrieval"),
    "market1501": ("mobilenet,mobilenet", "paper-market"),
}
"""Peers and recipe for each data set."""


Peers = Annotated[str | None, typer.Option(help="Networks of the cohort, NAME,NAME,...; see doctor for the names.")]
Shards = Annotated[int | None, typer.Option(min=1, help="On ranks: over how many each peer's batches are spread.")]
Limit = Annotated[float, typer.Option(help="On ranks: seconds that one waits for another before all of them end.")]
SyncBatchNorm = Annotated[
    bool, typer.Option("--sync-batch-norm", help="On ranks, GPUs only: batch norm sees the whole batch, not a shard.")
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for runs and report; an earlier demo there is replaced.")] = Path(
        "runs/demo"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="How many paired seeds.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training images (default: the recipe's).")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, one core each (default: all cores).")] = None,
) -> None:
    """Train independent, distilled and mutual networks on the bundled images; print the table and write a report."""
    from dml_teach import demo as demo_module
    from dml_teach import report
    from dml_teach.recipes import CLASSROOM

    recipe = CLASSROOM.with_(epochs=epochs)
    results = demo_module.run(out, seeds=seeds, first_seed=seed, recipe=recipe, workers=workers)
    typer.echo(report.as_text(demo_module.table(demo_module.record(results))))
    typer.echo(f"\nReport with figures: {report.write(out, results)}")


def _recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command's `**settings` be an option for each field of a recipe, with its docstring as help."""
    own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
    told = dict(re.findall(r"(?m)^    (\w+): ((?:.|\n {8})+)", inspect.getdoc(Recipe) or ""))
    for field in dataclasses.fields(Recipe):
        if field.name != "name":
            help_text = " ".join(told[field.name].replace("`", "").split())
            kind: Any = operator.getitem(Annotated, (field.type | None, typer.Option(help=help_text)))  # type: ignore
            own.append(inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind))
    command.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in own}
    return command


@app.command()
@_recipe_options
def train(
    data: Annotated[str, typer.Argument(help="bundled, cifar10, cifar100, tiny-market, omniglot or market1501.")],
    peers: Peers = None,
    topology: Annotated[
        str | None,
        typer.Option(
            help="mutual, independent, one-way (from --teacher, or from peer 0), ring, or self (each from itself on"
            " images before augmentation). Default: mutual."
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN[:PEER]",
            help="With one-way: a finished run whose networks teach, frozen, or one of them; several are an ensemble.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="smoke, classroom, retrieval, laptop, paper, paper-market or official-market; the options below"
            " change it."
        ),
    ] = None,
    subset: Annotated[int | None, typer.Option(help="Train on this many images, drawn by content.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many runs, each with its own seed.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the data set, or its parent.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set first if it is not there.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Run folder, new or empty; with several seeds, their parent.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Run the networks through torch.compile: a minute of compiling first, and no gain on a CPU.",
        ),
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Repeat the metrics for TensorBoard, in the run folder.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the whole plan and its cost, and stop.")] = False,
    shards: Shards = None,
    limit: Limit = 600.0,
    sync_batch_norm: SyncBatchNorm = False,
    **settings: Any,
) -> None:
    """Train a cohort and write its run folder; on N ranks: torchrun --nproc-per-node N -m dml_teach train ..."""
    from dml_teach import members, recipes, scores, trainer
    from dml_teach.data import sets
    from dml_teach.layout import Layout

    sets.check(data)
    default_peers, default_recipe = DEFAULTS[data]
    names = [name.strip() for name in (peers or default_peers).split(",")]
    chosen = recipes.by_name(recipe or default_recipe).with_(**settings)
    cohort, matrix, frozen = members.gather(names, topology, teacher or [])
    if dry_run:
        from dml_teach import plan
        from dml_teach.devices import choose

        typer.echo(plan.describe(cohort, matrix, sets.FACTS[data], subset, chosen, choose(device)))
        return
    train_set, test_set = sets.load(data, data_dir, download=download)
    out = out or Path("runs") / f"{data}-{topology or 'mutual'}"
    for number in range(seed, seed + seeds):
        folder = out if seeds == 1 else out / f"seed-{number}"
        finished = trainer.fit(
            cohort,
            matrix,
            train_set,
            test_set,
            chosen,
            seed=number,
            out=folder,
            subset=subset,
            frozen=frozen,
            device=device,
            compiled=compiled,
            tensorboard=tensorboard,
            progress=not quiet,
            layout=Layout(shards, limit, sync_batch_norm),
        )
        _say(scores.summary(finished))


@app.command()
def resume(
    run: Annotated[Path, typer.Argument(help="Folder of a run that was interrupted.")],
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the data set, or its parent.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    shards: Shards = None,
    limit: Limit = 600.0,
    sync_batch_norm: SyncBatchNorm = False,
) -> None:
    """Go on with an interrupted run from its last checkpoint, to the bit as if it had never stopped."""
    from dml_teach import scores, trainer
    from dml_teach.layout import Layout

    layout = Layout(shards, limit, sync_batch_norm)
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        _say(scores.summary(trainer.resume(run, data=data_dir, progress=not quiet, layout=layout)))


@app.command()
def plan(
    data: Annotated[str, typer.Argument(help="The data set, as in train; it need not be there.")] = "cifar100",
    peers: Peers = None,
    ranks: Annotated[int, typer.Option(min=1, help="Processes, each with a device of its own.")] = 2,
    link: Annotated[
        str,
        typer.Option(help="Between ranks: loopback, ethernet, infiniband, nvlink, or LATENCY,BANDWIDTH: 50us,10Gbit."),
    ] = "loopback",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images a step. Default: the recipe's.")] = None,
    speed: Annotated[
        float, typer.Option(min=0.001, help="GFLOP a second of one rank, to estimate a step's time.")
    ] = 150.0,
    seconds: Annotated[
        str | None, typer.Option(metavar="S,S,...", help="Seconds of a step of each peer, if you have measured them.")
    ] = None,
) -> None:
    """What peers would cost on several ranks: bytes and time a step, who waits, up to 1 024 ranks. Nothing is run."""
    from dml_teach import plan as plans
    from dml_teach import recipes
    from dml_teach.data import sets

    sets.check(data)
    default_peers, default_recipe = DEFAULTS[data]
    names = [name.strip() for name in (peers or default_peers).split(",")]
    chosen = recipes.by_name(default_recipe).with_(batch_size=batch_size)
    typer.echo(plans.on_ranks(names, sets.FACTS[data], chosen, ranks, link, 1e9 * speed, seconds or ""))


@app.command()
def reid(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run that was tested by retrieval.")],
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Also with k-reciprocal re-ranking, which takes the longer.")
    ] = False,
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the data set, or its parent.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Find the gallery's images of each query anew: single networks and their ensemble, in every convention."""
    from dml_teach import runs, scores
    from dml_teach.devices import choose

    typer.echo(scores.retrieval(runs.load(run), data=data_dir, rerank=rerank, device=choose(device)))


@app.command("data")
def prepare(
    data: Annotated[str, typer.Argument(help="market1501.")],
    source: Annotated[
        Path, typer.Option("--from", metavar="PATH", help="The data set's folder, its parent, or its zip archive.")
    ],
) -> None:
    """Check a copy of a data set and decode its images once; training finds them from then on."""
    from dml_teach.data import market1501

    if data != "market1501":
        raise ConfigError(f"'{data}' needs no preparation, or is not known; market1501 does")
    typer.echo(market1501.prepare(source))
    typer.echo("\nNext: dml-teach train market1501")


@app.command("runs")
def list_runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="Where to look, with all below. Default: runs.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Compare with the runs there, paired by seed.")
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="A row for each run, not one for all seeds together.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as data.")] = False,
) -> None:
    """List the runs in a folder with their test results, or compare them with others."""
    from dml_teach import overview
    from dml_teach.overview import against as pairing
    from dml_teach.overview import text

    if each and against is not None:
        raise ConfigError("--each goes without --against, which takes the seeds of a setting together")
    entries, skipped = overview.search(folders or [folder for folder in (Path("runs"),) if folder.is_dir()])
    baseline, more_skipped = overview.search([against] if against else [])
    for line in dict.fromkeys(skipped + more_skipped):
        _warn(f"skipped: {line}")
    if against is None:
        found = [[entry] for entry in entries] if each else overview.groups(entries)
        data: Any = overview.as_data(found)
        shown = text.overview(found) if found else text.NONE_FOUND
    else:
        compared, left_out = pairing.against(entries, baseline)
        for line in left_out + [warning for comparison in compared for warning in comparison.warnings]:
            _warn(line)
        data, shown = pairing.as_data(compared, str(against)), text.comparisons(compared, str(against))
    typer.echo(json.dumps(data, indent=2, allow_nan=False) if as_json else shown)


@app.command()
def reproduce(
    target: Annotated[str, typer.Argument(help="table1, table2, cifar10, table4, fig2, fig3, fig4 or market.")],
    scale: Annotated[
        str,
        typer.Option(help="smoke, classroom (minutes, bundled data), laptop (hours, CIFAR-100) or paper (GPUs)."),
    ] = "classroom",
    seeds: Annotated[int | None, typer.Option(min=1, help="How many paired seeds (default: the scale's).")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data", help="Folder of the data set, or its parent.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of runs and tables; what is finished there is kept.")] = Path(
        "runs/reproduce"
    ),
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, one core each (default: all cores).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would cost, and stop.")] = False,
) -> None:
    """Re-run a table or figure of the paper, and set paper, others and ours side by side."""
    from dml_teach import reproduce as module

    if dry_run:
        typer.echo(module.describe(target, scale, seeds=seeds, out=out))
        return
    result = module.run(
        target,
        scale,
        seeds=seeds,
        out=out,
        data=data_dir,
        workers=workers,
        device=device,
        progress=not quiet,
    )
    typer.echo(f"{result.text}\n\nThe same as markdown: {result.path}")


@app.command()
def doctor(
    data_dir: Annotated[Path | None, typer.Option("--data", help="Where to look for CIFAR-10 and CIFAR-100.")] = None,
) -> None:
    """Say what is installed, which device a run would use, which data are found, and what to do next."""
    from dml_teach.doctor import examine

    typer.echo(examine(data_dir))


@app.callback(invoke_without_command=True)
def _bare(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name="dml-teach", standalone_mode=False)
        if code == 130:  # how Typer returns from a KeyboardInterrupt
            raise typer.Abort
        return code or 0
    except TyperException as error:
        return _refuse(error.format_message())
    except DmlTeachError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Interrupted as interrupted:
        print(f"{_who()}: {interrupted}", file=sys.stderr)
        return 128 + interrupted.signal
    except (KeyboardInterrupt, typer.Abort):
        print(f"{_who()}: interrupted; what was finished before stands in the run folder", file=sys.stderr)
        return 130


def _say(message: str) -> None:
    """Print; of several ranks, only the first does."""
    if ranks.this() == 0:
        typer.echo(message)


def _who() -> str:
    return f"dml-teach, rank {ranks.this()}" if ranks.launched() else "dml-teach"


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"{_who()}: warning: {message}", file=sys.stderr)


def _refuse(message: str) -> int:
    print(f"{_who()}: error: {' '.join(message.split())}", file=sys.stderr)
    return 2
