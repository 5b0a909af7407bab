"""The first weights against their formulas."""

import math

import pytest
import torch
from torch import nn

from dml_teach import models
from dml_teach.models.init import he_normal, initialise, uniform_by_fan_in


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("outputs", "inputs", "kernel", "groups"), [(64, 32, 3, 1), (256, 256, 1, 1), (2048, 2048, 3, 2048), (64, 64, 5, 2)]
)
def test_convolution_weights_are_normal_with_variance_two_over_the_outputs_each_input_reaches(
    outputs, inputs, kernel, groups
):
    convolution = nn.Conv2d(inputs, outputs, kernel, groups=groups, bias=False)
    initialise(convolution, seeded())
    weight = convolution.weight.detach().double()
    # Slow and obvious: how many weights touch the first input channel?
    reached = weight[: outputs // groups, 0].numel()
    assert weight.var().item() == pytest.approx(2 / reached, rel=0.05)
    assert abs(weight.mean().item()) < 4 * math.sqrt(2 / reached / weight.numel())
    within_one_sigma = (weight.abs() < math.sqrt(2 / reached)).double().mean().item()
    assert within_one_sigma == pytest.approx(0.6827, abs=0.01)


def test_depth_does_not_change_the_size_of_the_gradient():
    generator = seeded()
    layers = [nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular", bias=False) for _ in range(12)]
    network = nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())])
    initialise(network, generator)
    images = torch.randn(8, 32, 8, 8, generator=generator, requires_grad=True)
    logits = network(images)
    sent = torch.randn(logits.shape, generator=generator)
    logits.backward(sent)
    assert 0.5 < (images.grad.square().mean() / sent.square().mean()).item() < 2


def test_linear_weights_and_biases_are_uniform_within_one_over_root_fan_in():
    linear = nn.Linear(64, 2000)
    initialise(linear, seeded())
    for values in (linear.weight.detach(), linear.bias.detach()):
        scaled = values * math.sqrt(64)
        assert scaled.abs().max() <= 1
        assert scaled.mean().item() == pytest.approx(0, abs=0.05)
        assert scaled.square().mean().item() == pytest.approx(1 / 3, rel=0.05)


def test_batch_norm_starts_as_the_identity_with_fresh_statistics():
    norm = nn.BatchNorm2d(3)
    nn.init.constant_(norm.weight, 7)
    norm(torch.randn(4, 3, 2, 2, generator=seeded()) + 5)
    initialise(norm)
    assert norm.weight.tolist() == [1, 1, 1]
    assert norm.bias.tolist() == norm.running_mean.tolist() == [0, 0, 0]
    assert norm.running_var.tolist() == [1, 1, 1]
    assert norm.num_batches_tracked == 0


@pytest.mark.parametrize("fill", [lambda w, g: he_normal(w, generator=g), lambda w, g: uniform_by_fan_in(w, 9, g)])
def test_weights_are_rounded_from_double_precision(fill):
    single, double = torch.empty(8, 4, 3, 3), torch.empty(8, 4, 3, 3, dtype=torch.float64)
    fill(single, seeded())
    fill(double, seeded())
    assert torch.equal(single, double.float())
    assert not torch.equal(single.double(), double)


def test_seed_0_gives_the_recorded_weights():
    network = models.build("small", generator=seeded(0))
    first = network.body[0][0].weight[0, 0].flatten()[:4].tolist()
    last = network.head.bias[:3].tolist()
    assert first == pytest.approx([-0.27228466, -0.043988034, -0.12501845, 0.11779331], rel=1e-6)
    assert last == pytest.approx([0.064590476, -0.00099341152, 0.038899951], rel=1e-6)
