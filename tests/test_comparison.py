"""Paired comparison against numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy.stats import t as students_t

from dml_teach.comparison import detectable, mean_and_deviation, paired
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


@pytest.mark.parametrize(("seeds", "power"), [(3, 0.8), (5, 0.8), (12, 0.5)])
def test_a_detectable_difference_is_found_as_often_as_promised(seeds, power):
    """By drawing experiments whose true difference is just that large, and counting."""
    least = detectable(2.0, seeds, power)
    rng = np.random.default_rng(0)
    draws = rng.normal(least, 2.0, (40_000, seeds))
    half = students_t.ppf(0.975, seeds - 1) * draws.std(axis=1, ddof=1) / np.sqrt(seeds)
    assert (abs(draws.mean(axis=1)) > half).mean() == pytest.approx(power, abs=0.01)


def test_more_seeds_find_smaller_differences_and_no_deviation_finds_any():
    assert detectable(1.0, 3) > detectable(1.0, 5) > detectable(1.0, 12) > 0
    assert detectable(0.0, 5) == 0


@pytest.mark.parametrize("wrong", [{"seeds": 1}, {"deviation": -1.0}, {"power": 0.04}, {"level": 1.0}])
def test_a_question_without_an_answer_is_refused(wrong):
    with pytest.raises(ConfigError, match="detectable: "):
        detectable(**{"deviation": 1.0, "seeds": 5} | wrong)
