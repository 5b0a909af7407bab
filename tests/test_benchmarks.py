"""The benchmarks run, and print ratios; how large these are is for a quiet machine to say."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dml_teach import losses, models, topology
from tools import speeds

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
BOTH = (2, 4)


def ratios(script, *options, steps=1):
    """What the script prints: {name: (median, smallest, largest)}."""
    command = [sys.executable, str(FOLDER / f"{script}.py"), "--rounds", "1", "--steps", str(steps), *options]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=550).stdout
    return speeds.ratios(printed)


def test_batches_against_a_data_loader():
    (name,) = found = ratios("batches")
    assert "DataLoader" in name and found[name][0] > 1


def test_the_time_of_an_epoch_of_each_network_that_is_named():
    found = ratios("epoch_time", "--networks", "small,resnet32", "--device", "cpu")
    assert list(found) == ["small / small", "resnet32 / small"] and found["resnet32 / small"][0] > 1


@pytest.mark.browser
def test_the_redraw_of_a_widget():
    command = [sys.executable, str(FOLDER / "widget_redraw.py"), "--rounds", "1", "--steps", "3"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    lines = re.findall(r"^(.+): [\d.]+ ms \([\d.]+ to [\d.]+\)$", printed, re.MULTILINE)
    assert lines == ["redraw after a slider move, median", "the slowest step of a page"] or "not measured" in printed


@pytest.mark.slow
def test_the_time_of_an_epoch_of_all_networks():
    assert list(ratios("epoch_time", "--device", "cpu")) == [f"{name} / {models.NAMES[0]}" for name in models.NAMES]


@pytest.mark.slow
def test_the_mutual_step_against_independent_steps():
    lines = ("mutual / independent", "sequential / independent", "thread per peer / one thread")
    wanted = {f"{line}, K = {count}" for line in lines for count in BOTH}
    assert set(ratios("mutual_step")) == {"independent step / bare loop", *wanted}


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--side-by-side"]])
def test_loops_of_others_against_the_mutual_step(options):
    wanted = {
        f"{name} loop / ours, K = {count}"
        for name in ("plain", "packaged", "autocast", "re-forwarding")
        for count in BOTH
    }
    assert set(ratios("public_loops", *options)) == wanted


@pytest.mark.slow
def test_batches_are_ten_times_as_fast_as_a_data_loader_over_pil_images():
    ((median, _, _),) = ratios("batches", steps=3).values()
    assert median >= 10


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_loops_of_others_pay_what_our_peers_pay(temperature, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    public_loops = importlib.import_module("public_loops")
    logits = list(torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    labels = torch.arange(8) % 5
    published = losses.publish(torch.stack(logits), temperature)
    for k, row in enumerate(topology.mutual(3)):
        ours = losses.cross_entropy(logits[k], labels) + losses.mimicry_of_mixture(
            logits[k], published, row, temperature
        )
        assert torch.isclose(public_loops.pair_loss(logits, k, labels, temperature), ours)


SMALL_GALLERY = ("--queries", "60", "--images", "500", "--dimensions", "32")


@pytest.mark.parametrize("part", ["features", "reranking"])
def test_scores_and_reranking_are_measured_without_peers(part):
    ((name, (median, _, _)),) = list(ratios("reid", "--parts", part, *SMALL_GALLERY).items())[:1]
    assert "ours / matrix product" in name and median > 0


def test_scores_are_measured_against_a_package_in_a_folder(tmp_path):
    metrics = tmp_path / "reid" / "eval" / "metrics.py"
    metrics.parent.mkdir(parents=True)
    (tmp_path / "reid" / "__init__.py").write_text("raise RuntimeError('only its metrics are imported')")
    metrics.write_text(
        "from types import SimpleNamespace\n"
        "from dml_teach import reid\n"
        "def _compute_reid_metrics(distances, *labels):\n"
        "    scores = reid.evaluate_distances(distances, *labels)\n"
        "    return SimpleNamespace(mean_average_precision=100 * scores.mAP)\n"
    )
    found = ratios("reid", "--parts", "ranking", "--peers", str(tmp_path), *SMALL_GALLERY)
    assert list(found) == [f"ranking, {kind} features, the package reid / ours" for kind in ("trained", "untrained")]


@pytest.mark.slow
@pytest.mark.distributed
def test_two_ranks_against_one_peer_alone_and_the_model_of_a_link():
    assert set(ratios("ranks")) == {
        "two ranks without exchange / one peer alone",
        "two ranks with exchange / one peer alone",
        "with exchange / without",
        "with exchange / one peer alone, processor time",
        "with exchange / without, processor time",
    }
