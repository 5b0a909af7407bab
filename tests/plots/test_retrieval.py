"""Figures of retrieval say in words what they show."""

import numpy as np
import pytest

from dml_teach import plots, reid
from dml_teach.errors import ConfigError

LISTS = {"q0": ["left out", "distractor", "good", "left out", "wrong", "good"], "q1": ["wrong", "left out"]}


def test_a_ranked_list_has_a_box_with_a_sign_for_each_image():
    (ax,) = plots.ranked_lists(LISTS).figure.axes
    assert len(ax.patches) == 8
    assert [text.get_text() for text in ax.texts][:12:2] == ["–", "0", "✓", "–", "✗", "✓"]


def test_what_is_left_out_takes_no_rank():
    plot = plots.ranked_lists(LISTS)
    assert [text.get_text() for text in plot.figure.axes[0].texts][1:12:2] == ["", "1", "2", "", "3", "4"]
    assert plot.finding == "q0: good images on ranks 2, 4 of 4; q1: good images on no rank of 1."


def test_kinds_differ_in_sign_as_well_as_in_colour():
    (ax,) = plots.ranked_lists({"q": ["good", "wrong", "distractor", "left out"]}).figure.axes
    assert len({box.get_facecolor() for box in ax.patches}) == 4
    assert len({text.get_text() for text in ax.texts[::2]}) == 4


def test_a_kind_that_is_not_known_is_refused():
    with pytest.raises(ConfigError, match="list q: 'bad'; an image is one of good, wrong"):
        plots.ranked_lists({"q": ["good", "bad"]})


@pytest.mark.parametrize("ranks", [[2, 4], [1, 5, 6], [7], [1, 2]])
def test_areas_under_precision_are_the_two_averages(ranks):
    for ax, name in zip(plots.precisions(ranks).figure.axes, ("sum", "trapezoid"), strict=True):
        corners = [shape.get_paths()[0].vertices for shape in ax.collections]
        area = sum(abs(shoelace(points)) for points in corners)
        assert area == pytest.approx(reid.average_precision(ranks, name))
        assert ax.get_title() == f"{name}: {reid.average_precision(ranks, name):.3f}"


def shoelace(points):
    x, y = points[:, 0], points[:, 1]
    return 0.5 * float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def test_the_areas_are_told_in_words():
    plot = plots.precisions([4, 2])
    assert plot.subject == "Precision over recall for good images on ranks 2, 4, as two areas."
    assert plot.finding == "The area is as bars 0.500, as trapezoids 0.333."


def test_cmc_is_drawn_as_it_is():
    scores = reid.evaluate_distances([[2.0, 1.0]], [1], [1, 5], [1], [2, 2], max_rank=3)
    plot = plots.cmc({"alone": scores})
    assert plot.figure.axes[0].lines[0].get_ydata().tolist() == [0, 100, 100]
    assert plot.finding == "alone: 0.0 % at rank 1, 100.0 % at 3."
