"""Pictures without axes say in words what they show."""

import io

import torch

from dml_teach import plots, topology


def test_topologies_name_every_arrow():
    plot = plots.topologies({"ring": topology.ring(3), "none": topology.independent(2)})
    assert "ring: 0 from 2, 1 from 0, 2 from 1; none: nobody learns from anybody" in plot.finding
    arrows = [text for text in plot.figure.axes[0].texts if text.get_text() == ""]
    assert len(arrows) == 3


def test_images_are_drawn_with_their_titles():
    plot = plots.images(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), ["a", "b", "c"], columns=2)
    assert [ax.get_title() for ax in plot.figure.axes[:3]] == ["a", "b", "c"]
    assert io.BytesIO(plot.png()).read(4) == b"\x89PNG"
