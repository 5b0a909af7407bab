"""Figures say in words what they show."""

import io

import pytest
import torch

from dml_teach import plots, topology
from dml_teach.recipes import Recipe
from dml_teach.trainer import fit


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    from tests.conftest import striped

    out, recipe = tmp_path_factory.mktemp("runs"), Recipe("test", 3, 20, 0.05, probe_images=30)
    return {
        label: [
            fit(
                ["small"] * 2,
                matrix,
                striped(90, 1),
                striped(45, 2),
                recipe,
                seed=s,
                out=out / f"{label}{s}",
                progress=False,
            )
            for s in (0, 1)
        ]
        for label, matrix in {"alone": topology.independent(2), "together": topology.mutual(2)}.items()
    }


def test_curves_state_the_mean_over_peers_and_seeds_at_the_end(groups):
    plot = plots.curves(groups, "entropy")
    for label, runs in groups.items():
        mean = sum(float(run.curve("entropy")[-1].mean()) for run in runs) / 2
        assert f"{label}: {mean:.2f}" in plot.finding
    drawn = {line.get_label(): line.get_ydata()[-1] for line in plot.figure.axes[0].lines}
    assert drawn["alone"] == pytest.approx(sum(float(r.curve("entropy")[-1].mean()) for r in groups["alone"]) / 2)


def test_lines_differ_in_dashes_as_well_as_in_colour(groups):
    lines = plots.curves(groups, "top1").figure.axes[0].lines
    assert len({line.get_color() for line in lines}) == len({str(line.get_linestyle()) for line in lines}) == 2


@pytest.mark.parametrize("metric", ["agreement", "pairwise_kl"])
def test_matrices_write_every_entry_and_state_the_mean_over_pairs(groups, metric):
    plot = plots.matrices(groups, metric)
    last = torch.stack([run.curve(metric)[-1] for run in groups["together"]]).mean(0)
    off = (last[0, 1] + last[1, 0]).item() / 2
    assert (f"together: {100 * off:.1f} %" if metric == "agreement" else f"together: {off:.2f} nats") in plot.finding
    assert len(plot.figure.axes[1].texts) == 4


def test_differences_state_mean_interval_and_seeds(groups):
    plot = plots.differences({"mutual": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert "mutual: +3.00 ± 1.96 points, 5 of 5 seeds above 0" in plot.finding


def test_topologies_name_every_arrow():
    plot = plots.topologies({"ring": topology.ring(3), "none": topology.independent(2)})
    assert "ring: 0 from 2, 1 from 0, 2 from 1; none: nobody learns from anybody" in plot.finding
    arrows = [text for text in plot.figure.axes[0].texts if text.get_text() == ""]
    assert len(arrows) == 3


def test_confidences_count_every_image_once():
    logits = torch.tensor([[5.0, 0.0], [0.0, 5.0], [0.2, 0.0]])
    plot = plots.confidences(logits, torch.tensor([0, 0, 0]))
    assert "99 % when wrong" in plot.finding and "77 % when right" in plot.finding


def test_a_plot_in_a_notebook_shows_its_picture_and_stores_words_without_numbers(groups):
    plot = plots.metrics_of(groups["alone"][0], {"top1": "unseen", "train_top1": "studied"})
    assert repr(plot) == "Figure. Accuracy (%) over the epochs: unseen, studied."
    assert plot._repr_png_().startswith(b"\x89PNG")
    assert plot.alt in plot.html().replace("&#x27;", "'")


def test_images_are_drawn_with_their_titles():
    plot = plots.images(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), ["a", "b", "c"], columns=2)
    assert [ax.get_title() for ax in plot.figure.axes[:3]] == ["a", "b", "c"]
    assert io.BytesIO(plot.png()).read(4) == b"\x89PNG"
