"""Calibration against a loop over bins and against cases made to be right as often as they say."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dml_teach.analysis import calibration
from dml_teach.errors import ConfigError

N, C = 200, 4


@pytest.fixture
def logits():
    return 2 * torch.randn(2, N, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.randint(C, (N,), generator=torch.Generator().manual_seed(1))


def slow(logits, labels, bins):
    """Bin by bin, image by image: (images, mean confidence, accuracy) of each bin, from logits (N, C)."""
    images = zip(logits.softmax(-1), labels, strict=True)
    answers = [(row.max().item(), int(row.argmax()) == int(y)) for row, y in images]
    found = []
    for b in range(bins):
        inside = [(c, right) for c, right in answers if b / bins < c <= (b + 1) / bins]
        n = len(inside)
        means = (sum(c for c, _ in inside) / n, sum(r for _, r in inside) / n) if n else (math.nan, math.nan)
        found.append((n, *means))
    return found


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_reliability_and_ece_equal_a_loop_over_bins(logits, labels, bins):
    table = calibration.reliability(logits, labels, bins)
    for k in range(2):
        expected = slow(logits[k], labels, bins)
        for values, column in zip(table, zip(*expected, strict=True), strict=True):
            assert values[k].tolist() == pytest.approx(list(column), nan_ok=True)
        by_hand = sum(n / N * abs(accuracy - confidence) for n, confidence, accuracy in expected if n)
        assert calibration.ece(logits, labels, bins)[k].item() == pytest.approx(by_hand)


@given(st.integers(1, 20), st.integers(0, 20))
def test_a_network_right_as_often_as_it_says_has_an_ece_of_0(n, right):
    right = max(right % (n + 1), math.ceil(n / 2))  # its first choice has at least one half
    says = torch.tensor([right / n, 1 - right / n], dtype=torch.float64).clamp_min(1e-300).log().expand(n, 2)
    labels = (torch.arange(n) >= right).long()
    assert calibration.ece(says, labels).item() == pytest.approx(0, abs=1e-12)


def test_a_network_always_certain_and_right_half_the_time_is_off_by_a_half():
    assert calibration.ece(torch.tensor([[1000.0, 0]] * 4), torch.tensor([0, 1, 0, 1])).item() == 0.5


def test_an_edge_belongs_to_the_bin_below_it():
    one_half, a_little_more, all_of_it = torch.tensor([[[0.0, 0]], [[0.001, 0]], [[1000, 0]]])
    label = torch.zeros(1, dtype=torch.int64)
    assert calibration.reliability(one_half, label, 4).images.tolist() == [0, 1, 0, 0]
    assert calibration.reliability(a_little_more, label, 4).images.tolist() == [0, 0, 1, 0]
    assert calibration.reliability(all_of_it, label, 4).images.tolist() == [0, 0, 0, 1]


def test_every_image_lies_in_one_bin(logits, labels):
    assert calibration.reliability(logits, labels).images.sum(-1).tolist() == [N, N]


def test_no_bins_are_refused(logits, labels):
    with pytest.raises(ConfigError, match="bins = 0"):
        calibration.ece(logits, labels, 0)
