"""The test results of a finished run for a terminal, and those of a retrieval anew, in every convention.

Two papers' mAP can differ by two points for the same ranking. `retrieval` shows why: average precision as the sum of
precisions or by trapezoids, over the queries that have a right answer or over all; and a single network's number beside
that of the concatenated ensemble, which costs as many networks as it joins.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dml_teach import reid
from dml_teach.data import sets
from dml_teach.data.retrieval import RetrievalSet
from dml_teach.errors import RunError
from dml_teach.evaluation import RANKS, concatenate, embed
from dml_teach.recipes import Recipe, sizes
from dml_teach.runs import Run
from dml_teach.trainer import trained_network

CONVENTIONS = {
    ("sum", "valid"): "mAP",
    ("sum", "all"): "mAP (all)",
    ("trapezoid", "valid"): "trapezoid",
    ("trapezoid", "all"): "trapezoid (all)",
}
"""(ap, denominator) as in `reid.evaluate` -> heading."""


class Row(NamedTuple):
    """One way of finding, scored.

    Attributes:
        who: a single network or the concatenated ensemble, in words.
        networks: how many it takes.
        reranked: whether the distances were re-ranked.
        mAP: for each of `CONVENTIONS`, a fraction.
        ranks: CMC at each of `evaluation.RANKS`, over the queries that have a right answer.
        mINP: over the same queries.
    """

    who: str
    networks: int
    reranked: bool
    mAP: dict[tuple[str, str], float]
    ranks: tuple[float, ...]
    mINP: float


def summary(run: Run) -> str:
    """The test results of a finished run, a line for each learning peer and one for their ensemble."""
    assert run.test is not None
    test, data = run.test, run.config["data"]
    if "mAP" in test:
        shown, joined = {"mAP": "mAP", "rank1": "rank-1"}, "concatenated"
        lines = [f"{run.folder}: {data['query_images']} queries in a gallery of {data['gallery_images']} images"]
    else:
        shown, joined = {"top1": "top-1", "nll": "NLL"}, "ensemble"
        lines = [f"{run.folder}: test set, {data['test_images']} images"]

    def numbers(prefix: str, k: int | None = None) -> str:
        values = {name: test[prefix + metric] for metric, name in shown.items()}
        values = values if k is None else {name: value[k] for name, value in values.items()}
        return "   ".join(f"{n} {v:.3f}" if n == "NLL" else f"{n} {100 * v:5.2f} %" for n, v in values.items())

    lines += [f"  peer {k} {run.peers[k]:<14} {numbers('', k)}" for k in run.learning]
    if len(run.learning) > 1:
        lines.append(f"  {joined:<21} {numbers('ensemble_')}")
    return "\n".join(lines)


def retrieval(run: Run, *, data: Path | str | None, rerank: bool, device: torch.device) -> str:
    """A finished run's retrieval anew, as a table: `rows` in words.

    Args:
        run: finished, and tested by retrieval.
        data: where the data set lies, as in `sets.load`.
        rerank: also with k-reciprocal re-ranking.
        device: where the networks run.

    Raises:
        RunError: the run is not finished, was not tested by retrieval, or on other images than are there.
    """
    if run.test is None:
        raise RunError(f"{run.folder} is not finished; go on with: dml-teach resume {run.folder}")
    if "mAP" not in run.test:
        raise RunError(f"{run.folder} was tested on images of its classes, not by retrieval; see dml-teach runs")
    _, test = sets.load(run.config["data"]["name"], data)
    there = [run.config["data"][name] for name in ("query_images", "gallery_images")]
    if not isinstance(test, RetrievalSet) or there != [len(test.query), len(test.gallery)]:
        raise RunError(f"{run.folder} was tested on {there[0]} + {there[1]} images; give the same with --data")
    return as_text(rows(run, test, rerank=rerank, device=device), len(test.query))


def rows(run: Run, test: RetrievalSet, *, rerank: bool, device: torch.device) -> list[Row]:
    """Scores of each learning peer alone and of their concatenated embedding; with `rerank` of each a second time."""
    resize = sizes(Recipe(**run.config["recipe"]).resize)
    embeddings = [embed(trained_network(run, k).to(device), test, device, resize) for k in run.learning]
    asked = [
        (f"peer {k} {run.peers[k]}", 1, each) for k, each in zip(run.learning, embeddings, strict=True)
    ]  # fmt: skip
    if len(embeddings) > 1:
        asked.append((f"{len(embeddings)} concatenated", len(embeddings), concatenate(embeddings)))
    return [
        _row(who, count, query, gallery, test, reranked)
        for reranked in ((False, True) if rerank else (False,))
        for who, count, (query, gallery) in asked
    ]


def _row(who: str, networks: int, query: Tensor, gallery: Tensor, test: RetrievalSet, reranked: bool) -> Row:
    people = (test.query.identities, test.gallery.identities, test.query.cameras, test.gallery.cameras)
    found = {}
    distances = reid.rerank(query, gallery) if reranked else None
    for ap, denominator in CONVENTIONS:
        if distances is None:
            found[ap, denominator] = reid.evaluate(query, gallery, *people, ap=ap, denominator=denominator)
        else:
            found[ap, denominator] = reid.evaluate_distances(distances, *people, ap=ap, denominator=denominator)
    usual = found["sum", "valid"]
    return Row(
        who,
        networks,
        reranked,
        {convention: float(scores.mAP) for convention, scores in found.items()},
        tuple(float(usual.cmc[m - 1]) for m in RANKS),
        float(usual.mINP),
    )


def as_text(found: Sequence[Row], queries: int) -> str:
    """The rows as a table for a terminal, in percent."""
    headings = ["", "networks", *CONVENTIONS.values()]
    headings += [*(f"rank-{m}" for m in RANKS), "mINP"]
    lines = [headings]
    for row in found:
        numbers = [*row.mAP.values(), *row.ranks, row.mINP]
        who = row.who + (", re-ranked" if row.reranked else "")
        lines.append([who, "single" if row.networks == 1 else str(row.networks), *(f"{100 * x:.2f}" for x in numbers)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]
    return "\n".join([
        text[0],
        "-" * max(map(len, text)),
        *text[1:],
        "",
        "In percent. mAP sums precisions at the right answers, as most code does; trapezoid is the mAP of the code by",
        f"Market-1501's authors. Over the queries that have a right answer; (all): over all {queries}, those without",
        "count as 0. A row of several networks is an ensemble's number, not a single network's.",
    ])  # fmt: skip
