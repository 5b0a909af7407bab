"""Figures of posteriors say in words what they show."""

import math

import pytest
import torch

from dml_teach import plots
from dml_teach.errors import ConfigError

NAMES = ["shirt", "coat", "bag", "shoe"]


def heights(axes):
    """Bar lengths in per cent, a list for each set of bars."""
    return [[max(bar.get_width(), bar.get_height()) for bar in bars] for bars in axes.containers]


def test_confidences_count_every_image_once():
    logits = torch.tensor([[5.0, 0.0], [0.0, 5.0], [0.2, 0.0]])
    plot = plots.confidences(logits, torch.tensor([0, 0, 0]))
    assert "99 % when wrong" in plot.finding and "77 % when right" in plot.finding


def test_posteriors_draw_a_bar_for_each_peer_in_the_likeliest_classes():
    p = torch.tensor([[0.6, 0.3, 0.06, 0.04], [0.2, 0.7, 0.04, 0.06]])
    plot = plots.posteriors(p, NAMES, top=2)
    ticks = [label.get_text() for label in plot.figure.axes[0].get_yticklabels()]
    assert ticks == ["coat", "shirt"]
    assert heights(plot.figure.axes[0]) == [pytest.approx([30, 60]), pytest.approx([70, 20])]
    assert plot.finding == "peer 0: shirt 60 %; peer 1: coat 70 %."


def test_the_right_class_is_marked_and_shown_even_if_nobody_thinks_of_it():
    p = torch.tensor([[0.6, 0.3, 0.06, 0.04]])
    plot = plots.posteriors(p, NAMES, torch.tensor(3), names=["you"], top=2)
    shirt, right = plot.figure.axes[0].get_yticklabels()
    assert (shirt.get_text(), right.get_text()) == ("shirt", "shoe\n(right)")
    assert right.get_fontweight() == "bold" != shirt.get_fontweight()
    assert plot.finding == "you: shirt 60 %. The right class is shoe."


def test_peers_differ_in_hatch_as_well_as_in_colour():
    bars = plots.posteriors(torch.full((3, 4), 0.25), NAMES).figure.axes[0].containers
    assert len({bar[0].get_hatch() for bar in bars}) == len({bar[0].get_facecolor() for bar in bars}) == 3


def test_distributions_tell_the_divergence_in_both_directions():
    p, q = torch.tensor([0.5, 0.5], dtype=torch.float64), torch.tensor([0.9, 0.1], dtype=torch.float64)
    there = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    back = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    plot = plots.distributions({"p": p, "q": q}, ["cat", "dog"])
    assert plot.finding == f"D_KL(p || q) = {there:.3f} nats, D_KL(q || p) = {back:.3f} nats."
    assert heights(plot.figure.axes[0]) == [pytest.approx([50, 50]), pytest.approx([90, 10])]


@pytest.mark.parametrize("bad", [[1.0, 0.0], [0.5, 0.4]])
def test_what_is_no_distribution_of_a_posterior_is_refused(bad):
    with pytest.raises(ConfigError, match="distribution 'q'"):
        plots.distributions({"p": torch.tensor([0.5, 0.5]), "q": torch.tensor(bad)}, ["cat", "dog"])


def test_the_fan_is_the_posterior_at_every_temperature():
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0])
    plot = plots.temperatures(logits, NAMES, low=0.5, high=8, top=2)
    lines = {line.get_label(): line for line in plot.figure.axes[0].lines}
    for name, c in (("shirt", 0), ("bag", 2)):
        at = lines[name].get_xdata()
        expected = [100 * float((logits.double() / t).softmax(0)[c]) for t in at]
        assert lines[name].get_ydata().tolist() == pytest.approx(expected)
        assert (at[0], at[-1]) == (pytest.approx(0.5), pytest.approx(8))
    assert plot.finding == "The favourite, shirt, has 86 % at T = 0.5, 64 % at T = 1, 30 % at T = 8."


def test_ranks_average_the_sorted_posteriors_over_peers_and_images():
    logits = torch.tensor([[[0.7, 0.2, 0.1]], [[0.1, 0.4, 0.5]]]).log()
    plot = plots.ranks({"pair": logits, "first": logits[0]})
    pair, first = plot.figure.axes[0].lines
    assert pair.get_ydata().tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert first.get_ydata().tolist() == pytest.approx([0.7, 0.2, 0.1])
    assert plot.figure.axes[0].get_yscale() == "log"
    assert "pair: 0.600, the second 0.300, the rest 0.100" in plot.finding
