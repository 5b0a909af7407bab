"""Figures, each with a text alternative: `plots.NAME(...)` returns a `Plot`.

Of runs: `curves`, `side_by_side`, `metrics_of`, `differences`, `over_cohort_sizes`. Of peers compared with peers:
`matrices`, `similarity`, `heatmaps`. Of posteriors: `confidences`, `posteriors`, `distributions`, `temperatures`,
`ranks`. Of networks: `calibration`, `flatness`, `transfers`. Of retrieval: `ranked_lists`,
`precisions`, `cmc`. Of ranks: `costs`. And `topologies`, `images`.
"""

from dml_teach.plots.devices import costs
from dml_teach.plots.figure import COLOURS, DASHES, GREY, HATCHES, MARKERS, Plot
from dml_teach.plots.networks import calibration, flatness, transfers
from dml_teach.plots.opinions import confidences, distributions, posteriors, ranks, temperatures
from dml_teach.plots.peers import MATRICES, heatmaps, matrices, similarity
from dml_teach.plots.pictures import images, topologies
from dml_teach.plots.retrieval import cmc, precisions, ranked_lists
from dml_teach.plots.training import METRICS, curves, differences, metrics_of, over_cohort_sizes, side_by_side

__all__ = [
    "COLOURS",
    "DASHES",
    "GREY",
    "HATCHES",
    "MARKERS",
    "MATRICES",
    "METRICS",
    "Plot",
    "calibration",
    "cmc",
    "confidences",
    "costs",
    "curves",
    "differences",
    "distributions",
    "flatness",
    "heatmaps",
    "images",
    "matrices",
    "metrics_of",
    "over_cohort_sizes",
    "posteriors",
    "precisions",
    "ranked_lists",
    "ranks",
    "side_by_side",
    "similarity",
    "temperatures",
    "topologies",
    "transfers",
]
