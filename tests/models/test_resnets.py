"""Narrow and wide residual networks."""

import pytest
import torch
from torch import nn

from dml_teach import models
from dml_teach.errors import ConfigError
from dml_teach.models.dropout import Dropout
from dml_teach.models.resnet import BasicBlock, option_a, resnet
from dml_teach.models.wide_resnet import PreActivationBlock, wide_resnet


def random_maps(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def slow_option_a(maps, channels, stride):
    """Position by position: every stride-th one, and zeros in the channels that the input lacks."""
    batch, inputs, height, width = maps.shape
    rows, columns = range(0, height, stride), range(0, width, stride)
    out = torch.zeros(batch, channels, len(rows), len(columns))
    for b in range(batch):
        for c in range(inputs):
            for i, row in enumerate(rows):
                for j, column in enumerate(columns):
                    out[b, c, i, j] = maps[b, c, row, column]
    return out


@pytest.mark.parametrize(("channels", "stride", "side"), [(4, 1, 5), (8, 2, 6), (8, 2, 7), (9, 1, 4), (4, 2, 5)])
def test_option_a_takes_every_other_position_and_appends_zeros(channels, stride, side):
    maps = random_maps(2, 4, side, side + 1)
    assert torch.equal(option_a(maps, channels, stride), slow_option_a(maps, channels, stride))


def test_basic_block_with_a_silent_residual_is_its_rectified_shortcut():
    block, maps = BasicBlock(4, 8, stride=2, scale=1.0), random_maps(2, 4, 6, 6)
    nn.init.zeros_(block.norm2.weight)
    assert torch.equal(block(maps), slow_option_a(maps, 8, 2).clamp(min=0))


def test_basic_block_is_conv_norm_relu_conv_norm_add_relu():
    block, maps = BasicBlock(4, 8, stride=2, scale=1.0), random_maps(2, 4, 6, 6)
    with torch.no_grad():
        residual = block.norm2(block.conv2(block.norm1(block.conv1(maps)).clamp(min=0)))
        assert torch.equal(block(maps), (residual + slow_option_a(maps, 8, 2)).clamp(min=0))


# Counts at 10 classes that are well known for these networks.
@pytest.mark.parametrize(("depth", "parameters"), [(20, 269_722), (32, 464_154), (56, 853_018), (110, 1_727_962)])
def test_resnet_of_any_depth_has_the_published_count(depth, parameters):
    assert sum(p.numel() for p in resnet(depth, 10).parameters()) == parameters


@pytest.mark.parametrize("depth", [8, 32, 56])
def test_depth_counts_the_layers_with_weights(depth):
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in resnet(depth).modules()) == depth


@pytest.mark.parametrize("depth", [2, 18, 34, 33])
def test_impossible_resnet_depth_is_refused(depth):
    with pytest.raises(ConfigError, match="depth"):
        resnet(depth)


def test_resnet_halves_its_maps_twice():
    with torch.no_grad():
        assert models.build("resnet32").maps(random_maps(2, 3, 32, 24)).shape == (2, 64, 8, 6)


@pytest.mark.parametrize(("depth", "width", "parameters"), [(16, 4, 2_748_890), (40, 2, 2_243_546)])
def test_wide_resnet_of_other_sizes_has_the_published_count(depth, width, parameters):
    assert sum(p.numel() for p in wide_resnet(depth, width, 10).parameters()) == parameters


def test_wide_resnet_depth_counts_the_convolutions():
    assert sum(isinstance(module, nn.Conv2d) for module in wide_resnet(28, 2).modules()) == 28


@pytest.mark.parametrize(("depth", "width"), [(4, 1), (26, 1), (27, 1), (28, 0)])
def test_impossible_wide_resnet_is_refused(depth, width):
    with pytest.raises(ConfigError, match=r"^depth = |^width = "):
        wide_resnet(depth, width)


def test_pre_activation_block_with_a_silent_residual_is_the_identity():
    block, maps = PreActivationBlock(4, 4, stride=1, dropout=0), random_maps(2, 4, 5, 5)
    nn.init.zeros_(block.conv2.weight)
    assert torch.equal(block(maps), maps)


def test_shortcut_that_changes_shape_sees_the_activated_maps():
    block, maps = PreActivationBlock(4, 6, stride=2, dropout=0), random_maps(2, 4, 6, 6)
    with torch.no_grad():
        activated = block.norm1(maps).clamp(min=0)
        residual = block.conv2(block.norm2(block.conv1(activated)).clamp(min=0))
        assert torch.equal(block(maps), residual + block.shortcut(activated))


@pytest.mark.parametrize(("build", "per_stage"), [(lambda: resnet(32), 5), (lambda: wide_resnet(28, 2), 4)])
def test_first_block_of_the_second_and_the_third_stage_halves_and_widens(build, per_stage):
    blocks = build().blocks
    assert len(blocks) == 3 * per_stage
    assert [k for k, block in enumerate(blocks) if block.conv1.stride == (2, 2)] == [per_stage, 2 * per_stage]
    widths = [block.conv2.out_channels for block in blocks]
    assert [k for k in range(1, len(blocks)) if widths[k] == 2 * widths[k - 1]] == [per_stage, 2 * per_stage]


def test_wide_resnet_ends_in_norm_and_relu():
    network, images = wide_resnet(10, 2).eval(), random_maps(2, 3, 16, 16)
    with torch.no_grad():
        expected = network.norm(network.blocks(network.stem(images))).clamp(min=0)
        assert torch.equal(network.maps(images), expected)


def test_wide_resnet_halves_its_maps_twice():
    with torch.no_grad():
        assert wide_resnet(10, 2).maps(random_maps(2, 3, 32, 24)).shape == (2, 128, 8, 6)


def test_dropout_sits_between_the_convolutions_of_every_block():
    network = wide_resnet(16, 1, dropout=0.3)
    assert [module.p for module in network.modules() if isinstance(module, Dropout)] == [0.3] * 6
    assert network.blocks[0].dropout.p == 0.3


def test_dropout_acts_before_the_second_convolution():
    block, maps = PreActivationBlock(4, 4, stride=1, dropout=0.5), random_maps(2, 4, 5, 5)
    seen = []
    block.conv2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    block.dropout.register_forward_hook(lambda _, inputs, output: seen.append(output))
    block(maps)
    dropped, received = seen
    assert torch.equal(dropped, received)


def test_wrn28_10_drops_nothing_by_default_and_takes_dropout_as_an_option():
    for options, rate in ({}, 0.0), ({"dropout": 0.3}, 0.3):
        network = models.build("wrn28_10", **options)
        assert {module.p for module in network.modules() if isinstance(module, Dropout)} == {rate}


def test_impossible_dropout_is_refused_when_building():
    with pytest.raises(ConfigError, match="dropout"):
        models.build("wrn28_10", dropout=1.0)


def test_every_residual_branch_starts_scaled_so_that_their_sum_keeps_its_size():
    network = models.build("resnet32", generator=torch.Generator().manual_seed(0))
    for block in network.blocks:
        assert torch.equal(block.norm2.weight, torch.full_like(block.norm2.weight, 15**-0.5))
        assert torch.equal(block.norm1.weight, torch.ones_like(block.norm1.weight))
