"""The metrics against counting and against definitions written out."""

import math

import pytest
import torch

from dml_teach import metrics

K, N, C = 3, 40, 5


@pytest.fixture
def logits():
    return 3 * torch.randn(K, N, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.randint(C, (N,), generator=torch.Generator().manual_seed(1))


def test_top1_counts_right_answers(logits, labels):
    expected = [sum(int(z.argmax()) == int(y) for z, y in zip(peer, labels, strict=True)) / N for peer in logits]
    assert metrics.top1(logits, labels).tolist() == pytest.approx(expected)
    assert metrics.top1(logits[0], labels).item() == pytest.approx(expected[0])


def test_nll_is_the_mean_negative_log_of_the_right_class(logits, labels):
    p = logits.softmax(-1)
    expected = [-sum(math.log(p[k, n, labels[n]]) for n in range(N)) / N for k in range(K)]
    assert metrics.nll(logits, labels).tolist() == pytest.approx(expected)


def test_entropy_is_ln_c_when_nothing_is_known_and_0_when_all_is_certain(logits):
    assert metrics.entropy(torch.zeros(N, C)).item() == pytest.approx(math.log(C))
    assert metrics.entropy(1000 * torch.eye(C)).item() == pytest.approx(0, abs=1e-6)
    p = logits.softmax(-1)
    assert metrics.entropy(logits).tolist() == pytest.approx((-(p * p.log()).sum(-1).mean(-1)).tolist())


def test_pairwise_kl_has_the_learner_in_rows_and_the_peer_in_columns(logits):
    matrix = metrics.pairwise_kl(logits)
    p = logits.softmax(-1)
    for k in range(K):
        for l in range(K):
            expected = (p[l] * (p[l] / p[k]).log()).sum(-1).mean().item()  # D_KL(p_l || p_k)
            assert matrix[k, l].item() == pytest.approx(expected, abs=1e-12)
    assert (matrix - matrix.T).abs().max() > 1e-3


def test_agreement_counts_equal_answers(logits):
    named = logits.argmax(-1)
    for k in range(K):
        for l in range(K):
            expected = sum(int(named[k, n]) == int(named[l, n]) for n in range(N)) / N
            assert metrics.agreement(logits)[k, l].item() == pytest.approx(expected)


def test_ensemble_averages_probabilities_and_not_logits(logits):
    torch.testing.assert_close(metrics.ensemble(logits).exp(), logits.softmax(-1).mean(0))
    assert not torch.allclose(metrics.ensemble(logits), logits.mean(0).log_softmax(-1), atol=1e-3)


def test_an_ensemble_of_one_is_that_peer(logits):
    torch.testing.assert_close(metrics.ensemble(logits[:1]), logits[0].log_softmax(-1))


def test_mean_off_diagonal_leaves_the_diagonal_out():
    assert metrics.mean_off_diagonal(torch.tensor([[9.0, 1], [3, 9]])).item() == 2
    assert metrics.mean_off_diagonal(torch.ones(1, 1)).isnan()
