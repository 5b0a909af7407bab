"""Paired comparison against numbers worked out by hand."""

import math

import pytest

from dml_teach.comparison import mean_and_deviation, paired
from dml_teach.errors import ConfigError


def test_interval_of_five_pairs_as_in_a_table_of_students_t():
    # Differences 1 2 3 4 5: mean 3, deviation sqrt(2.5), t(4, .975) = 2.776.
    result = paired([2, 4, 6, 8, 10], [1, 2, 3, 4, 5])
    assert result.difference == 3
    assert result.half_width == pytest.approx(2.776445 * math.sqrt(2.5 / 5), rel=1e-6)
    assert (result.won, result.seeds) == (5, 5)


def test_pairing_removes_what_both_share():
    assert paired([101, 52, 3], [100, 51, 2]).half_width == pytest.approx(0)


def test_a_tie_is_not_won():
    assert paired([1, 2], [1, 1]).won == 1


def test_a_single_seed_says_nothing_about_spread():
    assert paired([2], [1]).half_width == math.inf
    assert math.isnan(mean_and_deviation([2.0])[1])


@pytest.mark.parametrize(("method", "baseline"), [([1], [1, 2]), ([], [])])
def test_unpaired_values_are_refused(method, baseline):
    with pytest.raises(ConfigError, match="same seeds"):
        paired(method, baseline)
