"""What is left beside the first choice."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dml_teach import losses
from dml_teach.analysis import posteriors

N, C = 30, 5


@pytest.fixture
def logits():
    return 3 * torch.randn(2, N, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_logits_of_posteriors_have_these_posteriors(logits):
    p = logits.softmax(-1)
    assert torch.allclose(posteriors.logits_of(p).softmax(-1), p, atol=1e-15)
    assert posteriors.logits_of(p.half()).dtype == torch.float32


def test_a_probability_of_0_gives_finite_logits_and_divergences():
    certain = posteriors.logits_of(torch.eye(2))
    assert certain.isfinite().all()
    assert losses.kl_divergence(certain[:1], certain[1:]).item() == pytest.approx(87.3, abs=0.1)


def test_mass_by_rank_is_the_mean_of_the_sorted_posteriors(logits):
    for k in range(2):
        rows = [sorted(row.tolist(), reverse=True) for row in logits[k].softmax(-1)]
        expected = [sum(row[rank] for row in rows) / N for rank in range(C)]
        assert posteriors.mass_by_rank(logits)[k].tolist() == pytest.approx(expected)


def test_mass_is_counted_by_rank_and_not_by_class():
    opposite = torch.tensor([[0.7, 0.3], [0.3, 0.7]]).log()
    assert posteriors.mass_by_rank(opposite).tolist() == pytest.approx([0.7, 0.3])


@given(st.floats(0.2, 0.98))
def test_secondary_mass_is_what_the_first_choice_leaves(first):
    rest = (1 - first) / 9
    logits = torch.tensor([[first] + [rest] * 9]).log()
    assert posteriors.secondary_mass(logits).item() == pytest.approx(1 - first, abs=1e-5)


def test_secondary_mass_is_0_for_the_certain_and_1_minus_1_over_c_for_the_ignorant():
    assert posteriors.secondary_mass(1000 * torch.eye(C)).item() == 0
    assert posteriors.secondary_mass(torch.zeros(N, C)).item() == pytest.approx(1 - 1 / C)
    assert math.isclose(posteriors.mass_by_rank(torch.zeros(N, C)).sum().item(), 1, rel_tol=1e-6)
