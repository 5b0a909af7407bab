"""Shaking a network: the size of the noise, the loss under it, and that the network itself stays as it is."""

import copy

import pytest
import torch
from torch import nn

from dml_teach import metrics, models
from dml_teach.analysis import flatness
from dml_teach.errors import ConfigError
from dml_teach.evaluation import predict
from tests.conftest import striped

CPU = torch.device("cpu")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network():
    network = models.build("small", 3, channels=1, generator=seeded())
    network(torch.randn(50, 1, 12, 12, generator=seeded(1)))  # moves the batch-norm statistics
    return network


@pytest.fixture
def data():
    return striped(60, 1)


def equal(before, network):
    return all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_at_scale_0_every_draw_is_the_plain_loss(network, data):
    losses = flatness.loss_under_noise(network, data, CPU, [0.0], seeded(), draws=3)
    plain = metrics.nll(predict(network, data, CPU), data.labels).item()
    assert losses.shape == (1, 3)
    assert losses.unique().tolist() == [pytest.approx(plain, abs=1e-7)]


def test_the_network_is_bit_identical_afterwards_and_in_its_mode(network, data):
    before = copy.deepcopy(network.state_dict())
    network.train()
    network.body[0][1].eval()
    flatness.loss_under_noise(network, data, CPU, [0.0, 0.5], seeded(), draws=2)
    assert equal(before, network)
    assert network.training and not network.body[0][1].training
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


def test_the_network_is_bit_identical_after_an_exception(network, data, monkeypatch):
    before = copy.deepcopy(network.state_dict())

    def fail(*_):
        raise RuntimeError("device lost")

    monkeypatch.setattr(flatness, "predict", fail)
    with pytest.raises(RuntimeError, match="device lost"):
        flatness.loss_under_noise(network, data, CPU, [0.5], seeded())
    assert equal(before, network)


def test_noise_has_the_root_mean_square_of_its_tensor():
    for scale in (0.01, 1.0, 30.0):
        w = nn.Parameter(scale * torch.randn(300, 200, generator=seeded(1)) + scale)
        noise = flatness.relative_noise(w, seeded(2))
        rms = (w.norm() / w.numel() ** 0.5).item()
        assert noise.std().item() == pytest.approx(rms, rel=0.02)
        assert noise.mean().item() == pytest.approx(0, abs=0.02 * rms)
    assert flatness.relative_noise(torch.zeros(5), seeded()).tolist() == [0] * 5


def test_standard_noise_is_alike_on_every_tensor():
    drawn = [flatness.standard_noise(scale * torch.ones(50, 40), torch.Generator().manual_seed(3)) for scale in (0, 9)]
    assert torch.equal(*drawn)
    assert drawn[0].std() == pytest.approx(1, abs=0.05)


def test_what_is_evaluated_is_the_network_plus_scaled_noise_with_its_buffers(network, data, monkeypatch):
    seen = []

    def watch(shaken, images, device):
        seen.append({name: value.clone() for name, value in shaken.state_dict().items()})
        return predict(shaken, images, device)

    monkeypatch.setattr(flatness, "predict", watch)
    losses = flatness.loss_under_noise(network, data, CPU, [0.5, 2.0], seeded(7), draws=2)
    generator = seeded(7)
    parameters = dict(network.named_parameters())
    for d in range(2):
        noise = {name: flatness.relative_noise(w, generator) for name, w in parameters.items()}
        for s, scale in enumerate((0.5, 2.0)):
            by_hand = copy.deepcopy(network)
            for name, value in by_hand.state_dict().items():
                if name in noise:
                    value += scale * noise[name]
                assert torch.equal(seen[2 * d + s][name], value)
            expected = metrics.nll(predict(by_hand, data, CPU), data.labels).item()
            assert losses[s, d].item() == pytest.approx(expected)


def test_weights_before_a_batch_norm_may_be_doubled_and_the_loss_under_noise_stays(network, data):
    doubled = copy.deepcopy(network)
    with torch.no_grad():
        for module in doubled.modules():
            if isinstance(module, nn.Conv2d):
                module.weight *= 2
            if isinstance(module, nn.BatchNorm2d):  # its statistics see twice the maps
                module.running_mean *= 2
                module.running_var *= 4
                module.eps *= 4
    pair = [flatness.loss_under_noise(net, data, CPU, [0.3], seeded(), 4) for net in (network, doubled)]
    assert torch.allclose(*pair, atol=1e-5)


def test_sharpness_is_the_mean_rise_over_the_draws(network, data):
    losses = flatness.loss_under_noise(network, data, CPU, [0.0, 0.4], seeded(3), draws=4)
    rise = flatness.sharpness(network, data, CPU, seeded(3), scale=0.4, draws=4)
    assert rise.item() == pytest.approx((losses[1].mean() - losses[0, 0]).item())


@pytest.mark.parametrize(("scales", "draws"), [([], 1), ([-0.1], 1), ([0.1], 0)])
def test_impossible_noise_is_refused(network, data, scales, draws):
    with pytest.raises(ConfigError, match="scales"):
        flatness.loss_under_noise(network, data, CPU, scales, seeded(), draws)
