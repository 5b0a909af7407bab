"""The figure of what crosses between ranks."""

import pytest

from dml_teach import plots

MEASURED = {"all-gather": [(1e3, 2e-3), (1e6, 4e-3)], "all-reduce": [(1e3, 1e-3)]}
MODELLED = {"all-gather": lambda size: 2e-3, "all-reduce": lambda size: 1e-9 * size}


def test_costs_states_how_far_measurements_are_from_the_model():
    plot = plots.costs(MEASURED, MODELLED)
    assert "all-gather: measured is 1.0 to 2.0 times what is modelled" in plot.finding
    assert "all-reduce: measured is 1000.0 to 1000.0 times" in plot.finding


def test_costs_draws_dots_in_milliseconds_and_a_line_through_all_sizes():
    line, dots = plots.costs(MEASURED, MODELLED, {"a posterior": 5e7}).figure.axes[0].lines[:2]
    assert dots.get_ydata().tolist() == pytest.approx([2, 4]) and dots.get_linestyle() == "None"
    assert line.get_ydata().tolist() == pytest.approx([2] * len(line.get_ydata()))
    assert line.get_xdata()[0] < 1e3 and line.get_xdata()[-1] > 5e7
