"""Feature similarity against its definition by kernels, and what it is blind to."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach import evaluation, models
from dml_teach.analysis import features
from dml_teach.errors import ConfigError
from tests.conftest import striped

N = 25


def matrix(columns, seed, rows=N):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_kernels(a, b):
    """<HKH, HLH> / (|HKH| |HLH|) of the kernels K = AA', L = BB' with the centring matrix H, written out."""
    n = len(a)
    centring = torch.eye(n, dtype=torch.float64) - 1 / n
    k, l = (centring @ m @ m.T @ centring for m in (a, b))
    return ((k * l).sum() / ((k * k).sum().sqrt() * (l * l).sum().sqrt())).item()


def test_linear_cka_equals_its_definition_by_kernels():
    a, b = matrix(4, 0) + 3, matrix(7, 1) - 5
    assert features.linear_cka(a, b).item() == pytest.approx(by_kernels(a, b))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-50, 50))
def test_turning_mirroring_scaling_and_shifting_change_nothing(seed, factor, shift):
    a, b = matrix(5, seed), matrix(5, seed + 1)
    orthogonal = torch.linalg.qr(matrix(5, seed + 2, rows=5)).Q
    moved = factor * a @ orthogonal + shift
    assert features.linear_cka(moved, a).item() == pytest.approx(1)
    assert features.linear_cka(moved, b).item() == pytest.approx(features.linear_cka(a, b).item())


def test_stretching_one_direction_does_change_it():
    a = matrix(5, 0)
    stretched = a * torch.tensor([20.0, 1, 1, 1, 1], dtype=torch.float64)
    assert features.linear_cka(a, stretched).item() < 0.8


def test_features_that_vary_along_different_images_have_0():
    a = torch.tensor([[1.0], [-1], [0], [0]])
    b = torch.tensor([[0.0], [0], [1], [-1]])
    assert features.linear_cka(a, b).item() == 0
    assert features.linear_cka(a, torch.ones(4, 2)).isnan()


def test_noise_of_few_images_is_alike_by_chance():
    expected = 100 / (400 + 100)
    assert features.linear_cka(matrix(100, 0, 400), matrix(100, 1, 400)).item() == pytest.approx(expected, abs=0.02)


def test_cka_matrix_compares_every_pair():
    several = [matrix(3, 0), matrix(4, 1), matrix(5, 2)]
    table = features.cka_matrix(several)
    assert torch.allclose(table, table.T)
    assert table.diagonal().tolist() == pytest.approx([1, 1, 1])
    assert table[0, 2].item() == pytest.approx(by_kernels(several[0], several[2]))


def test_features_are_the_embeddings_from_which_the_head_decides():
    network = models.build("small", 3, channels=1, generator=torch.Generator().manual_seed(0))
    data = striped(12, 1)
    embeddings = features.features(network, data, torch.device("cpu"))
    assert embeddings.shape == (12, 64) and not network.training
    logits = evaluation.predict(network, data, torch.device("cpu"))
    with torch.no_grad():
        assert torch.allclose(network.head(embeddings), logits, atol=1e-6)


def test_features_of_different_images_are_refused():
    with pytest.raises(ConfigError, match=r"\(25, 3\) and \(24, 3\)"):
        features.linear_cka(matrix(3, 0), matrix(3, 1, 24))
