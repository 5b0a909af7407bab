"""Matrices of peers write every entry and state the mean over pairs."""

from pathlib import Path

import pytest
import torch

from dml_teach import plots
from dml_teach.errors import ConfigError
from dml_teach.runs import Probe, Run


@pytest.mark.parametrize("metric", ["agreement", "pairwise_kl"])
def test_matrices_write_every_entry_and_state_the_mean_over_pairs(groups, metric):
    plot = plots.matrices(groups, metric)
    last = torch.stack([run.curve(metric)[-1] for run in groups["together"]]).mean(0)
    off = (last[0, 1] + last[1, 0]).item() / 2
    assert (f"together: {100 * off:.1f} %" if metric == "agreement" else f"together: {off:.2f} nats") in plot.finding
    assert len(plot.figure.axes[1].texts) == 4


@pytest.mark.parametrize(("metric", "shared", "own"), [("both_wrong", "50.0", "75.0"), ("same_wrong", "25.0", "75.0")])
def test_matrices_of_errors_count_the_probe_images_of_the_last_epoch(metric, shared, own):
    run = Run(Path("made-up"), {}, [], None)
    answers = torch.tensor([[0, 1, 1, 1], [1, 0, 1, 2]])  # of two peers on four images of class 0
    vars(run)["probe"] = Probe(torch.zeros(4, dtype=torch.int64), (), None)
    vars(run)["posteriors"] = torch.stack([torch.zeros(2, 4, 3), torch.eye(3)[answers]])
    plot = plots.matrices({"together": [run]}, metric)
    assert [text.get_text() for text in plot.figure.axes[0].texts] == [own, shared, shared, own]
    assert plot.finding == f"Mean over pairs together: {shared} %."


def test_a_matrix_nobody_knows_is_refused_with_those_that_are(groups):
    with pytest.raises(ConfigError, match="'friendship': choose agreement, pairwise_kl"):
        plots.matrices(groups, "friendship")


def test_similarity_names_the_networks():
    cka = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    plot = plots.similarity({"at the end": cka}, ["ResNet", "MobileNet"])
    assert plot.finding == "Mean over pairs at the end: 0.80."
    assert [label.get_text() for label in plot.figure.axes[0].get_yticklabels()] == ["ResNet", "MobileNet"]


def test_entries_are_white_on_dark_and_black_on_bright():
    texts = plots.heatmaps({"": torch.tensor([[1.0, 0.1], [0.1, 1.0]])}, "Test.", "").figure.axes[0].texts
    assert [text.get_color() for text in texts] == ["black", "white", "white", "black"]


def test_a_lone_peer_has_nobody_to_be_compared_with():
    with pytest.raises(ConfigError, match="at least two peers"):
        plots.heatmaps({"alone": torch.ones(1, 1)}, "Test.", "")
