"""Curves, differences and gains say in words what they show."""

import pytest
import torch

from dml_teach import plots
from dml_teach.analysis.agreement import over_epochs
from dml_teach.comparison import paired
from dml_teach.errors import RunError


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


@pytest.mark.parametrize("metric", ["mean_both_wrong", "ensemble_gain"])
def test_curves_draw_what_only_the_posteriors_tell(groups, metric):
    line = plots.curves(groups, metric).figure.axes[0].lines[1]
    expected = torch.stack([over_epochs(run)[metric] for run in groups["together"]]).mean(0)
    assert line.get_ydata().tolist() == pytest.approx((100 * expected).tolist())


def test_side_by_side_draws_every_metric_for_every_group(groups):
    plot = plots.side_by_side(groups)
    assert [len(ax.lines) for ax in plot.figure.axes] == [2, 2, 2]
    kl = torch.stack([run.curve("mean_pairwise_kl")[-1] for run in groups["together"]]).mean()
    assert f"together: {kl:.2f}. Posterior entropy (nats)" in plot.finding


def test_a_metric_that_a_run_lacks_is_named(groups, monkeypatch):
    monkeypatch.setitem(plots.METRICS, "height", ("Height", 1.0, "m"))
    with pytest.raises(RunError, match="no metric 'height'"):
        plots.curves(groups, "height")


def test_differences_state_mean_interval_and_seeds():
    plot = plots.differences({"mutual": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert "mutual: +3.00 ± 1.96 points, 5 of 5 seeds above 0" in plot.finding


def test_gains_over_cohort_sizes_have_the_interval_of_their_seeds():
    plot = plots.over_cohort_sizes({"independent": {4: [2.0, 3.0, 5.0], 2: [1.0, 2.0, 3.0]}, "mutual": {2: [1.5]}})
    wide = paired([2.0, 3.0, 5.0], [0.0] * 3)
    expected = f"independent: 2.00 ± 2.48 at K = 2, {wide.difference:.2f} ± {wide.half_width:.2f} at K = 4"
    assert plot.finding == f"{expected}; mutual: 1.50 ± 0.00 at K = 2."
    first, second = plot.figure.axes[0].containers
    assert first[0].get_ydata().tolist() == pytest.approx([2, 10 / 3])
    assert first[0].get_marker() != second[0].get_marker()
