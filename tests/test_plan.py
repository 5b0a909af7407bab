"""The plan of a run, counted before it starts."""

import pytest
import torch
from torch import nn

from dml_teach import models
from dml_teach.cli import main
from dml_teach.data import bundled, sets
from dml_teach.plan import activation_bytes
from dml_teach.recipes import PAPER_CIFAR100, PAPER_SOURCES

TABLE_2 = [
    ("resnet32", "resnet32"),
    ("wrn28_10", "resnet32"),
    ("mobilenet", "resnet32"),
    ("mobilenet", "mobilenet"),
    ("wrn28_10", "mobilenet"),
    ("wrn28_10", "wrn28_10"),
]


def test_activations_are_what_autograd_keeps():
    """A linear layer keeps its input, a ReLU its output; the bias and the next layer keep nothing new."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    assert activation_bytes(network, batch_size=7, channels=3, height=2, width=2) == 4 * 7 * (12 + 5)


def test_counting_leaves_the_network_as_it_was():
    network = models.build("small", 10).eval()
    activation_bytes(network, 2, 3, 8, 8)
    assert not network.training and next(network.parameters()).device.type == "cpu"


def test_activations_grow_with_the_batch():
    network = models.build("small", 10)
    one, two = (activation_bytes(network, batch, 3, 32, 32) for batch in (8, 16))
    assert one < two <= 2 * one


@pytest.mark.parametrize("pair", TABLE_2)
def test_every_pair_of_the_papers_table_has_a_plan_that_needs_no_data(pair, capsys):
    assert main(["train", "cifar100", "--recipe", "paper", "--peers", ",".join(pair), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for k, name in enumerate(pair):
        assert f"{k} {name}" in printed
        assert f"{sum(p.numel() for p in models.build(name, 100).parameters()):,} parameters" in printed
    assert "200 epochs of 774 steps: 154800 steps of 64 images" in printed
    assert "weight_decay     0.0005         others" in printed


@pytest.mark.parametrize("data", sets.NAMES)
def test_every_data_set_has_peers_and_a_recipe_of_its_own(data, capsys):
    assert main(["train", data, "--dry-run"]) == 0
    assert f"images of {data}," in capsys.readouterr().out


def test_a_dry_run_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "bundled", "--dry-run"]) == 0
    assert not list(tmp_path.iterdir())


def test_a_plan_for_more_images_than_there_are_is_refused(capsys):
    assert main(["train", "cifar100", "--subset", "60000", "--dry-run"]) == 2
    assert "60000" in capsys.readouterr().err


def test_every_value_of_the_papers_recipe_has_a_source():
    assert set(PAPER_SOURCES) == set(vars(PAPER_CIFAR100)) - {"name", "second_moment"}  # Adam's, which it does not use


def test_what_is_known_of_the_bundled_images_is_so():
    data = bundled.load("train")
    assert sets.FACTS["bundled"][:6] == ("bundled", *data.images.shape, data.classes)
    assert torch.equal(data.labels.unique(), torch.arange(10))
