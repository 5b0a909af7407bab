"""Shared errors and disputes, against counting; curves, against the lines that training wrote."""

import math

import pytest
import torch

from dml_teach import metrics, topology
from dml_teach.analysis import agreement
from dml_teach.errors import RunError
from dml_teach.recipes import Recipe
from dml_teach.runs import Run
from dml_teach.trainer import fit
from tests.conftest import striped

K, N, C = 3, 60, 4


@pytest.fixture
def logits():
    return 2 * torch.randn(K, N, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.randint(C, (N,), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    recipe = Recipe("test", 3, 20, 0.05, probe_images=30)
    out = tmp_path_factory.mktemp("runs") / "run"
    return fit(
        ["small"] * 3, topology.mutual(3), striped(90, 1), striped(45, 2), recipe, seed=0, out=out, progress=False
    )


def test_both_wrong_and_same_wrong_count_images(logits, labels):
    named = logits.argmax(-1).tolist()
    for k in range(K):
        for l in range(K):
            pairs = [(a, b, y) for a, b, y in zip(named[k], named[l], labels.tolist(), strict=True)]
            both = sum(a != y and b != y for a, b, y in pairs) / N
            same = sum(a == b != y for a, b, y in pairs) / N
            assert agreement.both_wrong(logits, labels)[k, l].item() == pytest.approx(both)
            assert agreement.same_wrong(logits, labels)[k, l].item() == pytest.approx(same)


def test_the_diagonals_are_each_peers_own_errors(logits, labels):
    errors = (1 - metrics.top1(logits, labels)).tolist()
    assert agreement.both_wrong(logits, labels).diagonal().tolist() == pytest.approx(errors)
    assert agreement.same_wrong(logits, labels).diagonal().tolist() == pytest.approx(errors)


def test_disagreement_is_the_entropy_of_the_mean_minus_the_mean_entropy(logits):
    p = logits.softmax(-1)
    for n in range(N):
        mean = p[:, n].mean(0)
        entropies = [-sum(q * math.log(q) for q in p[k, n].tolist()) for k in range(K)]
        expected = -sum(q * math.log(q) for q in mean.tolist()) - sum(entropies) / K
        assert agreement.disagreement(logits)[n].item() == pytest.approx(expected)


def test_disagreement_runs_from_0_to_ln_k():
    apart = 200 * torch.eye(3)[:, None, :]  # each certain of a class of its own
    assert agreement.disagreement(apart).item() == pytest.approx(math.log(3))
    assert agreement.disagreement(torch.ones(3, 5, 4)).tolist() == [0] * 5


def test_ensemble_gain_is_what_the_average_knows_better_than_its_peers():
    # On each image two of three peers are right and sure enough to carry the average.
    right = torch.tensor([[0.9, 0.1]] * 3).log()
    logits = right.expand(3, 3, 2).clone()
    for k in range(3):
        logits[k, k] = torch.tensor([0.4, 0.6]).log()
    gain = agreement.ensemble_gain(logits, torch.zeros(3, dtype=torch.int64))
    assert gain.item() == pytest.approx(1 / 3)


def test_curves_from_posteriors_equal_the_lines_that_training_wrote(run):
    curves = agreement.over_epochs(run)
    assert set(curves) == set(agreement.MEASURES)
    for name in ("mean_agreement", "mean_pairwise_kl"):
        assert curves[name].tolist() == pytest.approx(run.curve(name).tolist(), abs=1e-5)
    assert curves["entropy"].tolist() == pytest.approx(run.curve("entropy").mean(1).tolist(), abs=1e-5)
    gain = run.curve("ensemble_top1") - run.curve("top1").mean(1)
    assert curves["ensemble_gain"].tolist() == pytest.approx(gain.tolist(), abs=1e-9)


def test_curves_are_those_of_the_learning_peers_alone(run):
    one_frozen = [peer | {"frozen": k == 0} for k, peer in enumerate(run.config["peers"])]
    half = Run(run.folder, run.config | {"peers": one_frozen}, run.epochs, run.test)
    named = run.posteriors[:, 1:].argmax(-1)
    both = (named != run.probe.labels).all(1).double().mean(1)
    curve = agreement.over_epochs(half, ["mean_both_wrong"])["mean_both_wrong"]
    assert curve.tolist() == pytest.approx(both.tolist())


def test_a_run_without_an_epoch_says_so(run):
    with pytest.raises(RunError, match="no finished epoch"):
        agreement.over_epochs(Run(run.folder, run.config, [], None))
