"""Recordings: what an experiment found, as data that is kept in the book and read by tables and chapters.

A recording is a JSON object:

    format, experiment, question
    seeds                  a list; every list of results below is in their order
    recipe, data           what all arms share: hyper-parameters; name, sizes, classes and SHA-256 of the data
    provenance             a list of {command, commit, versions, hardware, started, runs}, one object for each different
                           origin; `runs` names the run folders, `started` is of the first of them
    arms                   a list, one object for each

An arm:

    name, peers, topology, changes, teachers       as in `experiments.Arm`; of each peer network, parameters, frozen
    top1, nll, train_top1                          [seed][peer], the learning peers only
    ensemble_top1, ensemble_nll, mean_agreement, mean_pairwise_kl                              [seed]
                           or, of runs tested by retrieval, instead of these but train_top1:
    mAP, mAP_trapezoid, rank1, rank5, rank10, mINP             [seed][peer], of each learning peer alone
    ensemble_mAP, ensemble_mAP_trapezoid, ...                  [seed], of their concatenated embedding
    seconds                                        [seed], of training, on a machine that may have had other work
    curves                                         {metric: [seed][epoch]} on the probe images, means over the peers

All but `train_top1` (last epoch) and `curves` are of the test images, which only finished networks see. NLL and KL are
in nats, accuracies and agreement are fractions; what there is not, as the agreement of a single peer, is null.
"""

import json
import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dml_teach import comparison
from dml_teach.comparison import Paired
from dml_teach.data import sets
from dml_teach.data.retrieval import RetrievalSet, TestSet
from dml_teach.errors import ConfigError, RunError
from dml_teach.evaluation import OF_RETRIEVAL, Sizes, compare, compare_embeddings, embed, predict
from dml_teach.experiments import Arm, Experiment
from dml_teach.files import write_atomic
from dml_teach.recipes import Recipe, sizes
from dml_teach.runs import Run
from dml_teach.trainer import trained_network

FORMAT = 1
OF_PEERS = ("top1", "nll", *OF_RETRIEVAL)
OF_COHORT = (
    *("ensemble_top1", "ensemble_nll", "mean_agreement", "mean_pairwise_kl"),
    *(f"ensemble_{name}" for name in OF_RETRIEVAL),
)
METRICS = (
    *("top1", "nll", "ensemble_top1", "ensemble_nll"),
    *OF_RETRIEVAL,
    *(f"ensemble_{name}" for name in OF_RETRIEVAL),
    *("train_top1", "mean_agreement", "mean_pairwise_kl"),
)
"""All that a table may show. An arm has those of its kind of test."""
DIGITS = 6  # the share of one image in 10 000 is the fourth
CURVE_DIGITS = 5
ROUNDING = 1e-3  # how far a test result may lie from the run's own when other hardware evaluates the same weights


class Value(NamedTuple):
    """A metric over the seeds; of one that each peer has, the mean over the peers. Fractions or nats.

    `difference` is from the baseline, paired by seed; None for the baseline itself, and where it has no such metric.
    """

    mean: float
    deviation: float
    difference: Paired | None


class Row(NamedTuple):
    """One arm's results, by the name of the metric, those of `METRICS` that it has."""

    arm: str
    values: dict[str, Value]


def record(
    experiment: Experiment,
    results: Mapping[str, Sequence[Run]],
    *,
    curves: Sequence[str] = (),
    data: Path | str | None = None,
) -> dict[str, Any]:
    """The results of an experiment as a recording, ready for `save`.

    Args:
        experiment: what was run.
        results: the runs of every arm, as `experiments.run` returns them.
        curves: metrics of which every epoch is kept, as `Run.curve` names them.
        data: where the data set lies; it is read only if an arm is to be recorded at every size.

    Raises:
        RunError: a run is not finished, or they were trained or tested on different data.
    """
    every = [run for arm in experiment.arms for run in results[arm.name]]
    data_used = _data_of(every)
    arms: list[dict[str, Any]] = []
    for arm in experiment.arms:
        tests = [
            _test_lines(run, data) if arm.every_size else {len(arm.peers): _test(run)} for run in results[arm.name]
        ]
        arms += [_entry(arm, k, results[arm.name], [test[k] for test in tests], curves) for k in tests[0]]
    return {
        "format": FORMAT,
        "experiment": experiment.name,
        "question": experiment.question,
        "seeds": [run.config["seed"] for run in results[experiment.arms[0].name]],
        "recipe": dict(vars(experiment.recipe)),
        "data": data_used,
        "provenance": provenances(every),
        "arms": arms,
    }


