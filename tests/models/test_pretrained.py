"""torchvision's GoogLeNet in our InceptionV1: the same function once the pools are theirs."""

import urllib.request
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import nn

from dml_teach import models
from dml_teach.errors import ConfigError, DataError
from dml_teach.models import pretrained

STRIDES = (2, 2, 2, 2, 2)


@pytest.fixture(scope="module")
def theirs():
    """A GoogLeNet whose weights and statistics are drawn, since the trained ones must be downloaded."""
    network = torchvision.models.GoogLeNet(num_classes=10, aux_logits=False, init_weights=False)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var") or (".bn." in name and name.endswith("weight")):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            elif value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) / value[0].numel() ** 0.5)
    return network.eval()


def ours(**options):
    generator = torch.Generator().manual_seed(1)
    return models.build("inception_v1", 10, generator=generator, strides=STRIDES, **options)


def test_with_their_pools_our_network_computes_what_theirs_does(theirs):
    network = pretrained.load(ours(), theirs.state_dict()).eval()
    network.head.load_state_dict(theirs.fc.state_dict())
    network.stem[1], network.stem[4] = theirs.maxpool1, theirs.maxpool2
    network.to_4a[2], network.to_5b[1] = theirs.maxpool3, theirs.maxpool4
    images = torch.randn(2, 3, 96, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(network(images), theirs(images), rtol=1e-3, atol=1e-4)


def test_the_head_and_auxiliary_heads_stay_as_they_were(theirs):
    fresh, network = ours(auxiliary=True), ours(auxiliary=True)
    pretrained.load(network, theirs.state_dict())
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, fresh.state_dict()[name])}
    assert not any(name.startswith(("head", "auxiliary")) for name in changed)
    assert "stem.0.0.weight" in changed and "to_5b.3.pool.1.1.running_var" in changed


@pytest.mark.parametrize("fault", ["missing", "shape"])
def test_other_weights_are_refused_by_name_and_change_nothing(theirs, fault):
    state = dict(theirs.state_dict())
    name = "inception5b.branch4.1.bn.running_var"
    state[name] = torch.ones(7)
    if fault == "missing":
        del state[name]
    network, before = ours(), ours().state_dict()
    with pytest.raises(DataError, match=name):
        pretrained.load(network, state)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_networks_that_torchvision_has_not_are_refused(theirs):
    for network in (models.build("mobilenet", 10), models.build("inception_v1", 10, channels=1), nn.Linear(2, 2)):
        with pytest.raises(ConfigError, match="inception_v1 of 3 channels"):
            pretrained.load(network, theirs.state_dict())


def test_without_a_network_there_is_one_line_that_says_what_to_do(monkeypatch, tmp_path):
    def unreachable(*_, **__):
        raise URLError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(DataError, match="train from the start") as caught:
        pretrained.download()
    assert "\n" not in str(caught.value)
