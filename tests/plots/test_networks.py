"""Figures of networks under examination say in words what they show."""

import pytest
import torch

from dml_teach import plots
from dml_teach.analysis.distillation import Gap, Transfer
from dml_teach.errors import ConfigError


def test_calibration_draws_accuracy_the_gap_and_how_many_images():
    logits = torch.tensor([[0.8, 0.2]] * 4, dtype=torch.float64).log()
    plot = plots.calibration({"alone": logits}, torch.tensor([0, 0, 1, 1]), bins=4)
    above, below = plot.figure.axes
    accuracy, gap = ([bar.get_height() for bar in bars] for bars in above.containers)
    assert accuracy == pytest.approx([0, 0, 0, 0.5]) and gap == pytest.approx([0, 0, 0, 0.3])
    assert above.containers[1][3].get_y() == pytest.approx(0.5)  # the gap stands on the accuracy
    assert [bar.get_height() for bar in below.containers[0]] == pytest.approx([0, 0, 0, 100])
    assert plot.finding == "alone: says 80.0 %, is right in 50.0 %, ECE 30.0 %."


def test_flatness_counts_the_rise_from_the_loss_without_noise():
    losses = torch.tensor([[1.0, 1.0], [1.1, 1.3], [2.0, 3.0]])
    plot = plots.flatness({"alone": losses, "together": losses / 2}, [0, 0.1, 0.2])
    line = plot.figure.axes[0].lines[0]
    assert line.get_ydata().tolist() == pytest.approx([0, 0.2, 1.5])
    assert plot.finding == "At scale 0.2 alone: +1.500 nats; together: +0.750 nats."
    band = plot.figure.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(1.5 + 0.5**0.5)


def test_flatness_needs_the_loss_without_noise():
    with pytest.raises(ConfigError, match="the first must be 0"):
        plots.flatness({"alone": torch.ones(2, 1)}, [0.1, 0.2])


def test_transfers_place_students_by_their_teachers():
    found = {
        "flat teacher": Transfer(0.1, 0.2, 0.3, Gap(0.4, 0.04), Gap(0.5, 0.05)),
        "sharp teacher": Transfer(0.6, 0.7, 0.8, Gap(0.9, 0.09), Gap(1.0, 0.1)),
    }
    plot = plots.transfers(found)
    places = [[(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines] for ax in plot.figure.axes]
    assert places == [[(0.1, 0.5), (0.6, 1.0)], [(0.2, 0.5), (0.7, 1.0)]]
    assert len({line.get_marker() for line in plot.figure.axes[0].lines}) == 2
    assert "sharp teacher: sharpness 0.600, divergence 0.700, gap 1.000" in plot.finding