def per_seed(entry: Mapping[str, Any], metric: str, peer: int | None = None) -> list[float]:
    """A metric of an arm of a recording, a number for each seed: of one that each peer has, the mean over the peers,
    or that of one `peer`, counted from 0.

    Raises:
        ConfigError: the arm has no such metric or peer, or the metric is of the cohort as a whole.
    """
    if metric not in entry:
        raise ConfigError(f"arm '{entry['name']}' has no metric '{metric}' recorded")
    values = entry[metric]
    if peer is None:
        return [statistics.fmean(value) if isinstance(value, list) else value for value in values]
    if not isinstance(values[0], list) or not 0 <= peer < len(values[0]):
        raise ConfigError(f"arm '{entry['name']}' has no '{metric}' of a peer {peer}")
    return [value[peer] for value in values]


def find_arm(recorded: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The arm of that name of a recording."""
    names = [entry["name"] for entry in recorded["arms"]]
    if name not in names:
        raise ConfigError(f"arm '{name}' is not recorded: choose one of {', '.join(names)}")
    return recorded["arms"][names.index(name)]


def table(recorded: Mapping[str, Any], baseline: str | None = None) -> list[Row]:
    """One row for each arm of a recording; differences are from the arm `baseline`, by default the first."""
    base = find_arm(recorded, baseline or recorded["arms"][0]["name"])

    def value(entry: dict[str, Any], metric: str) -> Value:
        numbers = per_seed(entry, metric)
        compared = entry is not base and _has(base, metric)
        difference = comparison.paired(numbers, per_seed(base, metric)) if compared else None
        return Value(*comparison.mean_and_deviation(numbers), difference)

    return [
        Row(entry["name"], {metric: value(entry, metric) for metric in METRICS if _has(entry, metric)})
        for entry in recorded["arms"]
    ]


def save(path: Path | str, recorded: Mapping[str, Any]) -> None:
    """Write a recording, one line for each arm, so that a change shows where it is.

    Raises:
        RunError: it can not be written.
    """
    head = [f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in recorded.items() if key != "arms"]
    arms = ",\n".join(json.dumps(entry, allow_nan=False) for entry in recorded["arms"])
    try:
        write_atomic(Path(path), ("{\n" + "".join(head) + '"arms": [\n' + arms + "\n]\n}\n").encode())
    except OSError as error:
        raise RunError(f"{path} can not be written ({error.strerror or error})") from error


def load(path: Path | str) -> dict[str, Any]:
    """Read a recording.

    Raises:
        RunError: there is none, or it is damaged or of another format.
    """
    try:
        recorded = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{path} can not be read as a recording ({error})") from error
    if not isinstance(recorded, dict) or recorded.get("format") != FORMAT:
        raise RunError(f"{path} is no recording of format {FORMAT}; make it again with tools/record.py")
    return recorded


def provenances(every: Sequence[Run]) -> list[dict[str, Any]]:
    """The different origins of some runs, each with the names of its runs: ARM/seed-N.

    A recording is handed on, so its commands name folders of the machine by their last part alone.
    """
    found: list[dict[str, Any]] = []
    for run in every:
        origin = dict(run.config["provenance"])
        words = shlex.split(origin["command"])
        origin["command"] = shlex.join(Path(word).name if Path(word).is_absolute() else word for word in words)
        started = origin.pop("started")
        found.append({**origin, "started": started, "runs": [f"{run.folder.parent.name}/{run.folder.name}"]})
    return folded(found)


def folded(origins: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Origins of runs; those that differ in nothing but when they started are one."""
    found: list[dict[str, Any]] = []
    for origin in origins:
        for known in found:
            if {**known, "started": None, "runs": None} == {**origin, "started": None, "runs": None}:
                known["started"] = min(known["started"], origin["started"])
                known["runs"] = [*known["runs"], *origin["runs"]]
                break
        else:
            found.append(dict(origin))
    return found


def _data_of(every: Sequence[Run]) -> dict[str, Any]:
    """The data that all runs have in common. Labels count as data: where an arm hides some or draws wrong ones, which
    depend on the seed, there are several digests, in the order of the runs."""
    digests: dict[tuple[float, float, int], str] = {}
    for run in every:
        labelled, noise = run.config["recipe"]["labelled"], run.config["recipe"]["label_noise"]
        digest = digests.setdefault((labelled, noise, run.config["seed"] if noise else 0), run.config["data"]["sha256"])
        if run.config["data"] != {**every[0].config["data"], "sha256": digest}:
            raise RunError(f"{run.folder} has other data than {every[0].folder}; train one of them again")
    several = list(dict.fromkeys(digests.values()))
    return {**every[0].config["data"], "sha256": several if len(several) > 1 else several[0]}


def _entry(
    arm: Arm, size: int, finished: Sequence[Run], tests: Sequence[Mapping[str, Any]], curves: Sequence[str]
) -> dict[str, Any]:
    """An arm of a recording: the first `size` learners of its runs, whose test lines these are."""
    first = finished[0]
    learners = first.learning[:size]
    teachers = [k for k in range(len(first.peers)) if k not in first.learning]
    return {
        "name": f"{arm.name}-{size}" if arm.every_size else arm.name,
        "peers": [first.config["peers"][k] for k in (*learners, *teachers)],
        "topology": arm.topology,
        "changes": dict(arm.changes),
        "teachers": arm.teachers,
        **{
            metric: [_rounded([test[metric][k] for k in learners]) for test in tests]
            for metric in OF_PEERS
            if metric in tests[0]
        },
        "train_top1": [_rounded(run.curve("train_top1")[-1, learners].tolist()) for run in finished],
        **{metric: [_rounded(test[metric]) for test in tests] for metric in OF_COHORT if metric in tests[0]},
        "seconds": [round(sum(record["seconds"] for record in run.epochs), 1) for run in finished],
        "curves": {
            metric: [_rounded(_over_peers(run.curve(metric), learners), CURVE_DIGITS) for run in finished]
            for metric in curves
            if size == len(arm.peers) or metric not in OF_COHORT  # a run knows those of its whole cohort alone
        },
    }


def _test(run: Run) -> dict[str, Any]:
    if run.test is None:
        raise RunError(f"{run.folder} is not finished; run the experiment again, it goes on")
    return run.test


def _test_lines(run: Run, data: Path | str | None) -> dict[int, dict[str, Any]]:
    """What the test line of a run would be if it had only its first k learners, for each k: its networks are asked
    again, since a run keeps no posteriors of the test images."""
    tested = _test(run)
    _, test = sets.load(run.config["data"]["name"], data)
    networks = [trained_network(run, k).to(memory_format=torch.channels_last) for k in run.learning]
    found = _examine_first(networks, test, sizes(Recipe(**run.config["recipe"]).resize))
    for metric in (metric for metric in OF_PEERS if metric in tested):
        for k, now in zip(run.learning, found[len(networks)][metric], strict=True):
            if abs(now - tested[metric][k]) > ROUNDING:
                raise RunError(
                    f"{run.folder}: on these test images peer {k} has {metric} {now:.5f}, in its run it had"
                    f" {tested[metric][k]:.5f}; they are not the images that it was tested on"
                )
    return found


def _examine_first(networks: Sequence[Any], test: TestSet, resize: Sizes) -> dict[int, dict[str, Any]]:
    """The metrics of the first k networks on the test, for each k."""
    cpu, counts = torch.device("cpu"), range(1, len(networks) + 1)
    if isinstance(test, RetrievalSet):
        embeddings = [embed(network, test, cpu, resize) for network in networks]
        return {k: _plain(compare_embeddings(embeddings[:k], test, range(k), cpu)) for k in counts}
    logits = torch.stack([predict(network, test, cpu, resize) for network in networks])
    return {k: _plain(compare(logits[:k], test.labels, range(k))) for k in counts}


def _over_peers(curve: Tensor, learners: Sequence[int]) -> list[float | None]:
    """A curve (E,), or (E, K) as the mean over the learners; NaN becomes None."""
    means = curve[:, learners].mean(dim=1) if curve.ndim == 2 else curve
    return _plain(means)


def _plain(value: Any) -> Any:
    """Tensors as lists or numbers, and NaN as None, as a run's own lines are read."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _rounded(value: Any, digits: int = DIGITS) -> Any:
    """A number, or a list of them, with so many digits after the point; None stays."""
    if isinstance(value, list):
        return [_rounded(each, digits) for each in value]
    return None if value is None else round(value, digits)


def _has(entry: Mapping[str, Any], metric: str) -> bool:
    return metric in entry and None not in entry[metric]
